"""`status`: how a run ended, for people and for scripts."""

import argparse
import time
from dataclasses import asdict, dataclass
from typing import Any

from analysis.commands import EXIT_NOT_COMPLETED, EXIT_OK, Commands, add_run, new_command
from analysis.commands.output import add_format, put, put_json
from analysis.runs.resuming import can_resume, resume_command
from analysis.runs.standing import standing_of
from fedcircuits.runlog.reader import RUN_FILE
from fedcircuits.runlog.run import Run, load_run


@dataclass(frozen=True)
class RunStatus:
    """How a run ended, or how far it is.

    Args:
        run: the run directory's name.
        path: the run directory.
        status: completed, failed, interrupted or running.
        reason: why it failed; None = not logged.
        last_round: the last whole round.
        num_rounds: rounds planned; None = unknown.
        has_writer: whether a process of this machine is writing it; None = it cannot be seen from here.
        written_ago_s: seconds since the last whole round was written.
        resume_command: what to type to go on; None if there is nothing to go on with.
    """

    run: str
    path: str
    status: str
    reason: str | None
    last_round: int
    num_rounds: Any
    has_writer: bool | None
    written_ago_s: float
    resume_command: str | None


def add(commands: Commands) -> None:
    """Describe the command."""
    purpose = "print status and reason; exit code 0 = completed, 1 = failed, interrupted or running, 2 = no run"
    details = (
        "Did it end, and if not, what now? Of a run that can go on, it prints the command to type. flwr run itself "
        "exits with 0 for a failed run, so scripts should ask here."
    )
    examples = {
        "": "the newest run in ./runs",
        "runs && echo completed": "go on in a script only after a completed run",
        "runs --format json": "for programs; same exit codes",
    }
    parser = new_command(commands, "status", purpose, status, details, examples)
    add_run(parser)
    add_format(parser, "text", "json")


def status(options: argparse.Namespace) -> int:
    """Print how a run ended, or how far it is, and what to type if it can go on."""
    found = run_status(load_run(options.run))
    if options.format == "json":
        put_json(asdict(found))
    else:
        put(_text(found))
    return EXIT_OK if found.status == "completed" else EXIT_NOT_COMPLETED


def run_status(run: Run) -> RunStatus:
    """Return how a run ended, as far as can be seen from this machine."""
    now = standing_of(run.path)
    ended, last_round, has_writer = now.word, now.info["last_round"], now.is_alive
    can_go_on = can_resume(ended, last_round) or has_writer is None
    return RunStatus(
        run=run.path.name,
        path=str(run.path.resolve()),
        status=ended,
        reason=now.reason or None,
        last_round=last_round,
        num_rounds=run.settings.get("num-server-rounds"),
        has_writer=has_writer,
        written_ago_s=max(0.0, time.time() - (run.path / RUN_FILE).stat().st_mtime),
        resume_command=resume_command(run) if can_go_on else None,
    )


def _text(found: RunStatus) -> str:
    num_rounds = "?" if found.num_rounds is None else found.num_rounds
    lines = [f"{found.run}: {found.status}, {found.last_round} of {num_rounds} rounds"]
    if found.reason:
        lines.append(found.reason)
    if found.status in {"running", "interrupted"}:
        lines.append(f"last written {found.written_ago_s / 60:.0f} min ago")
    if found.resume_command and found.has_writer is None:
        lines.append("from here it cannot be seen whether its process lives; if not, type:")
    elif found.resume_command:
        lines.append(f"to go on after round {found.last_round}, type in the project's folder:")
    return "\n".join([*lines, *([found.resume_command] if found.resume_command else [])]) + "\n"
