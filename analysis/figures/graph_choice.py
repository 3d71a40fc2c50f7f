"""Which circuits a circuit graph shows, and what is known about each: its nodes, its edges, and whom it shares with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from analysis.figures.style import NothingToDrawError
from analysis.measures import on_common_images
from analysis.measures.circuit_pairs import circuits_of, compare
from fedcircuits.records import ALL_LAYERS, REASON_WORDS, ModelKind, UnusableReason
from fedcircuits.runlog.run import Run

IMAGE: Final = "image"

_MOST_PANELS: Final = 3

Subject = tuple[int | None, int]
"""On whose data (partition; None = the server) and of which class a circuit is."""


@dataclass(frozen=True)
class CircuitGraph:
    """One circuit as a layered graph.

    Args:
        subject: on whose data, and of which class.
        rows: its rows of the circuits table, from the input to the output.
        edges: layer to (source, target) channels of the edges that end in it; empty if none were logged.
        counterpart: the same class's circuit on the same data, but in the other model; None if there is none.
    """

    subject: Subject
    rows: pd.DataFrame
    edges: dict[str, list[tuple[int, int]]]
    counterpart: pd.DataFrame | None

    @property
    def layers(self) -> list[str]:
        """The convolutions, from the input to the output."""
        return [str(layer) for layer in self.rows["layer"]]

    @property
    def output(self) -> str:
        """The layer of the edges to the class, named as in the log."""
        return next((layer for layer in self.edges if layer not in self.layers), "fc")

    @property
    def why_unusable(self) -> str:
        """Why the circuit is not usable, in words; empty if it is, or nobody knows."""
        reason = self.rows["reason"].iloc[0]
        return REASON_WORDS[UnusableReason(reason)] if isinstance(reason, str) else ""

    def nodes(self) -> dict[str, list[int]]:
        """Return the channels of each column of the graph; without edges the image counts as one channel."""
        inputs = sorted({source for source, _ in self.edges.get(self.layers[0], [])})
        return {IMAGE: inputs or [0], **_channels(self.rows), self.output: [self.subject[1]]}

    def in_counterpart(self, layer: str) -> set[int]:
        """Return the channels of a layer that the counterpart has too."""
        return set() if self.counterpart is None else set(_channels(self.counterpart).get(layer, []))


def local_graphs(run: Run) -> list[CircuitGraph]:
    """Return a local circuit of up to three clients: of a class that they share, or else the first that each holds.

    Raises:
        NothingToDrawError: if no channels of local circuits were logged.
    """
    run = on_common_images(run)
    local, average = circuits_of(run, ModelKind.CLIENT), circuits_of(run, ModelKind.GLOBAL)
    if local.empty:
        raise NothingToDrawError("no channels of local circuits were logged")
    average = average[average["round"].isin(local["round"])]
    graphs = []
    for subject in _subjects(local):
        counterpart = _find(average, subject)
        if counterpart is None:
            counterpart = _find(average, (None, subject[1]))
        graphs.append(_graph(run, local, subject, counterpart))
    return graphs


def global_graphs(run: Run) -> list[CircuitGraph]:
    """Return the global model's circuits of the same classes, found on the same clients' data, or on the server's.

    Raises:
        NothingToDrawError: if no channels of the global model's circuits were logged.
    """
    run = on_common_images(run)
    local, average = circuits_of(run, ModelKind.CLIENT), circuits_of(run, ModelKind.GLOBAL)
    local = local[local["round"].isin(average["round"])]
    graphs: dict[Subject, CircuitGraph] = {}
    for subject in _subjects(local):
        for candidate in (subject, (None, subject[1])):
            if _find(average, candidate) is not None:
                graphs[candidate] = _graph(run, average, candidate, _find(local, candidate))
                break
    if not graphs:
        classes = sorted(average.loc[average["partition_id"].isna(), "class_id"].unique())
        graphs = {(None, c): _graph(run, average, (None, c), None) for c in classes[:_MOST_PANELS]}
    if not graphs:
        raise NothingToDrawError("no channels of the global model's circuits were logged")
    return list(graphs.values())


def mean_overlap(circuits: Sequence[pd.DataFrame]) -> tuple[float, float]:
    """Return the mean IoU of every two circuits, all layers pooled, and its chance; NaN if undefined."""
    pooled = compare(circuits)
    pooled = pooled[pooled["layer"] == ALL_LAYERS]
    return float(pooled["iou"].mean()), float(pooled["expected_iou"].mean())


def _subjects(local: pd.DataFrame) -> list[Subject]:
    """Return up to three (client, class): a class of the most clients, or the first class of each client."""
    held = local[["partition_id", "class_id"]].drop_duplicates().sort_values(["partition_id", "class_id"])
    holders = held.groupby("class_id").size()
    if len(holders) and holders.max() > 1:
        chosen = held[held["class_id"] == holders.idxmax()]
    else:
        chosen = held.drop_duplicates("partition_id")
    return [(int(partition), int(class_id)) for partition, class_id in chosen.to_numpy()[:_MOST_PANELS]]


def _graph(run: Run, circuits: pd.DataFrame, subject: Subject, counterpart: pd.DataFrame | None) -> CircuitGraph:
    rows = _find(circuits, subject)
    if rows is None:
        raise NothingToDrawError(f"no circuit of class {subject[1]} was logged")
    is_own = (run.edges["round"] == rows["round"].iloc[0]) & (run.edges["model"] == rows["model"].iloc[0])
    logged = _find(run.edges[is_own], subject)
    edges = {} if logged is None else {str(row["layer"]): _ends(row) for _, row in logged.iterrows()}
    return CircuitGraph(subject, rows, edges, counterpart)


def _find(rows: pd.DataFrame, subject: Subject) -> pd.DataFrame | None:
    """Return the rows of one circuit, None if there are none."""
    partition_id, class_id = subject
    is_on_data = rows["partition_id"].isna() if partition_id is None else rows["partition_id"] == partition_id
    found = rows[is_on_data.fillna(False).astype(bool) & (rows["class_id"] == class_id)]
    return None if found.empty else found


def _channels(rows: pd.DataFrame) -> dict[str, list[int]]:
    return {str(row["layer"]): [int(channel) for channel in row["channels"]] for _, row in rows.iterrows()}


def _ends(row: "pd.Series[Any]") -> list[tuple[int, int]]:
    sources, targets = row["sources"], row["targets"]
    if sources is None or targets is None:
        return []
    return [(int(source), int(target)) for source, target in zip(sources, targets, strict=True)]
