"""What commands print: results on stdout, in the format asked for; remarks about them on stderr."""

import argparse
import sys
from typing import Any, Final

import pandas as pd

from analysis.text.plain_json import json_text

_MEANINGS: Final = {
    "text": "for people",
    "json": "for programs, undefined figures null",
    "csv": "one table, undefined figures empty",
}


def add_format(parser: argparse.ArgumentParser, *formats: str) -> None:
    """Let a command print in one of several formats, the first by default.

    Args:
        parser: the command's.
        formats: of `text`, `json` and `csv`.
    """
    listed = "; ".join(f"{name}: {_MEANINGS[name]}" for name in formats)
    parser.add_argument("--format", choices=formats, default=formats[0], help=f"{listed}; default: {formats[0]}")


STDOUT: Final = "-"
"""What a file to write is called that is printed instead."""


def put(text: str) -> None:
    """Print a result, at once: the next may take long."""
    sys.stdout.write(text)
    sys.stdout.flush()


def put_json(data: Any) -> None:
    """Print a result as strict JSON."""
    put(json_text(data))


def put_csv(table: pd.DataFrame) -> None:
    """Print a table as CSV."""
    put(csv_text(table))


def remark(text: str) -> None:
    """Print what is no part of the result; nothing where standard error is closed."""
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")


def csv_text(table: pd.DataFrame) -> str:
    """Return a table as CSV; lists become texts with spaces between their members."""
    listed = table.map(lambda cell: " ".join(str(member) for member in cell) if isinstance(cell, list) else cell)
    return str(listed.to_csv(index=False, lineterminator="\n"))
