from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.found import FoundCircuits, Question
from fedcircuits.comparisons import circuits
from fedcircuits.comparisons.circuits import compare_circuits
from fedcircuits.records import TABLES, Comparison, DataKind, ModelKind

NAMES, SIZES = ("conv1", "conv2"), (3, 2)

Row = dict[str, Any]

QUESTION = Question(DataKind.SERVER, None, (0, 1, 2, 3))


def found(
    partition_id: int | None,
    members_of: dict[int, list[int]],
    *,
    model: ModelKind = ModelKind.CLIENT,
    server_round: int = 1,
    reachable: list[int] | None = None,
    unusable: tuple[int, ...] = (),
    question: Question = QUESTION,
) -> FoundCircuits:
    """Make the circuits of one model from its members: five channels, of which the first three are conv1's."""
    members = torch.tensor(list(members_of.values()), dtype=torch.bool).reshape(-1, 5)
    return FoundCircuits(
        model=model,
        partition_id=partition_id,
        server_round=server_round,
        circuits=Circuits.ranked_by_score(tuple(members_of), members, members.float()),
        reachable=torch.tensor(reachable or [1] * 5, dtype=torch.bool),
        usable=tuple(class_id not in unusable for class_id in members_of),
        question=question,
    )


def retested(first: FoundCircuits, *members: list[int]) -> FoundCircuits:
    """Return circuits with those that the other half of the images gave."""
    again = torch.tensor(members, dtype=torch.bool)
    return replace(first, retest=Circuits.ranked_by_score(first.circuits.class_ids, again, again.float()))


def compare(
    local: list[FoundCircuits] | None = None, **couples: list[tuple[FoundCircuits, FoundCircuits]]
) -> list[Row]:
    named = {Comparison(name): several for name, several in couples.items()}
    table = compare_circuits(NAMES, SIZES, local or [], named, np.random.default_rng(0))
    assert table.schema == TABLES["overlap"]
    rows: list[Row] = table.to_pylist()
    return rows


def identifiers(row: Row, end: str) -> tuple[Any, ...]:
    return tuple(row[f"{end}_{name}"] for name in ("model", "partition_id", "class_id", "round"))


def pairs_in(rows: list[Row]) -> set[tuple[Any, ...]]:
    """Return (comparison, partition and class of a, partition and class of b) of every pair."""
    return {
        (row["comparison"], row["a_partition_id"], row["a_class_id"], row["b_partition_id"], row["b_class_id"])
        for row in rows
    }


A, B, C = [1, 1, 0, 1, 0], [1, 0, 1, 0, 1], [0, 0, 1, 1, 1]


def test_nothing_to_compare_gives_an_empty_table_with_the_right_columns() -> None:
    table = compare_circuits(NAMES, SIZES, [], {}, np.random.default_rng(0))
    assert table.num_rows == 0
    assert table.schema == TABLES["overlap"]


def test_one_circuit_alone_is_compared_with_nothing() -> None:
    assert compare([found(0, {4: A})]) == []


def test_clients_are_compared_class_by_class_within_and_across() -> None:
    rows = compare([found(0, {0: A, 1: B}), found(3, {1: B, 2: C})])
    assert pairs_in(rows) == {
        (Comparison.DIFFERENT_CLASS_WITHIN_CLIENT, 0, 0, 0, 1),
        (Comparison.DIFFERENT_CLASS_WITHIN_CLIENT, 3, 1, 3, 2),
        (Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS, 0, 0, 3, 1),
        (Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS, 0, 0, 3, 2),
        (Comparison.SAME_CLASS_ACROSS_CLIENTS, 0, 1, 3, 1),
        (Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS, 0, 1, 3, 2),
    }


def test_every_unordered_pair_of_clients_appears_once() -> None:
    rows = compare([found(i, {7: A}) for i in range(4)])
    assert len(rows) == 6 * 3
    assert len(pairs_in(rows)) == 6
    assert {row["comparison"] for row in rows} == {"same_class_across_clients"}


