import math

import pytest

from fedcircuits.settings.privacy import bit_epsilon, exceeds


def test_epsilon_is_that_of_randomised_response():
    assert bit_epsilon(0.25) == pytest.approx(math.log(3))
    assert bit_epsilon(0.0) == math.inf


def test_reports_are_ordered_by_what_they_hold():
    assert exceeds("full", "masks")
    assert exceeds("masks", "weights")
    assert not exceeds("masks", "masks")
    assert not exceeds("weights", "full")
