"""Tells a run directory that is being written from one whose writer is gone.

The writer holds an exclusive lock (flock) on a file in the directory. The kernel releases it when the process ends, in
whatever way, so that no mark is left behind by a process that was killed.
"""

import os
import platform
import time
import weakref
from pathlib import Path
from typing import Final

from fedcircuits.errors import RunLogError

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

LOCK_FILE: Final = "run.lock"

_PATIENCE_S: Final = 1.0
"""How long a writer waits for the lock: a process that only checks whether a run is being written holds it briefly."""


class RunLock:
    """The right to write a run directory, until `release` is called or the process ends.

    Processes that this one starts do not inherit it.

    Args:
        run: the run directory.

    Raises:
        RunLogError: if another writer has it, in this process or in another.
        OSError: if the lock's file cannot be written.
    """

    def __init__(self, run: Path) -> None:
        path = run / LOCK_FILE
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self.release = weakref.finalize(self, os.close, descriptor)
        is_locked = _lock(descriptor, is_shared=False, patience_s=_PATIENCE_S)
        if is_locked is False:
            writer = path.read_text(encoding="utf-8").strip() or "unknown"
            self.release()
            raise RunLogError(f"{run} is being written by another process ({writer}); wait for its end, or end it")
        self.is_held = is_locked is True
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())


def is_written(run: Path) -> bool | None:
    """Tell whether a run directory is being written; takes nothing from its writer.

    Returns:
        None if that cannot be known: the file system or this machine knows no locks, the run is older than they are, or
        it was last written on another machine, whose locks may not be seen from here.
    """
    try:
        with (run / LOCK_FILE).open(encoding="utf-8") as file:
            is_local = file.read().endswith(f" on {platform.node()}\n")
            is_locked = _lock(file.fileno(), is_shared=True)
    except (OSError, UnicodeDecodeError):
        return None
    if is_locked is False:
        return True
    return False if is_locked and is_local else None


def _lock(descriptor: int, *, is_shared: bool, patience_s: float = 0.0) -> bool | None:
    """Try to lock an open file for up to `patience_s` seconds: True if it is locked now, None if locks do not exist."""
    if fcntl is None:
        return None
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        except OSError:
            return None
        else:
            return True
