"""The command line of analysis: `python -m analysis summary|figures|status`."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from analysis.run import Run, load_run
from analysis.summary import summary_data, summary_text
from fedcircuits.errors import FedCircuitsError, RunLogError
from fedcircuits.run_reader import RUN_FILE

if TYPE_CHECKING:
    from analysis.figures import FigureSet

EXIT_OK: Final = 0
EXIT_NOT_COMPLETED: Final = 1
EXIT_ERROR: Final = 2

_EXAMPLES: Final = """\
examples:
  python -m analysis summary                          the newest run in ./runs
  python -m analysis summary runs/20260101T120000Z-x  that run
  python -m analysis summary runs --format json       for other programs
  python -m analysis figures runs --out paper --format pdf
  python -m analysis figures runs --set paper         the figures of arXiv 2512.23043
  python -m analysis status runs && echo completed    exit code 0 only if the run completed
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: the command line without the program's name; None = that of the process.
    """
    options = _parser().parse_args(arguments)
    try:
        run = load_run(options.run)
        if options.command == "summary":
            return _summary(run, options.format)
        if options.command == "figures":
            folder = Path(options.out) if options.out else run.path / "figures"
            return _figures(run, folder, options.format, options.set)
        return _status(run)
    except FedCircuitsError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return EXIT_ERROR
    except BrokenPipeError:
        # The reader of the pipe has gone; without this, Python complains once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def _summary(run: Run, text_format: str) -> int:
    text = summary_text(run) if text_format == "text" else json.dumps(summary_data(run), indent=2) + "\n"
    sys.stdout.write(text)
    return EXIT_OK


def _figures(run: Run, folder: Path, image_format: str, figure_set: "FigureSet") -> int:
    if run.info["last_round"] == 0:
        raise RunLogError(f"{run.path.name} has no whole round to draw; its status is {run.info.get('status')}")
    # Drawing libraries take a second to load; the other commands do without.
    from analysis.figures import save_figures  # noqa: PLC0415

    for saved in save_figures(run, folder.expanduser(), image_format, figure_set):
        sys.stdout.write(f"{saved.path}\n" if saved.path else f"skipped {saved.name}: {saved.reason}\n")
        sys.stdout.flush()
    return EXIT_OK


def _status(run: Run) -> int:
    status, reason = run.info.get("status"), run.info.get("reason")
    planned = run.settings.get("num-server-rounds", "?")
    sys.stdout.write(f"{run.path.name}: {status}, {run.info['last_round']} of {planned} rounds\n")
    if reason:
        sys.stdout.write(f"{reason}\n")
    if status == "running":
        minutes = (time.time() - (run.path / RUN_FILE).stat().st_mtime) / 60
        sys.stdout.write(f"last written {minutes:.0f} min ago; a run that was killed stays like this\n")
    return EXIT_OK if status == "completed" else EXIT_NOT_COMPLETED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Read what a run logged. RUN is a run directory, or a folder of them, of which the newest is read.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    summary = _command(commands, "summary", "print one row of figures per round")
    summary.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    figures = _command(commands, "figures", "draw figures and print the paths written")
    figures.add_argument("--out", metavar="DIR", help="folder to write to; default: figures/ in the run directory")
    figures.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="default: png")
    sets = (
        "overview: what happened; paper: the figures of arXiv 2512.23043, into the subfolder paper; default: overview"
    )
    figures.add_argument("--set", choices=("overview", "paper", "all"), default="overview", help=sets)
    _command(commands, "status", "print status and reason; exit code 0 = completed, 1 = failed or running, 2 = no run")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, purpose: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name, help=purpose, description=purpose, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("run", nargs="?", default="runs", metavar="RUN", help="default: runs")
    return command


if __name__ == "__main__":
    sys.exit(main())
