import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from fedcircuits.averaging.interference import LayerInterference, measure_interference
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.training.sparsity import Masks

# One convolution of two filters with 9 weights each, and a linear layer of two rows with 2 weights.
SPEC = ModelSpec(in_channels=1, image_size=2, channels=(2,), num_classes=2)

Client = tuple[list[float], list[int]]
"""Weights and mask of the linear layer, four of each; the convolution stays as it was."""


def weights_of(values: Sequence[float]) -> dict[str, Tensor]:
    return {"conv1.weight": torch.ones(2, 1, 3, 3), "fc.weight": torch.tensor(values).reshape(2, 2)}


def masks_of(mask: Sequence[int]) -> Masks:
    return {"conv1": torch.ones(2, 1, 3, 3, dtype=torch.bool), "fc": torch.tensor(mask).bool().reshape(2, 2)}


def measure(
    start: Sequence[float], clients: Sequence[Client], shares: Sequence[float] | None = None
) -> dict[str, LayerInterference]:
    """Measure what the weighted mean of the clients does, for every layer."""
    shares = shares or [1 / len(clients)] * len(clients)
    average = [sum(s * values[i] for s, (values, _) in zip(shares, clients, strict=True)) for i in range(4)]
    given = [(weights_of(values), masks_of(mask)) for values, mask in clients]
    rows = measure_interference(SPEC, weights_of(start), given, shares, weights_of(average), {}).layers
    return {row.layer: row for row in rows}


def measure_fc(
    start: Sequence[float], clients: Sequence[Client], shares: Sequence[float] | None = None
) -> LayerInterference:
    return measure(start, clients, shares)["fc"]


DENSE = [1, 1, 1, 1]


def test_there_is_one_row_per_layer_with_the_number_of_clients() -> None:
    rows = measure([0.0] * 4, [([1.0] * 4, DENSE)] * 3)
    assert list(rows) == ["conv1", "fc"]
    assert {row.num_clients for row in rows.values()} == {3}


def test_identical_updates_do_not_cancel() -> None:
    row = measure_fc([1.0, 1.0, 1.0, 1.0], [([2.0, 0.5, 1.0, 3.0], DENSE)] * 3)
    assert row.cancellation == pytest.approx(1.0)
    assert row.sign_conflict == 0.0
    assert row.support_agree == 1.0
    assert row.norm_retention == pytest.approx(1.0)


def test_opposite_updates_cancel_altogether() -> None:
    row = measure_fc([1.0, 1.0, 1.0, 1.0], [([3.0, 1.0, 1.0, 1.0], DENSE), ([-1.0, 1.0, 1.0, 1.0], DENSE)])
    assert row.cancellation == pytest.approx(0.0)
    assert row.sign_conflict == pytest.approx(1.0)  # the whole update lies on the weight they pull apart


@pytest.mark.parametrize("num_clients", [2, 3, 4])
def test_orthogonal_updates_of_one_norm_cancel_to_the_inverse_root_of_their_number(num_clients: int) -> None:
    clients = [([1.0 + 2.0 * (i == j) for j in range(4)], DENSE) for i in range(num_clients)]
    row = measure_fc([1.0] * 4, clients)
    assert row.cancellation == pytest.approx(1 / math.sqrt(num_clients))
    assert row.sign_conflict == 0.0


def test_shares_weigh_the_updates_and_their_norms() -> None:
    row = measure_fc([0.0] * 4, [([4.0, 0.0, 0.0, 0.0], DENSE), ([-2.0, 0.0, 0.0, 0.0], DENSE)], [0.75, 0.25])
    assert row.cancellation == pytest.approx((3.0 - 0.5) / (3.0 + 0.5))
    assert row.norm_retention == pytest.approx(2.5 / 3.5)


def test_weights_that_all_clients_prune_do_not_count_as_agreement() -> None:
    # The last two start at 5 and are pruned by both; what is left are opposite updates.
    start = [1.0, 1.0, 5.0, 5.0]
    row = measure_fc(start, [([2.0, 1.0, 0.0, 0.0], [1, 1, 0, 0]), ([0.0, 1.0, 0.0, 0.0], [1, 1, 0, 0])])
    assert row.cancellation == pytest.approx(0.0)
    assert row.density_union == 0.5