def test_each_pair_has_a_row_per_layer_and_one_for_all_layers() -> None:
    rows = compare([found(0, {0: A}), found(1, {0: B})])
    assert [row["layer"] for row in rows] == ["conv1", "conv2", "all"]
    counts = [(row["intersection"], row["size_a"], row["size_b"], row["universe"]) for row in rows]
    assert counts == [(1, 2, 2, 3), (0, 1, 1, 2), (1, 3, 3, 5)]
    assert [row["iou"] for row in rows] == pytest.approx([1 / 3, 0.0, 1 / 5])
    # conv1: of two random pairs out of three, one third coincide (IoU 1) and two thirds share one (IoU 1/3).
    # conv2: two random singles out of two coincide half of the time.
    # All: shared 1 or 2 and 0 or 1, union 6 less shared: P(1) = 1/3, P(2) = 1/2, P(3) = 1/6.
    expected = [1 / 3 + 2 / 3 / 3, 1 / 2, 1 / 3 * 1 / 5 + 1 / 2 * 2 / 4 + 1 / 6]
    assert [row["expected_iou"] for row in rows] == pytest.approx(expected)
    for row in rows:
        assert row["adjusted_iou"] == pytest.approx((row["iou"] - row["expected_iou"]) / (1 - row["expected_iou"]))


def test_channels_that_only_one_model_can_reach_are_in_the_universe() -> None:
    rows = compare([found(0, {0: A}, reachable=[1, 0, 0, 1, 0]), found(1, {0: A}, reachable=[1, 1, 0, 0, 0])])
    assert [row["universe"] for row in rows] == [2, 1, 3]
    assert [row["size_a"] for row in rows] == [1, 1, 2]
    assert [row["size_b"] for row in rows] == [2, 0, 2]


def test_identifiers_name_model_partition_class_and_round() -> None:
    local, average = found(2, {5: A}, server_round=3), found(2, {5: B}, model=ModelKind.GLOBAL, server_round=3)
    rows = compare(local_vs_global=[(local, average)])
    assert identifiers(rows[0], "a") == ("client", 2, 5, 3)
    assert identifiers(rows[0], "b") == ("global", 2, 5, 3)
    assert {row["round"] for row in rows} == {3}


def test_couples_are_compared_class_by_class() -> None:
    local, average = found(0, {0: A, 1: B}), found(None, {1: A, 2: C}, model=ModelKind.GLOBAL)
    rows = compare(local_vs_global=[(local, average)])
    assert pairs_in(rows) == {("local_vs_global", 0, 1, None, 1)}
    assert {row["intersection"] for row in rows if row["layer"] == "all"} == {1}


def test_a_retest_compares_the_circuits_of_both_halves_class_by_class() -> None:
    one = retested(found(0, {0: A, 1: B}), A, C)
    rows = compare(retest=[(one, one)])
    assert pairs_in(rows) == {("retest", 0, 0, 0, 0), ("retest", 0, 1, 0, 1)}
    by_class = {row["a_class_id"]: row["iou"] for row in rows if row["layer"] == "all"}
    assert by_class == {0: 1.0, 1: pytest.approx(2 / 4)}


def test_rounds_are_compared_from_earlier_to_later_and_belong_to_the_later_one() -> None:
    earlier = found(None, {0: A}, model=ModelKind.GLOBAL, server_round=2)
    later = found(None, {0: B}, model=ModelKind.GLOBAL, server_round=4)
    rows = compare(round_to_round=[(earlier, later)])
    assert {row["comparison"] for row in rows} == {"round_to_round"}
    assert (rows[0]["a_round"], rows[0]["b_round"], rows[0]["round"]) == (2, 4, 4)
    assert rows[0]["a_partition_id"] is None
    assert rows[0]["b_partition_id"] is None


def test_retests_and_earlier_rounds_do_not_mix_with_the_comparisons_of_clients() -> None:
    first, second = retested(found(0, {0: A}), C), found(1, {0: B})
    rows = compare([first, second], retest=[(first, first)], round_to_round=[(second, found(1, {0: C}))])
    comparisons = [row["comparison"] for row in rows if row["layer"] == "all"]
    assert comparisons == ["same_class_across_clients", "retest", "round_to_round"]


