"""The circuits of rounds before, which those of a round are compared with."""

from collections.abc import Sequence
from typing import Final

from fedcircuits.circuits.found import FoundCircuits
from fedcircuits.circuits.state import found_from_state, found_to_state
from fedcircuits.records import DataKind, ModelKind
from fedcircuits.runlog.state import PartState

_Model = tuple[ModelKind, int | None, DataKind]
"""A model, as long as a run is: whose weights, and whose data its circuits are found on."""

_CIRCUITS: Final = "circuits"


class CircuitMemory:
    """Of every model the circuits of the round in which it was last studied, however long ago that is."""

    def __init__(self) -> None:
        self._earlier: dict[_Model, FoundCircuits] = {}

    def successive(self, studied: Sequence[FoundCircuits]) -> list[tuple[FoundCircuits, FoundCircuits]]:
        """Pair each model's circuits with its earlier ones, if it has any."""
        return [(self._earlier[_model(found)], found) for found in studied if _model(found) in self._earlier]

    def remember(self, studied: Sequence[FoundCircuits]) -> None:
        """Replace models' circuits by those of a round."""
        self._earlier |= {_model(found): found for found in studied}

    def to_state(self) -> PartState:
        """Return everything that is remembered."""
        tensors, circuits = found_to_state(list(self._earlier.values()))
        return PartState(tensors, {_CIRCUITS: circuits})

    def restore(self, state: PartState) -> None:
        """Remember what another memory did."""
        self._earlier = {_model(one): one for one in found_from_state(state.tensors, state.facts[_CIRCUITS])}


def _model(found: FoundCircuits) -> _Model:
    return found.model, found.partition_id, found.question.data
