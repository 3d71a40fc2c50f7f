"""Is a circuit better than chance? Rank tests after Shi et al. 2024 (arXiv 2410.13032).

Small p-values speak for the circuit. It is ranked among random circuits with as many channels in every layer, so the
smallest value that B draws can give is 1/(B + 1). Trials must be separable.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fedcircuits.examination.trials import Trial

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
