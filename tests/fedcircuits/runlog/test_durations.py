"""Durations as people say them."""

import pytest

from fedcircuits.runlog.durations import duration


@pytest.mark.parametrize(("seconds", "words"), [(3.4, "3 s"), (75, "1 min 15 s"), (3720, "1 h 02 min")])
def test_durations_read_as_words(seconds, words):
    assert duration(seconds) == words
