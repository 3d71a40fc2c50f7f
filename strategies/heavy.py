"""When heavy measures are due in a run, and what of its rounds they are given."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from fedcircuits.config_values import ClassIds
from fedcircuits.data import Dataset, LabelledImages
from fedcircuits.deep.examination import Examiner, Tables
from fedcircuits.deep.round_models import ClientModel, RoundModels
from fedcircuits.deep.validity import check_validity, verdict
from fedcircuits.found_circuits import Couples, FoundCircuits
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import Weights
from fedcircuits.partitions import images_together
from fedcircuits.records import Comparison
from fedcircuits.replies import TrainReply
from fedcircuits.settings import Settings
from fedcircuits.study import Bench, server_bench
from fedcircuits.training import RoundPosition
from strategies.clients import Clients


class HeavyMeasures:
    """The heavy measures of one run.

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
        self._failed_check: int | None = None

    @property
    def failed_check(self) -> int | None:
        """Round of the last check of the discovery if it failed; until another passes, no circuit may count as usable.

        None if it passed, or if there was none that could say anything.
        """
        return self._failed_check

    @property
    def checks(self) -> dict[str, int | None]:
        """The rounds of the last check and of the failed one, for a run that goes on elsewhere."""
        return {"last": self._last_check, "failed": self._failed_check}

    @checks.setter
    def checks(self, rounds: Mapping[str, int | None]) -> None:
        self._last_check, self._failed_check = rounds["last"], rounds["failed"]

    def check_discovery(self, position: RoundPosition, replies: Sequence[TrainReply], average: Weights) -> Tables:
        """Check the run's discovery on one model, if a check is due.

        The model is that of the client with the most classes, the lowest partition of several: it has learned to tell
        more classes apart than any other, so that circuits can be told from none. The server's images stand in for
        the client's. Where clients do not say which classes they hold, it is the average.

        Args:
            position: the round.
            replies: those that were averaged.
            average: the new global weights.

        Returns:
            rows of the tables `validity` and `costs`; empty if no check is due, or if no client knows two classes, so
            that the next round's may.
        """
        if not self._settings.deep.is_validity_round(position.server_round, self._last_check):
            return {}
        checked = self._checked(position, replies, average)
        if checked is None:
            return {}
        started = time.perf_counter()
        partition_id, weights, bench = checked
        rows = check_validity(
            self._settings, self._spec, weights, bench, position, bench.source.labels.unique().tolist()
        )
        if not rows:
            return {}
        has_passed = verdict(rows)
        if has_passed is not None:
            self._failed_check = None if has_passed else position.server_round
        # A model that had not learned enough may pass in the next round, so that is not waited for.
        self._last_check = None if self._failed_check is not None else position.server_round
        identity = {"round": position.server_round}
        seconds = time.perf_counter() - started
        return {
            "validity": [identity | {"partition_id": partition_id} | asdict(row) for row in rows],
            "costs": [identity | {"measure": "validity", "seconds": seconds}],
        }

    def is_due(self, position: RoundPosition) -> bool:
        """Tell whether the round's models are examined."""
        return self._settings.deep.is_deep_round(position.server_round, position.num_rounds)

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
            rows of the tables for heavy measures, the activation retention of each convolution, and further circuits to
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

    def _checked(
        self, position: RoundPosition, replies: Sequence[TrainReply], average: Weights
    ) -> tuple[int | None, Weights, Bench] | None:
        """Return the model to check the discovery on, whose it is and the server's images for it; None without one."""
        bench = server_bench(self._settings, self._dataset)
        if not self._settings.privacy.reports_classes:
            is_due = self._settings.discovery.is_circuit_round(position.server_round, position.num_rounds)
            return (None, average, bench) if is_due else None
        studied = [reply for reply in replies if reply.study is not None and reply.study.circuits.class_ids]
        if not studied:
            return None
        reply = max(studied, key=lambda one: (len(self._classes(one)), -one.partition_id))
        source = bench.source.of_classes(self._classes(reply))
        return reply.partition_id, reply.weights, replace(bench, partition_id=reply.partition_id, source=source)

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
