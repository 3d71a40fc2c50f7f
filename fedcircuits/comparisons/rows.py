"""Turn what was measured into rows of the run log's tables."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from fedcircuits.circuits.circuit import pack_bits
from fedcircuits.circuits.connectivity import LayerEdges
from fedcircuits.circuits.found import FoundCircuits
from fedcircuits.circuits.quality import ClassAccuracy
from fedcircuits.circuits.verdicts import CircuitQuality
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.federation.replies import TrainReply
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import DataKind, ModelKind
from fedcircuits.training.sparsity import densities

Row = dict[str, Any]


def accuracy_rows(
    server_round: int, model: ModelKind, partition_id: int | None, accuracy: Sequence[ClassAccuracy]
) -> list[Row]:
    """Return one row per class of one model."""
    identity = {"round": server_round, "model": str(model), "partition_id": partition_id}
    return [{**identity, **asdict(entry)} for entry in accuracy]


def hits_of_class(predicted: Int[Tensor, " image"], labels: Int[Tensor, " image"], class_id: int) -> bytes:
    """Return which test images of a class are recognised: one bit each, in the order of the test set."""
    own = labels == class_id
    return pack_bits(predicted[own] == class_id)


def origins_by_class(test: LabelledImages, num_classes: int) -> list[list[int]] | None:
    """Return which original each test image was made of, for the bits of `hits_of_class`; None if each is its own.

    Returns:
        for each class, in the order of its images in the test set, the number of each image's original within the
        class: 0 for that of the first image, 1 for the next original, and so on.
    """
    if test.origins is None:
        return None
    numbered = []
    for class_id in range(num_classes):
        own = test.origins[test.labels == class_id].tolist()
        numbers = {origin: number for number, origin in enumerate(dict.fromkeys(own))}
        numbered.append([numbers[origin] for origin in own])
    return numbered


def quality_rows(
    server_round: int,
    model: ModelKind,
    partition_id: int | None,
    data: DataKind,
    quality: Sequence[CircuitQuality],
) -> list[Row]:
    """Return one row per circuit of one model."""
    identity = {
        "round": server_round,
        "model": str(model),
        "partition_id": partition_id,
        "data": str(data),
    }
    return [{**identity, **asdict(entry), "usable": entry.usable} for entry in quality]


def circuit_rows(spec: ModelSpec, found: FoundCircuits) -> list[Row]:
    """Return one row per circuit and layer; channel numbers count within their layer."""
    circuits, sizes = found.circuits, list(spec.channels)
    identity = {
        "round": found.server_round,
        "model": str(found.model),
        "partition_id": found.partition_id,
        "data": str(found.question.data),
    }
    retest = [None] * len(circuits.class_ids) if found.retest is None else found.retest.members
    columns = (circuits.members, circuits.scores, circuits.ranking.argsort(1), retest)
    rows = []
    for class_id, *parts in zip(circuits.class_ids, *columns, strict=True):
        member, score, rank, alive = (part.split(sizes) for part in (*parts[:3], found.reachable))
        again = None if parts[3] is None else parts[3].split(sizes)
        for number, layer in enumerate(spec.conv_names):
            rows.append(
                {
                    **identity,
                    "class_id": class_id,
                    "negatives": found.question.negatives(class_id),
                    "layer": layer,
                    "num_channels": int(member[number].sum()),
                    "layer_width": len(member[number]),
                    "channels": _positions(member[number]),
                    "retest_channels": None if again is None else _positions(again[number]),
                    "score": score[number].tolist(),
                    "rank": rank[number].tolist(),
                    "reachable": _positions(alive[number]),
                }
            )
    return rows


def edge_rows(
    server_round: int, model: ModelKind, partition_id: int | None, data: DataKind, edges: Sequence[LayerEdges]
) -> list[Row]:
    """Return one row per circuit of one model and layer in which its edges end."""
    identity = {"round": server_round, "model": str(model), "partition_id": partition_id, "data": str(data)}
    return [{**identity, **vars(entry), "num_edges": len(entry.sources)} for entry in edges]


def client_row(server_round: int, reply: TrainReply, class_counts: list[int] | None) -> Row:
    """Return the row of a client whose reply was accepted; `class_counts` is None if clients do not say."""
    density = densities(reply.masks)
    return {
        "round": server_round,
        "partition_id": reply.partition_id,
        "accepted": True,
        "reason": None,
        "num_examples": reply.num_examples,
        "class_counts": class_counts,
        "train_loss": reply.train_loss,
        "train_seconds": reply.train_seconds,
        "discovery_seconds": reply.discovery_seconds,
        "evaluate_seconds": None,
        "density": density.pop("all"),
        "layer_density": list(density.values()),
        "negatives": None if reply.study is None else str(reply.study.negatives),
        "reply_bytes": reply.reply_bytes,
        "weight_bytes": reply.weight_bytes,
    }


def rejected_row(server_round: int, partition_id: int, reason: str, class_counts: list[int] | None) -> Row:
    """Return the row of a client whose reply was rejected or never came."""
    return {
        "round": server_round,
        "partition_id": partition_id,
        "accepted": False,
        "reason": reason,
        "class_counts": class_counts,
    }


def _positions(flags: Bool[Tensor, " n"]) -> list[int]:
    positions: list[int] = torch.nonzero(flags).flatten().tolist()
    return positions
