"""When examinations are due in a run, and what of its rounds they are given."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fedcircuits.circuits.check_verdict import CheckResult
from fedcircuits.circuits.found import Couples, FoundCircuits
from fedcircuits.circuits.study import prepare_subject, server_bench, study_model
from fedcircuits.data.datasets import Dataset, LabelledImages
from fedcircuits.data.partitions import images_together
from fedcircuits.examination.examiner import Examiner, Tables
from fedcircuits.examination.round_models import ClientModel, RoundModels
from fedcircuits.examination.validity import CheckedModel, check_validity, result_of
from fedcircuits.federation.replies import TrainReply
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import Comparison
from fedcircuits.seeding import Purpose
from fedcircuits.settings import Settings
from fedcircuits.settings.config_values import ClassIds
from fedcircuits.training.local import RoundPosition
from strategies.clients import Clients


class Examinations:
    """The examinations of one run.

    Args:
        settings: of the run.
        spec: the network's shape.
        dataset: the server's images, on the device to use.
        clients: what each client holds.
    """

    def __init__(self, settings: Settings, spec: ModelSpec, dataset: Dataset, clients: Clients) -> None:
        self._settings = settings
        self._spec = spec
        self._dataset = dataset
        self._clients = clients
        self._examiner = Examiner(settings, spec, dataset)
        self._last_check: int | None = None
        self._failed_check: CheckResult | None = None

    @property
    def failed_check(self) -> CheckResult | None:
        """The last check of the discovery if it failed; until another passes, no circuit may count as usable.

        None if it passed, or if there was none that could say anything.
        """
        return self._failed_check

    @property
    def checks(self) -> dict[str, Any]:
        """The round of the last check and the failed one, as plain JSON values, for a run that goes on elsewhere."""
        return {"last": self._last_check, "failed": None if self._failed_check is None else asdict(self._failed_check)}

    @checks.setter
    def checks(self, checks: Mapping[str, Any]) -> None:
        self._last_check = checks["last"]
        self._failed_check = None if checks["failed"] is None else CheckResult(**checks["failed"])

    def check_discovery(self, position: RoundPosition, replies: Sequence[TrainReply], average: Weights) -> Tables:
        """Check the run's discovery, if a check is due.

        The circuits are those that clients report in this round, of the clients that know the most classes, at least
        two (the lowest partitions of several, up to `examination-clients`). They are scored on the server's test
        images. Where clients do not say which classes they hold, it is the circuits of the average, as they are found
        on the server's images.

        Args:
            position: the round.
            replies: those that were averaged.
            average: the new global weights.

        Returns:
            rows of the tables `validity` and `costs`; empty if no check is due, or if no client reports circuits and
            knows two classes, so that the next round's may.
        """
        if not self._settings.examination.is_validity_round(position.server_round, self._last_check):
            return {}
        started = time.perf_counter()
        models = self._checked(position, replies, average)
        rows = check_validity(self._settings, models, self._dataset.test, position)
        if not rows:
            return {}
        result = result_of(rows, position.server_round)
        if result is not None:
            self._failed_check = None if result.has_passed else result
        # A model that had not learned enough may pass in the next round, so that is not waited for.
        self._last_check = None if self._failed_check is not None else position.server_round
        identity = {"round": position.server_round}
        seconds = time.perf_counter() - started
        return {
            "validity": [identity | asdict(row) for row in rows],
            "costs": [identity | {"measure": "validity", "seconds": seconds}],
        }

    def is_due(self, position: RoundPosition) -> bool:
        """Tell whether the round's models are examined."""
        return self._settings.examination.is_examination_round(position.server_round, position.num_rounds)

    def examine(
        self,
        position: RoundPosition,
        replies: Sequence[TrainReply],
        shares: Sequence[float],
        weights: tuple[Weights, Weights],
        local: Sequence[FoundCircuits],
        on_clients: Sequence[FoundCircuits],
        on_server: FoundCircuits | None,
        trained_classes: ClassIds,
    ) -> tuple[Tables, Mapping[str, float | None], Mapping[Comparison, Couples]]:
        """Examine the models of a round.

        Args:
            position: the round.
            replies: those that were averaged, in the order of their partitions, at least one.
            shares: each reply's weight in the average.
            weights: the global weights that the round started from, and the new ones.
            local: circuits of the clients' own models.
            on_clients: circuits of the new global model, found on clients' own images.
            on_server: circuits of the new global model, found on the probe set.
            trained_classes: classes that any client has trained on so far, ascending; empty if clients do not say.

        Returns:
            rows of the tables for examinations, the activation retention of each convolution, and further circuits to
            compare.
        """
        found = {circuits.partition_id: circuits for circuits in local}
        averages = {circuits.question.partition_id: circuits for circuits in on_clients}
        if on_server is not None:
            averages[on_server.question.partition_id] = on_server
        clients = [
            ClientModel(
                reply.partition_id,
                reply.weights,
                reply.masks,
                reply.num_examples,
                self._classes(reply),
                own := found.get(reply.partition_id),
                None if own is None else averages.get(own.question.partition_id),
            )
            for reply in replies
        ]
        start, average = weights
        models = RoundModels(
            position,
            start,
            tuple(clients),
            tuple(shares),
            self._train_images(replies),
            average,
            on_server,
            trained_classes,
        )
        tables = self._examiner.examine(models)
        started = time.perf_counter()
        controls = self._examiner.controls(models)
        seconds = time.perf_counter() - started
        tables["costs"].append({"round": position.server_round, "measure": "controls of overlap", "seconds": seconds})
        return tables, self._examiner.retention(models), controls

    def _checked(self, position: RoundPosition, replies: Sequence[TrainReply], average: Weights) -> list[CheckedModel]:
        """Return the models to check with their circuits; none if there is nothing to be told apart."""
        if not self._settings.privacy.reports_classes:
            is_due = self._settings.discovery.is_circuit_round(position.server_round, position.num_rounds)
            return [self._checked_average(position, average)] if is_due else []
        bench = server_bench(self._settings, self._dataset)
        return [
            CheckedModel(
                reply.partition_id,
                prepare_subject(self._settings, self._spec, reply.weights, bench),
                reply.study.circuits,
                self._classes(reply),
            )
            for reply in self._most_knowing(replies)
            if reply.study is not None
        ]

    def _checked_average(self, position: RoundPosition, average: Weights) -> CheckedModel:
        """Find the circuits of the average, by the same draws as those that are logged of it later in the round."""
        bench = server_bench(self._settings, self._dataset)
        classes = tuple(sorted(bench.source.labels.unique().tolist()))
        subject = prepare_subject(self._settings, self._spec, average, bench)
        study = study_model(self._settings, subject, bench, position, classes, Purpose.GLOBAL_DISCOVERY)
        return CheckedModel(None, subject, study.circuits, classes)

    def _most_knowing(self, replies: Sequence[TrainReply]) -> list[TrainReply]:
        """Return the replies with circuits of the clients that hold the most classes, two or more."""
        studied = [
            reply
            for reply in replies
            if reply.study is not None and reply.study.circuits.class_ids and len(self._classes(reply)) > 1
        ]
        studied.sort(key=lambda reply: (-len(self._classes(reply)), reply.partition_id))
        return studied[: self._settings.examination.examination_clients]

    def _train_images(self, replies: Sequence[TrainReply]) -> LabelledImages | None:
        """Return the training images of the round's clients together; None if some are not here, or not known."""
        if not self._settings.privacy.reports_classes:
            return None
        settings, partitions = self._settings, [reply.partition_id for reply in replies]
        if any(map(self._clients.has_own_images, partitions)):
            return None
        return images_together(
            self._dataset.train, settings.data, self._clients.num_partitions, partitions, settings.run.seed
        )

    def _classes(self, reply: TrainReply) -> ClassIds:
        """Return the classes that a client holds, ascending; none if clients do not say."""
        counts = self._clients.class_counts(reply.partition_id)
        return tuple(class_id for class_id, count in enumerate(counts or ()) if count)
