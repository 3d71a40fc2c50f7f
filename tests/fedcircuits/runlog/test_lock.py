import errno
import fcntl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fedcircuits.errors import RunLogError
from fedcircuits.runlog.lock import LOCK_FILE, RunLock, is_written

HOLD_FOR_EVER = """
import pathlib, sys, time
from fedcircuits.runlog.lock import RunLock
lock = RunLock(pathlib.Path(sys.argv[1]))
print(flush=True)
time.sleep(60)
"""


@pytest.fixture
def other_writer(tmp_path: Path) -> Any:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_run_is_written_until_its_lock_is_released(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    assert lock.is_held
    assert is_written(tmp_path) is True
    lock.release()
    assert is_written(tmp_path) is False
    lock.release()  # more than once is no mistake


def test_a_lock_that_is_forgotten_is_released(tmp_path: Path) -> None:
    RunLock(tmp_path)
    assert is_written(tmp_path) is False


def test_a_second_writer_is_refused_and_told_who_writes(other_writer: Any, tmp_path: Path) -> None:
    with pytest.raises(RunLogError, match=rf"is being written by another process \(process {other_writer.pid} on "):
        RunLock(tmp_path)
    assert is_written(tmp_path) is True


def test_a_writer_that_is_killed_leaves_no_lock(other_writer: Any, tmp_path: Path) -> None:
    other_writer.kill()
    other_writer.wait()
    assert is_written(tmp_path) is False
    assert RunLock(tmp_path).is_held


def test_programs_that_the_writer_starts_do_not_keep_its_lock(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lock.release()
        assert is_written(tmp_path) is False
    finally:
        child.kill()
        child.wait()


def test_a_look_that_holds_the_lock_for_an_instant_refuses_no_writer(tmp_path: Path) -> None:
    RunLock(tmp_path).release()
    with (tmp_path / LOCK_FILE).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(0.2, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        assert RunLock(tmp_path).is_held


def test_without_a_lock_file_nothing_is_known(tmp_path: Path) -> None:
    assert is_written(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_run_of_another_machine_may_be_written_there(tmp_path: Path) -> None:
    RunLock(tmp_path).release()
    (tmp_path / LOCK_FILE).write_text("process 1 on some-other-machine\n")
    assert is_written(tmp_path) is None


def test_where_there_are_no_locks_a_run_is_written_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not RunLock(tmp_path).is_held
    assert is_written(tmp_path) is None
