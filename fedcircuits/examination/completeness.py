"""What the rest of the network does without a circuit, and whether the circuit needs each of its channels.

Completeness and minimality are those of Wang et al. 2022 (arXiv 2211.00593); stochastic ablation answers a criticism of
weight-sparse circuits: where everything outside is always ablated at once, errors can be chosen that cancel. All
figures are shares of M(N), so a trial must be separable, and members must carry signal.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fedcircuits.examination.trials import Trial

NEEDLESS_DROP = 0.01
"""A channel whose removal costs less than this share of M(N) was not needed."""

SUBSET_SHARES = (0.25, 0.5, 0.75)
"""Sizes of the parts that incompleteness takes out of a circuit."""

SUBSET_DRAWS = 8
"""Random sets per size or fraction: enough for a mean, and cheap beside the hypothesis tests."""


def completeness(trial: Trial, member: Bool[Tensor, " channel"]) -> float:
    """Return K(C) = (M(N) - M(N without C)) / M(N): 1 where the rest cannot do the task."""
    rest = trial.subject.reachable & ~member
    return 1 - float(trial.faithfulness(rest[None])[0])


def incompleteness(trial: Trial, member: Bool[Tensor, " channel"], generator: torch.Generator) -> float | None:
    """Return how differently circuit and network suffer when both lose the same channels.

    It is the mean of |M(C without Q) - M(N without Q)| over random Q in C of a quarter, half and three quarters of its
    channels, at least one, scaled by M(N); 0 for the whole network. None for the empty circuit.
    """
    if not member.any():
        return None
    lost = random_subsets(member, generator)
    within = trial.faithfulness(member & ~lost)
    without = trial.faithfulness(trial.subject.reachable & ~lost)
    return float((within - without).abs().mean())


def random_subsets(member: Bool[Tensor, " channel"], generator: torch.Generator) -> Bool[Tensor, "draw channel"]:
    """Draw `SUBSET_DRAWS` random parts of a circuit that has channels, for each of `SUBSET_SHARES`."""
    channels = member.nonzero().flatten()
    subsets = []
    for share in SUBSET_SHARES:
        size = max(1, round(share * len(channels)))
        for _ in range(SUBSET_DRAWS):
            subset = torch.zeros_like(member)
            subset[channels[torch.randperm(len(channels), generator=generator)[:size]]] = True
            subsets.append(subset)
    return torch.stack(subsets)


def removal_drops(trial: Trial, member: Bool[Tensor, " channel"]) -> Float[Tensor, " member"]:
    """Return (M(C) - M(C without r)) / M(N) for each channel r of the circuit, in channel order."""
    smaller = member & ~torch.eye(len(member), dtype=torch.bool)[member]
    values = trial.faithfulness(torch.cat([member[None], smaller]))
    return values[0] - values[1:]


def minimality(drops: Float[Tensor, " member"]) -> float | None:
    """Return what the least needed channel costs; below 0 if the circuit is better without it. None without any."""
    return float(drops.min()) if len(drops) else None


def needless_share(drops: Float[Tensor, " member"]) -> float | None:
    """Return the share of the circuit's channels that it hardly needs; None for the empty circuit."""
    return float((drops < NEEDLESS_DROP).double().mean()) if len(drops) else None


def stochastic_faithfulness(
    trial: Trial, member: Bool[Tensor, " channel"], fraction: float, generator: torch.Generator
) -> float:
    """Return the mean F where each channel outside the circuit is off with probability `fraction`.

    A faithful circuit stays near 1 at every fraction; at 1 it is F of the circuit, at 0 that of the whole network.
    """
    num_draws = SUBSET_DRAWS if 0 < fraction < 1 else 1
    stays_on = torch.rand(num_draws, len(member), generator=generator) >= fraction
    return float(trial.faithfulness(member | (stays_on & trial.subject.reachable)).mean())
