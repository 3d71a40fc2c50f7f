"""Rows of the tables that are filled every few rounds only, with numbers that means can be worked out of by hand.

The models reach 12 channels. Circuits of the clients' models are good, those of the global model less so.
"""

from typing import Any

import numpy as np

Row = dict[str, Any]
Tables = dict[str, list[Row]]
Holders = dict[int, list[int]]

LAYERS = ("conv1", "conv2", "all")
SIZES = (0, 1, 2, 4, 8, 12)
FAITHFULNESS = {"client": (0.0, 0.3, 0.6, 0.9, 1.0, 1.0), "global": (0.0, 0.2, 0.4, 0.5, 0.8, 1.0)}
EXAMINATION_TABLES = (
    "stability",
    "curves",
    "scrutiny",
    "validity",
    "alignment",
    "barriers",
    "swaps",
    "transfer",
    "patching",
    "ladder",
    "costs",
)

RUNGS = {
    "A0": 0.5,
    "A1": 0.6,
    "A2": 0.8,
    "A3": 0.85,
    "A3c": 0.88,
    "A4": 0.9,
    "E_logits": 0.7,
    "E_probabilities": 0.65,
    "R": 0.6,
    "overlap_count": 0.55,
}


def first_hits(recall: float, num_images: int) -> bytes:
    """Return the bits of a class of which the first images are recognised."""
    return np.packbits(np.arange(num_images) < round(recall * num_images)).tobytes()


def drop_examination_tables(_: int, tables: Tables) -> None:
    """Leave a round without examinations."""
    for name in EXAMINATION_TABLES:
        tables[name] = []


def examination_tables(server_round: int, holders: Holders) -> Tables:
    """Return one round of every such table; classes that two clients hold have a stability."""
    shared = sorted(set(holders[0]) & set(holders[1]))
    circuits = [(partition, class_id) for partition, classes in holders.items() for class_id in classes]
    tables: Tables = {
        "stability": [row for class_id in shared for row in stability_rows(class_id)],
        "curves": [row for model in FAITHFULNESS for end in circuits for row in curve_rows(model, *end)],
        "scrutiny": [scrutiny_row(model, *end) for model in FAITHFULNESS for end in circuits],
        "validity": validity_rows(sorted({class_id for _, class_id in circuits})),
        "alignment": [row for method in ("activations", "weights") for row in alignment_rows(method)],
        "barriers": barrier_rows(),
        "swaps": [row for end in circuits for row in swap_rows(*end)],
        "transfer": [row for class_id in shared for row in transfer_rows(class_id)],
        "patching": [patching_row(*end) for end in circuits],
        "ladder": ladder_rows(),
        "costs": [{"measure": "scrutiny", "seconds": 6.0}, {"measure": "ladder", "seconds": 2.0}],
    }
    return {name: [{"round": server_round, **row} for row in rows] for name, rows in tables.items()}


def stability_rows(class_id: int) -> list[Row]:
    figures = dict(zip(LAYERS, (0.7, 0.3, 0.5), strict=True))
    return [
        {"class_id": class_id, "layer": layer, "num_circuits": 2, "stability": phi, "low": phi - 0.4, "high": phi + 0.4}
        for layer, phi in figures.items()
    ]


def curve_rows(model: str, partition_id: int, class_id: int) -> list[Row]:
    identity = {"model": model, "partition_id": partition_id, "data": "client", "class_id": class_id}
    rows: list[Row] = []
    for size, faithfulness in zip(SIZES, FAITHFULNESS[model], strict=True):
        rates = {"recall": faithfulness, "false_positive_rate": 0.1 * faithfulness}
        accuracy = (1 + 0.9 * faithfulness) / 2
        row = {"size": size, "share": size / 12, "faithfulness": faithfulness, "balanced_accuracy": accuracy}
        rows.append({**identity, **row, **rates})
    return rows


def scrutiny_row(model: str, partition_id: int, class_id: int) -> Row:
    """Faithfulness is 0.9 or 0.6; one client circuit in four, of class 0, is not sufficient."""
    is_client = model == "client"
    identity = {"model": model, "partition_id": partition_id, "data": "client", "class_id": class_id}
    return {
        **identity,
        "num_channels": 6 + 2 * (class_id % 2),
        "num_reachable": 12,
        "separation": 8.0,
        "faithfulness": 0.9 if is_client else 0.6,
        "cpr": 0.8,
        "cmd": 0.2,
        "completeness": 0.85 if is_client else 0.5,
        "stochastic_50": 0.95,
        "rank_agreement": 0.5 + 0.1 * class_id,
        "p_sufficiency": 0.2 if class_id == 0 else 0.01,
        "p_necessity": 0.01,
    }


