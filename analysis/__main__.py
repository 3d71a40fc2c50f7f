"""The command line of analysis: `python -m analysis summary|figures|status|compare|import-fedmi`."""

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from analysis.run import Run, load_run
from analysis.summary import summary_data, summary_text
from fedcircuits.config_values import read_value
from fedcircuits.errors import FedCircuitsError, LogImportError, RunLogError
from fedcircuits.fedmi_logs import DEFAULT_CHANNELS, read_fedmi_log
from fedcircuits.run_reader import RUN_FILE

EXIT_OK: Final = 0
EXIT_NOT_COMPLETED: Final = 1
EXIT_ERROR: Final = 2

_EXAMPLES: Final = """\
examples:
  python -m analysis summary                          the newest run in ./runs
  python -m analysis summary runs/20260101T120000Z-x  that run
  python -m analysis summary runs --format json       for other programs
  python -m analysis figures runs --out paper --format pdf
  python -m analysis status runs && echo completed    exit code 0 only if the run completed
  python -m analysis import-fedmi circuits_per_round.json runs
  python -m analysis compare sweeps/paper             every experiment and seed of a sweep
  python -m analysis compare runs/A runs/B --baseline digits-iid --tables-only
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: the command line without the program's name; None = that of the process.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "import-fedmi":
            return _import_fedmi(Path(options.file), Path(options.out), options.channels)
        if options.command == "compare":
            return _compare(options)
        return _of_one_run(options)
    except FedCircuitsError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return EXIT_ERROR
    except BrokenPipeError:
        # The reader of the pipe has gone; without this, Python complains once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def _of_one_run(options: argparse.Namespace) -> int:
    run = load_run(options.run)
    if options.command == "summary":
        return _summary(run, options.format)
    if options.command == "figures":
        return _figures(run, Path(options.out) if options.out else run.path / "figures", options.format)
    return _status(run)


def _summary(run: Run, text_format: str) -> int:
    text = summary_text(run) if text_format == "text" else json.dumps(summary_data(run), indent=2) + "\n"
    sys.stdout.write(text)
    return EXIT_OK


def _figures(run: Run, folder: Path, image_format: str) -> int:
    if run.info["last_round"] == 0:
        raise RunLogError(f"{run.path.name} has no whole round to draw; its status is {run.info.get('status')}")
    # Drawing libraries take a second to load; the other commands do without.
    from analysis.figures import save_figures  # noqa: PLC0415

    for saved in save_figures(run, folder.expanduser(), image_format):
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


def _import_fedmi(file: Path, root: Path, channels: str) -> int:
    try:
        widths = read_value({"channels": channels}, "channels", str)
    except ValueError as error:
        raise LogImportError(f"--{error}") from error
    log = read_fedmi_log(file.expanduser(), widths)
    # The writer compares circuits with torch, which takes seconds to load; reading logs does without.
    from fedcircuits.fedmi_import import write_fedmi_run  # noqa: PLC0415

    path = write_fedmi_run(log, root)
    sys.stdout.write(f"imported; run directory: {path}\n")
    sys.stdout.write(f"next: python -m analysis summary {shlex.quote(str(path))}\n")
    sys.stdout.write(f"      python -m analysis figures {shlex.quote(str(path))}\n")
    return EXIT_OK


def _compare(options: argparse.Namespace) -> int:
    # As for figures: statistics take a second to load.
    from analysis.compare_command import compare  # noqa: PLC0415

    paths = [Path(path).expanduser() for path in options.runs]
    out = Path(options.out).expanduser() if options.out else None
    image_format = None if options.tables_only else options.figure_format
    for text in compare(paths, options.baseline, out, image_format, is_json=options.format == "json"):
        sys.stdout.write(text)
        sys.stdout.flush()
    return EXIT_OK


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
    figures = _command(commands, "figures", "draw every figure and print the paths written")
    figures.add_argument("--out", metavar="DIR", help="folder to write to; default: figures/ in the run directory")
    figures.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="default: png")
    _command(commands, "status", "print status and reason; exit code 0 = completed, 1 = failed or running, 2 = no run")
    _add_compare(commands)
    _add_import(commands)
    return parser


def _add_import(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    purpose = "turn a published log of arXiv 2512.23043 (circuits_per_round_*.json) into a run directory"
    command = commands.add_parser("import-fedmi", help=purpose, description=purpose)
    command.add_argument("file", metavar="FILE.json", help="the published log")
    command.add_argument("out", metavar="OUT", help="folder of run directories, in which a new one is made")
    channels = ",".join(str(width) for width in DEFAULT_CHANNELS)
    command.add_argument(
        "--channels", default=channels, help=f"channels of each convolution, which the file lacks; default: {channels}"
    )


def _add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    purpose = "compare experiments over seeds: means, intervals, differences paired by seed, figures"
    compare = commands.add_parser(
        "compare",
        help=purpose,
        description=f"{purpose.capitalize()}. Runs with the same settings but for the seed are one experiment. A run "
        "directory counts as it is; of a folder only completed runs count, in a sweep those that its sweep.json lists.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument(
        "runs", nargs="*", default=["runs"], metavar="RUN", help="runs or folders of runs; default: runs"
    )
    compare.add_argument("--baseline", metavar="LABEL", help="experiment to compare with; default: the first IID one")
    compare.add_argument(
        "--out", metavar="DIR", help="folder to write to; default: comparison/ in the one folder or here"
    )
    compare.add_argument("--format", choices=("text", "json"), default="text", help="of what is printed; default: text")
    compare.add_argument("--figure-format", choices=("png", "svg", "pdf"), default="png", help="default: png")
    compare.add_argument("--tables-only", action="store_true", help="write tables but draw no figures")


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
