"""Draws the first figure of the README: one class's circuits in clients that hold the same classes, or different ones.

python -m sweep conf/digits/iid-3clients.toml conf/digits/shared-class.toml --seeds 0-9 --out runs/first-figure
python docs/first_figure.py runs/first-figure docs/images/first-figure.png
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import Run, load_run
from analysis.figures import save_figure
from analysis.figures.style import BLUE, INK, ORANGE, RED, SKY
from analysis.measures import global_accuracy, pooled_pairs
from analysis.measures.circuit_pairs import circuits_of, compare
from fedcircuits.records import ALL_LAYERS, Comparison, ModelKind

SPLITS = {
    "digits-iid-3clients": ("All clients hold all ten classes", BLUE),
    "digits-shared-class": ("Clients share a single class", RED),
}
NODES = {"in both clients": (INK, "o"), "only in one": (SKY, "s"), "only in the other": (ORANGE, "^")}

FIGURES = ["iou", "expected_iou"]

Edge = tuple[int, int]
"""Source and target channel."""

Clients = tuple[int, int]
"""Two clients."""


def main(folder: Path, path: Path) -> None:
    """Draw the figure of the runs in a folder."""
    runs: dict[str, list[Run]] = {name: [] for name in SPLITS}
    for run_file in sorted(folder.glob("*/run.json")):
        run = load_run(run_file.parent)
        runs[run.settings["run-name"]].append(run)

    typical = typical_pairs(runs)
    figure = Figure(figsize=(10, 7.2), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.3, 1])
    for part, (name, (title, colour)) in zip(upper.subfigures(1, 2), SPLITS.items(), strict=True):
        panel = part.subplots()
        draw_circuits(panel, *typical[name])
        part.suptitle(title, x=0.02, ha="left", color=colour, fontweight="bold", fontsize=13)
    lower.legend(handles=node_handles(), loc="outside upper center", ncols=3, frameon=False)
    overlap, accuracy = lower.subplots(1, 2)
    for name, (title, colour) in SPLITS.items():
        draw_seeds(overlap, [shared_overlap(run)["iou"] for run in runs[name]], colour, title)
        draw_seeds(overlap, [shared_overlap(run)["expected_iou"] for run in runs[name]], colour, None, "--")
        draw_seeds(accuracy, [global_accuracy(run)["accuracy_trained"] for run in runs[name]], colour, title)
    finish(overlap, "Circuits of the shared class across clients", "IoU (dashed: chance)")
    finish(accuracy, "Global model, on the classes that clients hold", "accuracy")
    accuracy.legend(frameon=False, loc="center right", bbox_to_anchor=(1, 0.6))
    save_figure(figure, path)


def typical_pairs(runs: Mapping[str, Sequence[Run]]) -> dict[str, tuple[Run, Clients]]:
    """Return, for each split, a run and two clients whose last circuits overlap as all do in the mean, chance included.

    The runs are of one seed, and so of one class.
    """
    candidates: dict[int, dict[str, tuple[float, Run, Clients]]] = {}
    for name, own in runs.items():
        last = [shared_pairs(run).query(f"round == {run.info['last_round']}") for run in own]
        mean = pd.concat(last)[FIGURES].mean()
        for run, rows in zip(own, last, strict=True):
            pairs = [(int(a), int(b)) for a, b in rows[["a_partition_id", "b_partition_id"]].to_numpy()]
            distances = [(abs(pooled_overlap(last_circuits(run, pair)) - mean).sum(), run, pair) for pair in pairs]
            if distances:
                nearest = min(distances, key=lambda distance: distance[0])
                candidates.setdefault(run.settings["seed"], {})[name] = nearest
    complete = [found for found in candidates.values() if len(found) == len(runs)]
    if not complete:  # without any usable pair no other is more typical than the first
        return {name: (own[0], (0, 1)) for name, own in runs.items()}
    best = min(complete, key=lambda found: sum(distance for distance, _, _ in found.values()))
    return {name: (run, pair) for name, (_, run, pair) in best.items()}


def last_circuits(run: Run, clients: Clients) -> list[pd.DataFrame]:
    """Return the last circuits of the class in two clients."""
    local = circuits_of(run, ModelKind.CLIENT)
    local = local[local["class_id"] == shared_class(run)]
    return [local[local["partition_id"] == client] for client in clients]


def pooled_overlap(pair: Sequence[pd.DataFrame]) -> "pd.Series[float]":
    """Return the overlap of two circuits, all layers pooled, and its chance."""
    return compare(pair).set_index("layer").loc[ALL_LAYERS, FIGURES].astype(float)


def draw_circuits(panel: Axes, run: Run, clients: Clients) -> None:
    """Draw the last circuits of the class in two clients over each other, with the kernels between their channels."""
    pair = last_circuits(run, clients)
    nodes = [{str(row["layer"]): set(row["channels"]) for _, row in rows.iterrows()} for rows in pair]
    heights = {"image": {0: 0.5}, **{layer: spread(*(one[layer] for one in nodes)) for layer in nodes[0]}}
    edges = [last_edges(run, client) for client in clients]
    for number, layer in enumerate([*nodes[0], "fc"]):
        for kind, ends in split(*(one[layer] for one in edges)).items():
            draw_edges(panel, number, ends, list(heights.values())[number], heights.get(layer, {}), NODES[kind][0])
    for number, layer in enumerate(nodes[0], start=1):
        for kind, channels in split(*(one[layer] for one in nodes)).items():
            colour, marker = NODES[kind]
            at = [heights[layer][channel] for channel in sorted(channels)]
            panel.plot([number] * len(at), at, marker, color=colour, markersize=6.5, zorder=3)
    panel.plot([0, len(heights)], [0.5, 0.5], "o", color="white", markeredgecolor=INK, markersize=11, zorder=3)
    panel.set_xticks(range(len(heights) + 1), [*heights, f"class {shared_class(run)}"])
    panel.set(yticks=[], ylim=(0, 1))
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    pooled = pooled_overlap(pair)
    shared = f"IoU {pooled['iou']:.2f}, by chance {pooled['expected_iou']:.2f}"
    panel.set_title(f"Circuits of class {shared_class(run)} in two clients: {shared}", loc="left", fontsize=10)


def shared_class(run: Run) -> int:
    """Return the class that clients share in `shared-class`: its class ids move on by the seed."""
    return int(run.settings["seed"]) % 10


def split(first: set[Any], second: set[Any]) -> dict[str, set[Any]]:
    """Return what both have and what either has alone, by the keys of `NODES`."""
    return dict(zip(NODES, (first & second, first - second, second - first), strict=True))


def spread(first: set[int], second: set[int]) -> dict[int, float]:
    """Spread the channels of a layer evenly over the height of the panel, shared ones in the middle."""
    order = [*sorted(first - second), *sorted(first & second), *sorted(second - first)]
    return {channel: (rank + 0.5) / len(order) for rank, channel in enumerate(order)}


def last_edges(run: Run, client: int) -> dict[str, set[Edge]]:
    """Return the edges of a client's last circuit of the class, by the layer that they lead into."""
    rows = run.edges[(run.edges["model"] == ModelKind.CLIENT) & (run.edges["class_id"] == shared_class(run))]
    rows = rows[(rows["partition_id"] == client) & (rows["round"] == run.info["last_round"])]
    return {str(row["layer"]): set(zip(row["sources"], row["targets"], strict=True)) for _, row in rows.iterrows()}


