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


def num_shared(
    one: UInt64[Array, "word ..."], other: UInt64[Array, "word ..."], out: Float[Array, "..."] | None = None
) -> Float[Array, "..."]:
    """Return how many elements sets share, whose words are along the first axis; the other axes are broadcast.

    Args:
        one: some sets.
        other: sets to intersect with them.
        out: where to write the result; None = a new array.
    """
    groups = [slice(start, start + _WORDS_IN_A_BYTE) for start in range(0, len(one), _WORDS_IN_A_BYTE)]
    counts = _count_bytes(one[groups[0]], other[groups[0]])
    total = np.empty(counts.shape, dtype=np.float32) if out is None else out
    np.copyto(total, counts)
    for group in groups[1:]:
        total += _count_bytes(one[group], other[group]).astype(np.float32)
    return total


def _count_bytes(one: Array, other: Array) -> Array:
    """Return what sets of a few words share, in a byte each."""
    counts: Array = np.bitwise_count(one[0] & other[0])
    for first, second in zip(one[1:], other[1:], strict=True):
        counts += np.bitwise_count(first & second)
    return counts
