"""Finds the run directories that a comparison is about: single runs, folders of runs, and sweeps with an index."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from analysis.runs.standing import standing_of
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.reader import RUN_FILE

SWEEP_FILE: Final = "sweep.json"
"""Index of a sweep: every run that was planned, and what became of it."""

_SWEEP_SCHEMA_VERSION: Final = 1
_STATUSES: Final = ("completed", "failed", "pending")


@dataclass(frozen=True)
class Found:
    """Run directories, and what a reader must know about them.

    Args:
        runs: each once, in the order found.
        notes: sentences about what is missing or unfinished.
    """

    runs: tuple[Path, ...]
    notes: tuple[str, ...]


def find_runs(paths: Sequence[Path]) -> Found:
    """Return the runs that `paths` name.

    A run directory counts as it is, also if it has failed or still runs, with a note. Of a folder only the completed
    runs count: those that its `sweep.json` lists, or where there is none, every one in it.

    Args:
        paths: run directories, folders of run directories, sweep folders.

    Raises:
        RunLogError: if a path does not exist, an index or a run.json is damaged, or nothing was found.
    """
    found = [_runs_at(path.expanduser()) for path in paths]
    runs = dict.fromkeys(run.resolve() for one in found for run in one.runs)
    notes = tuple(dict.fromkeys(note for one in found for note in one.notes))
    if not runs:
        places = ", ".join(str(path.expanduser().resolve()) for path in paths)
        inside = sorted(str(index.parent) for path in paths for index in path.expanduser().glob(f"*/{SWEEP_FILE}"))
        hint = [f"sweeps lie one level down, name them: {' '.join(inside)}"] if inside else []
        raise RunLogError("; ".join([f"no completed run found in {places}", *notes, *hint]))
    return Found(tuple(runs), notes)


def is_folder_of_runs(path: Path) -> bool:
    """Tell whether a path is a folder that holds runs rather than a run."""
    return path.is_dir() and not (path / RUN_FILE).is_file()


def _runs_at(path: Path) -> Found:
    if (path / RUN_FILE).is_file():
        return _single(path)
    if not path.is_dir():
        raise RunLogError(f"{path.resolve()} {'is no run or folder of runs' if path.exists() else 'does not exist'}")
    return _sweep(path) if (path / SWEEP_FILE).is_file() else _folder(path)


def _single(run: Path) -> Found:
    standing = standing_of(run)
    if standing.word == "completed":
        return Found((run,), ())
    last_round = standing.info.get("last_round")
    return Found((run,), (f"{run.resolve().name}: {standing.word}; counts up to round {last_round}",))


def _folder(folder: Path) -> Found:
    status = {run: _status(run) for run in sorted(file.parent for file in folder.glob(f"*/{RUN_FILE}"))}
    others = [one for one in status.values() if one != "completed"]
    name = folder.resolve().name
    notes = [f"{name}: {len(others)} of {len(status)} runs do not count ({_counts(others)})"] if others else []
    return Found(tuple(run for run in status if status[run] == "completed"), tuple(notes))


def _sweep(folder: Path) -> Found:
    entries = _read_index(folder / SWEEP_FILE)
    name = folder.resolve().name
    notes = [_what_is_missing(name, entries)]
    runs = []
    for entry in entries:
        if entry["status"] != "completed":
            continue
        run = folder / str(entry["run"])
        status = _status(run) if (run / RUN_FILE).is_file() else "not there"
        if status == "completed":
            runs.append(run)
        else:
            notes.append(f"{name}: {run.name} is completed according to {SWEEP_FILE}, but is {status}; left out")
    listed = {entry["run"] for entry in entries if entry["status"] == "completed"}
    leftovers = [file.parent for file in folder.glob(f"*/{RUN_FILE}") if file.parent.name not in listed]
    if leftovers:
        notes.append(f"{name}: {len(leftovers)} more in the folder left out, not completed according to {SWEEP_FILE}")
    return Found(tuple(runs), tuple(note for note in notes if note))


def _read_index(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a sweep's index, each with a known status and, if completed, the name of a folder."""
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunLogError(f"{path} cannot be read: {error}") from error
    if not isinstance(index, dict) or index.get("schema_version") != _SWEEP_SCHEMA_VERSION:
        raise RunLogError(f"{path} is not of schema version {_SWEEP_SCHEMA_VERSION}")
    entries = index.get("runs")
    if not isinstance(entries, list):
        raise RunLogError(f"{path} lacks its list of runs")
    for number, entry in enumerate(entries):
        problem = _problem(entry)
        if problem:
            raise RunLogError(f"{path}: entry {number} of runs: {problem}")
    return entries


def _problem(entry: Any) -> str:
    """Say what is wrong with an entry of the index; empty if nothing is."""
    if not isinstance(entry, dict) or entry.get("status") not in _STATUSES:
        return f"status must be one of {', '.join(_STATUSES)}"
    run = entry.get("run")
    if entry["status"] == "completed" and (not isinstance(run, str) or not run or Path(run).name != run):
        return f"run must be the name of a folder in the sweep folder, not {run!r}"
    return ""


def _what_is_missing(name: str, entries: Sequence[dict[str, Any]]) -> str:
    """Say how many planned runs have no result, and which have failed; empty if all are there."""
    missing = [entry for entry in entries if entry["status"] != "completed"]
    if not missing:
        return ""
    counts = _counts(entry["status"] for entry in missing)
    failed = [f"{entry.get('experiment')} seed {entry.get('seed')}" for entry in missing if entry["status"] == "failed"]
    listed = f"; failed: {', '.join(failed)}" if failed else ""
    return f"{name}: {len(missing)} of {len(entries)} planned runs are missing ({counts}){listed}"


def _status(run: Path) -> str:
    """Return a run's status; `imported` for a log that was made elsewhere, which has no seed to compare by."""
    standing = standing_of(run)
    return "imported" if "imported-from" in standing.info["settings"] else standing.word


def _counts(statuses: Iterable[str]) -> str:
    return ", ".join(f"{number} {status}" for status, number in sorted(Counter(statuses).items()))
