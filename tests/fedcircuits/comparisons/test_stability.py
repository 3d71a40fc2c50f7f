import math

import numpy as np
import pytest
import torch

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.found import FoundCircuits, Question
from fedcircuits.comparisons.stability import stability, stability_rows
from fedcircuits.overlap import membership_phi, pair_sets
from fedcircuits.records import TABLES, DataKind, ModelKind


def rows(*texts: str):
    return np.array([[letter == "1" for letter in text] for text in texts])


def test_the_same_sets_agree_wholly_and_with_certainty():
    agreement = stability([rows("1100", "1100", "1100")])
    assert agreement.value == pytest.approx(1.0)
    assert agreement.variance == pytest.approx(0.0)


def test_two_sets_of_one_size_agree_as_their_phi_says():
    members = rows("1110000000", "1101000000")
    pairs = pair_sets(members, np.ones_like(members), [10], np.array([0]), np.array([1]))
    assert stability([members]).value == pytest.approx(membership_phi(pairs)[0, 0])


def test_random_sets_agree_on_nothing_in_the_mean():
    generator = np.random.default_rng(0)
    values = [stability([generator.random((5, 40)) < 0.3]).value for _ in range(400)]
    # Four standard errors of the mean.
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(400)


def test_the_interval_covers_what_many_more_sets_show():
    generator = np.random.default_rng(1)
    chances = np.where(np.arange(60) < 20, 0.8, 0.1)
    truth = stability([generator.random((20_000, 60)) < chances]).value
    covered = [
        agreement.low <= truth <= agreement.high
        for agreement in (stability([generator.random((30, 60)) < chances]) for _ in range(200))
    ]
    # 95 % nominal; of 200 intervals, the share jitters by 1.5 points, and 30 sets are not many.
    assert 0.88 <= np.mean(covered) <= 0.99


def test_pooled_layers_of_one_density_weigh_by_their_variance():
    one, other = rows("1100", "1010"), rows("10", "10")
    # Sums of p (1 - p): 1/2 and 0, by chance 4 * 1/4 and 2 * 1/4.
    assert stability([one]).value == pytest.approx(1 - 2 * 0.5 / 1)
    assert stability([other]).value == pytest.approx(1.0)
    assert stability([one, other]).value == pytest.approx(1 - 2 * 0.5 / 1.5)


def test_a_full_layer_beside_an_empty_one_is_no_agreement():
    alone, full, empty = rows("1100", "0011"), rows("1111", "1111"), rows("000", "000")
    assert stability([alone, full, empty]).value == pytest.approx(stability([alone]).value)
    assert stability([alone, full, empty]).variance == pytest.approx(stability([alone]).variance)


@pytest.mark.parametrize("texts", [("000", "000"), ("111", "111")])
def test_sets_that_never_vary_have_no_stability(texts):
    agreement = stability([rows(*texts)])
    assert math.isnan(agreement.value)
    assert math.isnan(agreement.low)


def found(partition_id, circuits, reachable="11111", unusable=()):
    """Make a client's circuits of five channels, of which the first three are conv1's."""
    members = torch.from_numpy(rows(*circuits.values()).reshape(-1, 5))
    return FoundCircuits(
        ModelKind.CLIENT,
        partition_id,
        2,
        Circuits.ranked_by_score(tuple(circuits), members, members.float()),
        torch.from_numpy(rows(reachable)[0]),
        tuple(class_id not in unusable for class_id in circuits),
        Question(DataKind.SERVER, None, (4, 7)),
    )


def logged(*local):
    return stability_rows(2, ["conv1", "conv2"], [3, 2], local)


def test_each_class_of_two_clients_has_a_row_per_layer_and_one_for_all():
    table = logged(found(0, {4: "11010", 7: "10010"}), found(1, {4: "11001"}), found(2, {4: "10110"}))
    assert [(row["class_id"], row["layer"], row["num_circuits"]) for row in table] == [
        (4, "conv1", 3),
        (4, "conv2", 3),
        (4, "all", 3),
    ]
    assert {row["round"] for row in table} == {2}
    assert set(table[0]) == set(TABLES["stability"].names)
    members = rows("11010", "11001", "10110")
    expected = [stability([members[:, :3]]), stability([members[:, 3:]]), stability([members[:, :3], members[:, 3:]])]
    assert [row["stability"] for row in table] == pytest.approx([agreement.value for agreement in expected])
    assert [(row["low"], row["high"]) for row in table] == [(a.low, a.high) for a in expected]


def test_circuits_that_say_nothing_do_not_count():
    assert logged(found(0, {4: "11010"}), found(1, {4: "11001"}, unusable=(4,))) == []


def test_the_universe_is_what_any_of_the_models_reaches():
    first, second = found(0, {4: "10010"}, reachable="11010"), found(1, {4: "01111"}, reachable="01010")
    table = logged(first, second)
    # Channel 2 is reached by none; the second's channel 4 cannot count. conv2 is one channel, which both have.
    assert table[0]["stability"] == pytest.approx(stability([rows("10", "01")]).value)
    assert (table[1]["stability"], table[1]["low"], table[1]["high"]) == (None, None, None)


def test_without_clients_there_is_nothing_to_agree_on():
    assert logged() == []
