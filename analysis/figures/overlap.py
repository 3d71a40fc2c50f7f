"""Figures of overlap by round and layer, always against what chance gives for the same sizes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from analysis import measures
from analysis.figures.panels import (
    band_handle,
    draw_by_round,
    fraction_axis,
    is_leftmost,
    layer_figure,
    line_handle,
    put_legend,
    round_axis,
)
from analysis.run import Run
from analysis.style import BLUE, GREEN, GREY, ORANGE, RED, NothingToDrawError, label_figure, themed
from fedcircuits.records import ALL_LAYERS, Comparison, ModelKind


@dataclass(frozen=True)
class _Line:
    """One line in every panel: usable rows of the overlap table; why there are none, if so.

    A reference line is drawn without its chance and spread, which would bury what it is a reference for.
    """

    label: str
    colour: str
    rows: pd.DataFrame
    why_empty: str
    is_reference: bool = False


@themed
def overlap_across_clients(run: Run) -> Figure:
    """Draw how similar circuits of different clients are, for the same class and for different classes."""
    same, different = Comparison.SAME_CLASS_ACROSS_CLIENTS, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS
    lines = [_line(run, "same class", BLUE, same), _line(run, "different classes", RED, different)]
    retest = _line(run, "retest: same model, found twice (ceiling)", GREY, Comparison.RETEST, is_reference=True)
    if not retest.rows.empty and any(not line.rows.empty for line in lines):
        lines.append(retest)
    figure = _draw_layers(lines, "pairs")
    caption = (
        "Clients agree on a canonical circuit where the same class lies far above its chance (dashed) and above "
        f"different classes. {_left_out(run, [same, different])}"
    )
    return label_figure(figure, run, "Overlap of circuits across clients", caption)


@themed
def local_vs_global(run: Run) -> Figure:
    """Draw how similar a client's circuit is to the global model's circuit of the same class on the same data."""
    retest = _line(run, "retest: same model, found twice (ceiling)", GREY, Comparison.RETEST, is_reference=True)
    lines = [_line(run, "local against global", GREEN, Comparison.LOCAL_VS_GLOBAL), retest]
    figure = _draw_layers(lines, "circuits")
    caption = (
        "Averaging keeps local circuits where the line reaches the ceiling, and replaces them where it falls to chance "
        f"(dashed). {_left_out(run, [Comparison.LOCAL_VS_GLOBAL, Comparison.RETEST])}"
    )
    return label_figure(figure, run, "Local circuits against the global model's", caption)


@themed
def stability(run: Run) -> Figure:
    """Draw how similar a model's circuits are to its circuits of the round before."""
    rows = measures.pairs(run, Comparison.ROUND_TO_ROUND)
    why_empty = measures.why_no_pairs(run, Comparison.ROUND_TO_ROUND)
    lines = [
        _Line("client models", BLUE, rows[rows["a_model"] == ModelKind.CLIENT], why_empty),
        _Line("global model", ORANGE, rows[rows["a_model"] == ModelKind.GLOBAL], why_empty),
    ]
    figure = _draw_layers(lines, "circuits")
    caption = (
        "Each round against the one studied before it; chance (dashed) for the same sizes. A line that rises towards 1 "
        f"says that circuits settle. {_left_out(run, [Comparison.ROUND_TO_ROUND])}"
    )
    return label_figure(figure, run, "Stability of circuits from round to round", caption)


@themed
def weight_masks(run: Run) -> Figure:
    """Draw how similar the clients' weight masks are to each other and to the average's non-zero weights."""
    lines = [
        _line(run, "client against client", BLUE, Comparison.PARAMETER_MASK_ACROSS_CLIENTS),
        _line(run, "client against global", ORANGE, Comparison.PARAMETER_MASK_LOCAL_VS_GLOBAL),
    ]
    figure = _draw_layers(lines, "pairs")
    caption = "Which weights survive sparse training. Below 1, averaging mixes weights that some clients have pruned."
    return label_figure(figure, run, "Overlap of weight masks", caption)


def _line(run: Run, label: str, colour: str, comparison: Comparison, *, is_reference: bool = False) -> _Line:
    rows = measures.pairs(run, comparison)
    return _Line(label, colour, rows, measures.why_no_pairs(run, comparison), is_reference)


def _draw_layers(lines: Sequence[_Line], what: str) -> Figure:
    """Draw one panel per layer; what has no pairs says so in the legend."""
    rows = pd.concat([line.rows for line in lines])
    if rows.empty:
        raise NothingToDrawError("; ".join(sorted({line.why_empty for line in lines})))
    layers = _layers(rows)
    figure, legend, panels = layer_figure(layers)
    for layer, panel in zip(layers, panels, strict=True):
        for line in lines:
            own = line.rows[line.rows["layer"] == layer]
            if not line.is_reference:
                draw_by_round(panel, own, "expected_iou", line.colour, style="--", has_spread=False)
            draw_by_round(panel, own, "iou", line.colour, has_spread=not line.is_reference)
        round_axis(panel, sorted(rows["round"].unique()))
        fraction_axis(panel, "IoU (0–1)" if is_leftmost(panel) else "")
    put_legend(legend, _handles(lines, what))
    return figure


def _handles(lines: Iterable[_Line], what: str) -> list[Artist]:
    handles: list[Artist] = []
    for line in lines:
        label = f"{line.label} – {line.why_empty}" if line.rows.empty else line.label
        handles.append(line_handle(label, line.colour))
    return [*handles, line_handle("chance, same sizes", GREY, "--", marker=""), band_handle(what)]


def _layers(rows: pd.DataFrame) -> list[str]:
    """Return the layers from the input to the output, then all pooled."""
    layers = [str(layer) for layer in rows["layer"].unique()]
    return sorted(layers, key=lambda layer: layer == ALL_LAYERS)


def _left_out(run: Run, comparisons: Sequence[Comparison]) -> str:
    excluded, total = measures.left_out(run, comparisons)
    return f"Left out as not usable: {excluded} of {total} pairs."
