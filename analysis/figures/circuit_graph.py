"""Drawings of circuits as layered graphs, as in arXiv 2512.23043: image, channels of each convolution, class.

An edge is at least one non-zero weight between two nodes of the circuit.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D

from analysis.figures.graph_choice import IMAGE, CircuitGraph, global_graphs, local_graphs, mean_overlap
from analysis.figures.panels import panel_grid, put_legend
from analysis.figures.style import GREY, INK, ORANGE, SKY, label_figure, themed
from analysis.figures.styles import current_style, new_figure, points
from fedcircuits.runlog.run import Run

_MOST_LABELLED: Final = 32
"""Channels of a layer, in the largest circuit, up to which nodes carry their numbers."""

_HEIGHT: Final = 7.6
"""Inches; about 430 points of it for the nodes of a layer."""

_PANELS_HEIGHT: Final = 430

Places = dict[str, dict[int, float]]
"""Column of the graph to its channels and their heights, 0 at the bottom to 1."""


@themed
def circuit_graph_local(run: Run) -> FigureBase:
    """Draw a local circuit of up to three clients."""
    return _draw(run, local_graphs(run), "local models", "the global model's circuit of the class")


@themed
def circuit_graph_global(run: Run) -> FigureBase:
    """Draw the global model's circuits of the classes that `circuit_graph_local` draws."""
    return _draw(run, global_graphs(run), "global model", "the client's local circuit of the class")


def _draw(run: Run, graphs: Sequence[CircuitGraph], whose: str, counterpart: str) -> FigureBase:
    """Draw one panel per circuit; a channel stands at the same height in all of them."""
    figure = new_figure(height=_HEIGHT)
    legend, panels = panel_grid(figure, [_panel_title(graph) for graph in graphs])
    places = _places(graphs)
    is_labelled = _largest_layer(graphs) <= _MOST_LABELLED * current_style().height
    for graph, panel in zip(graphs, panels, strict=True):
        others = [other for other in graphs if other is not graph]
        _draw_edges(panel, graph, places)
        _draw_nodes(panel, graph, others, places, is_labelled=is_labelled)
        columns = list(graph.nodes())
        panel.set(xlim=(-0.4, len(columns) - 0.6), ylim=(-0.02, 1.02), yticks=[])
        panel.set_xticks(range(len(columns)), [*columns[:-1], "class"])
        panel.grid(visible=False)
        panel.spines[:].set_visible(False)
    put_legend(legend, _handles(graphs, counterpart))
    title = f"Circuit graph, {whose}, round {graphs[0].rows['round'].iloc[0]}"
    return label_figure(figure, run, title, _caption(graphs, is_labelled=is_labelled))


def _panel_title(graph: CircuitGraph) -> str:
    partition_id, class_id = graph.subject
    data = "server's data" if partition_id is None else f"client {partition_id}"
    sizes = " + ".join(str(size) for size in graph.rows["num_channels"])
    num_edges = sum(len(ends) for ends in graph.edges.values())
    verdict = f", {graph.why_unusable}" if graph.why_unusable else ""
    edges = f", {num_edges:,} edges" if graph.edges else ""
    return f"{data}, class {class_id}{verdict}\n{sizes} channels{edges}"


def _places(graphs: Sequence[CircuitGraph]) -> Places:
    """Spread the channels that any panel has evenly over each column; image and class stand in the middle."""
    columns = list(graphs[0].nodes())
    places: Places = {}
    for column in columns:
        channels = sorted({channel for graph in graphs for channel in graph.nodes()[column]})
        if column == columns[-1]:
            places[column] = dict.fromkeys(channels, 0.5)
            continue
        size = max(len(channels), 5)
        first = 0.5 - len(channels) / size / 2
        places[column] = {channel: 1 - first - (rank + 0.5) / size for rank, channel in enumerate(channels)}
    return places


