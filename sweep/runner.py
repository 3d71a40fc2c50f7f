"""Runs what a sweep has not run yet, and keeps its index."""

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

from fedcircuits.errors import RunLogError, SweepError
from fedcircuits.federation.digest import RUN, code_digest
from fedcircuits.runlog.reader import read_info
from fedcircuits.settings import NEUTRAL_SETTINGS
from sweep.flower import Outcome
from sweep.index import Entry, Index
from sweep.plan import Job
from sweep.progress import ended_line, seconds_left

_MAY_DIFFER: Final = NEUTRAL_SETTINGS - {"data-dir"}
"""Settings that may differ between a finished run and what is asked for now; in another folder may be other images."""


class Runner(Protocol):
    """Runs one job to its end."""

    def run(self, job: Job, on_line: Callable[[str], None]) -> Outcome:
        """Run a job; `on_line` gets its console output."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other sweeps out of a folder.

    Raises:
        SweepError: if one is at work in it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise SweepError(f"cannot write to {folder}: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SweepError(f"another sweep is at work in {folder}") from None
        yield


def jobs_to_run(folder: Path, index: Index, jobs: Sequence[Job], say: Callable[[str], None]) -> list[Job]:
    """Return the jobs that have not completed, and say so if some completed under other code.

    Raises:
        SweepError: if one completed with other settings than are asked for now.
    """
    left, num_others = [], 0
    for job in jobs:
        entry = index.entry(job)
        info = _info(folder, entry)
        if info is None:
            left.append(job)
            continue
        _check_settings(folder, entry, job, info["settings"])
        num_others += info.get("code_digest") != code_digest(RUN)
    if num_others:
        say(f"{num_others} runs were completed by another version of the code; delete them to have them made anew")
    return left


def _info(folder: Path, entry: Entry) -> dict[str, Any] | None:
    """Return the run.json of a run that has completed; a folder that is gone or damaged counts for nothing."""
    if entry.status != "completed" or entry.run is None:
        return None
    try:
        return read_info(folder / entry.run)
    except RunLogError:
        return None


def _check_settings(folder: Path, entry: Entry, job: Job, ran: Mapping[str, Any]) -> None:
    """Compare the settings of a completed run with those asked for; a key that it lacks is newer than the run."""
    asked = job.settings.config
    keys = {*ran, *job.overrides} - _MAY_DIFFER
    differing = sorted(key for key in keys if ran.get(key) != asked.get(key))
    if differing:
        changes = ", ".join(f"{key} was {ran.get(key)!r}, now {asked.get(key)!r}" for key in differing)
        raise SweepError(
            f"{folder / str(entry.run)} is {entry.experiment} seed {entry.seed} with other settings ({changes}); "
            "sweep into another folder, or delete that run to have it made anew"
        )


def run_jobs(runner: Runner, index: Index, jobs: Sequence[Job], num_parallel: int, say: Callable[[str], None]) -> None:
    """Run jobs, `num_parallel` at a time, and note in the index how each ended; a failed one stops nothing."""
    waiting: list[Job] = list(jobs)
    finished: list[tuple[Job, float]] = []
    turn = Lock()

    def work(job: Job) -> None:
        started = time.monotonic()

        def show(line: str) -> None:
            if line.startswith("round "):
                say(f"  {job.experiment} seed {job.seed}: {line}")

        entry = _entry(job, runner.run(job, show), time.monotonic() - started)
        with turn:
            index.put(entry)
            waiting.remove(job)
            if entry.status == "completed":
                finished.append((job, entry.seconds or 0.0))
            left = seconds_left(waiting, finished, num_parallel)
            say(ended_line(entry, len(jobs) - len(waiting), len(jobs), left))

    pool = ThreadPoolExecutor(num_parallel)
    try:
        for future in [pool.submit(work, job) for job in jobs]:
            future.result()
    finally:
        # Not waiting: after an interrupt the runs that are left end with their Flower.
        pool.shutdown(wait=False, cancel_futures=True)


def _entry(job: Job, outcome: Outcome, seconds: float) -> Entry:
    return Entry(
        experiment=job.experiment,
        seed=job.seed,
        status="completed" if outcome.reason is None else "failed",
        run=None if outcome.directory is None else outcome.directory.name,
        seconds=round(seconds, 1),
        reason=outcome.reason,
    )
