"""Heat maps of overlap in the last round: class against class, and client against client."""

import pandas as pd
from matplotlib.figure import FigureBase

from analysis import measures
from analysis.figures.heat_maps import ADJUSTED_SCALE, last_round, left_out_of_round, two_maps
from analysis.figures.style import NothingToDrawError, label_figure, themed
from fedcircuits.records import Comparison
from fedcircuits.runlog.run import Run

_SAME, _DIFFERENT = Comparison.SAME_CLASS_ACROSS_CLIENTS, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS


@themed
def class_overlap(run: Run) -> FigureBase:
    """Draw the mean overlap of circuits of two classes in different clients."""
    rows = last_round(pd.concat([measures.pairs(run, _SAME), measures.pairs(run, _DIFFERENT)]))
    if rows.empty:
        raise NothingToDrawError(measures.why_no_pairs(run, _DIFFERENT))
    has_same = bool((rows["comparison"] == _SAME).any())
    note = "" if has_same else f"Same class – {measures.why_no_pairs(run, _SAME)}. "
    figure, _ = two_maps(rows, lambda own: _matrix(own, "class_id"), "class", ADJUSTED_SCALE)
    left_out = left_out_of_round(run, rows, [_SAME, _DIFFERENT])
    caption = (
        "Mean over pairs of clients; 0 = chance, 1 = identical, grey = no pair. Diagonal: the same class in two "
        f"clients; a red diagonal means that circuits follow the class. {note}{left_out}"
    )
    title = f"Overlap between classes across clients, round {rows['round'].iloc[0]}"
    return label_figure(figure, run, title, caption)


@themed
def client_pairs(run: Run) -> FigureBase:
    """Draw the mean overlap of two clients' circuits of the same class; on the diagonal, the retest."""
    local = measures.of_client_models(run)
    pairs, retests = measures.pairs(local, _SAME), measures.pairs(local, Comparison.RETEST)
    rows = last_round(pd.concat([pairs, retests]))
    if rows.empty:
        raise NothingToDrawError(measures.why_no_pairs(run, _SAME))
    note = "" if len(pairs) else f"Two clients – {measures.why_no_pairs(run, _SAME)}. "
    figure, _ = two_maps(rows, lambda own: _matrix(own, "partition_id"), "client (partition)", ADJUSTED_SCALE)
    left_out = left_out_of_round(local, rows, [_SAME, Comparison.RETEST])
    caption = (
        "Mean over shared classes; 0 = chance, 1 = identical, grey = no pair. Diagonal: the same client's model, "
        f"circuits found twice – the most that can be expected. {note}{left_out}"
    )
    title = f"Same class in two clients, round {rows['round'].iloc[0]}"
    return label_figure(figure, run, title, caption)


def _matrix(rows: pd.DataFrame, identifier: str) -> pd.DataFrame:
    """Return the symmetric table of mean adjusted IoU between the values of `a_…` and `b_…`."""
    a, b = f"a_{identifier}", f"b_{identifier}"
    pairs = rows[[a, b, "adjusted_iou"]]
    mirrored = pairs[pairs[a] != pairs[b]].rename(columns={a: b, b: a})
    both = pd.concat([pairs, mirrored], ignore_index=True).astype({a: "int64", b: "int64"})
    table = both.pivot_table(index=a, columns=b, values="adjusted_iou", dropna=False)
    members = sorted({*both[a], *both[b]})
    return table.reindex(index=members, columns=members)