def draw_edges(
    panel: Axes, column: int, ends: set[Edge], before: dict[int, float], after: dict[int, float], colour: str
) -> None:
    """Draw edges from a column to the next one; image and class are one point each."""
    lines = [[(column, before.get(source, 0.5)), (column + 1, after.get(target, 0.5))] for source, target in ends]
    panel.add_collection(LineCollection(lines, colors=colour, linewidths=0.6, alpha=0.3, zorder=1))


def node_handles() -> list[Line2D]:
    """Return the legend of the circuits."""
    return [
        Line2D([], [], linestyle="", marker=marker, color=colour, markersize=7, label=label)
        for label, (colour, marker) in NODES.items()
    ]


def shared_overlap(run: Run) -> pd.DataFrame:
    """Return the mean overlap of the class's circuits over pairs of clients, and its chance, by round."""
    return shared_pairs(run).groupby("round")[FIGURES].mean()


def shared_pairs(run: Run) -> pd.DataFrame:
    """Return the overlap of the class's usable circuits, a row per pair of clients and round."""
    rows = pooled_pairs(run, Comparison.SAME_CLASS_ACROSS_CLIENTS)
    return rows[rows["a_class_id"] == shared_class(run)]


def draw_seeds(
    panel: Axes, seeds: "Sequence[pd.Series[float]]", colour: str, label: str | None, line: str = "-"
) -> None:
    """Draw the mean over seeds by round, and the range of the seeds."""
    table = pd.concat(seeds, axis=1).sort_index()
    panel.plot(table.index, table.mean(axis=1), line, marker="o", markersize=4, color=colour, label=label)
    panel.fill_between(table.index, table.min(axis=1), table.max(axis=1), color=colour, alpha=0.15, linewidth=0)


def finish(panel: Axes, title: str, what: str) -> None:
    """Give a panel of lines its title and axes."""
    panel.set_title(title, loc="left")
    panel.set(xlabel="round", ylabel=what, ylim=(0, 1.03), yticks=np.linspace(0, 1, 6))
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
