"""What test images that all seeds share add to the variance of an accuracy, and that intervals then cover."""

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.image_variance import image_variance
from analysis.statistics.seeds import interval


def shares(values, originals):
    """Return what each original adds, `[seed, original]`, with the class and number of each original."""
    return pd.DataFrame(np.array(values), columns=pd.MultiIndex.from_tuples(originals))


ORIGINALS = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]


def test_images_are_drawn_within_their_class():
    # Means over seeds: 1, 2, 3 of class 0, whose variance is 1, and 5, 9 of class 1, whose variance is 8.
    found = image_variance(shares([[0, 1, 2, 4, 8], [2, 3, 4, 6, 10]], ORIGINALS))
    assert (found.variance, found.degrees) == pytest.approx((3 * 1 + 2 * 8, 3))


def test_the_closed_form_is_what_a_bootstrap_draws():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(3, 40))
    originals = [(number % 2, number) for number in range(40)]
    sums = []
    for _ in range(4000):
        drawn = [generator.choice(np.arange(first, 40, 2), 20) for first in (0, 1)]
        sums.append(values.mean(axis=0)[np.concatenate(drawn)].sum())
    # A bootstrap has n in the place of n − 1. The standard error of a variance over 4,000 draws is 2.2 %.
    expected = image_variance(shares(values, originals)).variance * 19 / 20
    assert np.var(sums) == pytest.approx(expected, rel=0.07)


def test_a_seed_without_hits_is_left_out_and_none_is_unknown():
    assert image_variance(shares([[0, 1, 2, 4, 8], [np.nan] * 5], ORIGINALS)).variance == pytest.approx(3 + 2 * 8)
    assert image_variance(shares([[np.nan] * 5], ORIGINALS)) is None
    assert image_variance(shares([[1.0, 2.0]], [(0, 0), (1, 0)])) is None


def test_a_class_that_does_not_count_has_no_degrees_of_freedom():
    assert image_variance(shares([[1, 2, 4, 0, 0]], ORIGINALS)).degrees == 2


@pytest.mark.parametrize(("num_seeds", "copies"), [(5, 1), (10, 1), (5, 6)])
def test_intervals_with_images_cover_the_population_where_those_over_seeds_do_not(num_seeds, copies):
    """Models of several seeds are scored on one sample of 270 originals, of which each has some copies.

    Whether an image is recognised depends on the original, on the seed and on chance. Of 400 samples, 95 % with a
    standard error of 1.1 % should cover; the seeds' own interval covers about 70 % to 85 %.
    """
    generator = np.random.default_rng(1)
    originals = pd.MultiIndex.from_tuples([(number % 9, number) for number in range(270)])

    def recognised(ability, difficulty):
        return 1 / (1 + np.exp(-(3.0 + 0.25 * ability[:, None] + 2.5 * difficulty[None])))

    population = recognised(generator.normal(size=400), generator.normal(size=20_000)).mean()
    covered = np.zeros(2)
    for _ in range(400):
        chances = recognised(generator.normal(size=num_seeds), generator.normal(size=270))
        hits = generator.binomial(copies, chances) / (copies * 270)
        accuracy = hits.sum(axis=1)
        images = image_variance(pd.DataFrame(hits, columns=originals))
        found = [interval(accuracy), interval(accuracy, images=images)]
        covered += [one.low <= population <= one.high for one in found]
    of_seeds, of_both = covered / 400
    assert of_seeds < 0.88
    assert 0.92 < of_both < 0.985
