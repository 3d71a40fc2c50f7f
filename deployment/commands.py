"""Runs a command and shows it as it would be typed."""

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class CommandError(Exception):
    """A command failed; the message has the command and what it said."""


def show(command: Sequence[str]) -> None:
    """Print a command."""
    print(f"$ {shlex.join(command)}", flush=True)


def run_command(command: Sequence[str], environment: Mapping[str, str] | None = None, timeout_s: float = 60) -> str:
    """Run a command to its end and return what it printed.

    Raises:
        CommandError: if it fails, or does not end in time.
    """
    show(command)
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"{shlex.join(command)}: {error}") from error
    if done.returncode:
        raise CommandError(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def installed(name: str) -> str:
    """Return the path of one of Flower's commands: that of this Python's environment, activated or not."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name
