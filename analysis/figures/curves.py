"""Figure of nested circuits: how faithful a circuit of each size is, and how well it tells its class from others."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from analysis.figures.layer_lines import MEMBER_WIDTH, MOST_MEMBERS, member_colours
from analysis.figures.panels import dot_handle, fraction_axis, is_leftmost, line_handle, panel_grid, put_legend
from analysis.figures.style import BLUE, GREY, INK, RED, NothingToDrawError, label_figure, themed
from analysis.figures.styles import new_figure
from analysis.measures.examined import newest_rows, rows_of, why_not_measured
from fedcircuits.records import ModelKind
from fedcircuits.runlog.run import Run

_MODELS: Final = {str(ModelKind.CLIENT): "client models", str(ModelKind.GLOBAL): "global model"}

_ROWS: Final = ("faithfulness", "recall and false positives")

_SHARES: Final = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Ticks of the horizontal axis, whose square root makes room for small circuits."""

_WIDEST: Final = (-0.5, 1.5)
"""Faithfulness beyond this is cut off: a circuit that scores far above the whole model would flatten all others."""

_CIRCUIT: Final = ["partition_id", "data", "class_id"]


@themed
def faithfulness_curves(run: Run) -> FigureBase:
    """Draw faithfulness, recall and false positives of nested circuits against their size."""
    curves = newest_rows(run, "curves")
    if curves.empty:
        raise NothingToDrawError(why_not_measured(run, "curves"))
    server_round = int(curves["round"].iloc[0])
    chosen = rows_of(run, "scrutiny", server_round)
    models = [model for model in _MODELS if (curves["model"] == model).any()]
    figure = new_figure(height=6.6)
    titles = [f"{_MODELS[model]}: {what}" for what in _ROWS for model in models]
    legend, panels = panel_grid(figure, titles, columns=len(models))
    colours = _class_colours(curves)
    for model, upper, lower in zip(models, panels, panels[len(models) :], strict=False):
        own = curves[curves["model"] == model]
        _draw_faithfulness(upper, own, chosen[chosen["model"] == model], colours)
        _draw_rates(lower, own)
    put_legend(legend, _handles(colours, has_marks=bool(chosen["faithfulness"].notna().any())))
    caption = (
        "Circuits cut from each ranking, from none to all channels; 1 = as good as the whole model, 0 = the empty "
        "circuit. A good ranking rises early, and the circuit itself (dot) should sit where the curve flattens."
    )
    return label_figure(figure, run, f"Faithfulness of circuits by size, round {server_round}", caption)


def _draw_faithfulness(panel: Axes, curves: pd.DataFrame, chosen: pd.DataFrame, colours: dict[int, str]) -> None:
    for _, circuit in curves.groupby(_CIRCUIT, dropna=False):
        own = circuit.sort_values("size")
        colour = colours[int(own["class_id"].iloc[0])]
        panel.plot(own["share"], own["faithfulness"], color=colour, linewidth=MEMBER_WIDTH, alpha=0.7)
    panel.axhline(1, color=GREY, linewidth=1, linestyle="--")
    panel.plot(*_mean_curve(curves, "faithfulness"), color=INK, linewidth=2.6)
    shares = chosen["num_channels"] / chosen["num_reachable"]
    marks = [colours.get(int(class_id), GREY) for class_id in chosen["class_id"]]
    panel.scatter(shares, chosen["faithfulness"], c=marks, s=28, edgecolors=INK, linewidths=0.8, zorder=3)
    low, high = _limits(pd.concat([curves["faithfulness"], chosen["faithfulness"]]))
    panel.set(ylim=(low, high), ylabel="faithfulness F" if is_leftmost(panel) else "")
    _share_axis(panel)


def _draw_rates(panel: Axes, curves: pd.DataFrame) -> None:
    for column, colour in (("recall", BLUE), ("false_positive_rate", RED)):
        for _, circuit in curves.groupby(_CIRCUIT, dropna=False):
            own = circuit.sort_values("size")
            panel.plot(own["share"], own[column], color=colour, linewidth=0.7, alpha=0.3)
        panel.plot(*_mean_curve(curves, column), color=colour, linewidth=2.6)
    fraction_axis(panel, "rate (0–1)" if is_leftmost(panel) else "")
    _share_axis(panel)
    panel.set_xlabel("share of reachable channels")


def _mean_curve(curves: pd.DataFrame, column: str) -> tuple[list[float], list[float]]:
    """Return shares and the mean over circuits, each interpolated, for their sizes are shares of different wholes."""
    known = curves.dropna(subset=[column])
    shares = np.unique(known["share"].to_numpy(dtype=float))
    circuits = [circuit.sort_values("share") for _, circuit in known.groupby(_CIRCUIT, dropna=False)]
    if not circuits:
        return [], []
    values = [np.interp(shares, own["share"].astype(float), own[column].astype(float)) for own in circuits]
    return list(shares), list(np.mean(values, axis=0))


def _limits(values: "pd.Series[float]") -> tuple[float, float]:
    known = values.dropna().astype("float64")
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    return max(_WIDEST[0], min(-0.05, low - 0.05)), min(_WIDEST[1], max(1.1, high + 0.05))


def _share_axis(panel: Axes) -> None:
    panel.set_xscale("function", functions=(lambda share: np.sqrt(np.clip(share, 0, None)), np.square))
    panel.set_xlim(0, 1.03)
    panel.set_xticks(_SHARES, [f"{share:g}" for share in _SHARES])
    panel.minorticks_off()


def _class_colours(curves: pd.DataFrame) -> dict[int, str]:
    """Return a colour per class, the same grey for all if there are too many to be told apart."""
    classes = sorted({int(class_id) for class_id in curves["class_id"].dropna()})
    colours = member_colours(len(classes)) if len(classes) <= MOST_MEMBERS else [GREY] * len(classes)
    return dict(zip(classes, colours, strict=True))


def _handles(colours: dict[int, str], *, has_marks: bool) -> list[Artist]:
    shown = {f"class {class_id}": colour for class_id, colour in colours.items()}
    if len(colours) > MOST_MEMBERS:
        shown = {"one circuit": GREY}
    handles: list[Artist] = [line_handle(label, colour, marker="", width=1.4) for label, colour in shown.items()]
    handles.append(line_handle("mean", INK, marker="", width=2.6))
    if has_marks:
        handles.append(dot_handle("the circuit itself", "white", INK))
    return [*handles, line_handle("recall", BLUE, marker=""), line_handle("false positives", RED, marker="")]
