"""How far a run is, as a panel in a terminal. All text goes in as text: nothing of it is read as markup."""

import math
from collections.abc import Iterator
from typing import Final

from rich.console import Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis.watch import words
from analysis.watch.follower import Progress, Round

_BAR_WIDTH: Final = 24
_SPARK_WIDTH: Final = 40
_NUM_CLIENT_ROUNDS: Final = 8
_NUM_REJECTIONS: Final = 5

_COLOURS: Final = {"running": "cyan", "completed": "green", "failed": "red", "interrupted": "yellow"}


def panel(progress: Progress, now: float) -> Panel:
    """Draw how far a run is.

    Args:
        progress: how far it is.
        now: seconds since 1970.
    """
    colour = _COLOURS.get(progress.status.word, "white")
    status = Text(words.status_words(progress), style=f"bold {colour}")
    notes = [Text(note, style="yellow") for note in _notes(progress, now)]
    body = Group(status, _figures(progress, now), *notes)
    return Panel(body, title=Text(progress.run.name), title_align="left", border_style=colour)


def _figures(progress: Progress, now: float) -> Table:
    grid = Table.grid(padding=(0, 2))
    done = int(progress.status.info["last_round"])
    bar = ProgressBar(total=progress.num_planned or max(done, 1), completed=done, width=_BAR_WIDTH)
    grid.add_row(Text("rounds"), bar, Text(words.left_words(progress, now)))
    for label, spark, said in _rows(progress.rounds):
        grid.add_row(Text(label), Text(spark, style="cyan"), Text(said))
    return grid


def _rows(rounds: tuple[Round, ...]) -> Iterator[tuple[str, str, str]]:
    """Give a label, bars over rounds, and the newest figures in words."""
    if not rounds:
        return
    last = rounds[-1]
    yield "accuracy", _spark(rounds, "accuracy/accuracy"), words.figure(last, "accuracy/accuracy", 3)
    yield "clients", "", " ".join(words.accepted(one) for one in rounds[-_NUM_CLIENT_ROUNDS:])
    for label, name, say in (
        ("usable circuits", "circuits/usable_share", words.circuits),
        ("same-class IoU", "overlap/same_class_iou", words.overlap),
    ):
        measured = [one for one in rounds if say(one)]
        if measured:
            when = "" if measured[-1] is last else f", in round {measured[-1].number}"
            yield label, _spark(rounds, name), say(measured[-1]) + when
    if any(words.overlap(one) for one in rounds):
        yield "  of chance", _spark(rounds, "overlap/same_class_expected_iou"), ""


def _spark(rounds: tuple[Round, ...], name: str) -> str:
    return words.sparkline([one.scalars.get(name, math.nan) for one in rounds], _SPARK_WIDTH)


def _notes(progress: Progress, now: float) -> Iterator[str]:
    """Give what else is to be known: of the discovery, the last rejections, a process that cannot be seen."""
    if progress.rounds and progress.rounds[-1].failed_check:
        yield progress.rounds[-1].failed_check
    rejected = [f"round {one.number}, {who}" for one in progress.rounds for who in one.rejected]
    yield from rejected[-_NUM_REJECTIONS:]
    if words.unseen_words(progress, now):
        yield words.unseen_words(progress, now)
