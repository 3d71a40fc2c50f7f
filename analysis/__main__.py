# PYTHON_ARGCOMPLETE_OK: argcomplete's global completion looks for this line
"""The command line of analysis: `python -m analysis COMMAND`; the commands are in `analysis.commands`."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Final

from analysis.commands import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    EXIT_OK,
    PROGRAM,
    compare,
    diagnose,
    example_text,
    figures,
    fill,
    follows,
    import_fedmi,
    report,
    status,
    summary,
    verdicts,
    watch,
)
from analysis.commands.completion import offer_completion
from analysis.commands.output import remark
from fedcircuits.errors import FedCircuitsError

_COMMANDS: Final = (summary, figures, diagnose, follows, report, status, watch, compare, verdicts, import_fedmi)

_DESCRIPTION: Final = """
Read what runs logged. RUN is a run directory, or a folder of them, of which the newest is read; without RUN that is the
folder runs. Results go to stdout and can be piped; remarks and errors go to stderr.
"""

_EXAMPLES: Final = {
    "summary": "how the newest run in ./runs went",
    "summary runs --format csv > rounds.csv": "the same, for a spreadsheet",
    "report": "all of it as one HTML file that opens offline",
    "figures": "pictures of it",
    "watch": "a run while it goes on",
    "status runs && echo completed": "for scripts",
    "compare runs/digits": "every experiment and seed of a sweep",
}

_EXIT_CODES: Final = """\
exit codes:
  0    done; of status and watch: the run completed
  1    status and watch only: the run failed, was interrupted, or is running
  2    no run was found, it is damaged or of another version, or the usage is wrong:
       one line on stderr says which
  130  interrupted by Ctrl-C

more examples: python -m analysis COMMAND --help"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: the command line without the program's name; None = that of the process.
    """
    parser = build_parser()
    offer_completion(parser)
    options = parser.parse_args(arguments)
    if sys.stdout is None:
        remark("error: standard output is closed")
        return EXIT_ERROR
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal or pipe without Unicode gets a question mark for a dash or a Greek letter, not a traceback.
        sys.stdout.reconfigure(errors="replace")
    try:
        code: int = options.command(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the pipe has gone; without this, Python complains once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except (FedCircuitsError, OSError) as error:
        remark(f"error: {' '.join(str(error).split())}")
        return EXIT_ERROR
    except KeyboardInterrupt:
        remark("interrupted")
        return EXIT_INTERRUPTED
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=fill(_DESCRIPTION),
        epilog=f"{example_text(_EXAMPLES)}\n\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND", title="commands")
    for command in _COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    # Figures become files, and need no backend that shows them; a notebook's, which its shells inherit, may not exist.
    os.environ["MPLBACKEND"] = "agg"
    sys.exit(main())
