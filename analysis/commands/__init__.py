"""The commands of `python -m analysis`, a module each: `add` describes its options, and sets the function to run."""

import argparse
from collections.abc import Callable
from typing import Final, TypeAlias

EXIT_OK: Final = 0
EXIT_NOT_COMPLETED: Final = 1
EXIT_ERROR: Final = 2

Command = Callable[[argparse.Namespace], int]
"""Does what the options say, and returns the exit code."""

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def new_command(
    commands: Commands, name: str, purpose: str, command: Command, details: str = ""
) -> argparse.ArgumentParser:
    """Add a command without options.

    Args:
        commands: where to add it.
        name: what the user types.
        purpose: what it does, in a line without a full stop.
        command: the function that does it.
        details: more sentences for its own help page.
    """
    description = f"{purpose.capitalize()}. {details}".strip() if details else purpose
    parser = commands.add_parser(name, help=purpose, description=description)
    parser.set_defaults(command=command)
    return parser


def add_run(parser: argparse.ArgumentParser) -> None:
    """Let a command take one run, by default the newest in `runs`."""
    parser.add_argument("run", nargs="?", default="runs", metavar="RUN", help="default: runs")
