"""The circuits of a run as bits: members and scores of every circuit, kernels and reachable channels of every model.

An edge of a circuit is a non-zero kernel between two of its nodes. So the edges of all circuits of a model, put
together, give back those of each: the kernels among them that join two of its nodes. The page's scripts do that.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.measures import on_common_images
from analysis.report.embedding import encode_bytes, encode_table
from analysis.report.thinning import rounds_within
from fedcircuits.records import ModelKind
from fedcircuits.runlog.run import Run

_CIRCUIT: Final = ["round", "model", "partition_id", "class_id"]
_MODEL: Final = ["round", "model", "owner"]
_READOUT: Final = "fc"

Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Shape:
    """The columns of a run's circuit graphs.

    Args:
        widths: convolution to its channels, from the input to the output.
        num_inputs: channels of the image.
        num_classes: as many as there are.
    """

    widths: dict[str, int]
    num_inputs: int
    num_classes: int

    def kernels(self) -> dict[str, tuple[int, int]]:
        """Return the shape of each layer's kernels: targets and sources."""
        sources = [self.num_inputs, *self.widths.values()]
        targets = {**self.widths, _READOUT: self.num_classes}
        return {layer: (width, source) for (layer, width), source in zip(targets.items(), sources, strict=True)}

    def channels(self, layer: str) -> slice:
        """Return the place of a layer's channels where all layers stand side by side."""
        layers = list(self.widths)
        first = sum(self.widths[before] for before in layers[: layers.index(layer)])
        return slice(first, first + self.widths[layer])

    @property
    def circuit_bytes(self) -> int:
        """What a circuit takes as base64: a bit and a byte per channel."""
        return sum(self.widths.values()) * 9 // 8 * 4 // 3

    @property
    def model_bytes(self) -> int:
        """What a model takes as base64: a bit per kernel and per channel."""
        return (sum(a * b for a, b in self.kernels().values()) + sum(self.widths.values())) // 8 * 4 // 3


def circuit_graphs(run: Run, budget: int) -> dict[str, Any] | None:
    """Return the circuits that a page can draw; None if no channels were logged.

    Args:
        run: the run.
        budget: bytes that they may take; above it, rounds are left out, and clients where one round is too large.
    """
    run = on_common_images(run)
    circuits = _owned(run.circuits[run.circuits["channels"].notna()])
    if circuits.empty:
        return None
    shape = _shape(run, circuits)
    kept = _within(circuits, shape, budget)
    edges = _owned(run.edges)
    edges = edges[edges["round"].isin(kept["round"].unique())]
    return {
        "layers": list(shape.widths),
        "widths": list(shape.widths.values()),
        "kernels": {layer: list(ends) for layer, ends in shape.kernels().items()},
        "edgeLayers": [layer for layer in shape.kernels() if (edges["layer"] == layer).any()],
        "rounds": sorted(int(number) for number in kept["round"].unique()),
        "numClients": int(kept["partition_id"].nunique()),
        "ofClients": int(circuits["partition_id"].nunique()),
        **_circuits(kept, shape),
        **_models(kept, edges, shape),
    }


