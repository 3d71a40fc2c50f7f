"""The heat maps of arXiv 2512.23043: all local circuits against each other, and the classes of the global model.

Departs from the authors' plots: the diagonal is not 1 by construction but two discoveries on one model, or blank.
"""

import pandas as pd
from matplotlib.figure import FigureBase

from analysis import measures
from analysis.figures.heat_maps import (
    IOU_SCALE,
    iou_and_chance,
    label_blocks,
    label_members,
    last_round,
    left_out_of_round,
    two_maps,
)
from analysis.figures.style import NothingToDrawError, label_figure, themed
from analysis.measures.circuit_pairs import global_class_pairs, with_verdicts
from fedcircuits.records import Comparison, ModelKind
from fedcircuits.runlog.run import Run

_PAIRS = (
    Comparison.SAME_CLASS_ACROSS_CLIENTS,
    Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS,
    Comparison.DIFFERENT_CLASS_WITHIN_CLIENT,
)

_HOW_TO_READ = "Below the diagonal: IoU; above: what chance gives for the same sizes."


@themed
def pairwise_heat_map(run: Run) -> FigureBase:
    """Draw the overlap of all local circuits of the last round with each other."""
    retests = measures.pairs(measures.of_client_models(run), Comparison.RETEST)
    rows = last_round(pd.concat([measures.pairs(run, comparison) for comparison in _PAIRS]))
    if rows.empty:
        raise NothingToDrawError(
            "; ".join(sorted({measures.why_no_pairs(run, comparison) for comparison in _PAIRS[1:]}))
        )
    note = left_out_of_round(run, rows, _PAIRS)
    rows = pd.concat([rows, retests[retests["round"].isin(rows["round"])]])
    members, is_unusable, why = _local_circuits(run, int(rows["round"].iloc[0]))
    keys = ["partition_id", "class_id"]
    figure, panels = two_maps(rows, lambda own: iou_and_chance(own, keys, members), "", IOU_SCALE)
    for panel in panels:
        label_members(panel, [str(class_id) for _, class_id in members], is_unusable)
        label_blocks(panel, [partition_id for partition_id, _ in members], "client and class")
    caption = (
        f"{_HOW_TO_READ} Only what differs between the two is similarity. "
        f"Diagonal: one model, circuits found twice, if they were. × = not usable (grey){why}. {note}"
    )
    title = f"Pairwise overlap of local circuits, round {rows['round'].iloc[0]}"
    return label_figure(figure, run, title, caption)


@themed
def global_class_overlap(run: Run) -> FigureBase:
    """Draw the overlap of the global model's circuits of every two classes."""
    circuits, rows = global_class_pairs(run)
    if rows.empty:
        raise NothingToDrawError(_why_no_class_pairs(run, circuits))
    verdicts = circuits.groupby("class_id")["usable"].any()
    classes = [int(str(class_id)) for class_id in verdicts.index]
    members = [(class_id,) for class_id in classes]
    figure, panels = two_maps(rows, lambda own: iou_and_chance(own, ["class_id"], members), "class", IOU_SCALE)
    for panel in panels:
        label_members(panel, [str(class_id) for class_id in classes], [not usable for usable in verdicts])
    on_server = circuits["partition_id"].isna().all()
    data = "the server's data" if on_server else "the data of clients that hold both (mean over clients; grey: none)"
    caption = (
        f"Circuits found on {data}. {_HOW_TO_READ} Classes share channels where the lower half is brighter than the "
        f"upper. Diagonal: circuits found twice, if they were; × = not usable{_why(circuits)}. {_left_out(circuits)}"
    )
    title = f"Class overlap in the global model, round {rows['round'].iloc[0]}"
    return label_figure(figure, run, title, caption)


def _local_circuits(run: Run, server_round: int) -> tuple[list[tuple[int, int]], list[bool], str]:
    """Return (partition, class) of each local circuit of a round, usable or not, whether it is not, and why not."""
    key = ["partition_id", "class_id"]
    circuits = measures.on_common_images(run).circuits
    rows = circuits[(circuits["model"] == ModelKind.CLIENT) & (circuits["round"] == server_round)]
    rows = with_verdicts(run, rows.drop_duplicates(key).sort_values(key))
    members = [(int(partition), int(class_id)) for partition, class_id in rows[key].to_numpy()]
    return members, [not usable for usable in rows["usable"]], _why(rows)


def _why(circuits: pd.DataFrame) -> str:
    """Say how many circuits are not usable for which reason, for a caption; empty if all are."""
    reasons = measures.reasons_in_words(circuits.drop_duplicates(["partition_id", "class_id"]))
    return f": {reasons}" if reasons else ""


def _why_no_class_pairs(run: Run, circuits: pd.DataFrame) -> str:
    if circuits.empty:
        return "no channels of the global model's circuits were logged"
    if circuits.groupby("partition_id", dropna=False)["class_id"].nunique().max() < 2:
        return "no pairs: circuits of two classes of the global model were not found on the same data"
    return measures.why_unusable(run, set(circuits["round"]))


def _left_out(circuits: pd.DataFrame) -> str:
    """Say how many pairs on the same data are missing because one of the two is not usable."""
    found = circuits.groupby(["partition_id", "class_id"], dropna=False)["usable"].first()
    by_data = found.groupby("partition_id", dropna=False)
    drawn, total = (int((num * (num - 1) // 2).sum()) for num in (by_data.sum(), by_data.size()))
    return f"Left out as not usable: {total - drawn} of {total} pairs."
