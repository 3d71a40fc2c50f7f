"""What averaging did to the weights and the masks of a round's clients, as rows of the log."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pyarrow as pa

from fedcircuits.averaging.interference import measure_interference
from fedcircuits.comparisons.masks import compare_masks, logged_masks
from fedcircuits.comparisons.rows import Row
from fedcircuits.federation.replies import TrainReply
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec


def shares_of(replies: Sequence[TrainReply], weighting: str) -> list[float]:
    """Return each client's weight in a plain or example-weighted mean; they sum to 1."""
    weights = [1 if weighting == "plain" else reply.num_examples for reply in replies]
    return [weight / sum(weights) for weight in weights]


def mask_rows(
    spec: ModelSpec,
    server_round: int,
    replies: Sequence[TrainReply],
    average: Weights,
    flip_probability: float,
    generator: np.random.Generator,
) -> tuple[pa.Table, list[Row]]:
    """Return the rows of `overlap` about the masks that clients sent, and those of `masks`.

    Args:
        spec: the network's shape.
        server_round: the round, 1-based.
        replies: those that were averaged.
        average: the new global weights, whose support the masks are compared with.
        flip_probability: with which clients flipped each bit of what they sent; 0 = masks as they are.
        generator: draws the pairs that are compared where clients are many.
    """
    support = {name: average[f"{name}.weight"].ne(0) for name in spec.layer_names}
    sent = {reply.partition_id: reply.sent_masks for reply in replies if reply.sent_masks is not None}
    return compare_masks(server_round, sent, support, flip_probability, generator), logged_masks(server_round, sent)


def interference_rows(
    spec: ModelSpec,
    server_round: int,
    replies: Sequence[TrainReply],
    shares: Sequence[float],
    start: Weights,
    average: Weights,
) -> dict[str, list[Row]]:
    """Return the rows of `interference` and `circuit_interference`.

    Args:
        spec: the network's shape.
        server_round: the round, 1-based.
        replies: those that were averaged.
        shares: each reply's weight in the average.
        start: global weights that the round started from.
        average: the new global weights.
    """
    clients = [(reply.weights, reply.masks) for reply in replies]
    circuits = {reply.partition_id: reply.study.circuits for reply in replies if reply.study is not None}
    layers, by_circuit = measure_interference(spec, start, clients, shares, average, circuits)
    identity = {"round": server_round}
    return {
        "interference": [identity | asdict(entry) for entry in layers],
        "circuit_interference": [identity | asdict(entry) for entry in by_circuit],
    }
