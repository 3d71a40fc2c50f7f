"""Which pairs of many clients' circuits are compared: all of them, or a sample of a fixed size.

Their number grows with the square of that of clients: 1,000 clients of ten classes make 50 million. Means over pairs
need no more than some thousands of them, drawn evenly: where the IoU of pairs spreads by 0.2, the mean of 5,000 is
within 0.006 of that of all pairs in 95 cases of 100, and that of one class of ten within 0.018. More would make logs
large: a pair takes four rows a round.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final, TypeVar

import numpy as np

Circuit = TypeVar("Circuit")

MAX_PAIR_CLIENTS: Final = 100
"""Above this many clients in a round, a sample of the pairs across them is compared."""

SAMPLED_PAIRS: Final = 5_000
"""Pairs of circuits in the sample of a comparison; of one class in two clients, they are spread evenly over classes."""

SAMPLED_MASK_PAIRS: Final = 1_000
"""Pairs of weight masks in their sample; each takes as many bits as the network has weights."""


def sampled_couples(num_items: int, most: int, generator: np.random.Generator) -> list[tuple[int, int]]:
    """Return couples of different items, the first below the second, in ascending order.

    Args:
        num_items: how many items there are.
        most: couples to return at most; if there are more, as many are drawn without replacement.
        generator: of the draws.
    """
    total = num_items * (num_items - 1) // 2
    if total <= most:
        return list(combinations(range(num_items), 2))
    places = np.sort(generator.choice(total, most, replace=False, shuffle=False))
    # Couples stand in the order of combinations(): the first item's come after those of the items before it.
    starts = np.cumsum([0, *range(num_items - 1, 0, -1)])
    first = np.searchsorted(starts, places, side="right") - 1
    return list(zip(first.tolist(), (places - starts[first] + first + 1).tolist(), strict=True))


def same_class(
    circuits: Sequence[Mapping[int, Circuit]], generator: np.random.Generator, most: int = SAMPLED_PAIRS
) -> list[tuple[Circuit, Circuit]]:
    """Return couples of circuits of one class in two clients.

    Args:
        circuits: each client's, by class.
        generator: of the draws.
        most: couples to return at most; each class gets an even share.
    """
    class_ids = sorted({class_id for own in circuits for class_id in own})
    found = []
    for class_id in class_ids:
        holders = [own[class_id] for own in circuits if class_id in own]
        couples = sampled_couples(len(holders), most // len(class_ids), generator)
        found += [(holders[a], holders[b]) for a, b in couples]
    return found


def different_class(
    circuits: Sequence[Mapping[int, Circuit]], generator: np.random.Generator, most: int = SAMPLED_PAIRS
) -> list[tuple[Circuit, Circuit]]:
    """Return couples of circuits of different classes in two clients, drawn evenly; arguments as `same_class`.

    Couples that are drawn twice count once, so that a few may be missing.
    """
    clients = np.repeat(np.arange(len(circuits)), [len(own) for own in circuits])
    class_ids = np.array([class_id for own in circuits for class_id in own], dtype=np.int64)
    flat = [circuit for own in circuits for circuit in own.values()]
    if not flat:
        return []
    # Twice as many as wanted: some have one client or one class, and some come twice.
    first, second = np.sort(generator.integers(len(flat), size=(2, 2 * most)), axis=0)
    is_wanted = (clients[first] != clients[second]) & (class_ids[first] != class_ids[second])
    drawn = dict.fromkeys(zip(first[is_wanted].tolist(), second[is_wanted].tolist(), strict=True))
    return [(flat[a], flat[b]) for a, b in sorted(list(drawn)[:most])]


def within_client(
    circuits: Sequence[Mapping[int, Circuit]], generator: np.random.Generator, most: int = SAMPLED_PAIRS
) -> list[tuple[Circuit, Circuit]]:
    """Return couples of circuits of two classes in one client; arguments as `same_class`."""
    couples = [couple for own in circuits for couple in combinations(own.values(), 2)]
    if len(couples) <= most:
        return couples
    return [couples[place] for place in np.sort(generator.choice(len(couples), most, replace=False, shuffle=False))]
