"""Sets as words of 64 bits, so that the sets of all clients are intersected as fast as they are read."""

import numpy as np
from jaxtyping import Bool, Float, UInt64
from numpy import ndarray as Array

_WORDS_IN_A_BYTE = 3
"""Bits of three words, 192 at most, are counted in one byte."""


def pack_words(flags: Bool[Array, "..."]) -> UInt64[Array, "..."]:
    """Return flags, along the last axis, as words of which the last one is padded with zeros."""
    packed = np.packbits(flags, axis=-1)
    gap = -packed.shape[-1] % 8
    padded = np.pad(packed, [(0, 0)] * (packed.ndim - 1) + [(0, gap)])
    return padded.view(np.uint64)


def num_bits(words: UInt64[Array, "..."]) -> Float[Array, "..."]:
    """Return the size of each set, whose words are along the first axis."""
    size: Array = np.bitwise_count(words).sum(axis=0, dtype=np.float32)
    return size


def num_shared(one: UInt64[Array, "word first"], other: UInt64[Array, "word second"]) -> Float[Array, "first second"]:
    """Return how many elements each set of one group shares with each set of the other."""
    total = np.zeros((one.shape[1], other.shape[1]), dtype=np.float32)
    for start in range(0, len(one), _WORDS_IN_A_BYTE):
        counts = np.bitwise_count(one[start, :, None] & other[start])
        for word in range(start + 1, min(start + _WORDS_IN_A_BYTE, len(one))):
            counts += np.bitwise_count(one[word, :, None] & other[word])
        total += counts.astype(np.float32)
    return total
