"""Reads a run that grows: each whole round once, its figures and no more of it kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from analysis import measures
from analysis.runs.standing import Standing, standing_of
from analysis.sinks.scalars import round_scalars
from analysis.summary import rejections
from fedcircuits.data.labels import client_name
from fedcircuits.errors import RunLogError
from fedcircuits.records import TABLES, ModelKind
from fedcircuits.runlog.reader import RUN_FILE, part_path
from fedcircuits.runlog.run import Run, load_round

_UNREAD: Final = (
    "edges",
    "masks",
    "circuit_interference",
    "curves",
    "alignment",
    "swaps",
    "transfer",
)
"""Tables without a figure that is shown here, some of them large."""

_LAST_TABLE: Final = list(TABLES)[-1]
"""Of a round's parts, the one that is written last."""

_LONGEST_REASON: Final = 300
"""Characters of a reason that are shown."""


@dataclass(frozen=True, eq=False)
class Round:
    """A whole round.

    Args:
        number: the round, 1-based.
        began_at: when the round before ended, or the run began or was resumed; seconds since 1970, None if not known.
        ended_at: when its tables were in place, by the clock of the file system.
        scalars: figures, as `round_scalars` names them.
        failed_check: why no circuit of the round counts as usable; empty if the discovery did not fail its check.
        rejected: who sent what could not be used, and why; printable, but in other people's words.
    """

    number: int
    began_at: float | None
    ended_at: float
    scalars: Mapping[str, float]
    failed_check: str
    rejected: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """What the round took; None if times do not say, as of a copied run directory."""
        return self.ended_at - self.began_at if self.began_at is not None and self.ended_at > self.began_at else None


@dataclass(frozen=True, eq=False)
class Progress:
    """How far a run is.

    Args:
        run: the run directory.
        status: how it stands.
        rounds: the rounds that have been read.
        newest: the round that was read just now, if one was.
        written_at: when run.json was last written, seconds since 1970.
    """

    run: Path
    status: Standing
    rounds: tuple[Round, ...]
    newest: Round | None
    written_at: float

    @property
    def num_planned(self) -> int | None:
        """Rounds that the run is to have; None if its log does not say."""
        planned = self.status.info["settings"].get("num-server-rounds")
        return planned if isinstance(planned, int) else None

    @property
    def is_behind(self) -> bool:
        """Whether there are whole rounds that have not been read yet."""
        return len(self.rounds) < int(self.status.info["last_round"])

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to read, nor to come."""
        return self.status.is_over and not self.is_behind


class RunFollower:
    """Reads a run round by round; a round that was read is not read again.

    What measures of later rounds need of it stays: who was there and held what, and the checks of the discovery.

    Args:
        run: the run directory.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._rounds: list[Round] = []
        self._before: Run | None = None
        self.last_word = "running"
        """How the run stood at the last look."""

    def poll(self) -> Progress:
        """Look how the run stands, and read the next round if there is one.

        Raises:
            RunLogError: if something cannot be read; nothing has changed then, and it can be tried again.
        """
        status = standing_of(self._run)
        self.last_word = status.word
        newest = None
        if len(self._rounds) < status.info["last_round"]:
            newest = self._read(len(self._rounds) + 1, status.info)
            self._rounds.append(newest)
        return Progress(self._run, status, tuple(self._rounds), newest, _changed_at(self._run / RUN_FILE))

    def _read(self, server_round: int, info: dict[str, Any]) -> Round:
        alone = load_round(self._run, info, server_round, _UNREAD)
        run = _joined(self._before, alone)
        ended_at = _changed_at(part_path(self._run, _LAST_TABLE, server_round))
        figures = Round(
            number=server_round,
            began_at=self._began_at(server_round, info),
            ended_at=ended_at,
            scalars=round_scalars(run, server_round),
            failed_check=measures.check_failure(run, [server_round]),
            rejected=_rejections(alone),
        )
        self._before = run
        return figures

    def _began_at(self, server_round: int, info: Mapping[str, Any]) -> float | None:
        """Return when a round began: the last of what had to come before it."""
        resumed = [entry["time"] for entry in info.get("resumed", []) if entry["round"] == server_round - 1]
        before = self._rounds[-1].ended_at if self._rounds else _seconds(info.get("started"))
        times = [time for time in (before, *map(_seconds, resumed)) if time is not None]
        return max(times, default=None)


def _joined(before: Run | None, alone: Run) -> Run:
    """Return a round with as much of those before it as its measures need."""
    if before is None:
        return alone
    # Of clients that do not say what they hold, the classes are those of which circuits have ever been found.
    known = before.circuits[before.circuits["model"] == ModelKind.CLIENT]
    known = known.drop_duplicates(["partition_id", "class_id"])
    return replace(
        alone,
        clients=_appended(before.clients, alone.clients),
        circuits=_appended(known, alone.circuits),
        validity=_appended(before.validity, alone.validity),
    )


def _appended(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Return one table after the other. Empty ones would have a say in the types of columns."""
    filled = [table for table in (before, after) if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else after


def _rejections(run: Run) -> tuple[str, ...]:
    labels = {client.get("partition_id"): client.get("label") for client in run.info.get("clients", [])}
    return tuple(
        printable(f"{client_name(partition, str(labels.get(partition) or ''))}: {reason}")
        for _, partition, reason in rejections(run)
    )


def printable(text: str) -> str:
    """Return text that others wrote on one line, without what terminals act upon."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST_REASON]).split())
    return plain if len(plain) <= _LONGEST_REASON else f"{plain[: _LONGEST_REASON - 1]}…"


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError as error:
        raise RunLogError(f"{path} cannot be read: {error}") from error


def _seconds(time: object) -> float | None:
    """Return a time of run.json in seconds since 1970; None if it is none."""
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return None
