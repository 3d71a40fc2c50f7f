"""Circuits whose overlap is known because it was planted: the same, apart by construction, nested, and random."""

import numpy as np
import pytest

from fedcircuits.overlap import OverlapFigures, overlap_figures, pair_sets

LAYERS = [32, 64, 128]


def figures_of(one, other) -> OverlapFigures:
    """Return the figures of pairs, `[pair, channel]` each, in models that reach every channel."""
    one, other = np.atleast_2d(one), np.atleast_2d(other)
    members = np.concatenate([one, other])
    first = np.arange(len(one))
    return overlap_figures(pair_sets(members, np.ones_like(members), LAYERS, first, first + len(one)))


def chosen(low, high):
    """Return a circuit that keeps, in every layer, the channels between these shares of its width."""
    return np.concatenate([(np.arange(n) >= low * n) & (np.arange(n) < high * n) for n in LAYERS])


def test_identical_circuits_are_as_close_as_can_be_and_beyond_chance():
    figures = figures_of(chosen(0, 0.25), chosen(0, 0.25))
    for values in (figures.iou, figures.adjusted_iou, figures.size_adjusted_iou, figures.phi):
        assert values[0] == pytest.approx([1.0] * 4)
    # All of 8 out of 32: one choice in C(32, 8) = 10,518,300.
    assert figures.p_over[0, 0] == pytest.approx(1 / 10_518_300, abs=1e-10)
    assert (figures.p_under[0] == 1).all()


def test_disjoint_circuits_that_are_large_avoid_each_other():
    figures = figures_of(chosen(0, 0.5), chosen(0.5, 1))
    assert (figures.iou[0] == 0).all()
    assert figures.phi[0] == pytest.approx([-1.0] * 4)
    assert (figures.adjusted_iou[0] < 0).all()
    # None of 16 out of 32: one choice in C(32, 16) = 601,080,390.
    assert figures.p_under[0, 0] == pytest.approx(1 / 601_080_390, abs=1e-10)
    assert (figures.p_under[0] < 1e-8).all()
    assert (figures.p_over[0] == 1).all()


def test_disjoint_circuits_that_are_small_may_be_chance():
    one, other = chosen(0, 0.04), chosen(0.04, 0.08)
    figures = figures_of(one, other)
    assert (figures.iou[0] == 0).all()
    assert figures.p_under[0, 2] > 0.7  # 6 and 5 of 128: five misses in a row, (122/128)(121/127)...
    assert figures.p_under[0, 2] == pytest.approx(np.prod((122 - np.arange(5)) / (128 - np.arange(5))))


def test_a_nested_circuit_is_as_close_as_its_size_allows():
    figures = figures_of(chosen(0, 0.25), chosen(0, 0.5))
    assert figures.iou[0] == pytest.approx([0.5] * 4)
    assert figures.size_adjusted_iou[0] == pytest.approx([1.0] * 4)
    assert (figures.adjusted_iou[0] < 0.4).all()
    # Eight within the sixteen: C(16, 8) = 12,870 of 10,518,300 choices.
    assert figures.p_over[0, 0] == pytest.approx(12_870 / 10_518_300)
    assert (figures.p_over[0, 1:] < 1e-5).all()


def test_random_circuits_are_at_chance_in_the_mean_and_as_spread_as_expected():
    generator, pairs = np.random.default_rng(0), 2000
    base = np.tile(chosen(0, 0.25), (2 * pairs, 1))
    ends = np.cumsum(LAYERS)
    drawn = np.concatenate([generator.permuted(part, axis=1) for part in np.split(base, ends[:-1], axis=1)], axis=1)
    figures = figures_of(drawn[:pairs], drawn[pairs:])
    for values in (figures.adjusted_iou, figures.size_adjusted_iou, figures.phi):
        # Four standard errors of a mean over independent pairs.
        assert (np.abs(values.mean(axis=0)) < 4 * values.std(axis=0) / np.sqrt(pairs)).all()
    # The standard deviation of 2,000 draws is good to 2 %.
    assert figures.iou.std(axis=0) == pytest.approx(figures.expected_sd[0], rel=0.07)
    for tail in (figures.p_over, figures.p_under):
        # A tail is below any level in at most that share of random pairs.
        assert ((tail < 0.05).mean(axis=0) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / pairs)).all()


def test_a_tail_that_lies_outside_the_cut_law_is_zero_or_one():
    universe = 73_728
    one, other = np.zeros((2, universe), dtype=np.bool_)
    one[:3700], other[3700:7400] = True, True
    members = np.stack([one, other])
    apart = overlap_figures(pair_sets(members, np.ones_like(members), [universe], np.array([0]), np.array([1])))
    assert (apart.p_under[0].tolist(), apart.p_over[0].tolist()) == ([0.0, 0.0], [1.0, 1.0])
    members[1] = one
    same = overlap_figures(pair_sets(members, np.ones_like(members), [universe], np.array([0]), np.array([1])))
    assert (same.p_under[0].tolist(), same.p_over[0].tolist()) == ([1.0, 1.0], [0.0, 0.0])
