from typing import Any

import pytest
import torch
from torch import Tensor

from fedcircuits.comparisons.masks import compare_masks
from fedcircuits.records import TABLES, Comparison

Row = dict[str, Any]


def identifiers(row: Row, end: str) -> tuple[Any, ...]:
    return tuple(row[f"{end}_{name}"] for name in ("model", "partition_id", "class_id", "round"))


def masks(conv1: list[int], fc: list[int]) -> dict[str, Tensor]:
    return {
        "conv1": torch.tensor(conv1, dtype=torch.bool).reshape(2, 1, 1, 2),
        "fc": torch.tensor(fc, dtype=torch.bool).reshape(2, 3),
    }


FIRST, SECOND = masks([1, 1, 0, 0], [1, 1, 1, 0, 0, 0]), masks([1, 0, 1, 0], [1, 1, 0, 0, 0, 1])


def test_weight_masks_have_no_graded_overlap_and_no_retest() -> None:
    rows = compare_masks(1, {0: FIRST, 5: SECOND}, None).to_pylist()
    missing = ("graded_overlap", "expected_graded_overlap", "reliability", "phi_true")
    assert {row[name] for row in rows for name in missing} == {None}


def test_weight_masks_are_compared_across_clients_layer_by_layer() -> None:
    table = compare_masks(4, {0: FIRST, 5: SECOND}, None)
    assert table.schema == TABLES["overlap"]
    rows = table.to_pylist()
    assert {row["comparison"] for row in rows} == {"parameter_mask_across_clients"}
    assert [row["layer"] for row in rows] == ["conv1", "fc", "all"]
    assert [(row["intersection"], row["universe"]) for row in rows] == [(1, 4), (2, 6), (3, 10)]
    assert [row["iou"] for row in rows] == pytest.approx([1 / 3, 2 / 4, 3 / 7])
    assert identifiers(rows[0], "a") == ("client", 0, None, 4)
    assert identifiers(rows[0], "b") == ("client", 5, None, 4)
    assert {row["usable"] for row in rows} == {None}


def test_each_client_mask_is_compared_with_the_support_of_the_average() -> None:
    union = {name: FIRST[name] | SECOND[name] for name in FIRST}
    rows = compare_masks(1, {0: FIRST, 5: SECOND}, union).to_pylist()
    against = [row for row in rows if row["comparison"] == Comparison.PARAMETER_MASK_LOCAL_VS_GLOBAL]
    assert {identifiers(row, "a") for row in against} == {("client", 0, None, 1), ("client", 5, None, 1)}
    assert {identifiers(row, "b") for row in against} == {("global", None, None, 1)}
    pooled = [row for row in against if row["layer"] == "all"]
    assert [(row["intersection"], row["size_a"], row["size_b"]) for row in pooled] == [(5, 5, 7), (5, 5, 7)]
    across = [row for row in rows if row["comparison"] == Comparison.PARAMETER_MASK_ACROSS_CLIENTS]
    assert len(across) == 3


def test_the_memory_format_of_masks_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.rand((4, 3, 3, 3), generator=generator) < 0.5 for _ in range(2))
    moved = other.contiguous(memory_format=torch.channels_last)
    plain = compare_masks(1, {0: {"conv1": one}, 1: {"conv1": other}}, None)
    assert compare_masks(1, {0: {"conv1": one}, 1: {"conv1": moved}}, None).equals(plain)


def test_dense_masks_have_an_iou_but_nothing_to_adjust() -> None:
    dense = masks([1] * 4, [1] * 6)
    rows = compare_masks(1, {0: dense, 1: dense}, None).to_pylist()
    assert {row["iou"] for row in rows} == {1.0}
    assert {row["adjusted_iou"] for row in rows} == {None}
    assert {row["phi"] for row in rows} == {None}


@pytest.mark.parametrize("client_masks", [{}, {0: FIRST}])
def test_fewer_than_two_masks_give_an_empty_table(client_masks: dict[int, dict[str, Tensor]]) -> None:
    table = compare_masks(1, client_masks, None)
    assert table.num_rows == 0
    assert table.schema == TABLES["overlap"]


def test_one_client_is_still_compared_with_the_average() -> None:
    rows = compare_masks(1, {3: FIRST}, FIRST).to_pylist()
    assert {row["comparison"] for row in rows} == {"parameter_mask_local_vs_global"}
    assert {row["iou"] for row in rows} == {1.0}