def test_a_weight_that_one_client_prunes_is_no_update_of_that_client() -> None:
    start = [2.0, 2.0, 0.0, 0.0]
    row = measure_fc(start, [([3.0, 0.0, 0.0, 0.0], [1, 0, 0, 0]), ([0.0, 3.0, 0.0, 0.0], [0, 1, 0, 0])])
    assert row.cancellation == pytest.approx(1 / math.sqrt(2))


def test_support_splits_into_solo_agreeing_and_conflicting_weights() -> None:
    row = measure_fc(
        [0.0] * 4,
        [([1.0, 1.0, 1.0, 0.0], [1, 1, 1, 0]), ([0.0, 2.0, -1.0, 0.0], [0, 1, 1, 0])],
    )
    assert row.support_solo == pytest.approx(1 / 3)
    assert row.support_agree == pytest.approx(1 / 3)
    assert row.support_conflict == pytest.approx(1 / 3)


def test_one_of_three_clients_with_another_sign_is_a_conflict() -> None:
    clients: list[Client] = [([1.0, 1.0, 0.0, 0.0], [1, 1, 0, 0]), ([1.0, 1.0, 0.0, 0.0], [1, 1, 0, 0])]
    row = measure_fc([0.0] * 4, [*clients, ([-1.0, 1.0, 0.0, 0.0], [1, 1, 0, 0])])
    assert (row.support_solo, row.support_agree, row.support_conflict) == (0.0, 0.5, 0.5)


def test_only_the_largest_fifth_of_updates_takes_part_in_the_sign_conflict() -> None:
    # Weights 0 and 1 are pulled apart, but in each case by a large update of one client and a small one of the other.
    row = measure_fc([0.0] * 4, [([4.0, -1.0, 0.0, 0.0], DENSE), ([-1.0, 4.0, 0.0, 0.0], DENSE)])
    assert row.sign_conflict == 0.0
    row = measure_fc([0.0] * 4, [([-4.0, 1.0, 0.0, 0.0], DENSE), ([1.0, -4.0, 0.0, 0.0], DENSE)])
    assert row.sign_conflict == 0.0
    row = measure_fc([0.0] * 4, [([4.0, -1.0, 0.0, 0.0], DENSE), ([-4.0, 1.0, 0.0, 0.0], DENSE)])
    assert row.sign_conflict == pytest.approx(8 / 10)  # of a mass of 10, the 8 on weight 0


def test_disjoint_supports_are_diluted() -> None:
    # The average has norm 1/2 * sqrt(2) against a mean norm of 1.
    row = measure_fc([0.0] * 4, [([1.0, 0.0, 0.0, 0.0], [1, 0, 0, 0]), ([0.0, 1.0, 0.0, 0.0], [0, 1, 0, 0])])
    assert row.norm_retention == pytest.approx(1 / math.sqrt(2))
    assert row.support_solo == 1.0


def test_densities_are_of_clients_of_their_union_and_of_the_average() -> None:
    row = measure_fc(
        [0.0] * 4,
        [([1.0, 1.0, 0.0, 0.0], [1, 1, 0, 0]), ([0.0, -1.0, 3.0, 1.0], [0, 1, 1, 1])],
    )
    assert row.density_clients == pytest.approx((2 / 4 + 3 / 4) / 2)
    assert row.density_union == 1.0
    assert row.density_global == 0.75  # the second weight averages to zero


def test_clients_that_do_not_move_leave_no_figure_for_their_updates() -> None:
    row = measure_fc([1.0, 2.0, 3.0, 4.0], [([1.0, 2.0, 3.0, 4.0], DENSE)] * 2)
    assert row.cancellation is None
    assert row.sign_conflict is None
    assert row.norm_retention == pytest.approx(1.0)
    assert row.support_agree == 1.0


