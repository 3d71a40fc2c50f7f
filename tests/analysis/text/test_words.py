"""Rounds in words."""

import pytest

from analysis.text.words import named_rounds, ranges


@pytest.mark.parametrize(("rounds", "text"), [([4], "4"), ([1, 2, 3], "1–3"), ([1, 3, 4, 7], "1, 3–4, 7")])
def test_rounds_that_follow_each_other_are_shown_as_a_range(rounds: list[int], text: str) -> None:
    assert ranges(rounds) == text


def test_rounds_are_named_in_the_singular_and_the_plural() -> None:
    assert (named_rounds([2]), named_rounds([2, 3])) == ("round 2", "rounds 2–3")
