"""What Flower's strategies carry from round to round besides the weights: moments and momentum.

Flower's strategies cannot be saved. Their attributes are read and set here by name; a test runs every strategy and
looks for attributes that change and are not among these.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from flwr.app import Array, ArrayRecord
from flwr.serverapp.strategy import FedAvg, FedAvgM
from flwr.serverapp.strategy.fedopt import FedOpt
from numpy.typing import NDArray

from fedcircuits.run_state import PartState

_ATTRIBUTES: Final[Mapping[type[FedAvg], Sequence[str]]] = {
    FedOpt: ("m_t", "v_t"),
    FedAvgM: ("momentum_vector", "current_arrays"),
}
"""Base class to its attributes. FedOpt has `current_arrays` as well, but sets them anew in every round."""


def save_moments(strategy: FedAvg, names: Sequence[str]) -> PartState:
    """Return what the next round depends on.

    Args:
        strategy: derived from one of Flower's.
        names: the model's arrays, in order.
    """
    arrays = {attribute: _by_name(getattr(strategy, attribute), names) for attribute in _attributes(strategy)}
    tensors = {
        # Some strategies compute in float64; the types are part of what is carried over.
        f"{attribute}/{name}": torch.tensor(array)
        for attribute, by_name in arrays.items()
        for name, array in by_name.items()
    }
    return PartState(tensors, {})


def restore_moments(strategy: FedAvg, state: PartState, names: Sequence[str]) -> None:
    """Set what `save_moments` returned; attributes that were not set then are left as they are."""
    for attribute in _attributes(strategy):
        keys = {name: f"{attribute}/{name}" for name in names}
        arrays = {name: state.tensors[key].numpy() for name, key in keys.items() if key in state.tensors}
        if arrays:
            setattr(strategy, attribute, _as_flower_keeps(attribute, arrays))


def _attributes(strategy: FedAvg) -> list[str]:
    return [name for base, names in _ATTRIBUTES.items() if isinstance(strategy, base) for name in names]


def _by_name(value: Any, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return arrays by the model's names; Flower keeps a dict, a list in the model's order, or a record."""
    if value is None:
        return {}
    if isinstance(value, ArrayRecord):
        return {name: array.numpy() for name, array in value.items()}
    return dict(value) if isinstance(value, dict) else dict(zip(names, value, strict=True))


def _as_flower_keeps(attribute: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if attribute == "current_arrays":
        return ArrayRecord({name: Array(array) for name, array in arrays.items()})
    return list(arrays.values()) if attribute == "momentum_vector" else arrays
