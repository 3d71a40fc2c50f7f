"""How a run stands: what its run.json says, put right where its process is gone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedcircuits.runlog.lock import is_written
from fedcircuits.runlog.run import Run, load_info


@dataclass(frozen=True, eq=False)
class Standing:
    """How a run stands.

    Args:
        info: what run.json says.
        word: `running`, `interrupted`, `failed` or `completed`.
        is_alive: whether a process writes the run; None if that cannot be seen. False unless the run is running.
    """

    info: dict[str, Any]
    word: str
    is_alive: bool | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen unless the run is resumed."""
        return self.word != "running"

    @property
    def reason(self) -> str:
        """Why the run failed; empty if it did not, or is going on again."""
        return str(self.info.get("reason") or "") if self.is_over else ""


def standing_of(folder: Path) -> Standing:
    """Look how a run stands now.

    Raises:
        RunLogError: if its run.json is damaged.
    """
    info = load_info(folder)
    if info.get("status") == "failed" and is_written(folder):
        # Whoever resumes a run has its lock before run.json says so.
        return Standing(info, "running", True)
    if info.get("status") != "running":
        return _ended(info)
    is_alive = is_written(folder)
    if is_alive is False:
        # A run writes how it ended before it lets go of the lock: it may have done both since run.json was read.
        info = load_info(folder)
        return Standing(info, "interrupted", False) if info.get("status") == "running" else _ended(info)
    return Standing(info, "running", is_alive)


def status_of(run: Run) -> str:
    """Return how a run stood when its log was read, put right where its process is gone."""
    status = str(run.info.get("status"))
    if status == "running" and standing_of(run.path).word == "interrupted":
        return "interrupted"
    return status


def _ended(info: dict[str, Any]) -> Standing:
    return Standing(info, str(info.get("status")), False)
