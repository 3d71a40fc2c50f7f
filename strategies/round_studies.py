"""The circuits that are found in a round: as rows of the log, and to be compared with others."""

from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Bool
from torch import Tensor

from fedcircuits.circuits.connectivity import alive_kernels, circuit_edges, reachable_channels
from fedcircuits.circuits.found import FoundCircuits, Question
from fedcircuits.circuits.study import Study
from fedcircuits.circuits.verdicts import CircuitQuality, size_reason
from fedcircuits.comparisons.rows import Row, circuit_rows, edge_rows, quality_rows
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import DataKind, ModelKind, UnusableReason


class RoundStudies:
    """The studies of a round's models, one after the other.

    `rows` has what they say, by table. Where the discovery has failed its check (`is_discovery_sound`), no circuit
    counts as usable.

    Args:
        spec: the network's shape.
        server_round: the round, 1-based.
    """

    def __init__(self, spec: ModelSpec, server_round: int) -> None:
        self._spec = spec
        self._server_round = server_round
        self.is_discovery_sound = True
        self.rows: dict[str, list[Row]] = {"circuits": [], "edges": [], "quality": []}

    def take(
        self, model: ModelKind, partition_id: int | None, question: Question, study: Study, weights: Weights
    ) -> FoundCircuits:
        """Take in a study, and return its circuits.

        Args:
            model: whose model was studied.
            partition_id: whose model or, of the global one, whose data; None for the server's.
            question: what the discovery was asked.
            study: what was found.
            weights: the model's.
        """
        server_round, kernels = self._server_round, alive_kernels(self._spec, weights)
        reachable = reachable_channels(self._spec, kernels)
        found = FoundCircuits(
            model=model,
            partition_id=partition_id,
            server_round=server_round,
            circuits=study.circuits,
            reachable=reachable,
            usable=self._usable(study, reachable),
            question=question,
            retest=study.retest,
        )
        self.rows["circuits"] += circuit_rows(self._spec, found)
        edges = circuit_edges(self._spec, kernels, study.circuits)
        self.rows["edges"] += edge_rows(server_round, model, partition_id, question.data, edges)
        self.take_quality(model, partition_id, question.data, study.quality)
        return found

    def take_quality(
        self, model: ModelKind, partition_id: int | None, data: DataKind, quality: Sequence[CircuitQuality]
    ) -> None:
        """Take in how good circuits are; `data` says whose images they were found on, the others are as in `take`."""
        rows = quality_rows(self._server_round, model, partition_id, data, self._judged(quality))
        self.rows["quality"] += rows

    def _usable(self, study: Study, reachable: Bool[Tensor, " channel"]) -> tuple[bool | None, ...]:
        """Tell which circuits may be compared: those that are usable and, if looked for again, were found again.

        The repetition is not scored on images; that it is neither empty nor nearly everything can be seen here.
        """
        again = study.circuits if study.retest is None else study.retest
        sizes = [size_reason(kept, reachable) for kept in again.members]
        judged = self._judged(study.quality)
        return tuple(entry.usable if size is None else False for entry, size in zip(judged, sizes, strict=True))

    def _judged(self, quality: Sequence[CircuitQuality]) -> list[CircuitQuality]:
        """Return the values with no circuit usable if the discovery that finds them has failed its check."""
        if self.is_discovery_sound:
            return list(quality)
        return [replace(entry, reason=entry.reason or UnusableReason.CHECK_FAILED) for entry in quality]
