"""Tiny runs, written with the project's own writer, whose figures can be worked out by hand.

Two clients: partition 0 holds classes 0 and 1, partition 1 holds classes 1 and 2 (or 2 and 3 if nothing is shared).
Two convolutions of 4 and 8 channels, four classes of 10, 20, 10 and 10 test images.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from examination_rows import examination_tables, first_hits

from analysis import Run, load_run
from fedcircuits.records import ALL_LAYERS, Comparison
from fedcircuits.runlog.writer import RunLog

Row = dict[str, Any]
Tables = dict[str, list[Row]]
WriteRun = Callable[..., RunLog]

NUM_TEST_IMAGES = [10, 20, 10, 10]
CONV_WIDTHS = {"conv1": 4, "conv2": 8}
SHARED = {0: [0, 1], 1: [1, 2]}
DISJOINT = {0: [0, 1], 1: [2, 3]}
RECALLS = {1: [1.0, 0.5, 0.0, 0.0], 2: [1.0, 1.0, 0.5, 0.0]}


def client_rows(server_round: int, holders: dict[int, list[int]]) -> list[Row]:
    rows: list[Row] = []
    for partition_id, classes in holders.items():
        counts = [30 if class_id in classes else 0 for class_id in range(4)]
        common = {"round": server_round, "partition_id": partition_id, "class_counts": counts}
        rows.append({**common, "accepted": True, "num_examples": 60, "density": 0.1 + 0.2 * partition_id})
    return rows


def accuracy_rows(server_round: int, model: str, partition_id: int | None, recalls: list[float]) -> list[Row]:
    """The first images of each class are those that the global model recognises."""
    identity = {"round": server_round, "model": model, "partition_id": partition_id}
    return [
        {
            **identity,
            "class_id": class_id,
            "recall": recall,
            "false_positive_rate": 0.25,
            "num_examples": NUM_TEST_IMAGES[class_id],
            "hits": first_hits(recall, NUM_TEST_IMAGES[class_id]) if model == "global" else None,
        }
        for class_id, recall in enumerate(recalls)
    ]


def circuit_rows(server_round: int, model: str, partition_id: int | None, class_id: int) -> list[Row]:
    """Even classes have the first half of each layer, odd classes one channel more; every channel can be reached."""
    identity = {"round": server_round, "model": model, "partition_id": partition_id, "class_id": class_id}
    identity["data"] = "server" if partition_id is None else "client"
    rows: list[Row] = []
    for layer, width in CONV_WIDTHS.items():
        size = width // 2 + class_id % 2
        lists = {"channels": list(range(size)), "reachable": list(range(width))}
        rows.append({**identity, "layer": layer, "num_channels": size, "layer_width": width, **lists})
    return rows


def edge_rows(server_round: int, model: str, partition_id: int | None, class_id: int) -> list[Row]:
    identity = {"round": server_round, "model": model, "partition_id": partition_id, "class_id": class_id}
    identity["data"] = "server" if partition_id is None else "client"
    ends = {"conv1": ([0, 0], [0, 1]), "conv2": ([0, 1], [0, 3]), "fc": ([3], [class_id])}
    return [
        {**identity, "layer": layer, "num_edges": len(sources), "sources": sources, "targets": targets}
        for layer, (sources, targets) in ends.items()
    ]


def quality_row(server_round: int, model: str, partition_id: int | None, class_id: int, sufficiency: float) -> Row:
    identity = {"round": server_round, "model": model, "partition_id": partition_id, "class_id": class_id}
    identity["data"] = "server" if partition_id is None else "client"
    rates = {"necessity": 0.0, "false_positive_rate": 0.1, "false_positive_rate_all": 0.2}
    rates |= {"sufficiency": sufficiency, "balanced_accuracy": (sufficiency + 0.9) / 2}
    return {**identity, **rates, "usable": sufficiency > 0}


def overlap_rows(
    server_round: int,
    comparison: Comparison,
    a: tuple[str, int | None, int],
    b: tuple[str, int | None, int],
    iou: float,
) -> list[Row]:
    """Chance is 0.2 in every layer, so the adjusted figure is (iou - 0.2) / 0.8, and so is the correlation."""
    identity = {"round": server_round, "comparison": str(comparison), "usable": True, "same_question": True}
    for name, (model, partition_id, class_id) in (("a", a), ("b", b)):
        end = {"model": model, "partition_id": partition_id, "class_id": class_id, "round": server_round}
        identity |= {f"{name}_{key}": value for key, value in end.items()}
    figures = {"iou": iou, "expected_iou": 0.2, "adjusted_iou": (iou - 0.2) / 0.8, "phi": (iou - 0.2) / 0.8}
    return [{**identity, **figures, "layer": layer} for layer in (*CONV_WIDTHS, ALL_LAYERS)]


def mask_rows(server_round: int) -> list[Row]:
    ends = {"a_model": "client", "a_partition_id": 0, "b_model": "client", "b_partition_id": 1}
    comparison = str(Comparison.PARAMETER_MASK_ACROSS_CLIENTS)
    return [
        {"round": server_round, "comparison": comparison, **ends, "layer": layer, "iou": 0.5, "expected_iou": 0.1}
        for layer in (*CONV_WIDTHS, "fc", ALL_LAYERS)
    ]


def interference_rows(server_round: int) -> list[Row]:
    figures = {
        "cancellation": 0.8,
        "sign_conflict": 0.1,
        "sign_conflict_null": 0.15,
        "norm_retention": 0.9,
        "num_clients": 2,
    }
    supports = {"support_solo": 0.5, "support_agree": 0.4, "support_conflict": 0.1}
    densities = {"density_clients": 0.1, "density_union": 0.15, "density_global": 0.15}
    return [
        {"round": server_round, "layer": layer, **figures, **supports, **densities} for layer in (*CONV_WIDTHS, "fc")
    ]


def round_tables(server_round: int, holders: dict[int, list[int]]) -> Tables:
    """Return one round: sufficiency 1.0 at home, 0.9 for the global model's circuits, 0.6 for transplants."""
    tables: Tables = {name: [] for name in ("accuracy", "circuits", "edges", "quality", "overlap")}
    tables["clients"] = client_rows(server_round, holders)
    tables["interference"] = interference_rows(server_round)
    tables["accuracy"] += accuracy_rows(server_round, "global", None, RECALLS[min(server_round, 2)])
    for partition_id, classes in holders.items():
        tables["accuracy"] += accuracy_rows(server_round, "client", partition_id, [1.0, 0.5, 0.5, 0.0])
        for class_id in classes:
            for model, sufficiency in (("client", 1.0), ("global", 0.9), ("transplant", 0.6)):
                tables["quality"].append(quality_row(server_round, model, partition_id, class_id, sufficiency))
            tables["circuits"] += circuit_rows(server_round, "client", partition_id, class_id)
            tables["edges"] += edge_rows(server_round, "client", partition_id, class_id)
            tables["circuits"] += circuit_rows(server_round, "global", partition_id, class_id)
    tables["circuits"] += circuit_rows(server_round, "global", None, 0)
    tables["quality"].append(quality_row(server_round, "global", None, 0, 0.8))
    tables["overlap"] = pair_rows(server_round, holders) + mask_rows(server_round)
    return tables | examination_tables(server_round, holders)


