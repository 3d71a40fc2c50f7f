"""The two ways of showing a run that goes on: a panel that changes in place, or lines that stay."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live

from analysis.watch import words
from analysis.watch.follower import Progress
from analysis.watch.panel import panel

Now = Callable[[], float]
"""Tells the time, in seconds since 1970."""


class Display(AbstractContextManager["Display"], Protocol):
    """Shows how far a run is, again and again."""

    def show(self, progress: Progress) -> None:
        """Show it as it is now."""


class PanelDisplay:
    """A panel that changes in place, for terminals.

    Args:
        console: the terminal.
        now: the clock.
    """

    def __init__(self, console: Console, now: Now) -> None:
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._now = now

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, traceback)

    def show(self, progress: Progress) -> None:
        """Redraw the panel."""
        self._live.update(panel(progress, self._now()), refresh=True)


class LineDisplay:
    """A line for each new round and each change of status, for pipes and files.

    Args:
        stream: where lines go.
        now: the clock.
    """

    def __init__(self, stream: TextIO, now: Now) -> None:
        self._stream, self._now = stream, now
        self._has_begun = False
        self._said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave everything as it is: every line was flushed."""

    def show(self, progress: Progress) -> None:
        """Write what is new."""
        if not self._has_begun:
            self._has_begun = True
            self._write(f"run directory: {progress.run}")
        if progress.newest:
            left = words.left_words(progress, self._now())
            line = words.round_words(progress.newest, progress.num_planned)
            self._write(f"{line} | {left}" if left else line)
            for who in progress.newest.rejected:
                self._write(f"  rejected: {who}")
        self._say_status(progress)

    def _say_status(self, progress: Progress) -> None:
        """Write the status where it has changed; rounds say themselves how far a run is that goes on."""
        if progress.status.word == self._said or progress.is_behind:
            return
        self._said = progress.status.word
        unseen = words.unseen_words(progress, self._now())
        self._write(" | ".join(part for part in (words.status_words(progress), unseen) if part))

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()
