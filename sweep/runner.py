"""Runs what a sweep has not run yet, and keeps its index."""

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from fedcircuits.errors import RunLogError, SweepError
from fedcircuits.run_reader import read_info
from sweep.flower import Outcome
from sweep.index import Entry, Index
from sweep.plan import Job
from sweep.progress import ended_line, seconds_left

_WITHOUT_EFFECT = frozenset({"run-dir", "node-timeout-s", "round-timeout-s", "num-threads", "device"})
"""Settings that may differ between a finished run and what is asked for now."""


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
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise SweepError(f"another sweep is at work in {folder}") from None
    except OSError as error:
        raise SweepError(f"cannot write to {folder}: {error}") from error


def jobs_to_run(folder: Path, index: Index, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that have not completed.

    Raises:
        SweepError: if one completed with other settings than are asked for now.
    """
    return [job for job in jobs if not _is_done(folder, index.entry(job), job)]


def _is_done(folder: Path, entry: Entry, job: Job) -> bool:
    if entry.status != "completed" or entry.run is None:
        return False
    try:
        ran = read_info(folder / entry.run)["settings"]
    except RunLogError:
        return False  # its folder is gone or damaged: it is run again
    asked = job.settings.config
    differing = sorted(key for key in {*ran, *asked} - _WITHOUT_EFFECT if ran.get(key) != asked.get(key))
    if differing:
        changes = ", ".join(f"{key} was {ran.get(key)!r}, now {asked.get(key)!r}" for key in differing)
        raise SweepError(
            f"{folder / entry.run} is {entry.experiment} seed {entry.seed} with other settings ({changes}); "
            "sweep into another folder, or delete that run to have it made anew"
        )
    return True


def run_jobs(runner: Runner, index: Index, jobs: Sequence[Job], num_parallel: int, say: Callable[[str], None]) -> None:
    """Run jobs, `num_parallel` at a time, and note in the index how each ended; a failed one stops nothing."""
    waiting, finished, number = list(jobs), [], 0

    def work(job: Job) -> tuple[Job, Entry]:
        started = time.monotonic()

        def show(line: str) -> None:
            if line.startswith("round "):
                say(f"  {job.experiment} seed {job.seed}: {line}")

        return job, _entry(job, runner.run(job, show), time.monotonic() - started)

    pool = ThreadPoolExecutor(num_parallel)
    futures: set[Future[tuple[Job, Entry]]] = {pool.submit(work, job) for job in jobs}
    try:
        while futures:
            done, futures = wait(futures, return_when=FIRST_COMPLETED)
            for future in done:
                job, entry = future.result()
                index.put(entry)
                number += 1
                waiting.remove(job)
                if entry.status == "completed":
                    finished.append((job, entry.seconds or 0.0))
                say(ended_line(entry, number, len(jobs), seconds_left(waiting, finished, num_parallel)))
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
