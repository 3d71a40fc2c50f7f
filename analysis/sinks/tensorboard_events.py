"""Rounds as event files of TensorBoard, by the package's own writer, which torch's goes through as well."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from analysis.sinks.sink import Opener, needed
from fedcircuits.errors import ExportError

_PACKAGE: Final = ("tensorboard", "tensorboard>=2.16")


class EventFile:
    """One event file: a step per round, at the time at which the round ended.

    Args:
        folder: where to write; TensorBoard calls the run by it. Files that were written here before stay, but no longer
            count: TensorBoard reads files in order, and a new one tells it to forget what came before.

    Raises:
        ExportError: if the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        writers = needed("tensorboard.summary.writer.event_file_writer", *_PACKAGE)
        self._event = needed("tensorboard.compat.proto.event_pb2", *_PACKAGE)
        self._summary = needed("tensorboard.compat.proto.summary_pb2", *_PACKAGE).Summary
        self._folder = folder
        with self._explained():
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = writers.EventFileWriter(str(folder))
            start = self._event.SessionLog(status=self._event.SessionLog.START)
            self._writer.add_event(self._event.Event(step=1, session_log=start))

    def write(self, server_round: int, ended_at: float, scalars: Mapping[str, float]) -> None:
        """Write a round, whole on disk before this returns."""
        values = [self._summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        event = self._event.Event(wall_time=ended_at, step=server_round, summary=self._summary(value=values))
        with self._explained():
            self._writer.add_event(event)
            self._writer.flush()

    def close(self, status: str) -> None:  # noqa: ARG002 - event files know no status
        """Close the file."""
        with self._explained():
            self._writer.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ExportError(f"--to tensorboard: {self._folder} cannot be written: {error}") from error


def opener(argument: str) -> Opener:
    """Return what opens an event file for a run.

    Args:
        argument: folder of TensorBoard runs, in which each run gets a folder of its own; empty = the folder
            `tensorboard` in the run directory.

    Raises:
        ExportError: if the package is missing.
    """
    needed("tensorboard.summary.writer.event_file_writer", *_PACKAGE)

    def open_file(run: Path, settings: Mapping[str, Any]) -> EventFile:  # noqa: ARG001 - event files have no settings
        return EventFile(Path(argument).expanduser() / run.resolve().name if argument else run / "tensorboard")

    return open_file
