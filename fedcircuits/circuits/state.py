"""Circuits that were found, as a few tensors and plain facts, for the state that a run goes on from.

All circuits stand one below the other in each tensor, so that a thousand clients make no more of them than one.
Nothing is rounded: what is read is what was written.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Integer, UInt8
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.found import FoundCircuits, Question
from fedcircuits.records import DataKind, ModelKind


def found_to_state(found: Sequence[FoundCircuits]) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Return circuits of models of one shape as tensors, and what JSON can hold of each model."""
    facts = [
        {
            "model": str(one.model),
            "partition_id": one.partition_id,
            "server_round": one.server_round,
            "class_ids": list(one.circuits.class_ids),
            "usable": list(one.usable),
            "question": {
                "data": str(one.question.data),
                "partition_id": one.question.partition_id,
                "classes": list(one.question.classes),
                "has_negatives": one.question.has_negatives,
            },
            "has_retest": one.retest is not None,
        }
        for one in found
    ]
    if not found:
        return {}, facts
    circuits = [circuits for one in found for circuits in (one.circuits, one.retest) if circuits is not None]
    tensors = {
        "members": _packed(torch.cat([one.members for one in circuits])),
        "scores": torch.cat([one.scores for one in circuits]),
        "ranking": _narrow(torch.cat([one.ranking for one in circuits])),
        "reachable": torch.stack([one.reachable for one in found]),
    }
    return tensors, facts


def found_from_state(tensors: Mapping[str, Tensor], facts: Sequence[Mapping[str, Any]]) -> list[FoundCircuits]:
    """Return what `found_to_state` was given."""
    if not facts:
        return []
    members = _unpacked(tensors["members"], tuple(tensors["scores"].shape))
    sizes = [len(fact["class_ids"]) for fact in facts for _ in range(1 + fact["has_retest"])]
    parts = zip(*(rows.split(sizes) for rows in (members, tensors["scores"], tensors["ranking"].long())), strict=True)

    def next_circuits(fact: Mapping[str, Any]) -> Circuits:
        return Circuits(tuple(fact["class_ids"]), *next(parts))

    return [
        FoundCircuits(
            ModelKind(fact["model"]),
            fact["partition_id"],
            fact["server_round"],
            next_circuits(fact),
            tensors["reachable"][number],
            tuple(fact["usable"]),
            _question(fact["question"]),
            next_circuits(fact) if fact["has_retest"] else None,
        )
        for number, fact in enumerate(facts)
    ]


def _question(fact: Mapping[str, Any]) -> Question:
    return Question(DataKind(fact["data"]), fact["partition_id"], tuple(fact["classes"]), fact["has_negatives"])


def _packed(bits: Bool[Tensor, "..."]) -> UInt8[Tensor, " byte"]:
    return torch.from_numpy(np.packbits(bits.numpy()))


def _unpacked(packed: UInt8[Tensor, " byte"], shape: tuple[int, ...]) -> Bool[Tensor, "..."]:
    bits = np.unpackbits(packed.numpy(), count=prod(shape))
    return torch.from_numpy(bits.astype(np.bool_).reshape(shape))


def _narrow(ranking: Integer[Tensor, "circuit channel"]) -> Integer[Tensor, "circuit channel"]:
    """Return channels' numbers in two bytes each where that is enough."""
    return ranking.to(torch.int16 if ranking.shape[1] <= 2**15 else torch.int32)