def test_clients_that_only_prune_do_not_move() -> None:
    row = measure_fc([1.0, 2.0, 3.0, 4.0], [([0.0, 0.0, 3.0, 4.0], [0, 0, 1, 1])] * 2)
    assert row.cancellation is None


def test_a_layer_in_which_nobody_keeps_anything_has_no_split() -> None:
    row = measure_fc([0.0] * 4, [([0.0] * 4, [0] * 4)] * 2)
    assert (row.support_solo, row.support_agree, row.support_conflict) == (None, None, None)
    assert row.norm_retention is None
    assert (row.density_clients, row.density_union, row.density_global) == (0.0, 0.0, 0.0)


def test_one_client_is_its_own_average() -> None:
    row = measure_fc([0.0] * 4, [([1.0, -2.0, 0.0, 0.0], [1, 1, 0, 0])])
    assert row.cancellation == pytest.approx(1.0)
    assert row.norm_retention == pytest.approx(1.0)
    assert row.support_solo == 1.0


def test_inputs_are_left_as_they_were() -> None:
    start = weights_of([1.0] * 4)
    client = (weights_of([2.0] * 4), masks_of(DENSE))
    measure_interference(SPEC, start, [client], [1.0], weights_of([2.0] * 4), {})
    assert start["fc.weight"].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert client[0]["fc.weight"].tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_one_moving_client_has_nobody_to_cancel_it() -> None:
    row = measure_fc([1.0] * 4, [([2.0, 1.0, 1.0, 1.0], DENSE), ([1.0] * 4, DENSE)])
    assert row.cancellation == pytest.approx(1.0)


def test_weights_that_one_client_alone_moves_much_have_no_chance_of_a_conflict() -> None:
    row = measure_fc([0.0] * 4, [([4.0, 0.0, 0.0, 0.0], DENSE), ([0.0, -4.0, 0.0, 0.0], DENSE)])
    assert (row.sign_conflict, row.sign_conflict_null) == (0.0, 0.0)


def test_clients_that_only_raise_weights_cannot_conflict_by_chance() -> None:
    row = measure_fc([0.0] * 4, [([4.0, 1.0, 0.0, 0.0], DENSE), ([4.0, 1.0, 0.0, 0.0], DENSE)])
    assert row.sign_conflict_null == 0.0


def test_the_null_of_the_sign_conflict_is_that_of_shuffled_signs() -> None:
    wide = ModelSpec(in_channels=1, image_size=2, channels=(60,), num_classes=10)
    generator = torch.Generator().manual_seed(0)
    # Large updates at the same weights, and more positive ones the lower the client.
    size = torch.rand(10, 60, generator=generator) + 0.1
    magnitudes = [size + 0.2 * torch.rand(10, 60, generator=generator) for _ in range(3)]
    signs = [torch.where(torch.rand(10, 60, generator=generator) < q, 1.0, -1.0) for q in (0.8, 0.65, 0.5)]

    def measured(signs: Sequence[Tensor]) -> LayerInterference:
        conv = torch.ones(60, 1, 3, 3)
        clients = [
            ({"conv1.weight": conv, "fc.weight": m * s}, {"conv1": conv.bool(), "fc": m > 0})
            for m, s in zip(magnitudes, signs, strict=True)
        ]
        start = {"conv1.weight": conv, "fc.weight": torch.zeros(10, 60)}
        return measure_interference(wide, start, clients, [1 / 3] * 3, start, {}).layers[1]

    def shuffled(magnitude: Tensor, sign: Tensor) -> Tensor:
        largest = magnitude.flatten().topk(120).indices
        mixed = sign.flatten().clone()
        mixed[largest] = mixed[largest[torch.randperm(120, generator=generator)]]
        return mixed.view_as(sign)

    row = measured(signs)
    drawn = [
        measured([shuffled(m, s) for m, s in zip(magnitudes, signs, strict=True)]).sign_conflict for _ in range(300)
    ]
    conflicts = torch.tensor(drawn)
    # Three standard errors of a mean over 300 draws.
    assert float(conflicts.mean()) == pytest.approx(row.sign_conflict_null, abs=3 * float(conflicts.std()) / 17.3)
