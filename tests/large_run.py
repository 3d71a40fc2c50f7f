"""A run as large as wanted, in memory: the default network, every client with every class, noise for figures."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import Run
from fedcircuits.records import ALL_LAYERS, TABLES, Comparison

WIDTHS = {"conv1": 32, "conv2": 64, "conv3": 128}
LAYERS = [*WIDTHS, ALL_LAYERS]
KERNELS = {"conv1": (32, 1), "conv2": (64, 32), "conv3": (128, 64), "fc": (10, 128)}
FIGURES = ["iou", "expected_iou", "adjusted_iou", "phi"]


def large_run(num_rounds: int, num_clients: int, num_classes: int, draw: np.random.Generator) -> Run:
    """Return a completed run with circuits in every round."""
    tables = {name: pd.DataFrame(columns=schema.names) for name, schema in TABLES.items()}
    models = [("client", client) for client in range(num_clients)]
    models += [("global", client) for client in range(num_clients)] + [("global", None)]
    clients = _grid(round=range(1, num_rounds + 1), partition_id=range(num_clients))
    counts = {"class_counts": [[10] * num_classes] * len(clients), "accepted": True, "density": 0.1}
    subjects = _subjects(num_rounds, models, num_classes)
    tables["clients"] = clients.assign(**counts)
    tables["accuracy"] = _noise(subjects, ["recall"], draw).assign(num_examples=20)
    tables["quality"] = _noise(subjects, ["sufficiency", "balanced_accuracy"], draw).assign(usable=True)
    tables["overlap"] = _noise(_pairs(num_rounds, num_clients, num_classes), FIGURES, draw).assign(usable=True)
    tables["circuits"], tables["edges"] = _circuits(subjects, draw)
    whole = {name: _like_the_log(frame, name) for name, frame in tables.items()}
    settings = {"num-server-rounds": num_rounds, "circuit-every": 1}
    info = {"status": "completed", "last_round": num_rounds, "settings": settings, "num_clients": num_clients}
    return Run(path=Path("large"), info=info, **whole)


def _grid(**columns: Any) -> pd.DataFrame:
    return pd.MultiIndex.from_product(list(columns.values()), names=list(columns)).to_frame(index=False)


def _subjects(num_rounds: int, models: list[tuple[str, int | None]], num_classes: int) -> pd.DataFrame:
    rows = _grid(round=range(1, num_rounds + 1), number=range(len(models)), class_id=range(num_classes))
    known = pd.DataFrame(models, columns=["model", "partition_id"])
    return rows.join(known, on="number").drop(columns="number")


def _noise(rows: pd.DataFrame, figures: list[str], draw: np.random.Generator) -> pd.DataFrame:
    return rows.assign(**{name: draw.random(len(rows)) for name in figures})


def _pairs(num_rounds: int, num_clients: int, num_classes: int) -> pd.DataFrame:
    clients, classes = range(num_clients), range(num_classes)
    across = [(a, b, c, d) for a, b in combinations(clients, 2) for c in classes for d in classes]
    own = [(a, a, c, c) for a in clients for c in classes]
    ends = pd.DataFrame(across + own * 3, columns=["a_partition_id", "b_partition_id", "a_class_id", "b_class_id"])
    same, different = Comparison.SAME_CLASS_ACROSS_CLIENTS, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS
    kinds = [str(same if c == d else different) for _, _, c, d in across]
    for comparison in (Comparison.LOCAL_VS_GLOBAL, Comparison.RETEST, Comparison.ROUND_TO_ROUND):
        kinds += [str(comparison)] * len(own)
    ends = ends.assign(comparison=kinds, a_model="client", b_model="client")
    rows = _grid(round=range(1, num_rounds + 1), number=range(len(ends)), layer=LAYERS)
    return rows.join(ends, on="number").drop(columns="number")


def _circuits(subjects: pd.DataFrame, draw: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    circuits, edges = [], []
    for subject in subjects.to_dict("records"):
        nodes: list[Any] = [np.array([0])]
        for layer, width in WIDTHS.items():
            scores = draw.random(width).astype(np.float32)
            nodes.append(np.flatnonzero(scores > 0.7))
            sizes = {"num_channels": len(nodes[-1]), "layer_width": width}
            lists = {"channels": nodes[-1], "score": scores, "reachable": np.arange(width)}
            circuits.append({**subject, "layer": layer, **sizes, **lists})
        nodes.append(np.array([subject["class_id"]]))
        for layer, sources, targets in zip(KERNELS, nodes, nodes[1:], strict=False):
            # Every second kernel is alive, in all models, so that the edges of one are consistent.
            ends = np.array([(s, t) for s in sources for t in targets if (s + t) % 2], dtype=np.int32).reshape(-1, 2)
            edges.append(
                {**subject, "layer": layer, "num_edges": len(ends), "sources": ends[:, 0], "targets": ends[:, 1]}
            )
    return pd.DataFrame(circuits), pd.DataFrame(edges)


def _like_the_log(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Give a table all of its columns, with the types that a reader gives them."""
    types = {"int64": "Int64", "bool": "boolean", "double": "float64"}
    known = {column.name: types.get(str(column.type), "object") for column in TABLES[name]}
    return frame.reindex(columns=TABLES[name].names).astype(known).astype({"round": "int64"})
