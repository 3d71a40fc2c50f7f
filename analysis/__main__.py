"""The command line of analysis: `python -m analysis COMMAND`; the commands are in `analysis.commands`."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from analysis.commands import (
    EXIT_ERROR,
    EXIT_OK,
    compare,
    diagnose,
    figures,
    follows,
    import_fedmi,
    report,
    status,
    summary,
    verdicts,
)
from fedcircuits.errors import FedCircuitsError

_COMMANDS: Final = (summary, figures, diagnose, follows, report, status, compare, verdicts, import_fedmi)

_EXAMPLES: Final = """\
examples:
  python -m analysis summary                          the newest run in ./runs
  python -m analysis summary runs/20260101T120000Z-x  that run
  python -m analysis summary runs --format json       for other programs
  python -m analysis figures runs --out paper --format pdf
  python -m analysis figures runs --set paper         the figures of arXiv 2512.23043
  python -m analysis diagnose runs --round 5          heavy measures of that round
  python -m analysis follows runs --layer conv3        does overlap follow class or client?
  python -m analysis report runs                      one HTML file to look at, and to pass on
  python -m analysis status runs && echo completed    exit code 0 only if the run completed
  python -m analysis compare runs/digits              every experiment and seed of a sweep
  python -m analysis compare runs/A runs/B --baseline digits-iid --tables-only
  python -m analysis verdicts runs/digits             which of the paper's claims hold there
  python -m analysis import-fedmi circuits_per_round.json runs
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: the command line without the program's name; None = that of the process.
    """
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except FedCircuitsError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return EXIT_ERROR
    except BrokenPipeError:
        # The reader of the pipe has gone; without this, Python complains once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Read what runs logged. RUN is a run directory, or a folder of them, of which the newest is read.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
