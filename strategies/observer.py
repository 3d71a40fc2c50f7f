"""Collects what a round shows, phase by phase, and writes it to the run log as a whole."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa

from fedcircuits.client_summaries import summarise_circuits, summarise_edges
from fedcircuits.comparisons import compare_circuits, compare_edges
from fedcircuits.data import Dataset
from fedcircuits.found_circuits import FoundCircuits
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import SparseCNN, Weights, build_model
from fedcircuits.quality import accuracies_of, predicted_classes
from fedcircuits.records import DataKind, ModelKind
from fedcircuits.replies import EvaluateReply, TrainReply
from fedcircuits.run_log import RunLog
from fedcircuits.run_state import Part, PartState, RunState
from fedcircuits.seeding import Purpose
from fedcircuits.settings import Settings
from fedcircuits.stability import stability_rows
from fedcircuits.study import prepare_subject, server_bench, study_model
from fedcircuits.tables import Row, accuracy_rows, client_row, hits_of_class, rejected_row
from fedcircuits.training import RoundPosition
from strategies.averaging import compared_masks, interference_rows, shares_of
from strategies.clients import Clients
from strategies.console import round_line
from strategies.heavy import HeavyMeasures
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
        self._heavy = HeavyMeasures(settings, spec, dataset, clients)
        self._clients = clients
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

    def restore(self, state: RunState) -> None:
        """Go on from what another observer knew at the end of a round."""
        facts = state[Part.OBSERVER].facts
        self._trained_classes = set(facts[_CLASSES])
        self._heavy.checks = facts[_CHECKS]
        self._memory.restore(state[Part.MEMORY])

    def begin(self, server_round: int) -> None:
        """Start a round with nothing seen."""
        self._position = RoundPosition(server_round, self._settings.run.num_server_rounds)
        self._started = time.perf_counter()
        self._client_rows: dict[int, Row] = {}
        self._rows: dict[str, list[Row]] = {"accuracy": []}
        self._overlap: list[pa.Table] = []
        self._overlap_summary: list[pa.Table] = []
        self._local: list[FoundCircuits] = []
        client_data = DataKind(self._settings.discovery.discovery_data)
        self._studies = RoundStudies(self._spec, server_round, client_data)
        self._replies: Sequence[TrainReply] = ()
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
        self._rows |= self._heavy.check_discovery(self._position, replies, average)
        self._studies.is_discovery_sound = self._heavy.failed_check is None
        for reply in replies:
            self._take_update(reply)
        if not replies:
            return
        server_round, flip_probability = self._position.server_round, self._settings.privacy.mask_flip_probability
        self._replies, self._weights = replies, (start, average)
        self._shares = shares_of(replies, self._settings.federation.weighting)
        masks = compared_masks(self._spec, server_round, replies, average, flip_probability)
        self._overlap.append(masks.overlap)
        self._overlap_summary.append(masks.overlap_summary)
        self._rows |= {"masks": masks.masks, "mask_shares": masks.mask_shares}
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
        on_clients = [self._take_view(reply, weights) for reply in replies]
        model = build_model(self._spec, weights, self._bench.test.device)
        self._rows["accuracy"] += self._score(model)
        is_circuit_round = self._settings.discovery.is_circuit_round(
            self._position.server_round, self._position.num_rounds
        )
        on_server = self._study_global(weights) if is_circuit_round else None
        studied = [*self._local, *([] if on_server is None else [on_server])]
        self._examine(on_clients, on_server)
        tables: dict[str, list[Row] | pa.Table] = {
            **self._rows,
            **self._studies.rows,
            "clients": [self._client_rows[partition_id] for partition_id in sorted(self._client_rows)],
            **self._compared(on_clients, studied),
        }
        self._memory.remember(studied, self._studies.retested)
        self._run_log.write_round(self._position.server_round, tables, weights, self._state(strategy))
        seconds = time.perf_counter() - self._started
        failed_check = self._heavy.failed_check
        _log.info(
            round_line(self._position, seconds, self._trained_classes, self._spec.num_channels, tables, failed_check)
        )

    def _compared(
        self, on_clients: Sequence[FoundCircuits], studied: Sequence[FoundCircuits]
    ) -> dict[str, list[Row] | pa.Table]:
        """Compare the round's circuits with each other and with those of earlier rounds.

        Args:
            on_clients: circuits of the new global model, found on clients' data.
            studied: circuits of models that other rounds may have studied too.
        """
        server_round, names, widths = self._position.server_round, self._spec.conv_names, self._spec.channels
        successive, retests_of_earlier = self._memory.successive(studied), self._memory.retests_of_earlier(studied)
        compared = (self._local, on_clients, self._studies.retested, successive, retests_of_earlier)
        summary = summarise_circuits(server_round, names, widths, self._local)
        return {
            "overlap": pa.concat_tables([*self._overlap, compare_circuits(names, widths, *compared)]),
            "edge_overlap": compare_edges(*compared),
            "overlap_summary": pa.concat_tables([*self._overlap_summary, summary]),
            "edge_overlap_summary": summarise_edges(server_round, self._local),
            "stability": stability_rows(server_round, names, widths, self._local),
        }

    def _examine(self, on_clients: Sequence[FoundCircuits], on_server: FoundCircuits | None) -> None:
        """Take heavy measures, if they are due and there is a model to take them of."""
        if not self._replies or not self._heavy.is_due(self._position):
            return
        found = (self._local, on_clients, on_server, tuple(self.trained_classes))
        tables, retention = self._heavy.examine(self._position, self._replies, self._shares, self._weights, *found)
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
        if reply.study is not None:
            found = self._studies.take(ModelKind.CLIENT, reply.partition_id, reply.study, reply.weights)
            self._local.append(found)

    def _take_view(self, reply: EvaluateReply, weights: Weights) -> FoundCircuits:
        """Log what one client saw in the global model."""
        self._client_rows[reply.partition_id]["evaluate_seconds"] = reply.evaluate_seconds
        self._studies.take_quality(ModelKind.TRANSPLANT, reply.partition_id, reply.transplant)
        return self._studies.take(ModelKind.GLOBAL, reply.partition_id, reply.study, weights)

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
        bench = replace(self._bench, classes=tuple(c for c in self._bench.classes if c in trained))
        subject = prepare_subject(self._settings, self._spec, weights, bench)
        study = study_model(self._settings, subject, bench, self._position, trained, Purpose.GLOBAL_DISCOVERY)
        return self._studies.take(ModelKind.GLOBAL, None, study, weights)

    def _state(self, strategy: PartState) -> RunState:
        """Return what the next round depends on, besides the weights."""
        own = PartState({}, {_CLASSES: self.trained_classes, _CHECKS: self._heavy.checks})
        return {Part.STRATEGY: strategy, Part.OBSERVER: own, Part.MEMORY: self._memory.to_state()}
