"""Trends over rounds as a table of text."""

from typing import Final

from analysis.seed_measures import MEASURES
from analysis.seed_study import SeedStudy
from analysis.text_table import bounds, lay_out, named_without, number, numbered
from analysis.trends import TRENDS, trends

_SLOPE_DIGITS: Final = {"circuit_size": 2}
"""Decimals of a slope per round; overlaps have four."""


def trend_text(study: SeedStudy) -> str:
    """Lay out slopes over rounds, one row per measure and experiment; empty if there is none."""
    found, rows = trends(study), []
    known: set[str] = set()
    for measure in TRENDS:
        digits = _SLOPE_DIGITS.get(measure, 4)
        for label in study.labels:
            own = found[label, measure]
            if own.num_seeds:
                between = f"{bounds(own, digits)}{'*' if own.excludes_zero else ' '}"
                cells = [number(own.mean, digits, is_signed=True), between, str(own.num_seeds)]
                rows.append([MEASURES[measure], numbered(study, label), *cells])
                known.add(label)
    if not rows:
        return ""
    title = "Trend: change per round, from a slope for each seed; circuits that grow overlap more by chance"
    table = lay_out(["", "", "slope", "95 % interval", "n"], rows, 2)
    return "\n".join([title, table, *named_without(study, known, "values in two rounds")])
