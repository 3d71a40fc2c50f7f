"""The circuits and pairs of circuits that a run's measures are means over, one by one, for the bootstrap."""

from collections.abc import Iterator
from typing import Final

import pandas as pd

from analysis import measures
from analysis.measures.by_seed import distinct_pairs
from analysis.measures.of_examinations import examined_rows
from analysis.statistics.bootstrap import ENDS
from fedcircuits.records import ALL_LAYERS, ModelKind
from fedcircuits.runlog.run import Run

COLUMNS: Final = ["measure", *ENDS, "value"]

_FIGURES: Final = ("adjusted_iou", "common_adjusted_iou")
"""The figures of overlap that experiments are compared in."""

_NOBODY: Final = -1
"""Stands for the server's partition, and for the class where a row is about whole models."""


def unit_rows(run: Run, last_round: int) -> pd.DataFrame:
    """Return the rows behind the measures of the second half of rounds.

    Args:
        run: the run.
        last_round: the last round that counts.

    Returns:
        `COLUMNS`: the measure's name, its two circuits (one named twice where the row is about one) and the value;
        rows without a value are left out, as they are of the mean. Measures that are not means over circuits have none.
    """
    parts = [
        _shaped(measures.second_half(rows, last_round), measure, column) for measure, rows, column in _measured(run)
    ]
    return pd.concat(parts, ignore_index=True)


def _measured(run: Run) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Yield measures, the rows they are means of, and the column that is averaged."""
    overlaps = {pair: measures.pooled_pairs(run, comparison) for pair, comparison in measures.OVERLAPS.items()}
    for pair, rows in (overlaps | {"distinct_class": distinct_pairs(run)}).items():
        for figure in _FIGURES:
            yield f"{pair}_{figure}", rows, figure
    sizes = measures.circuit_sizes(run)
    yield "circuit_size", sizes[(sizes["model"] == ModelKind.CLIENT) & (sizes["layer"] == ALL_LAYERS)], "num_channels"
    quality, gaps = measures.client_quality(run), measures.drift_gaps(run)
    compared = measures.compared_quality(run)
    if not measures.is_unknown(compared).any():
        yield "usable_share", compared, "usable"
    yield "false_positive_rate", quality, "false_positive_rate"
    transplants = run.quality[run.quality["model"] == ModelKind.TRANSPLANT]
    yield "false_positive_rate_transplant", transplants, "false_positive_rate"
    for kind in (ModelKind.CLIENT, ModelKind.TRANSPLANT, ModelKind.GLOBAL):
        yield f"sufficiency_{kind}", gaps, str(kind)
    yield "drift_gap", gaps, "drift_gap"
    for measure, rows in examined_rows(run).items():
        yield measure, rows, "value"


def _shaped(rows: pd.DataFrame, measure: str, column: str) -> pd.DataFrame:
    """Name both ends of each row, and leave out the rows without a value."""
    known = rows[rows[column].notna()]
    ends = {end: known.get(end, known.get(end[2:])) for end in ENDS}
    table = pd.DataFrame(
        {
            end: pd.Series(_NOBODY, index=known.index) if values is None else values.fillna(_NOBODY).astype("int64")
            for end, values in ends.items()
        }
    )
    return table.assign(measure=measure, value=known[column].astype("float64"))[COLUMNS]
