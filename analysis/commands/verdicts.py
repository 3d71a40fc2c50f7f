"""`verdicts`: the page that says which of the paper's claims hold."""

import argparse
import shlex
import sys
from pathlib import Path

from analysis.commands import EXIT_OK, Commands, new_command
from fedcircuits.errors import RunLogError
from fedcircuits.whole_files import write_whole


def add(commands: Commands) -> None:
    """Describe the command."""
    purpose = "judge the claims of arXiv 2512.23043 by the runs of sweeps, and write a page in Markdown"
    details = "Experiments are told by their names, as the files in conf/ give them: digits-iid, paper-dense and so on."
    parser = new_command(commands, "verdicts", purpose, verdicts, details)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="sweep folders, or runs")
    pilot = "seeds of a family that are shown but not judged, because they were seen while the rules were made"
    parser.add_argument("--pilot", type=_pilot, action="append", default=[], metavar="FAMILY:SEEDS", help=pilot)
    parser.add_argument("--out", metavar="FILE", help="file to write; default: print")


def verdicts(options: argparse.Namespace) -> int:
    """Judge the claims."""
    # Statistics take a second to load; the other commands do without.
    from analysis.claims.families import read_families  # noqa: PLC0415
    from analysis.claims.page import results_page  # noqa: PLC0415

    families, notes = read_families([Path(path).expanduser() for path in options.runs], dict(options.pilot))
    out = f" --out {shlex.quote(options.out)}" if options.out else ""
    pilot = "".join(f" --pilot {family}:{','.join(map(str, seeds))}" for family, seeds in options.pilot)
    command = f"python -m analysis verdicts {shlex.join(options.runs)}{pilot}{out}"
    page = results_page(families, notes, command)
    if not options.out:
        sys.stdout.write(page)
        return EXIT_OK
    path = Path(options.out).expanduser()
    try:
        write_whole(path, lambda temporary: temporary.write_text(page, encoding="utf-8"))
    except OSError as error:
        raise RunLogError(f"cannot write {path}: {error}") from error
    sys.stdout.write(f"{path}\n")
    return EXIT_OK


def _pilot(text: str) -> tuple[str, tuple[int, ...]]:
    """Read a family and its seeds, such as `digits:0,1`; argparse reports what is none."""
    family, _, seeds = text.partition(":")
    return family, tuple(int(part) for part in seeds.split(","))
