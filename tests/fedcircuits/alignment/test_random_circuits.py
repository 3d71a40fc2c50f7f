import torch
from hypothesis import given
from hypothesis import strategies as st

from fedcircuits.alignment.random_circuits import random_circuits

LAYERS = (5, 8)


@given(st.lists(st.booleans(), min_size=13, max_size=13), st.lists(st.booleans(), min_size=13, max_size=13))
def test_random_circuits_keep_layer_sizes_and_stay_reachable(member: list[bool], reachable: list[bool]) -> None:
    kept, alive = torch.tensor(member), torch.tensor(reachable)
    drawn = random_circuits(kept, alive, LAYERS, 7, torch.Generator().manual_seed(0))
    assert drawn.shape == (7, 13)
    assert not (drawn & ~alive).any()
    for part, original in zip(drawn.split(LAYERS, 1), (kept & alive).split(LAYERS), strict=True):
        assert part.sum(1).tolist() == [int(original.sum())] * 7


def test_every_reachable_channel_is_drawn_equally_often() -> None:
    member = torch.tensor([True, True, False, False, False])
    reachable = torch.tensor([True, True, True, True, False])
    drawn = random_circuits(member, reachable, (5,), 4000, torch.Generator().manual_seed(0))
    # Half of the draws each: 2000 with a standard deviation of 32.
    assert all(abs(count - 2000) < 130 for count in drawn.sum(0)[:4].tolist())


def test_the_same_generator_draws_the_same_circuits() -> None:
    member, reachable = torch.arange(13) < 6, torch.ones(13, dtype=torch.bool)
    first, second = (random_circuits(member, reachable, LAYERS, 5, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
