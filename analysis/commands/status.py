"""`status`: how a run ended, for people and for scripts."""

import argparse
import json
import shlex
import sys
import time

from analysis.commands import EXIT_NOT_COMPLETED, EXIT_OK, Commands, add_run, new_command
from analysis.run import Run, load_run
from fedcircuits.run_lock import is_written
from fedcircuits.run_reader import RUN_FILE


def add(commands: Commands) -> None:
    """Describe the command."""
    purpose = "print status and reason; exit code 0 = completed, 1 = failed, interrupted or running, 2 = no run"
    add_run(new_command(commands, "status", purpose, status))


def status(options: argparse.Namespace) -> int:
    """Print how a run ended, or how far it is, and what to type if it can go on."""
    run = load_run(options.run)
    ended, reason, last_round = run.info.get("status"), run.info.get("reason"), run.info["last_round"]
    has_writer = is_written(run.path) if ended == "running" else False
    if ended == "running" and has_writer is False:
        ended = "interrupted"
    sys.stdout.write(f"{run.path.name}: {ended}, {last_round} of {run.settings.get('num-server-rounds', '?')} rounds\n")
    if reason:
        sys.stdout.write(f"{reason}\n")
    if ended in {"running", "interrupted"}:
        minutes = (time.time() - (run.path / RUN_FILE).stat().st_mtime) / 60
        sys.stdout.write(f"last written {minutes:.0f} min ago\n")
    if ended == "interrupted" or (ended == "failed" and last_round):
        sys.stdout.write(f"to go on after round {last_round}, type in the project's folder:\n{_command(run)}\n")
    elif has_writer is None:
        sys.stdout.write(f"from here it cannot be seen whether its process lives; if not, type:\n{_command(run)}\n")
    return EXIT_OK if ended == "completed" else EXIT_NOT_COMPLETED


def _command(run: Run) -> str:
    """Return what resumes a run. A simulation must be given as many clients again; a federation is where it was."""
    parts = ["flwr", "run", ".", "--stream"]
    if run.info.get("is_simulation"):
        num_clients = run.info.get("num_clients")
        size = f"num-supernodes={num_clients} " if num_clients else ""
        parts += ["--federation-config", f"{size}client-resources-num-cpus=1"]
    else:
        parts.insert(3, "CONNECTION")
    # A string in JSON is the same string in TOML, which Flower reads.
    return shlex.join(
        [*parts, "--run-config", f"resume-from={json.dumps(str(run.path.resolve()), ensure_ascii=False)}"]
    )
