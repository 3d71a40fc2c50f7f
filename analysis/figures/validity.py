"""Figure of validity: circuits beside random ones of their sizes in the same weights."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from analysis.figures.layer_lines import MEMBER_WIDTH
from analysis.figures.panels import is_leftmost, line_handle, panel_grid, put_legend
from analysis.figures.style import BLUE, GREY, INK, RED, NothingToDrawError, label_figure, themed
from analysis.figures.styles import new_figure, points
from analysis.measures import check_failure
from analysis.measures.examined import newest_rows, why_not_measured
from analysis.text.table import number
from fedcircuits.circuits.check_verdict import MIN_EFFECT, CheckResult
from fedcircuits.runlog.run import Run

_COLUMNS = ["random_balanced_accuracy", "balanced_accuracy"]


@themed
def discovery_validity(run: Run) -> FigureBase:
    """Draw the balanced accuracy of circuits and of random ones of their sizes, client by client."""
    rows = newest_rows(run, "validity")
    if rows.empty:
        raise NothingToDrawError(why_not_measured(run, "validity"))
    circuits = rows[rows["class_id"].notna()]
    clients = [own for _, own in circuits.groupby("partition_id", dropna=False)]
    figure = new_figure(height=4.2)
    legend, panels = panel_grid(figure, [_title(own) for own in clients])
    for own, panel in zip(clients, panels, strict=True):
        _draw_pairs(panel, own)
        panel.set_xlabel(f"mean difference {_mean_effect(own)}", fontsize=points(9))
        panel.set(ylim=(_lowest(circuits), 1.03), ylabel="balanced accuracy (0–1)" if is_leftmost(panel) else "")
    handles = [
        line_handle("mean over classes", INK, width=2.6),
        line_handle(f"one class, {MIN_EFFECT:.2f} better or more", BLUE, width=1.4),
        line_handle("one class, less", RED, width=1.4),
        line_handle("guessing", GREY, "--", marker=""),
    ]
    put_legend(legend, handles)
    server_round = int(rows["round"].iloc[0])
    caption = (
        f"{_said(run, rows, server_round)} Lines must rise from random circuits (of the same sizes, in the same "
        "model) to those that were found; the verdict is on all clients and classes together."
    )
    return label_figure(figure, run, f"Validity of the discovery, round {server_round}", caption)


def _title(rows: pd.DataFrame) -> str:
    owner = rows["partition_id"].dropna()
    return f"client {int(owner.iloc[0])}" if len(owner) else "server"


def _draw_pairs(panel: Axes, rows: pd.DataFrame) -> None:
    for _, row in rows.iterrows():
        is_clear = not pd.isna(row["effect"]) and float(row["effect"]) >= MIN_EFFECT
        pair = [float(row[column]) for column in _COLUMNS]
        colour = BLUE if is_clear else RED
        panel.plot([0, 1], pair, color=colour, linewidth=MEMBER_WIDTH, marker="o", markersize=4, alpha=0.8)
    means = rows[_COLUMNS].astype("float64").mean().tolist()
    panel.plot([0, 1], means, color=INK, linewidth=2.6, marker="o", markersize=6, zorder=3)
    panel.axhline(0.5, color=GREY, linestyle="--", linewidth=1)
    panel.set_xlim(-0.3, 1.3)
    panel.set_xticks([0, 1], ["random", "found"])
    panel.grid(visible=False, axis="x")


def _mean_effect(rows: pd.DataFrame) -> str:
    return number(rows["effect"].astype("float64").mean(), 2, is_signed=True)


def _lowest(rows: pd.DataFrame) -> float:
    """Return a lower limit that shows every circuit, and those that guess well above the edge."""
    lowest = float(rows[_COLUMNS].astype("float64").min().min())
    return 0.35 if pd.isna(lowest) else min(0.35, lowest - 0.03)


def _said(run: Run, rows: pd.DataFrame, server_round: int) -> str:
    """Say how the check came out."""
    whole = rows[rows["passed"].notna()]
    if whole.empty:
        return "No verdict: nothing could be scored."
    if not whole["passed"].iloc[0]:
        failure = check_failure(run, [server_round])
        return f"{failure[0].upper()}{failure[1:]}."
    found = CheckResult(server_round, float(whole["effect"].iloc[0]), float(whole["z"].iloc[0])).finding
    return f"Passed: {found}."
