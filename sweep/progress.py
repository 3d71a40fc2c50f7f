"""How far a sweep has come, and how long the rest will take."""

from collections.abc import Sequence

from fedcircuits.runlog.durations import duration
from sweep.index import Entry
from sweep.plan import Job


def seconds_left(waiting: Sequence[Job], finished: Sequence[tuple[Job, float]], num_parallel: int) -> float | None:
    """Estimate how long the waiting runs will take, or return None if no run has finished yet.

    A run is expected to take as long as finished runs of its experiment did on average; where there is none, as long
    as others took for each client and round.
    """
    if not finished:
        return None
    rate = sum(seconds for _, seconds in finished) / sum(_work(job) for job, _ in finished)
    total = 0.0
    for job in waiting:
        own = [seconds for other, seconds in finished if other.experiment == job.experiment]
        total += sum(own) / len(own) if own else rate * _work(job)
    return total / num_parallel


def _work(job: Job) -> int:
    return job.settings.run.num_server_rounds * job.num_clients


def ended_line(entry: Entry, number: int, total: int, left: float | None) -> str:
    """Return the line that says how a run ended."""
    how = "failed" if entry.status == "failed" else "completed"
    words = [f"[{number}/{total}] {entry.experiment} seed {entry.seed}: {how} in {duration(entry.seconds or 0)}"]
    if left:
        words.append(f"about {duration(left)} left")
    if entry.reason:
        words.append(" ".join(entry.reason.split()))
    return " | ".join(words)
