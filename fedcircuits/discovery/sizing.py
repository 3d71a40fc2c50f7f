"""How many channels of a ranking make the circuit."""

_SIZES = (0, 1, 2, 3, 5, 8, 13, 20, 32, 50, 80, 128, 224)
"""Sizes of nested circuits that curves are taken at: dense where circuits are small; 224 is the paper's network."""

_GROWTH = 1.6
"""From one size to the next, beyond the last of `_SIZES`."""


def nested_sizes(n: int) -> list[int]:
    """Return ascending sizes of nested circuits from 0 to exactly `n`, each about 1.6 times the one before."""
    sizes = list(_SIZES)
    while sizes[-1] < n:
        sizes.append(round(sizes[-1] * _GROWTH))
    return [*(size for size in sizes if size < n), n]
