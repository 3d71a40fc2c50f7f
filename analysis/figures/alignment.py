"""Figure of alignment: what matching channels does to the overlap of circuits, beside its two controls."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from analysis.figures.panels import SPREAD, is_leftmost, line_handle, panel_grid, put_legend
from analysis.figures.style import BLUE, GREY, ORANGE, NothingToDrawError, label_figure, themed
from analysis.figures.styles import new_figure, points
from analysis.measures import layers_of
from analysis.measures.examined import newest_rows, why_not_measured
from fedcircuits.records import ALL_LAYERS
from fedcircuits.runlog.run import Run

_STAGES: Final = {
    "phi": "before",
    "matched_phi": "after",
    "other_class_phi": "other\nclass",
    "random_phi": "random",
}
"""Columns in the order shown; the last two are controls, after matching as well."""

_NAMES: Final = {ALL_LAYERS: "all"}

_WITHOUT_CIRCUITS: Final = "no two have usable circuits of one class"
"""Why matched models have no overlap."""

_PARTNERS: Final = {"client": ("two clients", BLUE, -0.1), "global": ("client and average", ORANGE, 0.1)}
"""Label, colour, and shift to the side."""


@themed
def matched_overlap(run: Run) -> FigureBase:
    """Draw the correlation of circuits before and after matching, by method and layer."""
    rows = newest_rows(run, "alignment")
    if rows.empty:
        raise NothingToDrawError(why_not_measured(run, "alignment"))
    if rows["phi"].isna().all():
        raise NothingToDrawError(
            f"of the pairs of models matched in round {rows['round'].iloc[0]}, {_WITHOUT_CIRCUITS}"
        )
    rows = rows.assign(partner=rows["b_partition_id"].isna().map({True: "global", False: "client"}))
    cells = _cells(rows)
    num_methods = len({method for method, _ in cells})
    figure = new_figure(height=1.9 + 2.7 * num_methods)
    titles = [f"by {method}: {_NAMES.get(layer, layer)}" for method, layer in cells]
    legend, panels = panel_grid(figure, titles, columns=-(-len(cells) // num_methods))
    for (method, layer), panel in zip(cells, panels, strict=True):
        _draw_stages(panel, rows[(rows["method"] == method) & (rows["layer"] == layer)])
        panel.set(ylim=(_lowest(rows), 1.25), ylabel="φ of circuits (0 = chance)" if is_leftmost(panel) else "")
    put_legend(legend, _handles(rows))
    caption = (
        "Channels of two models are matched to each other; the percentage of them that stay in place stands above. "
        "Circuits are relabelled where φ rises from before to after and ends above both controls, another class's "
        "circuits and random ones under the same matching."
    )
    without = [label for partner, (label, *_) in _PARTNERS.items() if _is_without_circuits(rows, partner)]
    if without:
        caption += f" No φ of {' and '.join(without)}: {_WITHOUT_CIRCUITS}."
    title = f"Overlap of circuits before and after matching channels, round {rows['round'].iloc[0]}"
    return label_figure(figure, run, title, caption)


def _cells(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the methods and layers that have a value, in their order; others would be empty panels."""
    known = rows.dropna(subset=["phi"])
    layers = [layer for layer in layers_of(rows) if layer in set(known["layer"])]
    return [(str(method), layer) for method in known["method"].unique() for layer in layers]


def _is_without_circuits(rows: pd.DataFrame, partner: str) -> bool:
    own = rows[rows["partner"] == partner]
    return len(own) > 0 and bool(own["phi"].isna().all())


def _draw_stages(panel: Axes, rows: pd.DataFrame) -> None:
    columns = list(_STAGES)
    panel.axhline(0, color=GREY, linestyle="--", linewidth=1)
    for (partner, (_, colour, shift)), height in zip(_PARTNERS.items(), (1.16, 1.05), strict=True):
        own = rows[rows["partner"] == partner]
        values = own.loc[own["phi"].notna(), columns].astype("float64")
        places = np.arange(len(columns)) + shift
        low, high = values.quantile(SPREAD[0]), values.quantile(SPREAD[1])
        panel.vlines(places, low, high, color=colour, alpha=0.4, linewidth=5)
        # The step that matters is joined by a line; the controls stand alone.
        panel.plot(places[:2], values.mean().iloc[:2], color=colour, marker="o", markersize=5)
        panel.plot(places[2:], values.mean().iloc[2:], color=colour, marker="x", markersize=6, linestyle="")
        share = own["fixed_points"].astype("float64").mean()
        text = "" if pd.isna(share) else f"{share:.0%} in place"
        panel.text(
            0.02, height, text, color=colour, fontsize=points(8), va="center", transform=panel.get_yaxis_transform()
        )
    panel.axvline(1.5, ymax=0.8, color=GREY, linewidth=0.6)  # below the texts
    panel.set_xlim(-0.5, len(columns) - 0.5)
    panel.set_xticks(range(len(columns)), list(_STAGES.values()), fontsize=points(8))
    panel.set_yticks(np.arange(-1, 1.01, 0.25)[np.arange(-1, 1.01, 0.25) >= panel.get_ylim()[0]])
    panel.grid(visible=False, axis="x")


def _lowest(rows: pd.DataFrame) -> float:
    lowest = float(rows[list(_STAGES)].astype("float64").min().min())
    return -0.15 if np.isnan(lowest) else min(-0.15, lowest - 0.05)


def _handles(rows: pd.DataFrame) -> list[Artist]:
    logged = set(rows["partner"])
    handles: list[Artist] = [
        line_handle(label, colour) for partner, (label, colour, _) in _PARTNERS.items() if partner in logged
    ]
    control = line_handle("control", GREY, marker="x")
    control.set_linestyle("")
    spread = line_handle("10–90 % of pairs", GREY, marker="", width=5)
    spread.set_alpha(0.4)
    return [*handles, control, spread, line_handle("chance", GREY, "--", marker="")]
