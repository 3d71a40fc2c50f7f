"""The circuits that are found in a round: as rows of the log, and to be compared with others."""

from collections.abc import Sequence
from dataclasses import replace

from fedcircuits.circuits import Circuits
from fedcircuits.connectivity import alive_kernels, circuit_edges, reachable_channels
from fedcircuits.found_circuits import FoundCircuits
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import Weights
from fedcircuits.records import DataKind, ModelKind, UnusableReason
from fedcircuits.study import Study
from fedcircuits.tables import Row, circuit_rows, edge_rows, quality_rows
from fedcircuits.verdicts import CircuitQuality, size_reason


class RoundStudies:
    """The studies of a round's models, one after the other.

    `rows` has what they say, by table, and `retested` the circuits that were looked for twice. Where the discovery has
    failed its check (`is_discovery_sound`), no circuit counts as usable.

    Args:
        spec: the network's shape.
        server_round: the round, 1-based.
        client_data: whose images clients' circuits are found on.
    """

    def __init__(self, spec: ModelSpec, server_round: int, client_data: DataKind) -> None:
        self._spec = spec
        self._server_round = server_round
        self._client_data = client_data
        self.is_discovery_sound = True
        self.rows: dict[str, list[Row]] = {"circuits": [], "edges": [], "quality": []}
        self.retested: list[tuple[FoundCircuits, FoundCircuits]] = []

    def take(self, model: ModelKind, partition_id: int | None, study: Study, weights: Weights) -> FoundCircuits:
        """Take in a study, and return its circuits; a repeated discovery is kept for the comparison of the two.

        Args:
            model: whose model was studied.
            partition_id: whose data was used; None for the server.
            study: what was found.
            weights: the model's.
        """
        server_round, kernels = self._server_round, alive_kernels(self._spec, weights)
        reachable = reachable_channels(self._spec, kernels)
        data = self._data_kind(partition_id)
        self.rows["circuits"] += circuit_rows(
            self._spec, server_round, model, partition_id, data, study.circuits, reachable
        )
        edges = circuit_edges(self._spec, kernels, study.circuits)
        self.rows["edges"] += edge_rows(server_round, model, partition_id, data, edges)
        self.take_quality(model, partition_id, study.quality)
        usable = tuple(entry.usable for entry in self._judged(study.quality))

        def found(circuits: Circuits, usable: tuple[bool | None, ...]) -> FoundCircuits:
            return FoundCircuits(model, partition_id, server_round, circuits, reachable, usable, kernels)

        first = found(study.circuits, usable)
        if study.retest is not None:
            # The repetition is not scored on images; that it is neither empty nor nearly everything can be seen here.
            sizes = [size_reason(kept, reachable) for kept in study.retest.members]
            proper = tuple(self.is_discovery_sound and reason is None for reason in sizes)
            self.retested.append((first, found(study.retest, proper)))
        return first

    def take_quality(self, model: ModelKind, partition_id: int | None, quality: Sequence[CircuitQuality]) -> None:
        """Take in how good circuits are; arguments as `take`."""
        data, judged = self._data_kind(partition_id), self._judged(quality)
        self.rows["quality"] += quality_rows(self._server_round, model, partition_id, data, judged)

    def _judged(self, quality: Sequence[CircuitQuality]) -> list[CircuitQuality]:
        """Return the figures with no circuit usable if the discovery that finds them has failed its check."""
        if self.is_discovery_sound:
            return list(quality)
        return [replace(entry, reason=entry.reason or UnusableReason.CHECK_FAILED) for entry in quality]

    def _data_kind(self, partition_id: int | None) -> DataKind:
        return DataKind.SERVER if partition_id is None else self._client_data
