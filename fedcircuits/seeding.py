"""Random generators derived from (seed, purpose, partition, round), so that no draw depends on another.

Reordering work, or adding a new random step, leaves all other draws as they were.
"""

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What a generator is for. The numbers are part of the reproducibility promise: never reuse one (17 was used)."""

    INITIAL_WEIGHTS = 1
    TRAIN_LIMIT = 2
    PROBE_SPLIT = 3
    PARTITION = 4
    SAMPLING = 5
    TRAINING = 6
    LOCAL_DISCOVERY = 7
    GLOBAL_DISCOVERY = 8
    RETEST_LOCAL = 9
    RETEST_GLOBAL = 10
    HELDOUT_LIMIT = 11
    VALIDITY = 12
    SCRUTINY = 13
    ALIGNMENT = 14
    PATCHING = 15
    LADDER = 16
    EXAMINATION_IMAGES = 18
    PROBE_HALVES = 19
    PERTURBATION = 20
    TRANSFER = 21
    PAIRS = 22


SERVER = 2**31 - 1
"""Stands for the server where a partition id is asked for."""


def numpy_generator(
    seed: int, purpose: Purpose, partition_id: int = SERVER, server_round: int = 0
) -> np.random.Generator:
    """Return a NumPy generator for one purpose, partition and round."""
    return np.random.default_rng(np.random.SeedSequence([seed, purpose, partition_id, server_round]))


def torch_generator(seed: int, purpose: Purpose, partition_id: int = SERVER, server_round: int = 0) -> torch.Generator:
    """Return a CPU torch generator for one purpose, partition and round."""
    state = np.random.SeedSequence([seed, purpose, partition_id, server_round]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))
