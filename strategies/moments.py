"""What Flower's strategies carry from round to round besides the weights: moments and momentum.

Flower's strategies cannot be saved. Their attributes are read and set here by name; a test runs every strategy and
looks for attributes that change and are not among these.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from flwr.serverapp.strategy import FedAvg, FedAvgM
from flwr.serverapp.strategy.fedopt import FedOpt
from numpy.typing import NDArray

from fedcircuits.runlog.state import PartState

_ATTRIBUTES: Final[Mapping[type[FedAvg], Sequence[str]]] = {FedOpt: ("m_t", "v_t"), FedAvgM: ("momentum_vector",)}
"""Base class to its attributes. Both have `current_arrays` as well: the weights, set in a process's first round."""


def save_moments(strategy: FedAvg, names: Sequence[str]) -> PartState:
    """Return what the next round depends on.

    Args:
        strategy: derived from one of Flower's.
        names: the model's arrays, in order.
    """
    tensors = {
        # Some strategies compute in float64; the types are part of what is carried over.
        f"{attribute}/{name}": torch.tensor(array)
        for attribute in _attributes(strategy)
        for name, array in _by_name(getattr(strategy, attribute), names).items()
    }
    return PartState(tensors, {})


def restore_moments(strategy: FedAvg, state: PartState, names: Sequence[str]) -> None:
    """Set what `save_moments` returned; attributes that were not set then are left as they are."""
    for attribute in _attributes(strategy):
        keys = {name: f"{attribute}/{name}" for name in names}
        arrays = {name: state.tensors[key].numpy() for name, key in keys.items() if key in state.tensors}
        if arrays:
            setattr(strategy, attribute, list(arrays.values()) if isinstance(strategy, FedAvgM) else arrays)


def _attributes(strategy: FedAvg) -> list[str]:
    return [name for base, names in _ATTRIBUTES.items() if isinstance(strategy, base) for name in names]


def _by_name(
    value: Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]] | None, names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Return arrays by the model's names; Flower keeps a dict, a list in the model's order, or none yet."""
    if value is None:
        return {}
    return dict(value) if isinstance(value, Mapping) else dict(zip(names, value, strict=True))
