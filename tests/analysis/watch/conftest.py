"""A run that grows by a round at a time, and its times."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedcircuits.records import TABLES
from fedcircuits.runlog.reader import part_path
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
Change = Callable[[int, Tables], None]


class GrowingRun:
    """A run of up to ten rounds, none of which is written yet."""

    def __init__(self, log: RunLog, tables: dict[int, Tables]) -> None:
        self.log = log
        self._tables = tables

    @property
    def path(self) -> Path:
        return self.log.path

    def grow(self, num_rounds: int = 1) -> None:
        """Write the next rounds."""
        for _ in range(num_rounds):
            server_round = self.log.last_round + 1
            self.log.write_round(server_round, self._tables[server_round], None)

    def end_round_at(self, server_round: int, seconds: float) -> None:
        """Make it look as if a round had been written then, in seconds since 1970."""
        for name in TABLES:
            os.utime(part_path(self.path, name, server_round), (seconds, seconds))


@pytest.fixture
def growing_run(write_run: Callable[..., RunLog], monkeypatch: pytest.MonkeyPatch) -> Callable[..., GrowingRun]:
    """Return a function that begins a run; `change` may change the tables of its rounds, the rest are settings."""

    def begin(change: Change = lambda server_round, tables: None, **settings: Any) -> GrowingRun:
        kept: dict[int, Tables] = {}

        def keep(server_round: int, tables: Tables) -> None:
            change(server_round, tables)
            kept[server_round] = tables

        with monkeypatch.context() as nothing_written:
            nothing_written.setattr(RunLog, "write_round", lambda *arguments: None)
            write_run("donor", num_rounds=4, change=keep).complete()
        return GrowingRun(write_run("growing", num_rounds=0, **{"num_server_rounds": 4} | settings), kept)

    return begin
