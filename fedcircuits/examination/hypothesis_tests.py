"""Is a circuit better than chance, and as good as the whole? Tests after Shi et al. 2024 (arXiv 2410.13032).

Small p-values speak for the circuit in all four. The first two are rank tests among random circuits with as many
channels in every layer, so the smallest value that B draws can give is 1/(B + 1). Trials must be separable.
"""

import math

import torch
from jaxtyping import Bool, Float
from scipy import stats
from torch import Tensor

from fedcircuits.examination.trials import Trial

EQUIVALENCE_MARGIN = 0.1
"""Of M(N): a circuit whose separation differs by less is as good as the whole network."""

_TIE = 1e-6
"""Of M(N): passes of different batches differ in their last bits, and a tie must count against the circuit."""


def rank_p_value(value: float, random_values: Float[Tensor, " draw"]) -> float | None:
    """Return (1 + number of random values that reach `value`) / (number + 1); None if the value overflowed.

    A random value that overflowed counts as one that reaches it.
    """
    if not math.isfinite(value):
        return None
    return (1 + int((~(random_values < value - _TIE)).sum())) / (len(random_values) + 1)


def sufficiency_p_value(
    trial: Trial, member: Bool[Tensor, " channel"], rivals: Bool[Tensor, "draw channel"]
) -> float | None:
    """Test whether the circuit's F is above that of random circuits (`rivals`) of its size."""
    values = trial.faithfulness(torch.cat([member[None], rivals]))
    return rank_p_value(float(values[0]), values[1:])


def necessity_p_value(
    trial: Trial, member: Bool[Tensor, " channel"], rivals: Bool[Tensor, "draw channel"]
) -> float | None:
    """Test whether the network loses more by losing the circuit than by losing random ones (`rivals`) of its size."""
    rest = trial.subject.reachable & ~torch.cat([member[None], rivals])
    completeness = 1 - trial.faithfulness(rest)
    return rank_p_value(float(completeness[0]), completeness[1:])


def minimality_p_value(
    trial: Trial,
    member: Bool[Tensor, " channel"],
    drops: Float[Tensor, " member"],
    num_draws: int,
    generator: torch.Generator,
) -> float | None:
    """Test whether the circuit's channels are needed more than one that was added at random.

    Each inflated circuit has one more channel, drawn without replacement from the reachable ones outside; what its
    removal costs is M(inflated) - M(C). A one-sided Mann-Whitney test compares these costs with those of the circuit's
    own channels.

    Args:
        trial: the class and the images.
        member: the circuit.
        drops: what each of its own channels costs, from `removal_drops`.
        num_draws: inflated circuits, at most.
        generator: draws on the CPU.

    Returns:
        the p-value; None if the circuit is empty or nothing is left to add.
    """
    outside = (trial.subject.reachable & ~member).nonzero().flatten()
    if not len(drops) or not len(outside):
        return None
    added = outside[torch.randperm(len(outside), generator=generator)[:num_draws]]
    inflated = member | torch.eye(len(member), dtype=torch.bool)[added]
    values = trial.faithfulness(torch.cat([member[None], inflated]))
    null = values[1:] - values[0]
    return float(stats.mannwhitneyu(drops.numpy(), null.numpy(), alternative="greater").pvalue)


def equivalence_p_value(trial: Trial, member: Bool[Tensor, " channel"]) -> float | None:
    """Test whether M(C) lies within `EQUIVALENCE_MARGIN` * M(N) of M(N): two one-sided t-tests over images.

    The difference of the log-odds, circuit less whole, is taken image by image; its mean over the class's images less
    that over others is M(C) - M(N), with Welch's standard error and degrees of freedom.

    Returns:
        the larger of the two p-values; None if there are fewer than two images on a side.
    """
    circuit, whole = trial.log_odds(torch.stack([member, trial.subject.reachable])).cpu().double()
    own = (trial.data.labels == trial.class_id).cpu()
    change = circuit - whole
    return _equivalence(change[own], change[~own], EQUIVALENCE_MARGIN * trial.whole)


def _equivalence(own: Float[Tensor, " positive"], other: Float[Tensor, " negative"], margin: float) -> float | None:
    """Return the p-value of |mean(own) - mean(other)| < margin."""
    if min(len(own), len(other)) < 2:
        return None
    difference = float(own.mean() - other.mean())
    parts = [float(side.var()) / len(side) for side in (own, other)]
    error = math.sqrt(sum(parts))
    if error == 0:  # every image changes by the same amount: there is no doubt left
        return 0.0 if abs(difference) < margin else 1.0
    freedom = sum(parts) ** 2 / sum(p**2 / (len(side) - 1) for p, side in zip(parts, (own, other), strict=True))
    return float(stats.t.sf((margin - abs(difference)) / error, freedom))