def pair_rows(server_round: int, holders: dict[int, list[int]]) -> list[Row]:
    """Same class 0.6, different classes 0.2, local against global 0.52, retest 0.92, round to round 0.7."""
    rows: list[Row] = []
    for first in holders[0]:
        for second in holders[1]:
            same, different = Comparison.SAME_CLASS_ACROSS_CLIENTS, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS
            comparison, iou = (same, 0.6) if first == second else (different, 0.2)
            rows += overlap_rows(server_round, comparison, ("client", 0, first), ("client", 1, second), iou)
    for partition_id, classes in holders.items():
        for class_id in classes:
            local, average = ("client", partition_id, class_id), ("global", partition_id, class_id)
            rows += overlap_rows(server_round, Comparison.LOCAL_VS_GLOBAL, local, average, 0.52)
            rows += overlap_rows(server_round, Comparison.RETEST, local, local, 0.92)
            if server_round > 1:
                rows += overlap_rows(server_round, Comparison.ROUND_TO_ROUND, local, local, 0.7)
    return rows


def run_writer(folder: Path) -> WriteRun:
    """Return a function that writes a run that is still running; further arguments are settings."""

    def write(
        name: str = "tiny",
        num_rounds: int = 2,
        is_shared: bool = True,
        change: Callable[[int, Tables], None] = lambda server_round, tables: None,
        **changes: Any,
    ) -> RunLog:
        settings = {"num-server-rounds": 2, "seed": 7, "dataset": "digits", "partition": "classes", "sparsity": 0.9}
        settings |= {key.replace("_", "-"): value for key, value in changes.items()}
        log = RunLog.create(folder, name, {"settings": settings, "num_clients": 2})
        for server_round in range(1, num_rounds + 1):
            tables = round_tables(server_round, SHARED if is_shared else DISJOINT)
            change(server_round, tables)
            log.write_round(server_round, tables, {"weight": torch.zeros(1)})
        return log

    return write


def completed(log: RunLog) -> Run:
    log.complete()
    return load_run(log.path)


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    return run_writer(tmp_path / "runs")


@pytest.fixture(scope="module")
def write_module_run(tmp_path_factory: pytest.TempPathFactory) -> WriteRun:
    """Return the same for runs that several tests of a module only read."""
    return run_writer(tmp_path_factory.mktemp("module") / "runs")


@pytest.fixture
def tiny_run(write_run: WriteRun) -> Run:
    """Return a completed run of two rounds."""
    return completed(write_run())


@pytest.fixture(scope="session")
def shared_tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return the same, for tests that only read it."""
    return completed(run_writer(tmp_path_factory.mktemp("runs"))())
