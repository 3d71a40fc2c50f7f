from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fedcircuits.comparisons import masks as module
from fedcircuits.comparisons.masks import compare_masks, logged_masks
from fedcircuits.records import TABLES, Comparison

Row = dict[str, Any]


def identifiers(row: Row, end: str) -> tuple[Any, ...]:
    return tuple(row[f"{end}_{name}"] for name in ("model", "partition_id", "class_id", "round"))


def masks(conv1: list[int], fc: list[int]) -> dict[str, Tensor]:
    return {
        "conv1": torch.tensor(conv1, dtype=torch.bool).reshape(2, 1, 1, 2),
        "fc": torch.tensor(fc, dtype=torch.bool).reshape(2, 3),
    }


def rows_of(server_round: int, clients: dict[int, dict[str, Tensor]], average: dict[str, Tensor]) -> list[Row]:
    table = compare_masks(server_round, clients, average, 0.0, np.random.default_rng(0))
    assert table.schema == TABLES["overlap"]
    rows: list[Row] = table.to_pylist()
    return rows


def across(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["comparison"] == Comparison.PARAMETER_MASK_ACROSS_CLIENTS]


FIRST, SECOND = masks([1, 1, 0, 0], [1, 1, 1, 0, 0, 0]), masks([1, 0, 1, 0], [1, 1, 0, 0, 0, 1])


def test_weight_masks_have_no_retest() -> None:
    rows = rows_of(1, {0: FIRST, 5: SECOND}, FIRST)
    assert {row[name] for row in rows for name in ("reliability", "phi_true")} == {None}


def test_weight_masks_are_compared_across_clients_layer_by_layer() -> None:
    rows = across(rows_of(4, {0: FIRST, 5: SECOND}, FIRST))
    assert [row["layer"] for row in rows] == ["conv1", "fc", "all"]
    assert [(row["intersection"], row["universe"]) for row in rows] == [(1, 4), (2, 6), (3, 10)]
    assert [row["iou"] for row in rows] == pytest.approx([1 / 3, 2 / 4, 3 / 7])
    assert identifiers(rows[0], "a") == ("client", 0, None, 4)
    assert identifiers(rows[0], "b") == ("client", 5, None, 4)
    assert {row["usable"] for row in rows} == {None}


def test_each_client_mask_is_compared_with_the_support_of_the_average() -> None:
    union = {name: FIRST[name] | SECOND[name] for name in FIRST}
    rows = rows_of(1, {0: FIRST, 5: SECOND}, union)
    against = [row for row in rows if row["comparison"] == Comparison.PARAMETER_MASK_LOCAL_VS_GLOBAL]
    assert {identifiers(row, "a") for row in against} == {("client", 0, None, 1), ("client", 5, None, 1)}
    assert {identifiers(row, "b") for row in against} == {("global", None, None, 1)}
    pooled = [row for row in against if row["layer"] == "all"]
    assert [(row["intersection"], row["size_a"], row["size_b"]) for row in pooled] == [(5, 5, 7), (5, 5, 7)]
    assert len(across(rows)) == 3


def test_the_memory_format_of_masks_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.rand((4, 3, 3, 3), generator=generator) < 0.5 for _ in range(2))
    moved = other.contiguous(memory_format=torch.channels_last)
    plain = rows_of(1, {0: {"conv1": one}, 1: {"conv1": other}}, {"conv1": one})
    assert rows_of(1, {0: {"conv1": one}, 1: {"conv1": moved}}, {"conv1": one}) == plain


def test_dense_masks_have_an_iou_but_nothing_to_adjust() -> None:
    dense = masks([1] * 4, [1] * 6)
    rows = rows_of(1, {0: dense, 1: dense}, dense)
    assert {row["iou"] for row in rows} == {1.0}
    assert {row["adjusted_iou"] for row in rows} == {None}
    assert {row["phi"] for row in rows} == {None}


def test_clients_that_send_no_masks_leave_no_rows() -> None:
    assert rows_of(1, {}, FIRST) == []
    assert logged_masks(1, {}) == []


def test_one_client_is_still_compared_with_the_average() -> None:
    rows = rows_of(1, {3: FIRST}, FIRST)
    assert {row["comparison"] for row in rows} == {"parameter_mask_local_vs_global"}
    assert {row["iou"] for row in rows} == {1.0}


def test_of_many_clients_a_sample_of_the_pairs_is_compared_and_all_with_the_average(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clients = dict.fromkeys(range(5), FIRST) | {5: SECOND}
    every = rows_of(1, clients, FIRST)
    monkeypatch.setattr(module, "MAX_PAIR_CLIENTS", 5)
    monkeypatch.setattr(module, "SAMPLED_MASK_PAIRS", 4)
    rows = rows_of(1, clients, FIRST)
    assert len(across(rows)) == 4 * 3
    assert len(rows) == (4 + 6) * 3
    assert all(row in every for row in rows)
