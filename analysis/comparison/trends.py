"""Trends over rounds: how fast overlap rises or falls, beside how fast circuits grow.

Each seed has a slope of its own, by least squares of the measure on the round, and the unit is the seed: that takes
out what level a seed starts from (the seed is the block), and does not count rounds as if they were independent.
Circuits that grow overlap more by chance alone; adjusted IoU has chance taken out, and the slope of the size says how
much there was to take out.
"""

from typing import Final

import numpy as np
import pandas as pd

from analysis.comparison.labels import named_without, numbered
from analysis.comparison.study import SeedStudy
from analysis.measures.by_seed import MEASURES
from analysis.statistics.seeds import Interval, interval
from analysis.text.table import bounds, lay_out, number

TRENDS: Final = ("same_class_adjusted_iou", "local_vs_global_adjusted_iou", "circuit_size")
"""The measures whose slopes are compared."""

_SLOPE_DIGITS: Final = {"circuit_size": 2}
"""Decimals of a slope per round; overlaps have four."""

_COLUMNS: Final = [
    *("experiment", "measure", "slope", "sd", "low", "high", "num_seeds", "num_missing"),
    *("excludes_zero", "first_round", "last_round"),
]


def slope(values: "pd.Series[float]") -> float:
    """Return the least-squares slope of one seed's values, per round; NaN with values of fewer than two rounds.

    Args:
        values: indexed by round; NaN in rounds without a value, which are left out.
    """
    known = values.dropna()
    rounds = known.index.to_numpy(dtype="float64")
    if len(known) < 2:
        return float("nan")
    centred = rounds - rounds.mean()
    return float(centred @ known.to_numpy(dtype="float64") / (centred @ centred))


def trends(study: SeedStudy) -> dict[tuple[str, str], Interval]:
    """Return the interval over seeds of the slope of each label and measure of `TRENDS`."""
    return {
        (label, measure): interval(slope(own.set_index("round")[measure]) for _, own in study.of(label).groupby("seed"))
        for label in study.labels
        for measure in TRENDS
    }


def trend_table(study: SeedStudy) -> pd.DataFrame:
    """Return one row per experiment and measure: the mean slope per round, its interval, and the rounds it is over."""
    rows = []
    for (label, measure), found in trends(study).items():
        known = study.of(label).dropna(subset=[measure])["round"].to_numpy(dtype="float64")
        first, last = (known.min(), known.max()) if known.size else (np.nan, np.nan)
        figures = {"slope": found.mean, "sd": found.sd, "low": found.low, "high": found.high}
        counts = {"num_seeds": found.num_seeds, "num_missing": found.num_missing, "excludes_zero": found.excludes_zero}
        names = {"experiment": label, "measure": measure, "first_round": first, "last_round": last}
        rows.append({**names, **figures, **counts})
    return pd.DataFrame(rows, columns=_COLUMNS)


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
