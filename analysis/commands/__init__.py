"""The commands of `python -m analysis`, a module each: `add` describes its options, and sets the function to run."""

import argparse
import textwrap
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

EXIT_OK: Final = 0
EXIT_NOT_COMPLETED: Final = 1
EXIT_ERROR: Final = 2
EXIT_INTERRUPTED: Final = 130

PROGRAM: Final = "python -m analysis"

_TEXT_WIDTH: Final = 88

Command = Callable[[argparse.Namespace], int]
"""Does what the options say, and returns the exit code."""

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def new_command(
    commands: Commands,
    name: str,
    purpose: str,
    command: Command,
    details: str = "",
    examples: Mapping[str, str] | None = None,
) -> argparse.ArgumentParser:
    """Add a command without options.

    Args:
        commands: where to add it.
        name: what the user types.
        purpose: what it does, in a line without a full stop.
        command: the function that does it.
        details: more sentences for its own help page: what question it answers.
        examples: arguments after the command's name to what they do, for the end of its help page.
    """
    parser = commands.add_parser(
        name,
        help=purpose,
        description=fill(f"{purpose[0].upper()}{purpose[1:]}. {details}"),
        epilog=example_text({f"{name} {arguments}".strip(): what for arguments, what in (examples or {}).items()}),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def add_run(parser: argparse.ArgumentParser) -> None:
    """Let a command take one run, by default the newest in `runs`."""
    what = "a run directory, or a folder of them (then: the newest); default: runs"
    parser.add_argument("run", nargs="?", default="runs", metavar="RUN", help=what)


def fill(text: str) -> str:
    """Break a text into lines for a help page."""
    return textwrap.fill(text.strip(), _TEXT_WIDTH)


def example_text(examples: Mapping[str, str]) -> str:
    """Lay out examples, what each does above it; empty without any."""
    lines = [f"  # {what}\n  {PROGRAM} {example}" for example, what in examples.items()]
    return "\n".join(["examples:", *lines]) if lines else ""
