"""The loop of a watch, and the wait for a run."""

import io
import os
import threading
import time

import pytest

from analysis.watch.displays import LineDisplay
from analysis.watch.follower import RunFollower
from analysis.watch.following import catch_up, follow, wait_for_run
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.reader import find_run
from fedcircuits.runlog.writer import RunLog


class Recorder:
    """A sink, and a display that shows nothing."""

    def __init__(self):
        self.rounds, self.shown = [], []

    def write(self, server_round, ended_at, scalars):
        self.rounds.append(server_round)

    def close(self, status):
        pass

    def show(self, progress):
        self.shown.append((progress.status.word, len(progress.rounds)))


def test_a_run_is_followed_to_its_end_and_each_round_handed_on_once(growing_run):
    run, recorder = growing_run(), Recorder()
    steps = [lambda: run.grow(1), lambda: run.grow(2), lambda: None, run.log.complete]

    def pause():
        steps.pop(0)()

    progress = follow(RunFollower(run.path), recorder, [recorder], pause)
    assert recorder.rounds == [1, 2, 3]
    assert recorder.shown == [
        ("running", 0),
        ("running", 1),
        ("running", 2),
        ("running", 3),
        ("running", 3),
        ("completed", 3),
    ]
    assert progress.status.word == "completed"


def test_rounds_written_together_with_the_end_are_all_read(growing_run):
    run, recorder = growing_run(), Recorder()

    def finish():
        run.grow(3)
        run.log.fail("node lost")

    assert follow(RunFollower(run.path), recorder, [recorder], finish).status.reason == "node lost"
    assert recorder.rounds == [1, 2, 3]


def test_a_run_whose_process_dies_ends_the_watch_as_interrupted(growing_run):
    run = growing_run()
    run.grow(1)
    assert follow(RunFollower(run.path), Recorder(), [], run.log.close).status.word == "interrupted"


def test_what_cannot_be_read_for_a_while_is_waited_for_each_time_anew(growing_run):
    run = growing_run()
    run.grow(1)
    info = run.path / "run.json"
    hidden = info.with_suffix(".hidden")
    info.rename(hidden)
    pauses = []

    def pause():
        pauses.append(1)
        if len(pauses) in {4, 9}:
            hidden.rename(info)
        if len(pauses) == 5:
            info.rename(hidden)
        if len(pauses) == 9:
            run.log.complete()

    assert follow(RunFollower(run.path), Recorder(), [], pause).status.word == "completed"
    assert len(pauses) == 9


def test_what_can_never_be_read_is_an_error_in_the_end(growing_run):
    run = growing_run()
    run.grow(1)
    (run.path / "clients" / "round-0001.parquet").write_bytes(b"no table")
    pauses = []
    with pytest.raises(RunLogError, match="round-0001"):
        follow(RunFollower(run.path), Recorder(), [], lambda: pauses.append(1))
    assert len(pauses) == 4


def test_a_run_can_be_watched_while_another_thread_writes_it(growing_run):
    run, stream = growing_run(), io.StringIO()

    def write():
        for _ in range(4):
            time.sleep(0.02)
            run.grow(1)
        run.log.complete()

    writer = threading.Thread(target=write)
    writer.start()
    follow(RunFollower(run.path), LineDisplay(stream, time.time), [], lambda: time.sleep(0.005))
    writer.join()
    lines = stream.getvalue().splitlines()
    assert [line.split(" | ")[0] for line in lines if line.startswith("round")] == [
        f"round {n}/4" for n in (1, 2, 3, 4)
    ]
    assert lines[-1] == "completed, 4 of 4 rounds"


def test_catching_up_reads_all_there_is_of_a_run_that_goes_on(growing_run):
    run, recorder = growing_run(), Recorder()
    run.grow(3)
    assert len(catch_up(RunFollower(run.path), [recorder]).rounds) == 3
    assert recorder.rounds == [1, 2, 3]


class Clock:
    """Time goes on by a second with every pause; something may happen at the third."""

    def __init__(self, happens=lambda: None):
        self.time, self._happens = 100.0, happens

    def pause(self):
        self.time += 1.0
        if self.time == 103.0:
            self._happens()

    def now(self):
        return self.time


def test_a_run_that_appears_in_time_is_found(tmp_path, growing_run):
    made = []
    clock = Clock(lambda: made.append(growing_run().path))
    found = wait_for_run(tmp_path / "runs", 5.0, (), clock.pause, clock.now)
    assert found == made[0]


def test_a_run_that_does_not_appear_is_an_error_after_the_time_allowed(tmp_path):
    clock = Clock()
    with pytest.raises(RunLogError, match="no run found"):
        wait_for_run(tmp_path, 5.0, (), clock.pause, clock.now)
    assert clock.time == 105.0


def test_runs_that_were_there_before_do_not_count_as_the_next_one(growing_run):
    run = growing_run()
    clock = Clock()
    folder = run.path.parent
    there = list(folder.iterdir())
    with pytest.raises(RunLogError, match=r"no new run has appeared in .* within 5 s"):
        wait_for_run(folder, 5.0, there, clock.pause, clock.now)
    clock = Clock(lambda: run.path.rename(run.path.with_name("20990101T000000Z-new")))
    assert wait_for_run(folder, 5.0, there, clock.pause, clock.now).name == "20990101T000000Z-new"


def test_a_run_that_is_over_counts_as_the_next_one_once_it_goes_on(growing_run):
    run = growing_run()
    run.grow(1)
    run.log.fail("node lost")
    reopened = []
    clock = Clock(lambda: reopened.append(RunLog.reopen(run.path)))
    assert wait_for_run(run.path, 5.0, [run.path], clock.pause, clock.now) == run.path
    assert clock.time == 103.0


def test_a_run_that_goes_on_counts_although_newer_ones_are_over(growing_run):
    run, newer = growing_run(), growing_run()
    for one in (run, newer):
        one.log.fail("node lost")
    folder, reopened = run.path.parent, []
    clock = Clock(lambda: reopened.append(RunLog.reopen(run.path)))
    assert find_run(folder) == newer.path
    assert wait_for_run(folder, 5.0, [run.path, newer.path], clock.pause, clock.now) == run.path


def test_a_log_that_cannot_be_read_is_no_next_run_and_no_error(growing_run):
    run = growing_run()
    broken = run.path.with_name("00000000T000000Z-broken")
    broken.mkdir()
    (broken / "run.json").write_text("{")
    os.utime(broken / "run.json", (0, 0))  # of a time long gone
    clock = Clock(lambda: run.path.rename(run.path.with_name("20990101T000000Z-new")))
    found = wait_for_run(run.path.parent, 5.0, list(run.path.parent.iterdir()), clock.pause, clock.now)
    assert found.name == "20990101T000000Z-new"
