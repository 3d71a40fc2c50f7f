"""What a circuit is: for one class, the channels that are kept, with a graded score for every channel."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fedcircuits.config_values import ClassIds
from fedcircuits.errors import ReplyError

SCORE_STEPS = 255
"""Scores travel as bytes: a score in 0..1 is rounded to a multiple of 1/255."""


@dataclass(frozen=True)
class Circuits:
    """The circuits of one model, one row per class. Channels of all convolutions stand side by side.

    Args:
        class_ids: the class of each row, ascending.
        members: `[circuit, channel]`, true where the channel is kept.
        scores: `[circuit, channel]`, graded membership in 0..1; kept channels score above 0.5.
    """

    class_ids: ClassIds
    members: Bool[Tensor, "circuit channel"]
    scores: Float[Tensor, "circuit channel"]

    def pack(self) -> "PackedCircuits":
        """Return the compact form that messages and client state carry."""
        steps = (self.scores * SCORE_STEPS).round().to(torch.uint8)
        return PackedCircuits(list(self.class_ids), pack_bits(self.members), steps.numpy().tobytes())


@dataclass(frozen=True)
class PackedCircuits:
    """Circuits as bytes: one bit per channel for membership, one byte per channel for the score."""

    class_ids: list[int]
    members: bytes
    scores: bytes

    def unpack(self, num_channels: int, num_classes: int) -> Circuits:
        """Return the circuits of a model with `num_channels` channels.

        Raises:
            ReplyError: if the bytes do not have the length that follows from the classes and the model, or if the
                class ids are not ascending and within the dataset.
        """
        ids, shape = self.class_ids, (len(self.class_ids), num_channels)
        if sorted(set(ids)) != ids or not all(0 <= c < num_classes for c in ids):
            raise ReplyError(f"circuits: class ids {ids} are not ascending within 0 to {num_classes - 1}")
        if len(self.scores) != shape[0] * shape[1]:
            raise ReplyError(f"circuits: {len(self.scores)} bytes of scores, expected {shape[0] * shape[1]}")
        members = unpack_bits(self.members, shape, "circuits")
        steps = torch.from_numpy(np.frombuffer(self.scores, np.uint8).reshape(shape).copy())
        return Circuits(tuple(ids), members, steps / SCORE_STEPS)


def pack_bits(bits: Bool[Tensor, "..."]) -> bytes:
    """Return boolean values as one bit each, rows one after the other; the last byte is padded with zeros."""
    return np.packbits(bits.cpu().numpy()).tobytes()


def unpack_bits(packed: bytes, shape: tuple[int, ...], what: str) -> Bool[Tensor, "..."]:
    """Return the boolean tensor of `shape` that `pack_bits` packed.

    Raises:
        ReplyError: if the number of bytes does not fit; the message starts with `what`.
    """
    num_bits = int(np.prod(shape))
    if len(packed) != -(-num_bits // 8):
        raise ReplyError(f"{what}: {len(packed)} bytes of bits, expected {-(-num_bits // 8)}")
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=num_bits)
    return torch.from_numpy(bits.astype(np.bool_).reshape(shape))
