"""Circuits whose overlap is known because it was planted: the same, apart by construction, nested, and random."""

import numpy as np
import pytest

from fedcircuits.overlap import OverlapValues, overlap_values, pair_sets

LAYERS = [32, 64, 128]


def figures_of(one, other) -> OverlapValues:
    """Return the figures of pairs, `[pair, channel]` each, in models that reach every channel."""
    one, other = np.atleast_2d(one), np.atleast_2d(other)
    members = np.concatenate([one, other])
    first = np.arange(len(one))
    return overlap_values(pair_sets(members, np.ones_like(members), LAYERS, first, first + len(one)))


def chosen(low, high):
    """Return a circuit that keeps, in every layer, the channels between these shares of its width."""
    return np.concatenate([(np.arange(n) >= low * n) & (np.arange(n) < high * n) for n in LAYERS])


def test_identical_circuits_are_as_close_as_can_be_and_beyond_chance():
    figures = figures_of(chosen(0, 0.25), chosen(0, 0.25))
    for values in (figures.iou, figures.adjusted_iou, figures.phi):
        assert values[0] == pytest.approx([1.0] * 4)


def test_disjoint_circuits_that_are_large_avoid_each_other():
    figures = figures_of(chosen(0, 0.5), chosen(0.5, 1))
    assert (figures.iou[0] == 0).all()
    assert figures.phi[0] == pytest.approx([-1.0] * 4)
    assert (figures.adjusted_iou[0] < 0).all()


def test_a_nested_circuit_is_half_as_close():
    figures = figures_of(chosen(0, 0.25), chosen(0, 0.5))
    assert figures.iou[0] == pytest.approx([0.5] * 4)
    assert (figures.adjusted_iou[0] < 0.4).all()


def test_random_circuits_are_at_chance_in_the_mean_and_as_spread_as_expected():
    generator, pairs = np.random.default_rng(0), 2000
    base = np.tile(chosen(0, 0.25), (2 * pairs, 1))
    ends = np.cumsum(LAYERS)
    drawn = np.concatenate([generator.permuted(part, axis=1) for part in np.split(base, ends[:-1], axis=1)], axis=1)
    figures = figures_of(drawn[:pairs], drawn[pairs:])
    for values in (figures.adjusted_iou, figures.phi):
        # Four standard errors of a mean over independent pairs.
        assert (np.abs(values.mean(axis=0)) < 4 * values.std(axis=0) / np.sqrt(pairs)).all()
    # The standard deviation of 2,000 draws is good to 2 %.
    assert figures.iou.std(axis=0) == pytest.approx(figures.expected_sd[0], rel=0.07)
