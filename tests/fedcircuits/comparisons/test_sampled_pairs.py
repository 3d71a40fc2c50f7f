"""A sample of the pairs of many clients: right pairs, each once, drawn evenly, and close to all of them."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcircuits.comparisons.sampled_pairs import different_class, same_class, sampled_couples, within_client

CLIENTS = [{class_id: (client, class_id) for class_id in range(client % 3, 4)} for client in range(12)]
"""Each circuit is its client and class; clients hold four, three or two classes."""


@given(st.integers(0, 30), st.integers(0, 500), st.integers(0, 2**31))
def test_couples_are_different_and_ascending(num_items: int, most: int, seed: int) -> None:
    couples = sampled_couples(num_items, most, np.random.default_rng(seed))
    every = list(combinations(range(num_items), 2))
    assert len(couples) == min(most, len(every))
    assert couples == [couple for couple in every if couple in set(couples)]


def test_every_couple_is_drawn_equally_often() -> None:
    generator = np.random.default_rng(0)
    counts = dict.fromkeys(combinations(range(6), 2), 0)
    for _ in range(3000):
        for couple in sampled_couples(6, 5, generator):
            counts[couple] += 1
    # 3,000 draws of 5 out of 15: mean 1,000, standard deviation 26.
    assert np.abs(np.array(list(counts.values())) - 1000).max() < 4 * 26


def test_couples_are_of_the_kind_that_was_asked_for_and_come_once() -> None:
    generator = np.random.default_rng(0)
    kinds = {same_class: (False, True), different_class: (False, False), within_client: (True, False)}
    for draw, (is_one_client, is_one_class) in kinds.items():
        couples = draw(CLIENTS, generator, most=12)
        assert len(couples) == len({frozenset(couple) for couple in couples}) == 12
        for (client_a, class_a), (client_b, class_b) in couples:
            assert (client_a == client_b, class_a == class_b) == (is_one_client, is_one_class)


def test_classes_get_an_even_share_of_the_sample() -> None:
    couples = same_class(CLIENTS, np.random.default_rng(0), most=8)
    assert [class_a for (_, class_a), _ in couples] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_sample_that_holds_all_is_all() -> None:
    generator = np.random.default_rng(0)
    everything = [
        (one[c], other[c]) for c in range(4) for one, other in combinations(CLIENTS, 2) if c in one and c in other
    ]
    assert same_class(CLIENTS, generator, most=4 * 66) == everything
    assert len(within_client(CLIENTS, generator, most=1000)) == 4 * (6 + 3 + 1)


def test_nobody_has_a_circuit() -> None:
    generator = np.random.default_rng(0)
    assert [draw([{}, {}], generator) for draw in (same_class, different_class, within_client)] == [[], [], []]


def test_the_mean_over_the_sample_is_close_to_that_over_all_pairs() -> None:
    generator = np.random.default_rng(0)
    members = generator.random((300, 40)) < generator.random((300, 1))  # clients differ in size
    clients = [{0: client} for client in range(300)]

    def iou(couples: list[tuple[int, int]]) -> float:
        first, second = members[[a for a, _ in couples]], members[[b for _, b in couples]]
        return float(np.nanmean((first & second).sum(1) / np.maximum((first | second).sum(1), 1)))

    every = iou(list(combinations(range(300), 2)))
    # The IoU of a pair spreads by 0.2: the mean of 5,000 by 0.0028.
    assert iou(same_class(clients, generator)) == pytest.approx(every, abs=4 * 0.0028)
