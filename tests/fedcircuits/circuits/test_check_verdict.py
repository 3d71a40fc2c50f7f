import pytest

from fedcircuits.circuits.check_verdict import CheckResult, failure_sentence


@pytest.mark.parametrize(
    ("effect", "z", "has_passed"),
    [(0.1, 3.0, True), (0.099, 30.0, False), (0.5, 2.9, False), (-0.2, -8.0, False)],
)
def test_both_the_effect_and_its_certainty_are_asked_for(effect: float, z: float, has_passed: bool) -> None:
    assert CheckResult(1, effect, z).has_passed is has_passed


def test_a_failure_says_what_failed_by_how_much_and_what_follows() -> None:
    assert failure_sentence(CheckResult(2, 0.041, 3.14), "round 2", "round 3") == (
        "discovery failed its check in round 2: circuits beat random ones of their sizes by only 0.04 balanced "
        "accuracy (needed 0.10; z 3.1, needed 3.0), so no circuit of round 3 counts as usable"
    )


def test_of_several_failures_the_last_is_told() -> None:
    assert failure_sentence(CheckResult(3, 0.2, 1.0), "rounds 1–3", "rounds 1–4") == (
        "discovery failed its check in rounds 1–3: in round 3 circuits beat random ones of their sizes by 0.20 "
        "balanced accuracy (needed 0.10; z 1.0, needed 3.0), so no circuit of rounds 1–4 counts as usable"
    )


def test_circuits_that_are_no_better_are_not_said_to_beat_anything() -> None:
    assert CheckResult(1, -0.05, -2.0).finding == (
        "circuits do not beat random ones of their sizes: -0.05 balanced accuracy (needed 0.10; z -2.0, needed 3.0)"
    )
