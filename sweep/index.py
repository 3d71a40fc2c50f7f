"""The index of a sweep: what became of every run, in `sweep.json`, written anew after each."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from fedcircuits.errors import SweepError
from fedcircuits.whole_files import write_whole
from sweep.plan import Job

INDEX_FILE: Final = "sweep.json"
SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class Entry:
    """One run of a sweep.

    Args:
        experiment: name of the configuration.
        seed: of the run.
        status: `pending` until the run has ended.
        run: name of the run directory within the sweep's folder; None if there is none.
        seconds: from start to end; None if pending.
        reason: why it failed; None otherwise.
    """

    experiment: str
    seed: int
    status: Literal["pending", "completed", "failed"] = "pending"
    run: str | None = None
    seconds: float | None = None
    reason: str | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What tells runs of a sweep apart."""
        return self.experiment, self.seed


class Index:
    """The entries of a sweep's folder."""

    def __init__(self, folder: Path, entries: dict[tuple[str, int], Entry]) -> None:
        self._path = folder / INDEX_FILE
        self._entries = entries

    @classmethod
    def open(cls, folder: Path, jobs: Sequence[Job]) -> "Index":
        """Read the index of a folder, if it has one, and add the jobs that it lacks as pending; nothing is written yet.

        Raises:
            SweepError: if the index is unreadable.
        """
        entries = {entry.key: entry for entry in _read(folder / INDEX_FILE)}
        for job in jobs:
            entries.setdefault((job.experiment, job.seed), Entry(job.experiment, job.seed))
        return cls(folder, entries)

    def entry(self, job: Job) -> Entry:
        """Return what is known of a job's run."""
        return self._entries[job.experiment, job.seed]

    def put(self, entry: Entry) -> None:
        """Replace what is known of a run, on disk too."""
        self._entries[entry.key] = entry
        self.write()

    def write(self) -> None:
        """Put the index on disk, whole."""
        content = {"schema_version": SCHEMA_VERSION, "runs": [asdict(entry) for entry in self._entries.values()]}
        text = json.dumps(content, indent=2) + "\n"
        write_whole(self._path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _read(path: Path) -> list[Entry]:
    if not path.exists():
        return []
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {content['schema_version']}, expected {SCHEMA_VERSION}")
        return [Entry(**entry) for entry in content["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SweepError(f"{path} cannot be read: {error}") from error
