"""Sums over the weights of a layer from which every value of interference follows, for the layer or a part of it.

The sums are kept kernel by kernel, so that those of a circuit are read off without going through the weights again.
Updates are taken as w_i - m_i * w_0, with m_i the client's mask: with the plain difference, every weight that all
clients prune alike would count as agreement and inflate it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool
from torch import Tensor

TRIM_FRACTION = 0.2
"""Share of each client's largest updates that take part in the sign conflict (TIES, arXiv 2306.01708)."""


@dataclass(frozen=True)
class WeightSums:
    """Sums over the weights of some parts of a layer; float64, `[…, part]` or, by kernel, `[…, target, source]`.

    Args:
        mean_square: of the mean update, squared.
        update_squares: `[client, …]`, of each client's update, squared.
        update_mass: of the clients' absolute updates.
        conflict_mass: the same, where clients' largest updates differ in sign.
        null_mass: its mean over shuffles of each client's signs among its largest updates.
        solo: number of weights that exactly one client keeps.
        agree: number that several keep with one sign.
        conflict: number that several keep with both signs.
        average_square: of the new global weights, squared.
        weight_squares: `[client, …]`, of each client's weights, squared.
    """

    mean_square: Tensor
    update_squares: Tensor
    update_mass: Tensor
    conflict_mass: Tensor
    null_mass: Tensor
    solo: Tensor
    agree: Tensor
    conflict: Tensor
    average_square: Tensor
    weight_squares: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> "WeightSums":
        """Return the sums with every one of them changed in the same way."""
        return WeightSums(*(change(getattr(self, field.name)) for field in fields(self)))

    def whole(self) -> "WeightSums":
        """Return the sums of the whole layer as one part, from those by kernel."""
        return self.each(lambda by_kernel: by_kernel.sum((-2, -1))[..., None])

    def touching(self, targets: Bool[Tensor, "part target"], sources: Bool[Tensor, "part source"]) -> "WeightSums":
        """Return, from sums by kernel, those of each part: the kernels into its targets or out of its sources."""
        columns = sources.double().T  # [source, part]

        def select(by_kernel: Tensor) -> Tensor:
            # [..., target, 1]: all kernels of a target, for the parts that it belongs to; [..., target, part]: of the
            # other targets, the kernels that read a source of the part. Summed over targets.
            rows = by_kernel.sum(-1, keepdim=True)
            return torch.where(targets.T, rows, by_kernel @ columns).sum(-2)

        return self.each(select)


def sum_layer(
    start: Tensor,
    weights: Sequence[Tensor],
    masks: Sequence[Tensor],
    shares: Sequence[float],
    average: Tensor,
    num_sources: int,
) -> WeightSums:
    """Go through the clients' weights of one layer, keeping sums and one bit per client and weight.

    Args:
        start: `[target, …]`, weights that the round started from; those of a source stand together.
        weights: each client's.
        masks: each client's, true = kept.
        shares: each client's weight in the mean update; they sum to 1.
        average: the new global weights.
        num_sources: sources that the weights of a target come from.
    """

    def by_kernel(values: Tensor) -> Tensor:
        return values.double().reshape(len(values), num_sources, -1).sum(2)

    mean_update, update_mass = (torch.zeros_like(start, dtype=torch.float64) for _ in range(2))
    holders, positive, negative = (torch.zeros_like(start, dtype=torch.int32) for _ in range(3))
    signs = _Signs(start)
    update_squares, weight_squares = [], []
    # One client at a time: the sums, and one bit per weight for signs, are all that is kept.
    for weight, mask, share in zip(weights, masks, shares, strict=True):
        update = weight.double() - mask * start
        mean_update += share * update
        update_mass += update.abs()
        update_squares.append(by_kernel(update.square()))
        weight_squares.append(by_kernel(weight.double().square()))
        signs.add(update)
        holders += mask
        positive += mask & (weight > 0)
        negative += mask & (weight < 0)
    conflict = (positive > 0) & (negative > 0)
    return WeightSums(
        mean_square=by_kernel(mean_update.square()),
        update_squares=torch.stack(update_squares),
        update_mass=by_kernel(update_mass),
        conflict_mass=by_kernel(update_mass * signs.differ),
        null_mass=by_kernel(update_mass * signs.conflict_probability()),
        solo=by_kernel(holders == 1),
        agree=by_kernel((holders > 1) & ~conflict),
        conflict=by_kernel(conflict),
        average_square=by_kernel(average.double().square()),
        weight_squares=torch.stack(weight_squares),
    )


class _Signs:
    """The signs of clients' largest updates in one layer, and what shuffling each client's signs makes of them.

    A shuffle moves a client's signs among its largest updates and so keeps its share of positive ones, which may be far
    from one half in a layer that shrinks. Clients are shuffled independently of each other.
    """

    def __init__(self, like: Tensor) -> None:
        self._num_large = torch.zeros_like(like, dtype=torch.int32)
        self._raised, self._lowered = (torch.zeros_like(like, dtype=torch.bool) for _ in range(2))
        self._all_positive, self._all_negative = (torch.ones_like(like, dtype=torch.float64) for _ in range(2))

    def add(self, update: Tensor) -> None:
        """Take in one client's updates."""
        largest = _largest(update)
        raised = largest & (update > 0)
        share = float(raised.sum()) / max(1, int(largest.sum()))
        self._num_large += largest
        self._raised |= raised
        self._lowered |= largest & (update < 0)
        # Probabilities that all clients with a large update here draw a positive, or all a negative, sign.
        self._all_positive = torch.where(largest, self._all_positive * share, self._all_positive)
        self._all_negative = torch.where(largest, self._all_negative * (1 - share), self._all_negative)

    @property
    def differ(self) -> Tensor:
        """Tell where clients' largest updates differ in sign."""
        return self._raised & self._lowered

    def conflict_probability(self) -> Tensor:
        """Return, by weight, the probability of a conflict: of whatever is neither all positive nor all negative."""
        return torch.where(self._num_large > 1, 1 - self._all_positive - self._all_negative, 0.0)


def _largest(update: Tensor) -> Tensor:
    """Tell which of the non-zero updates are among the largest `TRIM_FRACTION` in magnitude."""
    magnitude = update.abs()
    alive = magnitude[magnitude > 0]
    if not len(alive):
        return torch.zeros_like(update, dtype=torch.bool)
    num_kept = max(1, round(TRIM_FRACTION * len(alive)))
    return magnitude >= alive.kthvalue(len(alive) - num_kept + 1).values
