"""Randomised response (Warner 1965): each bit is sent flipped with a known probability, and counts are put right again.

With p the probability of a flip, a bit x arrives as x' with E[x'] = p + (1 - 2p) x. So (x' - p) / (1 - 2p) is x in the
mean, and since no two flips depend on each other, so are products of such terms of different clients. Each value here
is unbiased for that reason, but not confined to where the true one lies: a size may come out below 0.

Whoever sees one answer learns little of any single bit: it is at most (1 - p) / p times as likely from one value of the
bit as from the other. That is local differential privacy with an epsilon of ln((1 - p) / p) for each bit and each
answer; answers add up.
"""

import os
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from torch import Tensor

Entropy = Callable[[int], bytes]
"""Returns as many random bytes as it is asked for."""


def flip_bits(
    bits: Bool[Tensor, " bit"], flip_probability: float, entropy: Entropy = os.urandom
) -> Bool[Tensor, " bit"]:
    """Return bits of which each is flipped with a probability, independently of the others.

    Args:
        bits: the true ones.
        flip_probability: 0 <= x < 0.5, kept to within 2**-32.
        entropy: where the noise comes from. It is the operating system, not a generator made from the run's seed: the
            server knows the seed, could draw the same noise and take it away.
    """
    draws = np.frombuffer(entropy(4 * len(bits)), np.uint32)
    return bits ^ torch.from_numpy(draws < np.uint32(round(flip_probability * 2**32)))


def estimated_size(flagged: Array, num_bits: Array, flip_probability: float) -> Float[Array, "..."]:
    """Return how many bits are true, given how many arrived as true, and out of how many."""
    estimate: Array = (flagged - flip_probability * num_bits) / (1 - 2 * flip_probability)
    return estimate


def estimated_intersection(
    shared: Array, flagged_a: Array, flagged_b: Array, num_bits: Array, flip_probability: float
) -> Float[Array, "..."]:
    """Return how many bits are true in both of two clients' answers.

    The sum over bits of (x' - p) (y' - p) / (1 - 2p)**2.

    Args:
        shared: bits that arrived as true from both.
        flagged_a: bits that arrived as true from the first.
        flagged_b: bits that arrived as true from the second.
        num_bits: bits in all.
        flip_probability: p, of both clients.
    """
    p = flip_probability
    estimate: Array = (shared - p * (flagged_a + flagged_b) + p**2 * num_bits) / (1 - 2 * p) ** 2
    return estimate
