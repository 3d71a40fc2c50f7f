"""Randomised response: hand-computed estimates, and means over many draws."""

import math

import numpy as np
import pytest
import torch

from fedcircuits.overlap.randomised_response import (
    estimated_intersection,
    estimated_size,
    flip_bits,
)

P = 0.2
BITS = 60


def test_a_bit_is_flipped_where_its_draw_lies_below_the_probability():
    quarter = 2**30
    draws = np.array([0, quarter - 1, quarter, 2**32 - 1], dtype=np.uint32)
    flipped = flip_bits(torch.tensor([True, False, True, False]), 0.25, lambda num_bytes: draws.tobytes()[:num_bytes])
    assert flipped.tolist() == [False, True, True, False]


def test_the_share_of_flipped_bits_is_the_probability():
    bits = torch.zeros(40_000, dtype=torch.bool)
    share = float(flip_bits(bits, 0.1).double().mean())
    assert share == pytest.approx(0.1, abs=6 * math.sqrt(0.1 * 0.9 / 40_000))  # six standard errors: once in 10**9 runs


def test_the_noise_is_not_the_seeds():
    bits = torch.zeros(256, dtype=torch.bool)
    answers = []
    for _ in range(2):
        torch.manual_seed(0)
        np.random.seed(0)
        answers.append(flip_bits(bits, 0.4))
    assert not torch.equal(*answers)


def test_estimates_of_counts_by_hand():
    # With p = 1/4, 1 - 2p is 1/2.
    assert estimated_size(np.array([5, 4, 1]), np.array([10, 10, 10]), 0.25).tolist() == [5, 3, -3]
    # (2 - 1/4 * (5 + 4) + 1/16 * 10) / (1/4)
    assert estimated_intersection(*(np.array([count]) for count in (2, 5, 4, 10)), 0.25).tolist() == [1.5]


def test_estimates_are_the_counts_where_there_is_no_noise():
    assert estimated_size(np.array([7]), np.array([10]), 0.0).tolist() == [7]
    assert estimated_intersection(*(np.array([count]) for count in (3, 7, 5, 10)), 0.0).tolist() == [3]


def test_the_means_of_sizes_and_intersections_over_many_draws_are_the_true_ones():
    first, second = torch.zeros(2, BITS, dtype=torch.bool)
    first[:20] = True
    second[8:38] = True
    entropy = np.random.default_rng(0).bytes
    a, b = (np.stack([flip_bits(bits, P, entropy).numpy() for _ in range(4000)]) for bits in (first, second))
    num_bits, naive = np.full(4000, BITS), (a & b).sum(axis=1)
    size = estimated_size(a.sum(axis=1), num_bits, P)
    shared = estimated_intersection(naive, a.sum(axis=1), b.sum(axis=1), num_bits, P)
    for values, expected in ((size, 20), (shared, 12)):
        error = values.std() / math.sqrt(len(values))
        assert values.mean() == pytest.approx(expected, abs=4 * error)
        assert error < 0.1  # or the line above would say nothing
    # Without correction: p**2 n + p (1 - 2p) (a + b) + (1 - 2p)**2 k
    assert naive.mean() == pytest.approx(0.04 * 60 + 0.12 * 50 + 0.36 * 12, abs=0.2)
