"""Figure of stability: how well the clients' circuits of a class agree, all at once."""

from typing import Final

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.patches import Patch

from analysis.figures.layer_lines import MEMBER_WIDTH, MOST_MEMBERS, member_colours
from analysis.figures.panels import (
    band_handle,
    draw_by_round,
    is_leftmost,
    layer_figure,
    line_handle,
    put_legend,
    round_axis,
)
from analysis.figures.style import BLUE, GREY, NothingToDrawError, label_figure, themed
from analysis.measures import layers_of, of_client_models, pairs
from analysis.measures.examined import why_not_measured
from analysis.text.words import RETEST
from fedcircuits.records import Comparison
from fedcircuits.runlog.run import Run

_MOST_BANDS: Final = 3
"""More bands than this hide each other."""


@themed
def client_stability(run: Run) -> FigureBase:
    """Draw the stability of clients' circuits by round and layer."""
    rows = run.stability
    if rows["stability"].isna().all():
        raise NothingToDrawError(why_not_measured(run, "stability") if rows.empty else "no stability is defined")
    retest = pairs(of_client_models(run), Comparison.RETEST)
    retest = retest[retest["round"].isin(rows["round"])]
    classes = sorted({int(class_id) for class_id in rows["class_id"]})
    layers = layers_of(rows)
    figure, legend, panels = layer_figure(layers)
    for layer, panel in zip(layers, panels, strict=True):
        panel.axhline(0, color=GREY, linestyle="--", linewidth=1)
        draw_by_round(panel, retest[retest["layer"] == layer], "phi", GREY, has_spread=False)
        _draw_classes(panel, rows[rows["layer"] == layer], classes)
        panel.set(ylim=(_lowest(rows), 1.03), ylabel="stability Φ (0 = chance)" if is_leftmost(panel) else "")
        round_axis(panel, sorted(rows["round"].unique()))
    put_legend(legend, _handles(classes, has_retest=bool(retest["phi"].notna().any())))
    caption = (
        "Agreement of all clients' circuits of one class (Nogueira's Φ): 1 = the same channels, 0 = chance, below 0.40 "
        f"poor and above 0.75 excellent. Look at how far lines stay below the retest, {RETEST}."
    )
    return label_figure(figure, run, "Agreement of clients on the circuit of a class", caption)


def _draw_classes(panel: Axes, rows: pd.DataFrame, classes: list[int]) -> None:
    """Draw a line per class, with its interval if they are few and with the mean if they are several."""
    has_bands = len(classes) <= _MOST_BANDS
    if len(classes) <= MOST_MEMBERS:
        for class_id, colour in zip(classes, member_colours(len(classes)), strict=True):
            own = rows[rows["class_id"] == class_id]
            draw_by_round(panel, own, "stability", colour, has_spread=False, width=None if has_bands else MEMBER_WIDTH)
            if has_bands:
                _draw_interval(panel, own, colour)
    if not has_bands:
        draw_by_round(panel, rows, "stability", BLUE, width=2.6)


def _draw_interval(panel: Axes, rows: pd.DataFrame, colour: str) -> None:
    known = rows[["round", "low", "high"]].dropna().astype("float64")
    ends = (known["round"], known["low"], known["high"])
    if len(known) > 1:
        panel.fill_between(*ends, color=colour, alpha=0.15, linewidth=0)
    else:
        panel.vlines(*ends, color=colour, alpha=0.4, linewidth=5)


def _lowest(rows: pd.DataFrame) -> float:
    """Return a lower limit that shows every line; intervals may be cut off, they can reach far down."""
    return min(-0.25, float(rows["stability"].min()) - 0.05)


def _handles(classes: list[int], *, has_retest: bool) -> list[Artist]:
    colours = member_colours(len(classes)) if len(classes) <= MOST_MEMBERS else []
    handles: list[Artist] = [
        line_handle(f"class {class_id}", colour) for class_id, colour in zip(classes, colours, strict=False)
    ]
    if len(classes) <= _MOST_BANDS:
        handles.append(Patch(color=GREY, alpha=0.2, linewidth=0, label="95 % interval"))
    else:
        handles += [line_handle("mean over classes", BLUE, width=2.6), band_handle("classes")]
    if has_retest:
        handles.append(line_handle("retest φ", GREY))
    return [*handles, line_handle("chance", GREY, "--", marker="")]
