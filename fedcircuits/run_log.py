"""Writes the run directory: Parquet tables by round, run.json, checkpoints. Whole rounds only; nothing is half written.

Every file is written beside its place, flushed and renamed. A round exists for readers from the moment run.json names
it as the last one, which happens after all of its parts and its checkpoint are in place.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from fedcircuits.errors import RunLogError
from fedcircuits.records import TABLES
from fedcircuits.run_reader import RUN_FILE, SCHEMA_VERSION
from fedcircuits.whole_files import write_whole

CHECKPOINTS = "checkpoints"

Rows = Sequence[Mapping[str, Any]]


class RunLog:
    """Writes one run directory."""

    def __init__(self, path: Path, info: dict[str, Any], num_checkpoints: int) -> None:
        self.path = path
        self._info = info
        self._num_checkpoints = num_checkpoints

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
        log = cls(path, info, num_checkpoints)
        log._write_info()
        return log

    def write_round(
        self, server_round: int, tables: Mapping[str, Rows | pa.Table], weights: Mapping[str, Tensor] | None
    ) -> None:
        """Write one round's tables and checkpoint; readers see all of it or nothing.

        Args:
            server_round: the round, 1-based.
            tables: table name to rows, or to a table of the right schema; tables left out have no rows.
            weights: the global model after the round; None leaves no checkpoint.
        """
        for name, schema in TABLES.items():
            rows = tables.get(name, ())
            table = rows if isinstance(rows, pa.Table) else _table(name, rows)
            part = self.path / name / f"round-{server_round:04d}.parquet"
            write_whole(part, partial(_write_part, table.cast(schema)))
        if weights is not None:
            content = save(dict(weights))
            checkpoint = self.path / CHECKPOINTS / f"round-{server_round:04d}.safetensors"
            write_whole(checkpoint, lambda temporary: temporary.write_bytes(content))
        self._info["last_round"] = server_round
        self._write_info()
        checkpoints = sorted((self.path / CHECKPOINTS).glob("round-*.safetensors"), key=_round_of)
        for old in checkpoints[: -self._num_checkpoints]:
            old.unlink()

    def note(self, **facts: Any) -> None:
        """Add to run.json what was learned after the start."""
        self._info.update(facts)
        self._write_info()

    def complete(self) -> None:
        """Mark the run as completed."""
        self._finish("completed", None)

    def fail(self, reason: str) -> None:
        """Mark the run as failed; what its whole rounds logged stays readable."""
        self._finish("failed", reason)

    def _finish(self, status: str, reason: str | None) -> None:
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        self._info.update(status=status, reason=reason, finished=finished)
        self._write_info()

    def _write_info(self) -> None:
        text = json.dumps(self._info, indent=2) + "\n"
        write_whole(self.path / RUN_FILE, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_checkpoint(run: Path, server_round: int) -> dict[str, Tensor]:
    """Return the global weights after a round that is still kept.

    Raises:
        RunLogError: if there is no such checkpoint, or it is damaged.
    """
    path = run / CHECKPOINTS / f"round-{server_round:04d}.safetensors"
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunLogError(f"{path} cannot be read: {error}") from error
    return weights


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


def _round_of(path: Path) -> int:
    """Return the round that a checkpoint belongs to; past 9,999 names no longer sort like numbers."""
    return int(path.stem.removeprefix("round-"))


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
