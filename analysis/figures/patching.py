"""Figure of patching and swaps: what averaging took from circuits, and whether their own weights give it back."""

from typing import Any, Final

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.diagnosis.averaging import SIGNIFICANT
from analysis.figures.panels import dot_handle, heat_map
from analysis.figures.style import BLUE, GREY, NothingToDrawError, label_figure, themed
from analysis.figures.styles import new_figure, points
from analysis.measures.examined import newest_rows, swap_table, why_not_measured
from fedcircuits.runlog.run import Run

_OWN: Final[dict[str, Any]] = {"marker": "o", "s": 34, "linewidths": 1.2, "edgecolors": BLUE, "zorder": 3}

_HALF_WIDTH: Final = 0.32
"""Of the band of random sets around a class, in classes."""


@themed
def weight_patching(run: Run) -> FigureBase:
    """Draw the gain of putting a circuit's weights back, and the accuracy of circuits and weights crossed."""
    patches, swaps = newest_rows(run, "patching"), newest_rows(run, "swaps")
    if patches.empty and swaps.empty:
        raise NothingToDrawError(why_not_measured(run, "patching"))
    rounds = sorted({*patches["round"], *swaps["round"]})
    figure = new_figure(height=4.2)
    gains, cross = figure.subplots(1, 2, width_ratios=[1.9, 1])
    _draw_gains(gains, patches)
    _draw_swaps(cross, swaps)
    caption = (
        "Left: a client's own weights of a circuit, put back into the global model; dots above the grey band say that "
        "averaging had damaged these weights in particular. Right: what the local circuit (upper row) loses "
        "from local to global weights is what averaging spoiled."
    )
    title = f"What averaging took from circuits, round {' and '.join(str(number) for number in rounds)}"
    return label_figure(figure, run, title, caption)


def _draw_gains(panel: Axes, rows: pd.DataFrame) -> None:
    panel.set_title("gain of patching, one dot per client", loc="left", pad=24)
    if rows.empty:
        _say_missing(panel)
        return
    classes = sorted({int(class_id) for class_id in rows["class_id"]})
    panel.axhline(0, color=GREY, linewidth=1)
    for place, class_id in enumerate(classes):
        own = rows[rows["class_id"] == class_id].astype("float64", errors="ignore")
        middle, spread = own["random_gain"].mean(), 2 * own["random_gain_sd"].fillna(0.0).mean()
        left, right = place - _HALF_WIDTH, place + _HALF_WIDTH
        panel.fill_between([left, right], middle - spread, middle + spread, color=GREY, alpha=0.25, linewidth=0)
        panel.hlines(middle, left, right, color=GREY, linewidth=1.5)
        for offset, (_, row) in zip(_offsets(len(own)), own.iterrows(), strict=True):
            colour = BLUE if row["p_value"] < SIGNIFICANT else "white"
            panel.scatter(place + offset, row["gain"], color=colour, **_OWN)
    panel.set_xticks(range(len(classes)), [str(class_id) for class_id in classes])
    panel.set(xlabel="class", ylabel="gain in separation (nats)", xlim=(-0.6, len(classes) - 0.4))
    panel.grid(visible=False, axis="x")
    sns.despine(ax=panel)
    panel.legend(
        handles=_handles(), loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, fontsize=points(8), borderaxespad=0
    )


def _offsets(number: int) -> list[float]:
    """Return places beside each other for the clients of one class."""
    step = min(0.12, 2 * _HALF_WIDTH / max(1, number))
    return [step * (place - (number - 1) / 2) for place in range(number)]


def _draw_swaps(panel: Axes, rows: pd.DataFrame) -> None:
    panel.set_title("balanced accuracy, mean", loc="left", pad=24)
    if rows.empty:
        _say_missing(panel)
        return
    table = swap_table(rows, "balanced_accuracy")
    scale: dict[str, Any] = {"cmap": "viridis", "vmin": 0.5, "vmax": 1, "annot_kws": {"size": points(12)}}
    heat_map(panel, table, "balanced accuracy (0.5 = guessing)", **scale)
    panel.set(xlabel="weights", ylabel="circuit")


def _say_missing(panel: Axes) -> None:
    panel.text(0.5, 0.5, "not logged", transform=panel.transAxes, ha="center", color=GREY)


def _handles() -> list[Line2D | Patch]:
    return [
        dot_handle(f"p < {SIGNIFICANT}", BLUE, BLUE),
        dot_handle("not significant", "white", BLUE),
        Patch(color=GREY, alpha=0.3, label="random sets of equal size, ±2 sd"),
    ]
