"""The circuits of rounds before, which those of a round are compared with."""

from collections.abc import Sequence
from typing import Final

from fedcircuits.circuit_state import found_from_state, found_to_state
from fedcircuits.found_circuits import Couples, FoundCircuits
from fedcircuits.records import ModelKind
from fedcircuits.run_state import PartState

_Model = tuple[ModelKind, int | None]
"""A model, as long as a run is: whose weights, and whose data its circuits are found on."""

_CIRCUITS: Final = "circuits"
_NUM_RETESTS: Final = "num_retests"


class CircuitMemory:
    """Of every model the circuits of the round in which it was last studied, however long ago that is."""

    def __init__(self) -> None:
        self._earlier: dict[_Model, FoundCircuits] = {}
        self._retests: dict[_Model, FoundCircuits] = {}

    def successive(self, studied: Sequence[FoundCircuits]) -> list[tuple[FoundCircuits, FoundCircuits]]:
        """Pair each model's circuits with its earlier ones, if it has any."""
        return [(self._earlier[_model(found)], found) for found in studied if _model(found) in self._earlier]

    def retests_of_earlier(self, studied: Sequence[FoundCircuits]) -> list[tuple[FoundCircuits, FoundCircuits]]:
        """Return the repeated discoveries of the same models' earlier circuits."""
        models = {_model(found) for found in studied}
        return [(self._earlier[model], again) for model, again in self._retests.items() if model in models]

    def remember(self, studied: Sequence[FoundCircuits], retested: Couples) -> None:
        """Replace models' circuits, and their repeated discoveries, by those of a round."""
        for found in studied:
            self._earlier[_model(found)] = found
            self._retests.pop(_model(found), None)
        kept = {id(found) for found in studied}
        self._retests |= {_model(first): again for first, again in retested if id(first) in kept}

    def to_state(self) -> PartState:
        """Return everything that is remembered."""
        tensors, circuits = found_to_state([*self._earlier.values(), *self._retests.values()])
        return PartState(tensors, {_CIRCUITS: circuits, _NUM_RETESTS: len(self._retests)})

    def restore(self, state: PartState) -> None:
        """Remember what another memory did."""
        found = found_from_state(state.tensors, state.facts[_CIRCUITS])
        num_earlier = len(found) - state.facts[_NUM_RETESTS]
        self._earlier = {_model(one): one for one in found[:num_earlier]}
        self._retests = {_model(one): one for one in found[num_earlier:]}


def _model(found: FoundCircuits) -> _Model:
    return found.model, found.partition_id
