"""How long a run will go on, by a clock of the test's own."""

from pathlib import Path

import pytest

from analysis.runs.standing import Standing
from analysis.watch.follower import Progress, Round
from analysis.watch.pace import TimeLeft, time_left


def progress_of(seconds, word="running", num_read=None, **settings):
    """A run whose rounds took these seconds, from time 0 on."""
    ends = [sum(seconds[: number + 1]) for number in range(len(seconds))]
    rounds = [Round(i + 1, end - seconds[i], end, {}, None, ()) for i, end in enumerate(ends)]
    info = {"last_round": len(rounds), "settings": {key.replace("_", "-"): value for key, value in settings.items()}}
    status = Standing(info, word, word == "running")
    return Progress(Path("run"), status, tuple(rounds[:num_read]), None, 0.0)


def test_rounds_to_come_take_as_long_as_those_before_did_on_average():
    # Rounds 2 and 3 took 10 and 20 s; three are to come, and the first of them has been going for 5 s.
    progress = progress_of([100.0, 10.0, 20.0], num_server_rounds=6)
    assert time_left(progress, now=135.0) == TimeLeft(10.0 + 15.0 + 15.0, is_least=False)


def test_the_first_round_counts_as_long_as_there_is_no_other():
    assert time_left(progress_of([100.0], num_server_rounds=3), now=100.0) == TimeLeft(200.0, is_least=False)


def test_a_round_that_takes_longer_than_expected_has_no_negative_rest():
    assert time_left(progress_of([9.0, 10.0], num_server_rounds=4), now=1000.0) == TimeLeft(10.0, is_least=False)


def test_rounds_with_circuits_and_examinations_are_expected_to_take_as_long_as_their_like():
    # Circuits every second round, examinations every fourth: 3, 7 are plain, 2, 6 have circuits, 4, 8 have both.
    seconds = [50.0, 4.0, 1.0, 9.0, 1.0]
    progress = progress_of(seconds, num_server_rounds=8, circuit_every=2, examination_every=4)
    assert time_left(progress, now=65.0) == TimeLeft(4.0 + 1.0 + 9.0, is_least=False)


def test_examinations_that_were_never_seen_make_it_a_lower_bound():
    progress = progress_of([5.0, 5.0], num_server_rounds=6, circuit_every=1, examination_every=6)
    assert time_left(progress, now=10.0) == TimeLeft(20.0, is_least=True)


@pytest.mark.parametrize(
    "progress",
    [
        progress_of([], num_server_rounds=6),
        progress_of([5.0, 5.0], "interrupted", num_server_rounds=6),
        progress_of([5.0, 5.0]),
        progress_of([5.0, 5.0, 5.0], num_read=1, num_server_rounds=6),
        progress_of([0.0, 0.0], num_server_rounds=6),
    ],
    ids=["no round yet", "nobody goes on", "no number of rounds", "not read yet", "times say nothing"],
)
def test_what_cannot_be_estimated_is_not(progress):
    assert time_left(progress, now=20.0) is None


def test_after_the_last_round_nothing_is_left():
    assert time_left(progress_of([5.0, 5.0], num_server_rounds=2), now=20.0) == TimeLeft(0.0, is_least=False)
