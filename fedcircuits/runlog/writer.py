"""Writes the run directory: Parquet tables by round, run.json, checkpoints. Whole rounds only; nothing is half written.

Every file is written beside its place, flushed and renamed. A round exists for readers from the moment run.json names
it as the last one, which happens after all of its parts and its checkpoint are in place. One process at a time writes.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from fedcircuits.errors import RunLogError
from fedcircuits.records import TABLES
from fedcircuits.runlog.checkpoints import CHECKPOINTS, DIGESTS, keep_newest, round_of, write_checkpoint
from fedcircuits.runlog.lock import RunLock
from fedcircuits.runlog.reader import RUN_FILE, SCHEMA_VERSION, read_info
from fedcircuits.runlog.state import RunState
from fedcircuits.whole_files import flush_folder, write_whole

Rows = Sequence[Mapping[str, Any]]


class RunLog:
    """Writes one run directory, which is locked until the run ends."""

    def __init__(self, path: Path, info: dict[str, Any], num_checkpoints: int, lock: RunLock) -> None:
        self.path = path
        self._info = info
        self._num_checkpoints = num_checkpoints
        self._lock = lock

    @classmethod
    def create(cls, root: Path, name: str, facts: Mapping[str, Any], num_checkpoints: int = 1) -> "RunLog":
        """Make a new run directory `<UTC time>-<name>` under `root` and write its run.json with status `running`.

        Args:
            root: folder of run directories, made if missing.
            name: label of the experiment; anything but letters, digits, dot, dash and underscore becomes a dash.
            facts: what run.json says besides status and times; plain JSON values.
            num_checkpoints: newest checkpoints kept.

        Raises:
            RunLogError: if the folder cannot be written.
        """
        started = datetime.now(UTC)
        label = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"
        try:
            path = _new_folder(root.expanduser().resolve() / f"{started:%Y%m%dT%H%M%SZ}-{label}")
            for folder in (*TABLES, CHECKPOINTS):
                (path / folder).mkdir()
            lock = RunLock(path)
        except OSError as error:
            raise RunLogError(f"run-dir: cannot write to {root.expanduser().resolve()}: {error}") from error
        info = {
            "schema_version": SCHEMA_VERSION,
            "name": label,
            "status": "running",
            "reason": None,
            "started": started.isoformat(timespec="seconds"),
            "finished": None,
            "last_round": 0,
            **facts,
        }
        log = cls(path, info, num_checkpoints, lock)
        log._write_info()
        with _explained(path.name):
            flush_folder(path.parent)  # which has the run's own folder
        return log

    @classmethod
    def reopen(cls, path: Path) -> "RunLog":
        """Take over the directory of a run that has ended early; no round is touched before `go_on` is called.

        Raises:
            RunLogError: if another process writes it, it is no run directory of this version, or the run is complete.
        """
        try:
            lock = RunLock(path)
        except OSError as error:
            raise RunLogError(f"cannot write to {path}: {error}") from error
        try:
            return cls(path, _read_unfinished(path), num_checkpoints=1, lock=lock)
        except RunLogError:
            lock.release()
            raise

    def go_on(self, num_checkpoints: int, resumption: Mapping[str, Any]) -> None:
        """Clear away what an unfinished round has left, and mark the run as running again.

        Args:
            num_checkpoints: newest checkpoints kept from now on.
            resumption: what run.json says about this, besides its time and round; plain JSON values.
        """
        self._num_checkpoints = num_checkpoints
        self._remove_leftovers()
        entry = {"round": self.last_round, "time": datetime.now(UTC).isoformat(timespec="seconds"), **resumption}
        resumed = [*self._info.get("resumed", []), entry]
        self._info.update(status="running", reason=None, finished=None, resumed=resumed)
        self._write_info()

    @property
    def info(self) -> Mapping[str, Any]:
        """What run.json says."""
        return self._info

    @property
    def last_round(self) -> int:
        """The last whole round; 0 before the first."""
        last_round: int = self._info["last_round"]
        return last_round

    @property
    def is_locked(self) -> bool:
        """Whether other writers are kept out; false where the file system knows no locks."""
        return self._lock.is_held

    def close(self) -> None:
        """Let others write; called when the run has ended."""
        self._lock.release()

    def write_round(
        self,
        server_round: int,
        tables: Mapping[str, Rows | pa.Table],
        weights: Mapping[str, Tensor] | None,
        state: RunState | None = None,
    ) -> None:
        """Write one round's tables and checkpoint; readers see all of it or nothing.

        Args:
            server_round: the round, 1-based.
            tables: table name to rows, or to a table of the right schema; tables left out have no rows.
            weights: the global model after the round; None leaves no checkpoint.
            state: what else the next round depends on; None leaves a run that cannot be resumed.

        Raises:
            RunLogError: if a file cannot be written, as on a full disk; earlier rounds are as they were.
        """
        before = dict(self._info)
        try:
            with _explained(f"round {server_round}"):
                self._write_files(server_round, tables, weights, state)
        except RunLogError:
            # On a full disk this makes the room in which run.json can say how the run ended.
            self._info = before
            self._remove_leftovers()
            raise
        keep_newest(self.path, self._num_checkpoints)

    def note(self, **facts: Any) -> None:
        """Add to run.json what was learned after the start.

        Raises:
            RunLogError: if it cannot be written.
        """
        self._info.update(facts)
        self._write_info()

    def complete(self) -> None:
        """Mark the run as completed.

        Raises:
            RunLogError: if run.json cannot be written.
        """
        self._finish("completed", None)

    def fail(self, reason: str) -> None:
        """Mark the run as failed; what its whole rounds logged stays readable.

        Raises:
            RunLogError: if run.json cannot be written.
        """
        self._finish("failed", reason)

    def _write_files(
        self,
        server_round: int,
        tables: Mapping[str, Rows | pa.Table],
        weights: Mapping[str, Tensor] | None,
        state: RunState | None,
    ) -> None:
        for name, schema in TABLES.items():
            rows = tables.get(name, ())
            table = rows if isinstance(rows, pa.Table) else _table(name, rows)
            part = self.path / name / f"round-{server_round:04d}.parquet"
            write_whole(part, partial(_write_part, table.cast(schema)))
        digests = {} if weights is None else write_checkpoint(self.path, server_round, weights, state)
        for folder in (*TABLES, CHECKPOINTS):
            # All together and not file by file: a file system that keeps a journal then writes it once.
            flush_folder(self.path / folder)
        self._info.update({"last_round": server_round, DIGESTS: digests})
        self._write_info()

    def _remove_leftovers(self) -> None:
        """Remove what there is of rounds that run.json does not name."""
        for path in _leftovers(self.path, self.last_round):
            path.unlink()

    def _finish(self, status: str, reason: str | None) -> None:
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        self._info.update(status=status, reason=reason, finished=finished)
        self._write_info()
        self.close()

    def _write_info(self) -> None:
        text = json.dumps(self._info, indent=2) + "\n"
        with _explained(RUN_FILE):
            write_whole(self.path / RUN_FILE, lambda temporary: temporary.write_text(text, encoding="utf-8"))
            flush_folder(self.path)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn an error of the file system into one that says what could not be written."""
    try:
        yield
    except OSError as error:
        raise RunLogError(f"{what} cannot be written: {error}") from error


