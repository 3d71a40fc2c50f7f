"""Everything about one run that the page's scripts draw, as plain JSON values."""

import math
from typing import Any

import pandas as pd

from analysis import measures
from analysis.report.graphs import circuit_graphs
from analysis.report.tables import plot_tables
from analysis.report.thinning import GRAPH_BYTES, TABLE_BYTES
from analysis.summary import client_labels
from fedcircuits.records import ALL_LAYERS
from fedcircuits.runlog.run import Run


def run_data(run: Run, num_runs: int) -> dict[str, Any]:
    """Return a run's data.

    Args:
        run: the run.
        num_runs: runs in the page, which share what a page may hold.

    Returns:
        names, tables and circuits, and `notes`: sentences about what was left out.
    """
    tables, kept = plot_tables(run, TABLE_BYTES // num_runs)
    graphs = circuit_graphs(run, GRAPH_BYTES // num_runs)
    return {
        "name": run.path.name,
        "rounds": list(range(1, run.info["last_round"] + 1)),
        "layers": _layers(run),
        "classes": sorted(int(class_id) for class_id in {*run.accuracy["class_id"], *run.circuits["class_id"]}),
        "clients": sorted(int(partition) for partition in _clients(run)),
        "labels": {str(partition): label for partition, label in client_labels(run).items()},
        "held": _held(run),
        "measures": _measures(run),
        "tables": tables,
        "graphs": graphs,
        "notes": _notes(run, kept, graphs),
    }


def _layers(run: Run) -> list[str]:
    """Return the convolutions, then all pooled."""
    return [*dict.fromkeys(str(layer) for layer in run.circuits["layer"]), ALL_LAYERS]


def _clients(run: Run) -> set[Any]:
    partitions = pd.concat([run.clients["partition_id"], run.accuracy["partition_id"], run.circuits["partition_id"]])
    return set(partitions.dropna())


def _held(run: Run) -> list[dict[str, Any]]:
    """Return the images of each class that clients hold; of imported logs the classes alone."""
    held = measures.holdings(run)
    return [{"client": int(str(partition)), "images": counts.tolist()} for partition, counts in held.iterrows()]


def _measures(run: Run) -> list[dict[str, Any]]:
    """Return the figures of the summary, one row per round."""
    rows = measures.round_measures(run).reset_index().to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return value
    return None if pd.isna(value) or (isinstance(value, float) and math.isinf(value)) else value


def _notes(run: Run, kept: list[int], graphs: dict[str, Any] | None) -> list[str]:
    """Say what a large run had to leave out."""
    notes = []
    last, num_rounds = run.info["last_round"], run.circuits["round"].nunique()
    if len(kept) < last:
        notes.append(
            f"single pairs and clients are in this page for {len(kept)} of {last} rounds, of others their means"
        )
    if graphs and len(graphs["rounds"]) < num_rounds:
        notes.append(f"circuit graphs are in this page for {len(graphs['rounds'])} of {num_rounds} rounds")
    if graphs and graphs["numClients"] < graphs["ofClients"]:
        notes.append(
            f"circuit graphs are in this page for the first {graphs['numClients']} of {graphs['ofClients']} clients"
        )
    return [f"A large run: {note}." for note in notes]
