"""Figure of validity: real circuits beside those that the same search finds where there is nothing to find."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from analysis.figure_style import new_figure, points
from analysis.figures.layer_lines import MEMBER_WIDTH
from analysis.figures.panels import is_leftmost, line_handle, panel_grid, put_legend
from analysis.heavy_measures import newest_rows, why_not_measured
from analysis.run import Run
from analysis.style import BLUE, GREY, INK, RED, NothingToDrawError, label_figure, themed
from analysis.text_table import number


@themed
def discovery_validity(run: Run) -> FigureBase:
    """Draw the balanced accuracy of each control's circuits and of the real ones, class by class."""
    rows = newest_rows(run, "validity")
    if rows.empty:
        raise NothingToDrawError(why_not_measured(run, "validity"))
    controls = [str(control) for control in rows["control"].unique()]
    figure = new_figure(height=4.2)
    legend, panels = panel_grid(figure, controls)
    for control, panel in zip(controls, panels, strict=True):
        own = rows[rows["control"] == control]
        _draw_pairs(panel, own)
        panel.set_xlabel(_verdict(own[own["class_id"].isna()]), fontsize=points(9))
        panel.set(ylim=(_lowest(rows), 1.03), ylabel="balanced accuracy (0–1)" if is_leftmost(panel) else "")
    handles = [
        line_handle("pooled over classes", INK, width=2.6),
        line_handle("one class, control beaten", BLUE, width=1.4),
        line_handle("one class, not beaten", RED, width=1.4),
        line_handle("guessing", GREY, "--", marker=""),
    ]
    put_legend(legend, handles)
    caption = (
        "The same search on an untrained network, for a nonsense class, with permuted labels, and random circuits. "
        "Lines must rise from every control to the real circuits; one that is level says that the search finds such "
        "circuits anywhere."
    )
    title = f"Validity of the discovery, round {rows['round'].iloc[0]}"
    return label_figure(figure, run, title, caption)


def _draw_pairs(panel: Axes, rows: pd.DataFrame) -> None:
    for _, row in rows.iterrows():
        pair = [float(row[column]) for column in ("control_balanced_accuracy", "balanced_accuracy")]
        if pd.isna(row["class_id"]):
            panel.plot([0, 1], pair, color=INK, linewidth=2.6, marker="o", markersize=6, zorder=3)
        else:
            colour = RED if pd.isna(row["beaten"]) or not row["beaten"] else BLUE
            panel.plot([0, 1], pair, color=colour, linewidth=MEMBER_WIDTH, marker="o", markersize=4, alpha=0.8)
    panel.axhline(0.5, color=GREY, linestyle="--", linewidth=1)
    panel.set_xlim(-0.3, 1.3)
    panel.set_xticks([0, 1], ["control", "real"])
    panel.grid(visible=False, axis="x")


def _lowest(rows: pd.DataFrame) -> float:
    """Return a lower limit that shows every circuit, and those that guess well above the edge."""
    lowest = float(rows[["balanced_accuracy", "control_balanced_accuracy"]].astype("float64").min().min())
    return 0.35 if pd.isna(lowest) else min(0.35, lowest - 0.03)


def _verdict(pooled: pd.DataFrame) -> str:
    """Say in two lines how the pooled comparison came out."""
    if pooled.empty:
        return "no pooled verdict"
    row: pd.Series[Any] = pooled.iloc[0]
    is_known = not pd.isna(row["beaten"])
    verdict = ("beaten" if row["beaten"] else "NOT beaten") if is_known else "undecided"
    return f"{verdict}, z {number(row['z'], 1)}\n{number(row['control_size'], 0)} → {number(row['size'], 0)} channels"
