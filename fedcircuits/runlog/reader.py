"""Reads a run directory: run.json and the tables of its whole rounds. Free of torch, so that analysis starts fast.

A round exists for readers from the moment run.json names it as the last one.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fedcircuits.errors import RunLogError
from fedcircuits.records import TABLES
from fedcircuits.records.renamings import renamed_settings

RUN_FILE = "run.json"
SCHEMA_VERSION = 3


def find_run(path: Path) -> Path:
    """Return the run directory at `path`: itself, or the one in it that started last, whatever it is called.

    Raises:
        RunLogError: if there is none.
    """
    if (path / RUN_FILE).is_file():
        return path
    if not path.exists():
        raise RunLogError(f"{path.resolve()} does not exist: give a run directory, or a folder of them")
    runs = sorted((p.parent for p in path.glob(f"*/{RUN_FILE}")), key=_started) if path.is_dir() else []
    if not runs:
        raise RunLogError(
            f"no run found in {path.resolve()}: it holds no {RUN_FILE}, nor does any folder in it. "
            "A run prints the path of its directory at its start and end."
        )
    return runs[-1]


def _started(run: Path) -> tuple[datetime, str]:
    """Return when a run started; of a damaged one, which must not be passed over, when its file was written."""
    try:
        started = datetime.fromisoformat(json.loads((run / RUN_FILE).read_text(encoding="utf-8"))["started"])
        return started if started.tzinfo else started.replace(tzinfo=UTC), run.name
    except (OSError, ValueError, KeyError, TypeError):
        return datetime.fromtimestamp((run / RUN_FILE).stat().st_mtime, UTC), run.name


def read_info(run: Path) -> dict[str, Any]:
    """Return what run.json of a run directory says.

    Raises:
        RunLogError: if it is unreadable, or of a version that this code does not know.
    """
    try:
        info: dict[str, Any] = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunLogError(f"{run / RUN_FILE} cannot be read: {error}") from error
    version = info.get("schema_version") if isinstance(info, dict) else None
    if version != SCHEMA_VERSION:
        other = "names none" if version is None else f"is of version {version}, which another release wrote"
        raise RunLogError(f"{run / RUN_FILE} is not of schema version {SCHEMA_VERSION}: it {other}")
    if isinstance(info.get("settings"), dict):
        info["settings"] = renamed_settings(info["settings"])
    return info


def part_path(run: Path, name: str, server_round: int) -> Path:
    """Return where a run directory has a round of a table."""
    return run / name / f"round-{server_round:04d}.parquet"


def read_table(run: Path, name: str, last_round: int, first_round: int = 1) -> pd.DataFrame:
    """Return one table of a run, rounds in order, from `first_round` up to and including `last_round`.

    Raises:
        RunLogError: if a part is missing, damaged or lacks a column.
    """
    # Every whole round has a part of every table, if only an empty one, so a part that is missing was lost.
    paths = [part_path(run, name, server_round) for server_round in range(first_round, last_round + 1)]
    parts = [_read_part(path, TABLES[name]) for path in paths]
    table = pa.concat_tables(parts) if parts else TABLES[name].empty_table()
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    return frame


def _read_part(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        part = pq.read_table(path)
        missing = sorted(set(schema.names) - set(part.column_names))
        if missing:
            raise RunLogError(f"{path} lacks the columns {', '.join(missing)}")
        return part.select(schema.names).cast(schema)
    except FileNotFoundError as error:
        raise RunLogError(f"{path} is missing, though the run has had this round") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RunLogError(f"{path} cannot be read: {error}") from error
