"""The circuits of a model, with what is needed to compare them with others."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.records import DataKind, ModelKind
from fedcircuits.settings.config_values import ClassIds


@dataclass(frozen=True)
class Question:
    """What a discovery was asked. Circuits of two models are compared like with like where the questions are equal.

    Args:
        data: whose images circuits were found on.
        partition_id: the client whose images they were; None for the server's probe set.
        classes: the classes of these images, ascending.
        has_negatives: a circuit had to tell its own class from the others; False where only images of its own class
            were looked at.
    """

    data: DataKind
    partition_id: int | None
    classes: ClassIds
    has_negatives: bool = True

    def negatives(self, class_id: int) -> list[int]:
        """Return the classes that the circuit of a class had to be told from."""
        return [other for other in self.classes if other != class_id] if self.has_negatives else []


@dataclass(frozen=True)
class FoundCircuits:
    """The circuits of one model in one round, with what is needed to compare them.

    Args:
        model: whose weights.
        partition_id: whose model or, for the global model, on whose images; None for the server's.
        server_round: the round they belong to, 1-based.
        circuits: one per class.
        reachable: `[channel]`, channels of this model that carry signal.
        usable: one verdict per circuit; None where there is none.
        question: what the discovery was asked.
        retest: the circuits of the other half of the images, of the same classes; None where there was no retest.
    """

    model: ModelKind
    partition_id: int | None
    server_round: int
    circuits: Circuits
    reachable: Bool[Tensor, " channel"]
    usable: tuple[bool | None, ...]
    question: Question
    retest: Circuits | None = None


Couples = Sequence[tuple[FoundCircuits, FoundCircuits]]
"""Circuits of two models, or of one in two rounds, that are compared class by class."""
