"""`verdicts`: the page that says which of the paper's claims hold."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands import EXIT_OK, Commands, new_command
from analysis.commands.output import STDOUT, add_format, csv_text, put, remark
from analysis.text.plain_json import json_text
from fedcircuits.errors import RunLogError
from fedcircuits.whole_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.claims.families import Family
    from analysis.claims.values import RunValues


def add(commands: Commands) -> None:
    """Describe the command."""
    purpose = "judge the claims of arXiv 2512.23043 by the runs of sweeps"
    details = (
        "Do the paper's claims hold? Each is judged by a rule over seeds, on a page in Markdown that shows every "
        "number behind it. Experiments are told by their names, as the files in conf/ give them: digits-iid, "
        "paper-dense and so on."
    )
    examples = {
        "runs/digits": "print the page",
        "runs/digits --values results.csv --out results.md": "write it, and keep the values that it is made of",
        "runs/mnist --values results.csv --out results.md": "add runs of another family",
        "--values results.csv": "the page anew, without any run",
        "runs/digits --pilot digits:0,1": "show two seeds without judging by them",
        "runs/digits --format csv": "one row per condition of a rule",
    }
    parser = new_command(commands, "verdicts", purpose, verdicts, details, examples)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="sweep folders, or runs")
    values = (
        "file with the values of each run that verdicts are made of (CSV): those of the runs given are added to it, in "
        "place of those of the same name and seed, and verdicts are made of all that is in it"
    )
    parser.add_argument("--values", metavar="FILE", help=values)
    pilot = "seeds of a family that are shown but not judged, because they were seen while the rules were made"
    parser.add_argument("--pilot", type=_pilot, action="append", default=[], metavar="FAMILY:SEEDS", help=pilot)
    parser.add_argument("--out", metavar="FILE", help="file to write, or - to print; default: print")
    add_format(parser, "text", "json", "csv")


def verdicts(options: argparse.Namespace) -> int:
    """Judge the claims."""
    # Statistics take a second to load; the other commands do without.
    from analysis.claims.families import families_of  # noqa: PLC0415

    if not options.runs and not options.values:
        raise RunLogError("there is nothing to judge: give runs, or --values FILE with values of earlier ones")
    values, notes = _values(options)
    text = _render(families_of(values, dict(options.pilot)), notes, options)
    if options.out in {None, STDOUT}:
        put(text)
        return EXIT_OK
    put(f"{_write(text, options.out)}\n")
    return EXIT_OK


def _values(options: argparse.Namespace) -> "tuple[list[RunValues], tuple[str, ...]]":
    """Read runs, or the file of values, or both; return what verdicts are made of, and notes for the page."""
    from analysis.claims.values import joined, parse_values, read_run_values, values_text  # noqa: PLC0415

    read, notes = read_run_values([Path(path).expanduser() for path in options.runs]) if options.runs else ([], ())
    known: list[RunValues] = []
    if options.values:
        path = Path(options.values).expanduser()
        if path.exists() or not options.runs:
            known = parse_values(_read(path), str(path))
        for note in notes:
            remark(f"Note: {note}")
        notes = ()
    # A page is made of what its file of values says, whether it was written just now or long ago.
    text = values_text(joined([*known, *read]))
    if options.values and read:
        _write(text, options.values)
    return parse_values(text, "the values of the runs"), notes


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunLogError(f"cannot read {path}: {error}") from error


def _write(text: str, name: str) -> Path:
    path = Path(name).expanduser()
    try:
        write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise RunLogError(f"cannot write {path}: {error}") from error
    return path


def _render(families: "Sequence[Family]", notes: "Sequence[str]", options: argparse.Namespace) -> str:
    """Return the verdicts in the format asked for."""
    from analysis.claims.page import results_page  # noqa: PLC0415
    from analysis.claims.verdict_table import verdict_data, verdict_table  # noqa: PLC0415

    if options.format == "json":
        return json_text(verdict_data(families, notes))
    if options.format == "csv":
        return csv_text(verdict_table(families))
    return results_page(families, notes, _command(options))


def _command(options: argparse.Namespace) -> str:
    """Return the command that makes the page once more: of the file of values, where there is one."""
    source = f"--values {shlex.quote(options.values)}" if options.values else shlex.join(options.runs)
    out = f" --out {shlex.quote(options.out)}" if options.out else ""
    pilot = "".join(f" --pilot {family}:{','.join(map(str, seeds))}" for family, seeds in options.pilot)
    return f"python -m analysis verdicts {source}{pilot}{out}"


def _pilot(text: str) -> tuple[str, tuple[int, ...]]:
    """Read a family and its seeds, such as `digits:0,1`."""
    family, _, seeds = text.partition(":")
    parts = seeds.split(",")
    if not family or not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no family with its seeds, such as digits:0,1")
    return family, tuple(int(part) for part in parts)
