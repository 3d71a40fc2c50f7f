import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.discovery import ablation_values, discover_circuits, discovery_images
from fedcircuits.circuits.discovery.sizing import (
    budget_size,
    graded_scores,
    largest,
    nested_sizes,
    rank_reachable_first,
    sweep_sizes,
)


@pytest.mark.parametrize(
    ("n", "sizes"),
    [
        (0, [0]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (13, [0, 1, 2, 3, 5, 8, 13]),
        (200, [0, 1, 2, 3, 5, 8, 13, 20, 32, 50, 80, 128, 200]),
        (224, [0, 1, 2, 3, 5, 8, 13, 20, 32, 50, 80, 128, 224]),
        (600, [0, 1, 2, 3, 5, 8, 13, 20, 32, 50, 80, 128, 224, 358, 573, 600]),
    ],
)
def test_sizes_of_nested_circuits_grow_evenly_and_end_in_the_whole(n, sizes):
    assert nested_sizes(n) == sizes


@given(st.integers(0, 10_000))
def test_sizes_of_nested_circuits_ascend_from_nothing_to_everything(n):
    sizes = nested_sizes(n)
    assert sizes[0] == 0
    assert sizes[-1] == n
    assert sizes == sorted(set(sizes))


def test_channels_that_carry_no_signal_rank_last():
    importance = torch.tensor([[0.1, 0.9, -0.5, 0.3]])
    reachable = torch.tensor([True, False, True, True])
    assert rank_reachable_first(importance, reachable).tolist() == [[3, 0, 2, 1]]


def test_a_nested_circuit_is_the_head_of_its_ranking():
    ranking = torch.tensor([[2, 0, 1], [1, 2, 0]])
    assert largest(ranking, torch.tensor([1, 2])).tolist() == [[False, False, True], [False, True, True]]


@pytest.mark.parametrize(
    ("budget", "num", "size"), [(0.25, 10, 3), (0.07, 100, 7), (1.0, 9, 9), (0.001, 5, 1), (0.5, 0, 0)]
)
def test_a_budget_is_rounded_up(budget, num, size):
    assert budget_size(budget, num) == size


def sweep(curve: list[float], target: float) -> int:
    """Sweep over one ranking whose loss is given for every size."""
    num_channels = len(curve) - 1
    ranking = torch.arange(num_channels)[None, None]
    losses = torch.tensor(curve)
    return int(sweep_sizes(ranking, num_channels, target, lambda members, _: losses[members.sum(-1)])[0, 0])


@pytest.mark.parametrize(
    ("curve", "target", "size"),
    [
        ([1.0, 0.8, 0.5, 0.1, 0.0], 0.9, 3),
        ([1.0, 0.8, 0.5, 0.1, 0.0], 1.0, 4),
        ([1.0, 0.8, 0.5, 0.1, 0.0], 0.2, 1),
        ([1.0, 2.0, 0.1, 0.9, 0.0], 0.9, 2),  # the loss rises again behind the first size that meets the target
        ([1.0, 2.0, -3.0, 0.9, 0.0], 1.0, 2),  # a circuit may beat the whole network
        ([0.5, 0.2, 0.6], 0.9, 0),  # the whole network wins nothing
        ([0.0], 0.9, 0),
    ],
)
def test_a_sweep_stops_at_the_first_size_that_recovers_the_target(curve, target, size):
    assert sweep(curve, target) == size


@given(st.lists(st.floats(0, 1), min_size=2, max_size=300), st.floats(0.01, 1))
def test_the_circuit_of_a_sweep_recovers_the_target_and_the_next_smaller_one_does_not(curve, target):
    size = sweep(curve, target)
    empty, whole = torch.tensor(curve)[[0, -1]]
    ceiling = float(torch.maximum(whole, empty - target * (empty - whole)))
    assert torch.tensor(curve)[size] <= ceiling
    assert size == 0 or torch.tensor(curve)[size - 1] > ceiling


def test_every_row_is_swept_by_itself():
    curves = torch.tensor([[[3.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]], [[3.0, 3.0, 3.0, 3.0, 3.0, 0.1, 0.0]]])
    ranking = torch.arange(6).expand(2, 1, 6)
    sizes = sweep_sizes(ranking, 6, 0.9, lambda members, _: curves.gather(2, members.sum(-1)[..., None])[..., 0])
    assert sizes.tolist() == [[2], [5]]


def test_scores_are_above_a_half_for_members_alone_even_as_bytes():
    importance = torch.tensor([[4.0, 2.0, 2.0, 0.0, -1.0]])
    members = torch.tensor([[True, True, False, True, False]])
    scores = graded_scores(importance, members)
    torch.testing.assert_close(scores[0, :3], torch.tensor([1.0, 0.75, 0.25]))
    assert scores[0, 4] == 0
    unpacked = Circuits.ranked_by_score((0,), members, scores).pack().unpack(5, 10)
    assert torch.equal(unpacked.scores > 0.5, members)


def test_scores_of_a_network_in_which_nothing_matters_are_the_lowest_that_tell_members_apart():
    scores = graded_scores(torch.zeros(1, 2), torch.tensor([[True, False]]))
    assert scores[0].tolist() == pytest.approx([0.5 + 0.5 / 255, 0.0])


@pytest.mark.parametrize("discovery", ["gates", "attribution"])
@pytest.mark.parametrize("restarts", [1, 3])
def test_a_budget_of_everything_keeps_the_channels_that_carry_signal_and_no_other(
    make_settings, data, model, discovery, restarts
):
    with torch.no_grad():
        model.conv2.weight[:, 1] = 0.0  # channel 1 of the first convolution leads nowhere
        model.conv3.weight[4] = 0.0  # channel 4 of the last hears nothing
    changes = {"discovery": discovery, "size-rule": "budget", "circuit-budget": 1.0, "restarts": restarts}
    settings = make_settings({**changes, "gate-steps": 5}).discovery
    images = discovery_images(data, None, (0, 2), "contrast")
    ablation = ablation_values(model, data, settings)
    found = discover_circuits(model, images, ablation, settings, 16, torch.Generator().manual_seed(0))
    is_dead = torch.isin(torch.arange(15), torch.tensor([1, 14]))
    assert torch.equal(found.members, (~is_dead).expand(2, 15))
    assert {frozenset(row) for row in found.ranking[:, -2:].tolist()} == {frozenset({1, 14})}
