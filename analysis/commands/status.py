"""`status`: how a run ended, for people and for scripts."""

import argparse
import sys
import time

from analysis.commands import EXIT_NOT_COMPLETED, EXIT_OK, Commands, add_run, new_command
from analysis.run import load_run
from fedcircuits.run_reader import RUN_FILE


def add(commands: Commands) -> None:
    """Describe the command."""
    purpose = "print status and reason; exit code 0 = completed, 1 = failed or running, 2 = no run"
    add_run(new_command(commands, "status", purpose, status))


def status(options: argparse.Namespace) -> int:
    """Print how a run ended, or how far it is."""
    run = load_run(options.run)
    ended, reason = run.info.get("status"), run.info.get("reason")
    planned = run.settings.get("num-server-rounds", "?")
    sys.stdout.write(f"{run.path.name}: {ended}, {run.info['last_round']} of {planned} rounds\n")
    if reason:
        sys.stdout.write(f"{reason}\n")
    if ended == "running":
        minutes = (time.time() - (run.path / RUN_FILE).stat().st_mtime) / 60
        sys.stdout.write(f"last written {minutes:.0f} min ago; a run that was killed stays like this\n")
    return EXIT_OK if ended == "completed" else EXIT_NOT_COMPLETED
