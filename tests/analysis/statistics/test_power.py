"""What effects seeds can find."""

import math

import numpy as np
import pytest

from analysis.statistics.power import detectable_effect
from analysis.statistics.seeds import interval


@pytest.mark.parametrize(
    ("num_seeds", "confidence", "effect"), [(5, 0.95, 1.68), (5, 0.99, 2.63), (10, 0.95, 1.00), (10, 0.99, 1.33)]
)
def test_it_is_what_tables_of_power_say(num_seeds, confidence, effect):
    assert detectable_effect(num_seeds, confidence) == pytest.approx(effect, abs=0.005)


def test_an_effect_of_that_size_is_found_four_times_out_of_five():
    generator = np.random.default_rng(0)
    samples = generator.normal(detectable_effect(5, 0.95), 1.0, size=(2000, 5))
    # The standard error of a share of 0.8 over 2,000 samples is 0.009.
    assert np.mean([interval(sample).low > 0 for sample in samples]) == pytest.approx(0.8, abs=0.027)


def test_one_seed_finds_nothing():
    assert math.isnan(detectable_effect(1, 0.95))