def test_a_pair_is_usable_if_both_of_its_circuits_are() -> None:
    rows = compare([found(0, {0: A, 1: B, 2: C}, unusable=(2,))])
    usable = {(row["a_class_id"], row["b_class_id"]): row["usable"] for row in rows}
    assert usable == {(0, 1): True, (0, 2): False, (1, 2): False}
    both = compare([found(0, {0: A}, unusable=(0,)), found(1, {0: A}, unusable=(0,))])
    assert {row["usable"] for row in both} == {False}


def test_an_unknown_verdict_leaves_a_pair_unknown_unless_the_other_circuit_is_not_usable() -> None:
    unknown = replace(found(0, {0: A, 1: B, 2: C, 3: A}), usable=(None, True, False, None))
    usable = {(row["a_class_id"], row["b_class_id"]): row["usable"] for row in compare([unknown])}
    assert usable == {(0, 1): None, (0, 2): False, (0, 3): None, (1, 2): False, (1, 3): None, (2, 3): False}


def test_figures_of_two_empty_circuits_are_missing() -> None:
    nothing = [0, 0, 0, 0, 0]
    rows = compare([found(0, {0: nothing}), found(1, {0: nothing})])
    assert {row[name] for row in rows for name in ("iou", "expected_iou", "adjusted_iou", "phi")} == {None}
    assert [row["size_a"] for row in rows] == [0, 0, 0]


# -- The same question


def test_pairs_say_whether_both_circuits_were_asked_the_same_question() -> None:
    own = [found(i, {0: A}, question=Question(DataKind.CLIENT, i, (0, 1))) for i in (0, 1)]
    fewer = found(3, {0: A}, question=Question(DataKind.SERVER, None, (0, 1)))
    rows = compare([*own, found(2, {0: A}), fewer])
    pooled = [row for row in rows if row["layer"] == "all"]
    told = {(row["a_partition_id"], row["b_partition_id"]): (row["data"], row["same_question"]) for row in pooled}
    # Circuits that were found on clients' own images are compared among each other, and so are those of the probe set.
    assert told == {(0, 1): ("client", False), (2, 3): ("server", False)}
    assert compare([found(0, {0: A}), found(1, {0: A})])[0]["same_question"] is True


# -- The noise of images, taken out


def by_comparison(rows: list[Row], layer: str = "all") -> dict[str, Row]:
    return {row["comparison"]: row for row in rows if row["layer"] == layer}


def test_a_row_compares_circuits_of_different_halves_and_has_phi_the_other_way_round_beside_it() -> None:
    one, other = retested(found(0, {0: A}), B), retested(found(1, {0: A}), C)
    pair = by_comparison(compare([one, other]))["same_class_across_clients"]
    # A = conv1 {0, 1}, conv2 {0}; B = {0, 2}, {1}; C = {2}, {0, 1}, which cannot vary in conv2.
    assert (pair["intersection"], pair["size_a"], pair["size_b"]) == (1, 3, 3)  # A with C
    covariance = -2 / 3  # conv1: 0 - 2 * 1 / 3; conv2: 0
    assert pair["phi"] == pytest.approx(covariance / (7 / 6 * 2 / 3) ** 0.5)
    assert pair["phi_swapped"] == pytest.approx((-1 / 3 - 1 / 2) / (7 / 6))  # B with A


