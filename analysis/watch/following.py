"""The loop of a watch: look, pass on what is new, show it, wait; and the wait for a run to appear."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from analysis.runs.standing import standing_of
from analysis.sinks.sink import Sink
from analysis.watch.displays import Display, Now
from analysis.watch.follower import Progress, RunFollower
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.reader import find_run

Pause = Callable[[], None]
"""Waits until the next look."""

_PATIENCE: Final = 5
"""Looks in a row at which something cannot be read until that is an error: a shared file system may lag behind."""


def follow(follower: RunFollower, display: Display, sinks: Sequence[Sink], pause: Pause) -> Progress:
    """Show a run until it is over, and return how it ended.

    Raises:
        RunLogError: if its log cannot be read, several times in a row.
        ExportError: if a sink fails.
    """
    num_failures = 0
    while True:
        try:
            progress = follower.poll()
        except RunLogError:
            num_failures += 1
            if num_failures == _PATIENCE:
                raise
            pause()
            continue
        num_failures = 0
        hand_on(progress, sinks)
        display.show(progress)
        if progress.is_over:
            return progress
        if not progress.is_behind:
            pause()


def catch_up(follower: RunFollower, sinks: Sequence[Sink]) -> Progress:
    """Read all that there is of a run now, and return how far it is.

    Raises:
        RunLogError: if its log cannot be read.
        ExportError: if a sink fails.
    """
    while True:
        progress = follower.poll()
        hand_on(progress, sinks)
        if not progress.is_behind:
            return progress


def hand_on(progress: Progress, sinks: Sequence[Sink]) -> None:
    """Give sinks the round that was read just now."""
    if progress.newest:
        for sink in sinks:
            sink.write(progress.newest.number, progress.newest.ended_at, progress.newest.scalars)


def wait_for_run(path: Path, wait_s: float, ignored: Collection[Path], pause: Pause, now: Now) -> Path:
    """Return the run directory at `path`, the newest in it if it is a folder of them, as soon as there is one.

    Args:
        path: a run directory, or a folder of run directories; it may appear later.
        wait_s: seconds to wait for it, 0 or more.
        ignored: run directories that do not count; but those of runs that are over do as soon as they go on.
        pause: waits until the next look.
        now: the clock.

    Raises:
        RunLogError: if there is none in time.
    """
    deadline = now() + wait_s
    over = [run for run in sorted(ignored) if _is_over(run)]
    while True:
        try:
            run = find_run(path)
        except RunLogError:
            if now() >= deadline:
                raise
        else:
            next_runs = [run] if run not in ignored else [own for own in over if _is_over(own) is False]
            if next_runs:
                return next_runs[-1]
            if now() >= deadline:
                raise RunLogError(
                    f"no new run has appeared in {path.resolve()} within {wait_s:g} s, and none that is over goes on"
                )
        pause()


def _is_over(run: Path) -> bool | None:
    """Tell whether a run is over; None if its log cannot be read."""
    try:
        return standing_of(run).is_over
    except RunLogError:
        return None
