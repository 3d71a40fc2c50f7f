"""What a circuit is: for one class, the channels that are kept, with a graded score for every channel."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.errors import ReplyError
from fedcircuits.settings.config_values import ClassIds

SCORE_STEPS = 255
"""Scores travel as bytes: a score in 0..1 is rounded to a multiple of 1/255."""


@dataclass(frozen=True)
class Circuits:
    """The circuits of one model, one row per class. Channels of all convolutions stand side by side.

    Args:
        class_ids: the class of each row, ascending.
        members: `[circuit, channel]`, true where the channel is kept.
        scores: `[circuit, channel]`, graded membership in 0..1; kept channels score above 0.5.
        ranking: `[circuit, channel]`, all channels from the most to the least important, so that nested circuits of
            any size can be cut from it.
    """

    class_ids: ClassIds
    members: Bool[Tensor, "circuit channel"]
    scores: Float[Tensor, "circuit channel"]
    ranking: Int[Tensor, "circuit channel"]

    @classmethod
    def ranked_by_score(
        cls, class_ids: ClassIds, members: Bool[Tensor, "circuit channel"], scores: Float[Tensor, "circuit channel"]
    ) -> "Circuits":
        """Return circuits whose ranking is that of their scores; the lower channel comes first in a tie."""
        return cls(class_ids, members, scores, rank_channels(scores))

    def only(self, row: int) -> "Circuits":
        """Return one of the circuits."""
        part = slice(row, row + 1)
        return Circuits(self.class_ids[part], self.members[part], self.scores[part], self.ranking[part])

    def pack(self) -> "PackedCircuits":
        """Return the compact form that messages and client state carry."""
        steps = (self.scores * SCORE_STEPS).round().to(torch.uint8)
        ranking = self.ranking.numpy().astype(_ranking_type(self.ranking.shape[1])).tobytes()
        return PackedCircuits(list(self.class_ids), pack_bits(self.members), steps.numpy().tobytes(), ranking)


@dataclass(frozen=True)
class PackedCircuits:
    """Circuits as bytes: for each channel one bit of membership, one byte of score, and one of ranking (two if the
    model has more than 256 channels, four if it has more than 65,536).
    """

    class_ids: list[int]
    members: bytes
    scores: bytes
    ranking: bytes

    def unpack(self, num_channels: int, num_classes: int) -> Circuits:
        """Return the circuits of a model with `num_channels` channels.

        Raises:
            ReplyError: if the bytes do not have the length that follows from the classes and the model, if the
                class ids are not ascending and within the dataset, if scores contradict what is kept, or if a ranking
                does not name each channel once.
        """
        ids, shape = self.class_ids, (len(self.class_ids), num_channels)
        if sorted(set(ids)) != ids or not all(0 <= c < num_classes for c in ids):
            raise ReplyError(f"circuits: class ids {ids} are not ascending within 0 to {num_classes - 1}")
        if len(self.scores) != shape[0] * shape[1]:
            raise ReplyError(f"circuits: {len(self.scores)} bytes of scores, expected {shape[0] * shape[1]}")
        members = unpack_bits(self.members, shape, "circuits")
        steps = torch.from_numpy(np.frombuffer(self.scores, np.uint8).reshape(shape).copy())
        # A score next to 0.5 may be rounded to the step on either side of it.
        if torch.where(members, steps < SCORE_STEPS // 2, steps > SCORE_STEPS // 2 + 1).any():
            raise ReplyError("circuits: a channel that is kept scores below 0.5, or one that is not above it")
        return Circuits(tuple(ids), members, steps / SCORE_STEPS, _unpack_ranking(self.ranking, shape))


def rank_channels(importance: Float[Tensor, "circuit channel"]) -> Int[Tensor, "circuit channel"]:
    """Return each circuit's channels by falling importance; the lower channel comes first in a tie."""
    return importance.argsort(dim=1, descending=True, stable=True)


def no_circuits(num_channels: int) -> Circuits:
    """Return the circuits of a model of which no class was looked at."""
    nothing = torch.zeros(0, num_channels)
    return Circuits.ranked_by_score((), nothing.bool(), nothing)


def _unpack_ranking(packed: bytes, shape: tuple[int, int]) -> Int[Tensor, "circuit channel"]:
    number = _ranking_type(shape[1])
    num_bytes = number.itemsize * shape[0] * shape[1]
    if len(packed) != num_bytes:
        raise ReplyError(f"circuits: {len(packed)} bytes of ranking, expected {num_bytes}")
    ranking = np.frombuffer(packed, number).reshape(shape).astype(np.int64)
    if (np.sort(ranking, axis=1) != np.arange(shape[1])).any():
        raise ReplyError("circuits: a ranking does not name each channel once")
    return torch.from_numpy(ranking)


def _ranking_type(num_channels: int) -> "np.dtype[np.unsignedinteger[Any]]":
    """Return the type in which a channel's number travels: the smallest that has one for each channel."""
    return next(np.dtype(f"<u{size}") for size in (1, 2, 4) if num_channels <= 256**size)


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