def test_reliability_is_the_root_of_both_retest_correlations_and_divides_the_mean_of_both_ways() -> None:
    # conv1: covariance 2 - 4/3 = 2/3 in every pair; conv2: -1/2 where the other channel is chosen, else 1/2.
    # Pooled variance 2/3 + 1/2 = 7/6, so phi is (2/3 - 1/2) / (7/6) = 1/7 where conv2 differs.
    first, second = [1, 1, 0, 1, 0], [1, 1, 0, 0, 1]
    one, other = retested(found(0, {0: first}), first), retested(found(1, {0: second}), second)
    pair = by_comparison(compare([one, other]))["same_class_across_clients"]
    assert (pair["phi"], pair["phi_swapped"]) == (pytest.approx(1 / 7), pytest.approx(1 / 7))
    assert (pair["reliability"], pair["phi_true"]) == (pytest.approx(1.0), pytest.approx(1 / 7))
    one, other = retested(found(0, {0: first}), first), retested(found(1, {0: second}), first)
    rows = compare([one, other])
    pair = by_comparison(rows)["same_class_across_clients"]
    assert (pair["phi"], pair["phi_swapped"]) == (pytest.approx(1.0), pytest.approx(1 / 7))
    assert pair["reliability"] == pytest.approx((1 / 7) ** 0.5)
    assert pair["phi_true"] is None  # the second client's circuit is not measurable
    conv1 = by_comparison(rows, "conv1")["same_class_across_clients"]
    assert (conv1["reliability"], conv1["phi_true"]) == pytest.approx((1.0, 1.0))


def test_two_copies_of_one_model_have_a_true_correlation_of_one() -> None:
    half = [1, 1, 0, 0, 0]
    one, other = retested(found(0, {0: A}), half), retested(found(1, {0: A}), half)
    pair = by_comparison(compare([one, other]))["same_class_across_clients"]
    # Pooled covariance of the halves 2/3 + 0, variances 7/6 and 2/3.
    assert pair["reliability"] == pytest.approx((2 / 3) / (7 / 6 * 2 / 3) ** 0.5)
    assert pair["phi_true"] == pytest.approx(1.0)


def test_a_negative_retest_correlation_has_no_root() -> None:
    one, other = (retested(found(i, {0: [1, 0, 0, 1, 0]}), [0, 1, 0, 0, 1]) for i in (0, 1))
    pair = by_comparison(compare([one, other]))["same_class_across_clients"]
    assert (pair["reliability"], pair["phi_true"]) == (None, None)


def test_without_a_retest_of_both_circuits_reliability_is_not_known() -> None:
    one, other = retested(found(0, {0: A}), A), found(1, {0: B})
    pair = by_comparison(compare([one, other]))["same_class_across_clients"]
    assert (pair["phi_swapped"], pair["reliability"], pair["phi_true"]) == (None, None, None)


def test_a_retest_is_not_corrected_by_itself() -> None:
    one = retested(found(0, {0: A}), A)
    row = by_comparison(compare(retest=[(one, one)]))["retest"]
    assert row["phi"] == pytest.approx(1.0)
    assert (row["reliability"], row["phi_true"]) == (None, None)


def test_rounds_are_corrected_by_the_retests_of_both_rounds() -> None:
    earlier, later = found(0, {0: A}, server_round=1), retested(found(0, {0: B}, server_round=2), B)
    with_both = by_comparison(compare(round_to_round=[(retested(earlier, A), later)]))
    assert with_both["round_to_round"]["reliability"] == pytest.approx(1.0)
    with_one = by_comparison(compare(round_to_round=[(earlier, later)]))
    assert with_one["round_to_round"]["reliability"] is None


# -- Many clients


def test_of_many_clients_a_sample_of_the_pairs_is_compared_and_everything_else_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    several = [retested(found(client, {0: A, 1: B}), A, B) for client in range(9)]
    couples = {"retest": [(one, one) for one in several]}
    every = compare(several, **couples)
    monkeypatch.setattr(circuits, "MAX_PAIR_CLIENTS", 8)
    draws = {kind: partial(draw, most=6) for kind, draw in circuits._DRAWS.items()}
    monkeypatch.setattr(circuits, "_DRAWS", draws)
    rows = compare(several, **couples)
    counts = Counter(row["comparison"] for row in rows if row["layer"] == "all")
    assert 4 <= counts.pop("different_class_across_clients") <= 6  # some are drawn twice
    assert counts == {
        "same_class_across_clients": 6,
        "different_class_within_client": 6,
        "retest": 18,
    }
    assert all(row in every for row in rows)
    assert rows == compare(several, **couples)