def _table(name: str, rows: Rows) -> pa.Table:
    """Lay rows out by their schema; a column that the schema lacks would vanish without a word."""
    unknown = sorted({column for row in rows for column in row} - set(TABLES[name].names))
    if unknown:
        raise RunLogError(f"{name}: no such columns: {', '.join(unknown)}")
    return pa.Table.from_pylist(list(rows), TABLES[name])


def _write_part(table: pa.Table, path: Path) -> None:
    """Write a table as a small file: parts are read whole, and by this schema, so statistics would serve nobody."""
    single = [field for field in table.schema if not pa.types.is_nested(field.type)]
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=9,
        write_statistics=False,
        store_schema=False,
        use_dictionary=[field.name for field in single if not pa.types.is_floating(field.type)],
        use_byte_stream_split=[field.name for field in single if pa.types.is_floating(field.type)],
    )


def _read_unfinished(run: Path) -> dict[str, Any]:
    """Return the run.json of a run that can go on, as far as the run log can tell."""
    info = read_info(run)
    if info.get("status") == "completed":
        raise RunLogError(f"{run} is complete; nothing to resume")
    if not isinstance(info.get("last_round"), int) or not isinstance(info.get("settings"), dict):
        raise RunLogError(f"{run / RUN_FILE} lacks a valid last_round or settings")
    missing = [name for name in (*TABLES, CHECKPOINTS) if not (run / name).is_dir()]
    if missing:
        raise RunLogError(f"{run} cannot be resumed: it lacks the folders {', '.join(missing)}")
    return info


def _leftovers(run: Path, last_round: int) -> list[Path]:
    """Return the files of rounds after the last whole one, and those that were being written."""
    patterns = (f"{CHECKPOINTS}/*-*.safetensors", *(f"{name}/round-*.parquet" for name in TABLES))
    unfinished = [path for pattern in patterns for path in run.glob(pattern) if round_of(path) > last_round]
    return [*unfinished, *run.glob(".*.tmp"), *run.glob("*/.*.tmp")]


def _new_folder(path: Path) -> Path:
    """Make `path`, or `path-2`, `path-3`, … if runs of the same second have taken it."""
    for number in range(1, 1000):
        candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            candidate.mkdir(parents=True)
        except FileExistsError:
            continue
        return candidate
    raise RunLogError(f"{path} and its 998 successors exist already")
