"""What the server learns from clients, decoded and checked."""

from dataclasses import dataclass

from torch import Tensor

from fedcircuits.quality import CircuitQuality, ClassAccuracy
from fedcircuits.sparsity import Masks
from fedcircuits.study import Study


@dataclass(frozen=True)
class NodeInfo:
    """What a node says about itself before the first round.

    Args:
        partition_id: the client that it is.
        num_partitions: clients of the federation, as far as the node knows.
        code_digest: of the code that it runs.
        class_counts: images of each class that it holds; empty if it has a problem.
        problem: why it cannot take part; empty if it can.
    """

    partition_id: int
    num_partitions: int
    code_digest: str
    class_counts: list[int]
    problem: str = ""


@dataclass(frozen=True)
class TrainReply:
    """A client's answer to a train message; `weight_bytes` and `reply_bytes` count it on the wire."""

    partition_id: int
    num_examples: int
    weights: dict[str, Tensor]
    masks: Masks
    train_loss: float
    train_seconds: float
    discovery_seconds: float
    accuracy: list[ClassAccuracy]
    study: Study | None
    weight_bytes: int
    reply_bytes: int


@dataclass(frozen=True)
class EvaluateReply:
    """A client's answer to an evaluate message."""

    partition_id: int
    num_examples: int
    study: Study
    transplant: list[CircuitQuality]
    evaluate_seconds: float
