import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcircuits.discovery.sizing import nested_sizes


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
