"""A round and the state of a run in words, and figures over rounds as a row of small bars."""

import math
from collections.abc import Sequence
from typing import Final

from analysis.text.table import UNDEFINED
from analysis.watch.follower import Progress, Round, printable
from analysis.watch.pace import time_left
from fedcircuits.runlog.durations import duration

_BARS: Final = "▁▂▃▄▅▆▇█"
_GAP: Final = "·"


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw the last `width` values, fractions in 0..1, as bars of eight heights; a dot where a value is undefined."""
    return "".join(_bar(value) for value in values[-width:])


def _bar(value: float) -> str:
    return _GAP if math.isnan(value) else _BARS[min(len(_BARS) - 1, max(0, int(value * len(_BARS))))]


def figure(one: Round, name: str, digits: int) -> str:
    """Return a figure of a round as text."""
    value = one.scalars.get(name)
    return UNDEFINED if value is None else f"{value:.{digits}f}"


def accepted(one: Round) -> str:
    """Say how many clients were accepted, of those that were asked."""
    return f"{figure(one, 'clients/accepted', 0)}/{figure(one, 'clients/asked', 0)}"


def circuits(one: Round) -> str:
    """Say how large and how usable the circuits of clients are; empty if none were looked for."""
    if "circuits/circuit_size" not in one.scalars:
        return ""
    size = f"{figure(one, 'circuits/circuit_size', 0)} of {figure(one, 'circuits/num_channels', 0)} channels"
    return f"{size}, usable {figure(one, 'circuits/usable_share', 2)}"


def overlap(one: Round) -> str:
    """Say how much circuits of one class overlap, with chance; empty if there are none of two clients."""
    if "overlap/same_class_iou" not in one.scalars:
        return ""
    return f"{figure(one, 'overlap/same_class_iou', 2)} (chance {figure(one, 'overlap/same_class_expected_iou', 2)})"


def round_words(one: Round, num_planned: int | None) -> str:
    """Say in one line how a round went."""
    parts = [
        f"round {one.number}/{num_planned or '?'}",
        "" if one.seconds is None else f"{one.seconds:.1f} s",
        f"clients {accepted(one)}",
        f"accuracy {figure(one, 'accuracy/accuracy', 3)}",
        f"collapsed {figure(one, 'accuracy/num_collapsed', 0)}" if "accuracy/num_collapsed" in one.scalars else "",
        f"circuits {circuits(one)}" if circuits(one) else "",
        f"same-class IoU {overlap(one)}" if overlap(one) else "",
        one.failed_check,
    ]
    return " | ".join(part for part in parts if part)


def status_words(progress: Progress) -> str:
    """Say how a run stands, and why."""
    last_round = progress.status.info["last_round"]
    words = f"{printable(progress.status.word)}, {last_round} of {progress.num_planned or '?'} rounds"
    return f"{words}: {printable(progress.status.reason)}" if progress.status.reason else words


def left_words(progress: Progress, now: float) -> str:
    """Say how long a run will go on, as far as that is known; empty if it is over."""
    if progress.status.is_over:
        return ""
    left = time_left(progress, now)
    if left is None:
        return "" if progress.rounds else "waiting for the first round"
    return f"{'at least' if left.is_least else 'about'} {duration(left.seconds)} left"


def unseen_words(progress: Progress, now: float) -> str:
    """Say that it cannot be seen whether a run's process lives; empty if it can."""
    if progress.status.is_alive is not None:
        return ""
    silence = duration(max(0.0, now - progress.written_at))
    return f"from here it cannot be seen whether its process lives; last written {silence} ago"