def _owned(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the client whose model a row is about; missing for the global model, on whosever images it was searched."""
    return rows.assign(owner=rows["partition_id"].where(rows["model"] == ModelKind.CLIENT))


def _shape(run: Run, circuits: pd.DataFrame) -> Shape:
    layers = circuits.drop_duplicates("layer")
    widths = {str(layer): int(width) for layer, width in zip(layers["layer"], layers["layer_width"], strict=True)}
    from_image = run.edges.loc[run.edges["layer"] == next(iter(widths)), "sources"].dropna()
    num_inputs = 1 + max((int(max(sources, default=0)) for sources in from_image), default=0)
    num_classes = 1 + int(pd.concat([circuits["class_id"], run.accuracy["class_id"]]).max())
    return Shape(widths, num_inputs, num_classes)


def _within(circuits: pd.DataFrame, shape: Shape, budget: int) -> pd.DataFrame:
    """Return the circuits of the rounds that fit, or of the last one and the first clients if no round does."""
    subjects = circuits.drop_duplicates(_CIRCUIT)
    sizes = subjects.groupby("round").size() * shape.circuit_bytes
    sizes += subjects.drop_duplicates(_MODEL).groupby("round").size() * shape.model_bytes
    rounds = rounds_within(budget, {int(str(number)): int(size) for number, size in sizes.items()})
    if rounds:
        return circuits[circuits["round"].isin(rounds)]
    last = circuits[circuits["round"] == circuits["round"].max()]
    clients = sorted(last["partition_id"].dropna().unique())
    few = clients[: int(len(clients) * budget / sizes.iloc[-1])]
    shown: pd.DataFrame = last[last["partition_id"].isna() | last["partition_id"].isin(few)]
    return shown


def _circuits(rows: pd.DataFrame, shape: Shape) -> dict[str, Any]:
    """Return keys, members and scores of every circuit, one row each."""
    keys, numbered = _numbered(rows, rows, _CIRCUIT)
    return {
        "circuits": encode_table(keys),
        "members": _packed(_flags(numbered, "channels", shape)),
        "scores": encode_bytes(_scores(numbered, shape)),
        "hasScores": bool(rows["score"].notna().all()),
    }


def _models(circuits: pd.DataFrame, edges: pd.DataFrame, shape: Shape) -> dict[str, Any]:
    """Return keys, reachable channels and kernels of every model, one row each."""
    keys, numbered = _numbered(circuits, circuits.drop_duplicates([*_MODEL, "layer"]), _MODEL)
    return {
        "models": encode_table(keys),
        "reachable": _packed(_flags(numbered, "reachable", shape)),
        "kernelBits": _packed(_kernels(_numbered(circuits, edges, _MODEL)[1], len(keys), shape)),
    }


def _numbered(subjects: pd.DataFrame, rows: pd.DataFrame, key: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the keys of all subjects, each once, and those rows that are about one, with its `number` in that list."""
    keys = subjects.drop_duplicates(key)[key].reset_index(drop=True)
    # A merge takes two missing partitions for the same one, as it should here.
    return keys, rows.merge(keys.assign(number=range(len(keys))), on=key)


def _flags(rows: pd.DataFrame, column: str, shape: Shape) -> Bits:
    """Return channels `[number, channel]`, layers side by side; where none were logged, all of the layer."""
    flags = np.zeros((rows["number"].max() + 1, sum(shape.widths.values())), dtype=np.bool_)
    for number, layer, chosen in zip(rows["number"], rows["layer"], rows[column], strict=True):
        flags[number, shape.channels(layer)][slice(None) if chosen is None else chosen] = True
    return flags


def _scores(rows: pd.DataFrame, shape: Shape) -> NDArray[np.uint8]:
    """Return scores `[number, channel]` in steps of 1/255; 0 where none were logged."""
    scores = np.zeros((rows["number"].max() + 1, sum(shape.widths.values())), dtype=np.uint8)
    for number, layer, own in zip(rows["number"], rows["layer"], rows["score"], strict=True):
        scores[number, shape.channels(layer)] = 0 if own is None else np.rint(255 * own)
    return scores


def _kernels(edges: pd.DataFrame, num_models: int, shape: Shape) -> Bits:
    """Return which kernels of a model some circuit uses, `[model, kernel]`: by layer, target and source."""
    used = {layer: np.zeros((num_models, *ends), dtype=np.bool_) for layer, ends in shape.kernels().items()}
    known = edges.dropna(subset=["sources", "targets"])
    for number, layer, sources, targets in known[["number", "layer", "sources", "targets"]].itertuples(index=False):
        used[layer][number, targets, sources] = True
    return np.concatenate([flags.reshape(num_models, -1) for flags in used.values()], axis=1)


def _packed(rows: Bits) -> str:
    """Return rows of bits as bytes, the first bit of a byte being its lowest."""
    return encode_bytes(np.packbits(rows, axis=1, bitorder="little"))
