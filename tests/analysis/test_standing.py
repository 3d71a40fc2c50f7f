"""How a run stands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import standing as module
from analysis.standing import standing_of
from fedcircuits.run_lock import LOCK_FILE
from fedcircuits.run_log import RunLog

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
