"""Sets of many clients, one per client and class at most, as words of bits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from numpy import ndarray as Array

from fedcircuits.overlap.bits import pack_words
from fedcircuits.overlap.set_pairs import layer_slices


@dataclass(frozen=True)
class ClientSets:
    """Sets of many clients, layer by layer.

    Args:
        members: for each layer `[word, class, client]`, bits of the elements in each set.
        universe: for each layer `[word, client]`, bits of the elements that the client's sets could have had.
        present: `[class, client]`, whether there is a set to compare.
        layer_sizes: elements per layer, in order.
    """

    members: list[Array]
    universe: list[Array]
    present: Array
    layer_sizes: Sequence[int]

    @classmethod
    def pack(
        cls,
        members: Iterable[Bool[Array, "class element"]],
        universe: Iterable[Bool[Array, " element"]],
        present: Bool[Array, "client class"],
        layer_sizes: Sequence[int],
    ) -> "ClientSets":
        """Return sets given as flags, client by client, the layers side by side.

        Elements outside a client's universe do not count.
        """
        parts = layer_slices(layer_sizes)
        kept, allowed = [], []
        for flags, own in zip(members, universe, strict=True):
            kept.append([pack_words((flags & own)[:, part]) for part in parts])
            allowed.append([pack_words(own[part]) for part in parts])
        return cls(
            [np.ascontiguousarray(np.stack(layer).T) for layer in zip(*kept, strict=True)],
            [np.ascontiguousarray(np.stack(layer).T) for layer in zip(*allowed, strict=True)],
            np.ascontiguousarray(present.T),
            layer_sizes,
        )


def num_pairs(present: Bool[Array, "class client"]) -> tuple[int, int]:
    """Return how many pairs of sets of two clients there are, of one class and of different classes."""
    by_class, by_client = present.sum(axis=1), present.sum(axis=0)
    same = int((by_class * (by_class - 1)).sum()) // 2
    of_two_clients = (int(present.sum()) ** 2 - int((by_client**2).sum())) // 2
    return same, of_two_clients - same
