"""Lays out paragraphs, tables and numbers over seeds as Markdown."""

import math
import textwrap
from collections.abc import Sequence
from typing import Final

from analysis.statistics.seeds import Interval

UNDEFINED: Final = "–"


def fill(text: str) -> str:
    """Return a paragraph in lines of a readable length."""
    return textwrap.fill(text, width=118, break_on_hyphens=False)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def mean_and_interval(measured: Interval) -> str:
    """Return a mean with its interval, where there is one."""
    if not measured.num_seeds:
        return UNDEFINED
    reach = f" [{measured.low:.3f}, {measured.high:.3f}]" if measured.is_bounded else ""
    return f"{measured.mean:.3f}{reach}"


def mean_and_spread(measured: Interval) -> str:
    """Return a mean with the standard deviation of the seeds, where there is one."""
    if not measured.num_seeds:
        return UNDEFINED
    return f"{measured.mean:.3f} ± {measured.sd:.3f}" if measured.is_bounded else f"{measured.mean:.3f}"


def percentage(measured: Interval) -> str:
    """Return the mean of a share; an interval could leave 0..1."""
    return f"{100 * measured.mean:.0f} %" if measured.num_seeds else UNDEFINED


def number(value: float) -> str:
    """Return a number, where there is one."""
    return UNDEFINED if math.isnan(value) else f"{value:.3f}"
