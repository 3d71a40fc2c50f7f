"""Figures of single circuits: how large and how good they are, and what averaging does to their function."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import FigureBase

from analysis import measures
from analysis.figures.panels import (
    SPREAD,
    around_zero,
    band_handle,
    draw_by_round,
    fraction_axis,
    is_leftmost,
    layer_figure,
    line_handle,
    panel_grid,
    put_legend,
    round_axis,
)
from analysis.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, NothingToDrawError, label_figure, themed
from analysis.figures.styles import new_figure
from fedcircuits.records import ModelKind
from fedcircuits.runlog.run import Run

_CLIENTS: Final = "client models"
_MODELS: Final = {_CLIENTS: BLUE, "global model, clients' data": ORANGE, "global model, server's data": PURPLE}
"""The three origins of circuits and their colours."""


@themed
def transplants(run: Run) -> FigureBase:
    """Draw how well local circuits work on the averaged weights, and the drift gap."""
    gaps = measures.drift_gaps(run)
    if gaps.empty:
        raise NothingToDrawError("no transplant was logged")
    false_positives = measures.drift_gaps(run, "false_positive_rate")
    figure = new_figure(height=4.0)
    titles = ["recall, only the circuit on", "false positives, only the circuit on", "drift gap in recall"]
    legend, (recall, alarms, gap) = panel_grid(figure, titles)
    lines = {"local circuit, local weights": (str(ModelKind.CLIENT), BLUE)}
    lines["local circuit, global weights"] = (str(ModelKind.TRANSPLANT), GREEN)
    lines["global model's own circuit"] = (str(ModelKind.GLOBAL), ORANGE)
    for column, colour in lines.values():
        draw_by_round(recall, gaps, column, colour, has_spread=column == ModelKind.TRANSPLANT)
        draw_by_round(alarms, false_positives, column, colour, has_spread=column == ModelKind.TRANSPLANT)
    if false_positives.empty:
        alarms.text(0.5, 0.5, "not logged", transform=alarms.transAxes, ha="center", color=GREY)
    gap.axhline(0, color=GREY, linewidth=1)
    draw_by_round(gap, gaps, "drift_gap", RED)
    fraction_axis(recall, "rate (0–1)")
    fraction_axis(alarms, "")
    gap.set(ylabel="difference of recalls (−1–1)", ylim=_gap_limits(gaps))
    for panel in (recall, alarms, gap):
        round_axis(panel, list(gaps["round"]))
    handles = [line_handle(label, colour) for label, (_, colour) in lines.items()]
    put_legend(legend, [*handles, line_handle("drift gap", RED), band_handle("circuits")])
    caption = (
        "Recall says something only as far as it lies above the false positives. A gap (global circuit minus "
        "transplant) above 0: the averaged weights can still do the class, but through other channels than the "
        "client's. A gap of 0 is good news only where the green line is high; where both circuits fail it is 0 too."
    )
    return label_figure(figure, run, "Local circuits on the global weights", caption)


@themed
def circuit_sizes(run: Run) -> FigureBase:
    """Draw how many channels circuits have, layer by layer."""
    sizes = _with_origin(measures.circuit_sizes(run))
    if sizes.empty:
        raise NothingToDrawError("no circuits were logged")
    layers = [str(layer) for layer in sizes["layer"].unique()]
    figure, legend, panels = layer_figure(layers)
    for layer, panel in zip(layers, panels, strict=True):
        own = sizes[sizes["layer"] == layer]
        for origin, colour in _MODELS.items():
            has_spread = origin == _CLIENTS
            draw_by_round(panel, own[own["origin"] == origin], "num_channels", colour, has_spread=has_spread)
        width = int(own["layer_width"].max())
        panel.axhline(width, color=GREY, linestyle="--", linewidth=1.2)
        panel.set(ylim=(-0.03 * width, 1.06 * width), ylabel="channels in the circuit" if is_leftmost(panel) else "")
        round_axis(panel, list(sizes["round"]))
    width_handle = line_handle("channels of the layer", GREY, "--", "")
    put_legend(legend, [*_origin_handles(sizes), width_handle, band_handle("client models' circuits")])
    caption = (
        "All circuits, usable or not. A circuit near the layer's width (dashed) selects nothing there; sizes that "
        "change between rounds move the IoU by themselves, so compare overlaps with chance."
    )
    return label_figure(figure, run, "Sizes of circuits", caption)


@themed
def circuit_quality(run: Run) -> FigureBase:
    """Draw sufficiency, false-positive rate, necessity and usable share of circuits."""
    quality = measures.on_own_images(run).quality
    rows = _with_origin(quality[quality["model"] != ModelKind.TRANSPLANT])
    if rows.empty:
        raise NothingToDrawError("no quality of circuits was logged")
    labels = {
        "sufficiency": "recall, circuit alone (0–1)",
        "false_positive_rate": "rate, circuit alone (0–1)",
        "necessity": "recall, circuit off (0–1)",
        "usable": "share of circuits (0–1)",
    }
    titles = ["sufficiency (high)", "false positives (low)", "necessity (low)", "usable (high)"]
    figure = new_figure(height=4.0)
    legend, panels = panel_grid(figure, titles)
    for panel, column in zip(panels, labels, strict=True):
        for origin, colour in _MODELS.items():
            own = rows[rows["origin"] == origin]
            # Necessity and usability of one circuit are nearly always 0 or 1: a band would fill the panel.
            has_spread = origin == _CLIENTS and column in {"sufficiency", "false_positive_rate"}
            drawn = measures.usable_share(own).reset_index() if column == "usable" else own
            draw_by_round(panel, drawn, column, colour, has_spread=has_spread)
        if rows[column].isna().all():
            panel.text(0.5, 0.5, "not logged", transform=panel.transAxes, ha="center", color=GREY)
        if column == "necessity":
            clients = rows[rows["origin"] == _CLIENTS]
            draw_by_round(panel, clients, "empty_circuit_recall", GREY, style="--", has_spread=False)
        round_axis(panel, list(rows["round"]))
        fraction_axis(panel, labels[column])
    handles = _origin_handles(rows)
    if rows["empty_circuit_recall"].notna().any():
        handles.append(line_handle("every channel off", GREY, "--", ""))
    put_legend(legend, [*handles, band_handle("client models' circuits")])
    caption = (
        "A good circuit has high sufficiency, few false positives (among the classes its model was trained on) and "
        "necessity no higher than with every channel off: a model that is left with biases says one class for every "
        "image. Usable: as good as the whole model to within a tenth, with at most 80 % of its channels."
        f"{_why_unusable(rows)}"
    )
    return label_figure(figure, run, "Quality of circuits", caption)


def _why_unusable(rows: pd.DataFrame) -> str:
    """Say why client models' circuits of the last round are not usable; empty if all are."""
    clients = rows[rows["model"] == ModelKind.CLIENT]
    why = measures.reasons_in_words(clients[clients["round"] == clients["round"].max()])
    return f" Not usable of client models' circuits in the last round: {why}." if why else ""


def _with_origin(rows: pd.DataFrame) -> pd.DataFrame:
    """Name the origin of each row: which model, and for the global one on whose data."""
    clients, on_clients, on_server = _MODELS
    origin = pd.Series(on_clients, index=rows.index).mask(rows["model"] == ModelKind.CLIENT, clients)
    return rows.assign(origin=origin.mask(rows["partition_id"].isna(), on_server))


def _origin_handles(rows: pd.DataFrame) -> list[Artist]:
    """Return the legend entries of the origins that were logged."""
    return [line_handle(origin, colour) for origin, colour in _MODELS.items() if (rows["origin"] == origin).any()]


def _gap_limits(gaps: pd.DataFrame) -> tuple[float, float]:
    bands = gaps.groupby("round")["drift_gap"].quantile(np.array(SPREAD)).abs()
    return around_zero(float(bands.max()) if bands.notna().any() else 0.0)
