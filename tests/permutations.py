"""Undoing a relabelling, for tests."""

import numpy as np

from fedcircuits.alignment.relabelling import Permutations


def inverse_permutations(permutations: Permutations) -> Permutations:
    """Return the permutations that undo `permutations`."""
    return {name: np.argsort(order) for name, order in permutations.items()}