def _draw_edges(panel: Axes, graph: CircuitGraph, places: Places) -> None:
    """Draw edges fainter the more of them lie between two layers."""
    columns = list(graph.nodes())
    for number, (source_layer, layer) in enumerate(pairwise(columns)):
        ends = graph.edges.get(layer, [])
        heights = [(places[source_layer][source], places[layer][target]) for source, target in ends]
        segments = [[(number, start), (number + 1, end)] for start, end in heights]
        alpha = float(np.clip(50 / max(len(ends), 1), 0.06, 0.7))
        panel.add_collection(LineCollection(segments, colors=GREY, linewidths=0.7, alpha=alpha, zorder=1))


def _draw_nodes(
    panel: Axes, graph: CircuitGraph, others: Sequence[CircuitGraph], places: Places, *, is_labelled: bool
) -> None:
    spacing = current_style().height * _PANELS_HEIGHT / max(len(column) for column in places.values())
    for number, (column, channels) in enumerate(graph.nodes().items()):
        elsewhere = {channel for other in others for channel in other.nodes()[column]}
        is_end = column in (IMAGE, graph.output)
        for channel in channels:
            fill = "white" if is_end else ORANGE if channel in elsewhere else SKY
            rim = INK if is_end or channel in graph.in_counterpart(column) else fill
            height = places[column][channel]
            if is_labelled or is_end:
                box = {"boxstyle": "round,pad=0.2", "facecolor": fill, "edgecolor": rim, "linewidth": 0.9}
                size = points(9) if is_end else float(np.clip(0.62 * spacing, 4, 8))
                panel.text(number, height, str(channel), fontsize=size, ha="center", va="center", bbox=box, zorder=3)
            else:
                size = float(np.clip(0.75 * spacing, 2.5, 7))
                panel.plot(
                    number, height, "o", color=fill, markersize=size, zorder=3, markeredgecolor=rim, markeredgewidth=0.7
                )


def _handles(graphs: Sequence[CircuitGraph], counterpart: str) -> list[Line2D]:
    def node(label: str, fill: str, rim: str) -> Line2D:
        return Line2D([], [], linestyle="", marker="o", markersize=7, color=fill, markeredgecolor=rim, label=label)

    fills = [node("channel in this panel only", SKY, SKY), node("channel also in another panel", ORANGE, ORANGE)]
    rim = node(f"rim: also in {counterpart}", "white", INK)
    has_rims = any(graph.counterpart is not None for graph in graphs)
    return [*fills[: len(graphs)], *([rim] if has_rims else [])]


def _caption(graphs: Sequence[CircuitGraph], *, is_labelled: bool) -> str:
    """Say what edges are, what was left out, and how much sharing chance would give."""
    drawn = "Edges: at least one non-zero weight between two channels of the circuit; the more, the fainter. "
    if not any(graph.edges for graph in graphs):
        drawn = "No edges were logged: nodes only. "
    numbers = "Numbers: channels. " if is_labelled else f"No numbers: a layer has over {_MOST_LABELLED} channels. "
    sharing = [
        _sharing("panels", [mean_overlap([graph.rows for graph in graphs])]),
        _sharing(
            "a panel and the rimmed circuit",
            [mean_overlap([graph.rows, graph.counterpart]) for graph in graphs if graph.counterpart is not None],
        ),
    ]
    heights = "A channel stands at one height in all panels." if len(graphs) > 1 else ""
    return " ".join(filter(None, [f"{drawn}{numbers}{heights}", *sharing]))


def _sharing(between: str, overlaps: Sequence[tuple[float, float]]) -> str:
    """Say how similar circuits are on average, all layers pooled; nothing where it is undefined."""
    known = [pair for pair in overlaps if not np.isnan(pair[0])]
    if not known:
        return ""
    iou, chance = np.mean(known, axis=0)
    return f"Mean IoU of {between} {iou:.2f}, by chance {chance:.2f}."


def _largest_layer(graphs: Sequence[CircuitGraph]) -> int:
    return max(len(channels) for graph in graphs for channels in graph.nodes().values())
