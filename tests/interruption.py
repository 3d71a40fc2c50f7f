"""Runs that are stopped on purpose, and the comparison of two runs file by file."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from federation import InProcessGrid
from flwr.app import Message, MessageType
from tiny_runs import TIMINGS

TIMED_TABLES = ("clients", "costs")


class Stopped(BaseException):
    """What stops a run; no error of ours, so that nothing can expect it."""


class StoppingGrid(InProcessGrid):
    """Stops the run when the clients are asked to train, or to evaluate, after so many rounds of this process."""

    def __init__(self, num_clients: int, num_rounds: int, when: str = MessageType.TRAIN, **options) -> None:
        super().__init__(num_clients, **options)
        self._left = num_rounds
        self._when = when

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        messages = list(messages)
        if any(message.metadata.message_type == self._when for message in messages):
            if self._left == 0:
                raise Stopped
            self._left -= 1
        return super().send_and_receive(messages, timeout=timeout)


def assert_same_logs(one: Path, other: Path) -> None:
    """Check that two runs have left the same files with the same bytes, apart from run.json and columns of seconds."""
    names = {str(path.relative_to(one)) for path in one.rglob("*") if path.is_file()}
    assert names == {str(path.relative_to(other)) for path in other.rglob("*") if path.is_file()}
    assert any(name.startswith("checkpoints/state-") for name in names)
    for name in sorted(names - {"run.json", "run.lock"}):
        if name.split("/")[0] in TIMED_TABLES:
            frames = [pd.read_parquet(run / name).drop(columns=TIMINGS, errors="ignore") for run in (one, other)]
            pd.testing.assert_frame_equal(*frames)
        else:
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
