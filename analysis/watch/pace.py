"""How long the rest of a run will take, from the rounds that it has had."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.watch.follower import Progress, Round


@dataclass(frozen=True)
class TimeLeft:
    """An estimate.

    Args:
        seconds: until the last round is whole, 0 or more.
        is_least: whether it will rather be more, because rounds with examinations are to come and none was seen yet.
    """

    seconds: float
    is_least: bool


def time_left(progress: Progress, now: float) -> TimeLeft | None:
    """Estimate how long a run will go on.

    Rounds with circuits take longer than others, and those with examinations longer still: each that is to come is
    expected to take as long as those of its kind did on average, or as all did where there was none.

    Args:
        progress: how far the run is.
        now: seconds since 1970.

    Returns:
        None if the run is over, or no round says how long it took.
    """
    planned = progress.num_planned
    timed = [one for one in progress.rounds if one.seconds is not None]
    if planned is None or progress.status.is_over or progress.is_behind or not timed:
        return None
    # The first includes the wait for clients, and what libraries do only once.
    timed = timed[1:] or timed
    settings = progress.status.info["settings"]
    coming = range(progress.rounds[-1].number + 1, planned + 1)
    expected = [_expected(_kind(number, planned, settings), timed, planned, settings) for number in coming]
    has_seen_examination = any(_kind(one.number, planned, settings)[0] for one in timed)
    is_examination_ahead = any(_kind(number, planned, settings)[0] for number in coming)
    elapsed = max(0.0, now - progress.rounds[-1].ended_at)
    current = max(0.0, expected[0] - elapsed) if expected else 0.0
    return TimeLeft(current + sum(expected[1:]), is_examination_ahead and not has_seen_examination)


def _expected(kind: tuple[bool, bool], timed: list[Round], planned: int, settings: Mapping[str, Any]) -> float:
    """Return the mean seconds of rounds of a kind."""
    alike = [one for one in timed if _kind(one.number, planned, settings) == kind] or timed
    return sum(one.seconds or 0.0 for one in alike) / len(alike)


def _kind(server_round: int, planned: int, settings: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether a round has examinations, and whether it has circuits."""
    return _is_due("examination-every", server_round, planned, settings), _is_due(
        "circuit-every", server_round, planned, settings
    )


def _is_due(key: str, server_round: int, planned: int, settings: Mapping[str, Any]) -> bool:
    """Tell whether a round has what comes every so many rounds, and in the last one; 0 means never."""
    every = settings.get(key)
    return isinstance(every, int) and every > 0 and (server_round % every == 0 or server_round == planned)
