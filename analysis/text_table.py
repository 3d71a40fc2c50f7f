"""Lays out figures over seeds as plain text."""

import textwrap
from collections.abc import Collection, Sequence
from typing import Any, Final

import pandas as pd

from analysis.seed_study import SeedStudy
from analysis.seeds import Interval
from analysis.summary import UNDEFINED

TEXT_WIDTH: Final = 100
"""Columns that a line of text may have."""

_INDENT: Final = "  "
_LABEL_WIDTH: Final = 28


def lay_out(titles: Sequence[str], rows: Sequence[Sequence[str]], num_left: int = 1) -> str:
    """Return rows under their titles, each column as wide as its widest cell.

    Args:
        titles: one per column.
        rows: cells, as many as titles.
        num_left: the first columns, aligned to the left; the others hold figures and stand to the right.
    """
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    lines = []
    for cells in (titles, *rows):
        padded = [
            cell.ljust(width) if number < num_left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append((_INDENT + _INDENT.join(padded)).rstrip())
    return "\n".join(lines)


def number(value: Any, digits: int, *, is_signed: bool = False) -> str:
    """Round a figure; adding zero turns -0.00 into 0.00."""
    if pd.isna(value):
        return UNDEFINED
    return f"{round(float(value), digits) + 0.0:{'+' if is_signed else ''}.{digits}f}"


def mean_and_spread(values: Interval, digits: int) -> str:
    """Show a mean with its standard deviation over seeds, or alone if one seed gives no spread."""
    mean = number(values.mean, digits)
    return f"{mean} ±{number(values.sd, digits)}" if values.is_bounded else mean


def bounds(values: Interval, digits: int) -> str:
    """Show an interval; a dash if there is none."""
    ends = [number(end, digits, is_signed=True) for end in (values.low, values.high)]
    return f"[{', '.join(ends)}]" if values.is_bounded else UNDEFINED


def clip(text: str, width: int) -> str:
    """Shorten a text in its middle: the ends of labels are what tells them apart."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def numbered(study: SeedStudy, label: str) -> str:
    """Show an experiment's number and its label, shortened where it is long; the number tells which it is."""
    return f"{study.labels.index(label) + 1} {clip(label, _LABEL_WIDTH)}"


def named_without(study: SeedStudy, known: Collection[str], what: str) -> list[str]:
    """Return the lines that name the experiments a table does not show, and say what they lack.

    Args:
        study: the experiments.
        known: the labels of those that are shown.
        what: what the others lack.
    """
    names = ", ".join(numbered(study, label) for label in study.labels if label not in known)
    text = f"without {what}: {names}"
    wrapped = textwrap.wrap(text, TEXT_WIDTH, initial_indent=_INDENT, subsequent_indent=2 * _INDENT)
    return wrapped if names else []


def seed_list(seeds: Sequence[int]) -> str:
    """Show seeds as a range if they follow each other, otherwise one by one; counted if that is too long."""
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}–{seeds[-1]}"
    listed = ",".join(str(seed) for seed in seeds)
    return listed if len(listed) <= 8 else f"{len(seeds)} seeds"
