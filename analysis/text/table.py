"""Lays out tables as plain text, and numbers in them."""

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from analysis.statistics.seeds import Interval

UNDEFINED: Final = "–"
"""Stands for a value that is not defined, or not known."""

TEXT_WIDTH: Final = 100
"""Columns that a line of text may have."""

_INDENT: Final = "  "


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
