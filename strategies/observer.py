"""Collects what a round shows, phase by phase, and writes it to the run log as a whole."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa

from fedcircuits.circuits.discovery import Negatives
from fedcircuits.circuits.found import Couples, FoundCircuits, Question
from fedcircuits.circuits.quality import accuracies_of, predicted_classes
from fedcircuits.circuits.study import Study, prepare_subject, server_bench, study_model
from fedcircuits.comparisons.circuits import by_data, compare_circuits
from fedcircuits.comparisons.rows import Row, accuracy_rows, client_row, hits_of_class, rejected_row
from fedcircuits.comparisons.stability import stability_rows
from fedcircuits.data.datasets import Dataset
from fedcircuits.federation.replies import EvaluateReply, TrainReply
from fedcircuits.networks.cnn import SparseCNN, Weights, build_model
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import Comparison, DataKind, ModelKind
from fedcircuits.runlog.state import Part, PartState, RunState
from fedcircuits.runlog.writer import RunLog
from fedcircuits.seeding import Purpose, numpy_generator
from fedcircuits.settings import Settings
from fedcircuits.settings.config_values import ClassIds
from fedcircuits.training.local import RoundPosition
from strategies.averaging import interference_rows, mask_rows, shares_of
from strategies.clients import Clients
from strategies.console import round_line
from strategies.examinations import Examinations
from strategies.memory import CircuitMemory
from strategies.round_studies import RoundStudies

_log = logging.getLogger("fedcircuits")

_CLASSES: Final = "trained_classes"
_CHECKS: Final = "checks"


class RoundObserver:
    """The observations of one run, a round at a time.

    Args:
        settings: of the run.
        spec: the network's shape.
        dataset: the server's images, on the device to use: circuits of the global model are found on its probe set.
        clients: what each client holds.
        run_log: where whole rounds go.
    """

    def __init__(
        self, settings: Settings, spec: ModelSpec, dataset: Dataset, clients: Clients, run_log: RunLog
    ) -> None:
        self._settings = settings
        self._spec = spec
        self._bench = server_bench(settings, dataset)
        self._clients = clients
        self._warn_of_missing_halves()
        self._warn_of_classes_nobody_holds()
        self._examinations = Examinations(settings, spec, dataset, clients)
        self._run_log = run_log
        self._memory = CircuitMemory()
        self._trained_classes: set[int] = set()
        self.begin(0)

    @property
    def trained_classes(self) -> list[int]:
        """Classes that any accepted client has trained on in this round or an earlier one, ascending.

        Empty if clients do not say which classes they hold.
        """
        return sorted(self._trained_classes)

    @property
    def told_apart(self) -> list[int]:
        """Classes that circuits found on the probe set must tell apart: those that any client of the federation holds.

        All of the dataset's, if clients do not say what they hold.
        """
        return self._clients.held_classes or list(range(self._spec.num_classes))

    def restore(self, state: RunState) -> None:
        """Go on from what another observer knew at the end of a round."""
        facts = state[Part.OBSERVER].facts
        self._trained_classes = set(facts[_CLASSES])
        self._examinations.checks = facts[_CHECKS]
        self._memory.restore(state[Part.MEMORY])

    def begin(self, server_round: int) -> None:
        """Start a round with nothing seen."""
        self._position = RoundPosition(server_round, self._settings.run.num_server_rounds)
        self._started = time.perf_counter()
        self._client_rows: dict[int, Row] = {}
        self._rows: dict[str, list[Row]] = {"accuracy": []}
        self._overlap: list[pa.Table] = []
        self._local: list[FoundCircuits] = []
        self._pair_generator = numpy_generator(self._settings.run.seed, Purpose.PAIRS, server_round=server_round)
        self._studies = RoundStudies(self._spec, server_round)
        self._replies: Sequence[TrainReply] = ()
        self._seconds: dict[str, float] = {}
        self._controls: Mapping[Comparison, Couples] = {}
        self._weights: tuple[Weights, Weights] = ({}, {})
        self._shares: list[float] = []

    def after_train(
        self,
        replies: Sequence[TrainReply],
        rejected: Mapping[int, str],
        start: Weights,
        average: Weights,
    ) -> None:
        """Take in the local models and what averaging made of them.

        Args:
            replies: accepted replies in the order of their partitions.
            rejected: partition id to the reason why its reply was set aside.
            start: global weights that the round started from.
            average: the new global weights.
        """
        for partition_id, reason in rejected.items():
            self._reject(partition_id, reason)
        self._rows |= self._examinations.check_discovery(self._position, replies, average)
        self._studies.is_discovery_sound = self._examinations.failed_check is None
        for reply in replies:
            self._take_update(reply)
        if not replies:
            return
        server_round, flip_probability = self._position.server_round, self._settings.privacy.mask_flip_probability
        self._replies, self._weights = replies, (start, average)
        self._shares = shares_of(replies, self._settings.federation.weighting)
        overlap, self._rows["masks"] = mask_rows(
            self._spec, server_round, replies, average, flip_probability, self._pair_generator
        )
        self._overlap.append(overlap)
        self._rows |= interference_rows(self._spec, server_round, replies, self._shares, start, average)

    def finish(
        self,
        replies: Sequence[EvaluateReply],
        rejected: Mapping[int, str],
        weights: Weights,
        strategy: PartState,
    ) -> None:
        """Take in what clients saw in the new model, study it here, compare everything, and write the round.

        Args:
            replies: accepted replies in the order of their partitions.
            rejected: partition id to the reason why its reply was set aside.
            weights: the new global weights.
            strategy: what the base strategy carries over to the next round.
        """
        for partition_id, reason in rejected.items():
            self._client_rows[partition_id]["reason"] = f"evaluate: {reason}"
            _log.warning("round %d: %s: %s", self._position.server_round, self._clients.name(partition_id), reason)
        on_clients = [found for reply in replies if (found := self._take_view(reply, weights)) is not None]
        model = build_model(self._spec, weights, self._bench.test.device)
        self._rows["accuracy"] += self._score(model)
        is_circuit_round = self._settings.discovery.is_circuit_round(
            self._position.server_round, self._position.num_rounds
        )
        on_server = self._study_global(weights) if is_circuit_round else None
        studied = [*self._local, *([] if on_server is None else [on_server])]
        self._examine(on_clients, on_server)
        costs = [
            {"round": self._position.server_round, "measure": measure, "seconds": seconds}
            for measure, seconds in self._seconds.items()
        ]
        self._rows["costs"] = self._rows.get("costs", []) + costs
        tables: dict[str, list[Row] | pa.Table] = {
            **self._rows,
            **self._studies.rows,
            "clients": [self._client_rows[partition_id] for partition_id in sorted(self._client_rows)],
            **self._compared(on_clients, on_server, studied),
        }
        self._memory.remember(studied)
        self._run_log.write_round(self._position.server_round, tables, weights, self._state(strategy))
        seconds = time.perf_counter() - self._started
        failed_check = self._examinations.failed_check
        _log.info(
            round_line(self._position, seconds, self._trained_classes, self._spec.num_channels, tables, failed_check)
        )

    def _compared(
        self, on_clients: Sequence[FoundCircuits], on_server: FoundCircuits | None, studied: Sequence[FoundCircuits]
    ) -> dict[str, list[Row] | pa.Table]:
        """Compare the round's circuits with each other and with those of earlier rounds.

        Args:
            on_clients: circuits of the new global model, found on clients' own images.
            on_server: those found on the probe set; None in a round without circuits.
            studied: circuits of models that other rounds may have studied too.
        """
        server_round, names, widths = self._position.server_round, self._spec.conv_names, self._spec.channels
        averages = {found.question.partition_id: found for found in (*on_clients, on_server) if found is not None}
        couples = {
            Comparison.LOCAL_VS_GLOBAL: [
                (found, averages[found.question.partition_id])
                for found in self._local
                if found.question.partition_id in averages
            ],
            Comparison.RETEST: [(found, found) for found in studied if found.retest is not None],
            Comparison.ROUND_TO_ROUND: self._memory.successive(studied),
            **self._controls,
        }
        circuits = compare_circuits(names, widths, self._local, couples, self._pair_generator)
        return {
            "overlap": pa.concat_tables([*self._overlap, circuits]),
            "stability": stability_rows(server_round, names, widths, self._comparable),
        }

    @property
    def _comparable(self) -> list[FoundCircuits]:
        """The circuits of clients' models that were asked the same question; all of them, if none were."""
        own, on_probe = by_data(self._local)
        return on_probe or own

    def _examine(self, on_clients: Sequence[FoundCircuits], on_server: FoundCircuits | None) -> None:
        """Take examinations, if they are due and there is a model to take them of."""
        if not self._replies or not self._examinations.is_due(self._position):
            return
        found = (self._comparable, on_clients, on_server, tuple(self.trained_classes))
        tables, retention, self._controls = self._examinations.examine(
            self._position, self._replies, self._shares, self._weights, *found
        )
        costs = self._rows.get("costs", []) + tables["costs"]
        self._rows |= tables | {"costs": costs}
        for row in self._rows["interference"]:
            row["activation_retention"] = retention.get(row["layer"])

    def _reject(self, partition_id: int, reason: str) -> None:
        counts = self._clients.class_counts(partition_id)
        self._client_rows[partition_id] = rejected_row(self._position.server_round, partition_id, reason, counts)
        _log.warning("round %d: %s rejected: %s", self._position.server_round, self._clients.name(partition_id), reason)

    def _take_update(self, reply: TrainReply) -> None:
        """Log one accepted client: its model, its accuracy and its circuits."""
        counts = self._clients.class_counts(reply.partition_id)
        self._trained_classes |= {class_id for class_id, count in enumerate(counts or ()) if count}
        self._client_rows[reply.partition_id] = client_row(self._position.server_round, reply, counts)
        self._rows["accuracy"] += accuracy_rows(
            self._position.server_round, ModelKind.CLIENT, reply.partition_id, reply.accuracy
        )
        if reply.study is None:
            return
        question = self._question(reply.partition_id, reply.study)
        self._local.append(
            self._studies.take(ModelKind.CLIENT, reply.partition_id, question, reply.study, reply.weights)
        )
        is_retest = self._settings.discovery.is_retest_round(self._position.server_round)
        if question.data is DataKind.CLIENT and is_retest:
            self._local.append(self._study_client(reply))

    def _take_view(self, reply: EvaluateReply, weights: Weights) -> FoundCircuits | None:
        """Log what one client saw in the global model, and return the circuits that it found there, if it did."""
        self._client_rows[reply.partition_id]["evaluate_seconds"] = reply.evaluate_seconds
        data = self._client_data
        self._studies.take_quality(ModelKind.TRANSPLANT, reply.partition_id, data, reply.transplant)
        if reply.study is None:
            return None
        question = self._question(reply.partition_id, reply.study)
        return self._studies.take(ModelKind.GLOBAL, reply.partition_id, question, reply.study, weights)

    @property
    def _client_data(self) -> DataKind:
        """Whose images clients find circuits on."""
        return DataKind.SERVER if self._settings.discovery.finds_on_probe else DataKind.CLIENT

    def _question(self, partition_id: int, study: Study) -> Question:
        """Return what a client's discovery was asked."""
        if self._client_data is DataKind.SERVER:
            return self._probe_question(study)
        classes = self._classes_of(partition_id)
        if study.negatives is Negatives.PROBE:
            classes = tuple(range(self._spec.num_classes))
        return Question(DataKind.CLIENT, partition_id, classes, study.negatives is not Negatives.NONE)

    def _probe_question(self, study: Study) -> Question:
        return Question(DataKind.SERVER, None, tuple(self.told_apart), study.negatives is not Negatives.NONE)

    def _classes_of(self, partition_id: int) -> ClassIds:
        counts = self._clients.class_counts(partition_id) or ()
        return tuple(class_id for class_id, count in enumerate(counts) if count)

    def _study_client(self, reply: TrainReply) -> FoundCircuits:
        """Find the circuits of a client's model here, on the probe set that the client does not look at.

        So circuits of all clients are asked the same question, and nothing more than its weights leaves a client.
        """
        started = time.perf_counter()
        held = self._classes_of(reply.partition_id)
        study = self._studied(reply.weights, held, held, Purpose.LOCAL_DISCOVERY)
        self._seconds["discovery"] = self._seconds.get("discovery", 0.0) + time.perf_counter() - started
        question = self._probe_question(study)
        return self._studies.take(ModelKind.CLIENT, reply.partition_id, question, study, reply.weights)

    def _studied(
        self, weights: Weights, classes: Collection[int], trained_classes: Collection[int], purpose: Purpose
    ) -> Study:
        """Find circuits of some classes on the probe set."""
        bench = self._bench.asking(self.told_apart)
        bench = replace(bench, classes=tuple(c for c in bench.classes if c in classes))
        subject = prepare_subject(self._settings, self._spec, weights, bench)
        return study_model(self._settings, subject, bench, self._position, trained_classes, purpose)

    def _score(self, model: SparseCNN) -> list[Row]:
        """Return the rows on the accuracy of the new global model, with the test images that it recognises."""
        test = self._bench.test
        predicted = predicted_classes(model, test)
        accuracy = accuracies_of(predicted, test, self._spec.num_classes)
        rows = accuracy_rows(self._position.server_round, ModelKind.GLOBAL, None, accuracy)
        return [{**row, "hits": hits_of_class(predicted, test.labels, row["class_id"])} for row in rows]

    def _study_global(self, weights: Weights) -> FoundCircuits:
        # A class that nobody has trained on has no circuit to look for; any may have been, where clients do not say.
        trained = self._trained_classes or set(range(self._spec.num_classes))
        study = self._studied(weights, trained, trained, Purpose.GLOBAL_DISCOVERY)
        return self._studies.take(ModelKind.GLOBAL, None, self._probe_question(study), study, weights)

    def _warn_of_missing_halves(self) -> None:
        """Say which classes the probe set has too few images of to find their circuits twice."""
        discovery, second = self._settings.discovery, self._bench.second_source
        if not discovery.retest_every or not discovery.circuit_every or second is None:
            return
        missing = sorted({*self._bench.classes} - {*second.labels.unique().tolist()})
        if missing:
            _log.warning(
                "the probe set has a single image of class %s: circuits are found once, and no phi_true is given",
                ", ".join(map(str, missing)),
            )

    def _warn_of_classes_nobody_holds(self) -> None:
        """Say which classes are to be looked for, by name, that no client has an image of."""
        held = self._clients.held_classes
        missing = sorted({*self._settings.discovery.circuit_classes} - {*held}) if held else []
        if missing:
            _log.warning(
                "circuit-classes: no client holds class %s, so it has no circuit", ", ".join(map(str, missing))
            )

    def _state(self, strategy: PartState) -> RunState:
        """Return what the next round depends on, besides the weights."""
        own = PartState({}, {_CLASSES: self.trained_classes, _CHECKS: self._examinations.checks})
        return {Part.STRATEGY: strategy, Part.OBSERVER: own, Part.MEMORY: self._memory.to_state()}
