"""The circuits of a model, with what is needed to compare them with others."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from fedcircuits.circuits import Circuits
from fedcircuits.connectivity import Kernels
from fedcircuits.records import ModelKind


@dataclass(frozen=True)
class FoundCircuits:
    """The circuits of one model in one round, with what is needed to compare them.

    Args:
        model: whose weights.
        partition_id: whose data; None for the server.
        server_round: the round they belong to, 1-based.
        circuits: one per class.
        reachable: `[channel]`, channels of this model that carry signal.
        usable: one verdict per circuit; None where there is none.
        kernels: the model's kernels that are alive, for edges; None where they are not known.
    """

    model: ModelKind
    partition_id: int | None
    server_round: int
    circuits: Circuits
    reachable: Bool[Tensor, " channel"]
    usable: tuple[bool | None, ...]
    kernels: Kernels | None = None


Couples = Sequence[tuple[FoundCircuits, FoundCircuits]]
"""Circuits of one model, found twice."""


def kernels_of(found: FoundCircuits) -> Kernels:
    """Return the kernels of a model whose edges are compared: that they are known is the caller's promise."""
    if found.kernels is None:
        raise ValueError(f"the kernels of {found.model} circuits of partition {found.partition_id} are not known")
    return found.kernels
