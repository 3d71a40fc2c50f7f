"""How a run stands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import load_run
from analysis.runs import standing as module
from analysis.runs.standing import standing_of, status_of
from fedcircuits.runlog.lock import LOCK_FILE
from fedcircuits.runlog.writer import RunLog

WriteRun = Callable[..., RunLog]


def test_a_run_is_what_its_log_and_its_lock_say(write_run: WriteRun) -> None:
    log = write_run()
    assert (standing_of(log.path).word, standing_of(log.path).is_alive) == ("running", True)
    log.close()
    assert (standing_of(log.path).word, standing_of(log.path).is_alive) == ("interrupted", False)
    (log.path / LOCK_FILE).unlink()
    assert (standing_of(log.path).word, standing_of(log.path).is_alive) == ("running", None)
    assert not standing_of(log.path).is_over


def test_a_run_that_ends_while_it_is_looked_at_is_not_taken_for_interrupted(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write_run()

    def end_first(run: Path) -> bool:
        log.complete()
        return False

    monkeypatch.setattr(module, "is_written", end_first)
    assert standing_of(log.path).word == "completed"


def test_a_failed_run_that_is_about_to_be_resumed_goes_on_without_a_reason(write_run: WriteRun) -> None:
    log = write_run()
    log.fail("node lost")
    assert (standing_of(log.path).word, standing_of(log.path).reason) == ("failed", "node lost")
    reopened = RunLog.reopen(log.path)
    assert (standing_of(log.path).word, standing_of(log.path).reason) == ("running", "")
    reopened.close()
    assert standing_of(log.path).word == "failed"


def test_a_log_that_was_read_is_running_while_its_process_lives_and_interrupted_after(write_run: WriteRun) -> None:
    log = write_run()
    run = load_run(log.path)
    assert status_of(run) == "running"
    log.close()
    assert status_of(run) == "interrupted"


def test_a_log_that_was_read_before_its_end_stays_running(write_run: WriteRun) -> None:
    log = write_run()
    run = load_run(log.path)
    log.complete()
    assert status_of(run) == "running"
