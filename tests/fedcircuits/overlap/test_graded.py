from itertools import permutations, product

import numpy as np
import pytest

from fedcircuits.overlap.graded import GradedFigures, graded_figures

ONE = np.array([[0.8, 0.4, 0.0, 0.6, 0.2]])
OTHER = np.array([[0.4, 0.4, 0.4, 0.0, 1.0]])


def graded(one, other, layer_sizes, reachable=None) -> GradedFigures:
    scores = np.vstack([one, other]).astype(np.float64)
    universe = np.ones(scores.shape, dtype=np.bool_) if reachable is None else np.array(reachable, dtype=np.bool_)
    return graded_figures(scores, universe, layer_sizes, np.array([0]), np.array([1]))


def test_sum_of_minima_over_sum_of_maxima_per_layer_and_pooled():
    figures = graded(ONE, OTHER, [3, 2])
    # Minima 0.4 + 0.4 + 0 and 0 + 0.2; maxima 0.8 + 0.4 + 0.4 and 0.6 + 1.
    assert figures.overlap[0] == pytest.approx([0.8 / 1.6, 0.2 / 1.6, 1.0 / 3.2])


def test_graded_overlap_of_scores_of_zero_and_one_is_the_iou():
    assert graded([1, 1, 0, 0], [1, 0, 1, 0], [4]).overlap[0] == pytest.approx([1 / 3, 1 / 3])


def test_the_same_scores_overlap_wholly():
    assert graded(ONE, ONE, [3, 2]).overlap[0] == pytest.approx([1.0, 1.0, 1.0])


def test_without_any_score_above_zero_there_is_no_graded_overlap():
    figures = graded([0, 0, 0.5], [0, 0, 0.5], [2, 1])
    assert np.isnan(figures.overlap[0]).tolist() == [True, False, False]
    assert np.isnan(figures.expected[0]).tolist() == [True, False, False]


def test_the_expected_sum_of_minima_is_its_mean_over_all_shuffles():
    one, other = ONE[0, :4], OTHER[0, 1:]
    mean = np.mean([np.minimum(one, shuffled).sum() for shuffled in permutations(other)])
    total = one.sum() + other.sum()
    assert graded(one, other, [4]).expected[0, 0] == pytest.approx(mean / (total - mean), abs=1e-12)


def test_the_plug_in_is_close_below_the_mean_over_shuffles():
    generator = np.random.default_rng(0)
    one, other = generator.random(64) ** 3, generator.random(64) ** 3
    shuffled = [generator.permutation(other) for _ in range(2000)]
    mean = np.mean([np.minimum(one, s).sum() / np.maximum(one, s).sum() for s in shuffled])
    expected = graded(one, other, [64]).expected[0, 0]
    assert expected <= mean + 0.003  # two standard errors of the mean over shuffles
    assert expected == pytest.approx(mean, abs=0.006)


def test_pooled_the_expected_minima_of_layers_add_up():
    figures = graded(ONE, OTHER, [3, 2])
    mean = sum(
        np.minimum.outer(ONE[0, part], OTHER[0, part]).sum() / (part.stop - part.start)
        for part in (slice(0, 3), slice(3, 5))
    )
    total = ONE.sum() + OTHER.sum()
    assert figures.expected[0, 2] == pytest.approx(mean / (total - mean))


def test_scores_outside_an_items_own_universe_count_as_zero_and_elements_outside_both_not_at_all():
    figures = graded([0.5, 0.9, 0.9, 0.1], [0.5, 0.2, 0.7, 0.1], [4], [[1, 0, 0, 1], [1, 1, 0, 1]])
    # Left are 0.5, 0, 0.1 and 0.5, 0.2, 0.1 among three elements.
    assert figures.overlap[0, 0] == pytest.approx(0.6 / 0.8)
    pairs = [min(g, h) for g, h in product([0.5, 0, 0.1], [0.5, 0.2, 0.1])]
    mean = sum(pairs) / 3
    assert figures.expected[0, 0] == pytest.approx(mean / (1.4 - mean))


def test_many_pairs_agree_with_one_at_a_time():
    generator = np.random.default_rng(1)
    scores, universe = generator.random((120, 9)), generator.random((120, 9)) < 0.8
    first, second = (index.reshape(-1) for index in np.indices((120, 120)))
    together = graded_figures(scores, universe, [4, 5], first, second)  # more pairs and levels than a block holds
    for pair in generator.integers(len(first), size=20):
        chosen = [first[pair], second[pair]]
        alone = graded(*scores[chosen], [4, 5], universe[chosen])
        assert together.overlap[pair] == pytest.approx(alone.overlap[0], nan_ok=True)
        assert together.expected[pair] == pytest.approx(alone.expected[0], nan_ok=True)