def validity_rows(classes: list[int]) -> list[Row]:
    """Two clients with circuits of every class, 0.04 better than random ones: the check is failed."""
    rows: list[Row] = []
    for partition_id, class_id in (*((client, class_id) for client in (0, 1) for class_id in classes), (None, None)):
        effect = 0.04 if class_id is None else 0.02 + 0.02 * class_id
        figures = {"balanced_accuracy": 0.9 + effect, "random_balanced_accuracy": 0.9, "random_sd": 0.05}
        errors = {"effect": effect, "standard_error": 0.02, "z": effect / 0.02}
        num_circuits = 2 * len(classes) if class_id is None else 1
        row = {"partition_id": partition_id, "class_id": class_id, **figures, **errors, "num_circuits": num_circuits}
        rows.append({**row, "passed": False if class_id is None else None})
    return rows


def passed_check(rows: list[Row]) -> list[Row]:
    """Return the rows of a check as if every circuit were 0.4 better than random ones."""
    better = {"effect": 0.4, "z": 20.0, "balanced_accuracy": 0.95, "random_balanced_accuracy": 0.55}
    return [{**row, **better, "passed": True if row["class_id"] is None else None} for row in rows]


def alignment_rows(method: str) -> list[Row]:
    """Between clients matching gains 0.3 by activations, 0.2 beyond another class; by weights nothing moves."""
    moves = method == "activations"
    rows: list[Row] = []
    for first, second in ((0, 1), (0, None), (1, None)):
        for layer in LAYERS:
            pair = {"method": method, "a_partition_id": first, "b_partition_id": second, "layer": layer}
            channels = {"fixed_points": 0.4 if moves else 0.95, "correlation": 0.5, "matched_correlation": 0.7}
            circuits = {"phi": 0.2, "matched_phi": 0.5 if moves else 0.2, "other_class_phi": 0.3, "random_phi": 0.0}
            verdict = "relabelling" if moves else "alignment irrelevant"
            rows.append({**pair, **channels, **circuits, "num_circuits": 1, "num_channels": 12, "verdict": verdict})
    return rows


def barrier_rows() -> list[Row]:
    heights = {(0, 1): 0.5, (0, None): 0.2, (1, None): 0.1}
    return [
        {"a_partition_id": a, "b_partition_id": b, "barrier": barrier, "alpha": 0.5, "loss_a": 0.3, "loss_b": 0.4}
        for (a, b), barrier in heights.items()
    ]


def transfer_rows(class_id: int) -> list[Row]:
    """Clients 0 and 1: circuits keep 0.9 and 0.7 of what the own one does, random ones 0.3, another class's 0.1."""
    return [
        {
            "class_id": class_id,
            "a_partition_id": a,
            "b_partition_id": b,
            "faithfulness": 0.9 * transfer,
            "own_faithfulness": 0.9,
            "transfer": transfer,
            "random_transfer": 0.3,
            "random_transfer_sd": 0.2,
            "other_class_transfer": 0.1,
            "transfer_excess": transfer - 0.3,
        }
        for a, b, transfer in ((0, 1, 0.9), (1, 0, 0.7))
    ]


def swap_rows(partition_id: int, class_id: int) -> list[Row]:
    figures = {
        ("client", "client"): (0.95, 8.0),
        ("client", "global"): (0.7, 2.0),
        ("global", "client"): (0.8, 5.0),
        ("global", "global"): (0.9, 6.0),
    }
    identity = {"partition_id": partition_id, "class_id": class_id}
    return [
        {**identity, "circuit": circuit, "weights": weights, "balanced_accuracy": accuracy, "separation": separation}
        for (circuit, weights), (accuracy, separation) in figures.items()
    ]


def patching_row(partition_id: int, class_id: int) -> Row:
    """The gain grows with the class from 1 nat; class 0 is not significant."""
    identity = {"partition_id": partition_id, "class_id": class_id, "num_weights": 20}
    gains = {"gain": 1.0 + class_id, "random_gain": 0.25, "random_gain_sd": 0.2}
    return {**identity, **gains, "p_value": 0.5 if class_id == 0 else 0.005}


def ladder_rows() -> list[Row]:
    """Over all classes, accuracy is 0.1 lower than over the trained ones; client 0's own readout is one of two."""
    rows: list[Row] = [
        {"rung": rung, "partition_id": None, "accuracy": accuracy - 0.1, "accuracy_trained": accuracy}
        for rung, accuracy in RUNGS.items()
    ]
    return [*rows, {"rung": "A3", "partition_id": 0, "accuracy": 0.7, "accuracy_trained": 0.8}]
