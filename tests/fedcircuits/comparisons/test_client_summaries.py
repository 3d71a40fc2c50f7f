"""Tables of overlap in rounds with more clients than are compared one by one."""

from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits, unpack_bits
from fedcircuits.circuits.found import FoundCircuits, Question
from fedcircuits.comparisons import circuits as comparisons
from fedcircuits.comparisons import client_summaries
from fedcircuits.comparisons import masks as mask_comparisons
from fedcircuits.comparisons.circuits import compare_circuits, compare_edges
from fedcircuits.comparisons.client_summaries import logged_masks, summarise_circuits, summarise_edges, summarise_masks
from fedcircuits.comparisons.masks import compare_masks
from fedcircuits.records import TABLES, Comparison, DataKind, ModelKind

NAMES, SIZES = ("conv1", "conv2"), (6, 9)
QUADRATIC = {
    "same_class_across_clients",
    "different_class_across_clients",
    "different_class_within_client",
}
FIGURES = ("iou", "expected_iou", "adjusted_iou", "phi", "common_adjusted_iou", "common_phi")


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three clients are too many to be compared pair by pair."""
    for module in (comparisons, mask_comparisons, client_summaries):
        monkeypatch.setattr(module, "MAX_PAIR_CLIENTS", 2)
    monkeypatch.setattr(comparisons, "_CHUNK_CLIENTS", 2)


def found(
    partition_id: int | None, class_ids: tuple[int, ...], *, usable: bool | None = True, **changes: Any
) -> FoundCircuits:
    """Draw circuits of a model with 6 and 9 channels on two input channels, for up to three classes."""
    generator = torch.Generator().manual_seed(17 if partition_id is None else partition_id)
    scores = torch.rand((len(class_ids), 15), generator=generator)
    shapes = {"conv1": (6, 2), "conv2": (9, 6), "fc": (3, 9)}
    return FoundCircuits(
        **{
            "model": ModelKind.CLIENT,
            "partition_id": partition_id,
            "server_round": 2,
            "circuits": Circuits.ranked_by_score(class_ids, scores > 0.5, scores),
            "reachable": torch.rand(15, generator=generator) < 0.9,
            "usable": (usable,) * len(class_ids),
            "question": Question(DataKind.SERVER, None, (0, 1, 2)),
            "kernels": {name: torch.rand(shape, generator=generator) < 0.7 for name, shape in shapes.items()},
            **changes,
        }
    )


def everyone() -> list[FoundCircuits]:
    return [found(0, (0, 1)), found(1, (0, 1, 2)), found(4, (1, 2)), found(7, (2,), usable=False)]


def means(pairs: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """Return the mean of every figure over the usable pairs, by comparison, layer and figure."""
    shown = pairs[pairs["usable"].fillna(True).astype(bool)]
    table = shown.groupby(["comparison", "layer"])[list(FIGURES)].mean().stack()
    return {(str(c), str(layer), str(figure)): value for (c, layer, figure), value in table.items()}


def summary_means(summary: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    known = summary.dropna(subset=["mean"])
    return {(row.comparison, row.layer, row.figure): row.mean for row in known.itertuples(index=False)}


def test_up_to_a_hundred_clients_are_listed_and_not_summarised() -> None:
    assert comparisons.MAX_PAIR_CLIENTS == 100
    assert summarise_circuits(2, NAMES, SIZES, everyone()).num_rows == 0
    assert summarise_edges(2, everyone()).num_rows == 0
    assert set(compare_circuits(NAMES, SIZES, everyone(), {})["comparison"].to_pylist()) == QUADRATIC


def test_a_summary_stands_for_the_pairs_that_would_be_listed(request: pytest.FixtureRequest) -> None:
    pairs = compare_circuits(NAMES, SIZES, everyone(), {}).to_pandas()
    request.getfixturevalue("crowd")
    table = summarise_circuits(2, NAMES, SIZES, everyone())
    assert table.schema == TABLES["overlap_summary"]
    summary = table.to_pandas()
    expected, got = means(pairs), summary_means(summary)
    assert {key[0] for key in got} == QUADRATIC
    assert expected.keys() == got.keys()
    # Pooled, the expected IoU comes from moments; in networks as narrow as this one it is off by a few thousandths.
    assert got == pytest.approx(expected, abs=5e-3)
    single = {key: value for key, value in got.items() if key[1] != "all"}
    assert single == pytest.approx({key: expected[key] for key in single}, abs=1e-6)
    assert set(summary["round"]) == {2}


@pytest.mark.parametrize("verdict", [False, None])
def test_pairs_that_are_not_usable_or_have_no_verdict_are_counted(crowd: None, verdict: bool | None) -> None:
    clients = [*everyone()[:-1], found(7, (2,), usable=verdict)]
    summary = summarise_circuits(2, NAMES, SIZES, clients).to_pandas()
    pooled = summary[(summary["layer"] == "all") & (summary["figure"] == "iou")].set_index("comparison")
    # Class 2 has three circuits, one of them not usable; class 0 has two and class 1 three.
    assert pooled["num_pairs"].to_dict() == {
        "same_class_across_clients": 1 + 3 + 1,
        "different_class_across_clients": 2 * 3 + 2 * 2 + 3 * 2 - 5,
        "different_class_within_client": 1 + 3 + 1,
    }
    assert pooled["num_left_out"].to_dict() == {
        "same_class_across_clients": 2,
        "different_class_across_clients": 2 + 2 + 1,
        "different_class_within_client": 0,
    }


def test_edges_are_summarised_class_by_class(request: pytest.FixtureRequest) -> None:
    local = everyone()
    pairs = compare_edges(local, {}).to_pandas()
    request.getfixturevalue("crowd")
    summary = summarise_edges(2, local).to_pandas()
    assert set(summary["comparison"]) == {"same_class_across_clients"}
    assert list(summary["layer"].unique()) == ["conv1", "conv2", "fc", "all"]
    expected, got = means(pairs), summary_means(summary)
    assert got == pytest.approx({key: expected[key] for key in got}, abs=5e-3)


def test_comparisons_of_one_client_stay_rows_with_their_noise(crowd: None) -> None:
    local = everyone()
    earlier = found(None, (0,), model=ModelKind.GLOBAL, server_round=1)
    later = found(None, (0,), model=ModelKind.GLOBAL)
    couples = {
        Comparison.RETEST: [(one, one) for one in local],
        Comparison.LOCAL_VS_GLOBAL: [(local[0], found(0, (0, 1), model=ModelKind.GLOBAL))],
        Comparison.ROUND_TO_ROUND: [(earlier, later)],
    }
    for table in (compare_circuits(NAMES, SIZES, local, couples), compare_edges(local, couples)):
        rows = table.to_pandas().query("layer == 'all'")
        assert rows["comparison"].value_counts().to_dict() == {
            "retest": 8,
            "local_vs_global": 2,
            "round_to_round": 1,
        }
        assert table.schema == TABLES["overlap"]


def test_edges_compared_some_clients_at_a_time_are_those_compared_at_once(request: pytest.FixtureRequest) -> None:
    local = everyone()
    couples = {
        Comparison.RETEST: [(one, one) for one in local],
        Comparison.LOCAL_VS_GLOBAL: [(local[2], found(4, (1, 2), model=ModelKind.GLOBAL))],
    }
    together = compare_edges(local, couples).to_pandas().query("comparison != 'same_class_across_clients'")
    request.getfixturevalue("crowd")
    apart = compare_edges(local, couples).to_pandas()
    key = ["comparison", "a_partition_id", "a_class_id", "layer"]
    pd.testing.assert_frame_equal(
        apart.sort_values(key, ignore_index=True), together.sort_values(key, ignore_index=True), check_dtype=False
    )


# -- Weight masks


def masks(num_clients: int) -> dict[int, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    shapes = {"conv1": (4, 1, 3, 3), "fc": (10, 40)}
    return {
        client: {name: torch.rand(shape, generator=generator) < 0.2 for name, shape in shapes.items()}
        for client in range(num_clients)
    }


def test_weight_masks_are_summarised_like_circuits(request: pytest.FixtureRequest) -> None:
    pairs = compare_masks(1, masks(6), None).to_pandas()
    request.getfixturevalue("crowd")
    summary = summarise_masks(1, masks(6)).to_pandas()
    assert set(summary["comparison"]) == {"parameter_mask_across_clients"}
    assert set(summary["num_pairs"]) == {15}
    assert summary_means(summary) == pytest.approx(means(pairs), abs=1e-4)
    listed = compare_masks(1, masks(6), masks(1)[0])
    assert set(listed["comparison"].to_pylist()) == {"parameter_mask_local_vs_global"}


def test_a_logged_mask_is_one_bit_per_weight_layer_after_layer() -> None:
    client_masks = masks(2)
    rows = logged_masks(5, client_masks)
    assert [(row["round"], row["model"], row["partition_id"]) for row in rows] == [(5, "client", 0), (5, "client", 1)]
    bits = unpack_bits(rows[1]["mask"], (436,), "mask")
    assert torch.equal(bits[:36].view(4, 1, 3, 3), client_masks[1]["conv1"])
    assert torch.equal(bits[36:].view(10, 40), client_masks[1]["fc"])
    assert len(rows[0]["mask"]) == 55


def test_without_clients_there_is_nothing_to_summarise(crowd: None) -> None:
    assert summarise_circuits(1, NAMES, SIZES, []).num_rows == 0
    assert summarise_edges(1, []).num_rows == 0
    assert summarise_masks(1, {}).num_rows == 0
    assert logged_masks(1, {}) == []
