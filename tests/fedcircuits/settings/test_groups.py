"""In which rounds something is due."""

from setting_problems import MakeSettings


def test_circuits_are_extracted_at_every_nth_round_and_always_in_the_last(make_settings: MakeSettings) -> None:
    discovery = make_settings({"circuit-every": 3}).discovery
    assert [r for r in range(1, 9) if discovery.is_circuit_round(r, 8)] == [3, 6, 8]
    discovery = make_settings({"circuit-every": 100}).discovery
    assert [r for r in range(1, 9) if discovery.is_circuit_round(r, 8)] == [8]


def test_circuits_are_never_extracted_if_circuit_every_is_zero(make_settings: MakeSettings) -> None:
    discovery = make_settings({"circuit-every": 0}).discovery
    assert not any(discovery.is_circuit_round(r, 8) for r in range(1, 9))


def test_discovery_is_repeated_at_every_nth_round_and_never_if_that_is_zero(make_settings: MakeSettings) -> None:
    discovery = make_settings({"retest-every": 2}).discovery
    assert [r for r in range(1, 6) if discovery.is_retest_round(r)] == [2, 4]
    discovery = make_settings({"retest-every": 0}).discovery
    assert not any(discovery.is_retest_round(r) for r in range(1, 6))


def test_examinations_are_taken_at_every_nth_round_and_always_in_the_last(make_settings: MakeSettings) -> None:
    examination = make_settings({"examination-every": 3}).examination
    assert [r for r in range(1, 9) if examination.is_examination_round(r, 8)] == [3, 6, 8]
    never = make_settings({"examination-every": 0}).examination
    assert not any(never.is_examination_round(r, 8) for r in range(1, 9))


def test_discovery_is_checked_at_its_first_round_and_when_enough_rounds_have_passed(
    make_settings: MakeSettings,
) -> None:
    examination = make_settings({"validity-every": 3}).examination
    assert examination.is_validity_round(2, None)
    assert [r for r in range(3, 7) if examination.is_validity_round(r, 2)] == [5, 6]
    assert not make_settings({"validity-every": 0}).examination.is_validity_round(1, None)
