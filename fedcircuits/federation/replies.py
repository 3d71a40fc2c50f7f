"""What the server learns from clients, decoded and checked."""

from dataclasses import dataclass

from torch import Tensor

from fedcircuits.circuits.quality import ClassAccuracy
from fedcircuits.circuits.study import Study
from fedcircuits.circuits.verdicts import CircuitQuality
from fedcircuits.training.sparsity import Masks


@dataclass(frozen=True)
class NodeInfo:
    """What a node says about itself before the first round.

    Args:
        partition_id: the client that it is.
        num_partitions: clients of the federation, as far as the node knows.
        code_digest: of the code that it runs.
        class_counts: images of each class that it holds; empty if it has a problem, or does not tell classes apart.
        problem: why it cannot take part; empty if it can.
        num_images: images that it holds in all, if it does not tell classes apart.
        label: what it wants to be called; empty if it does not say.
        has_own_images: its images are no part of the dataset that the server has.
        fingerprint: of its own images, by which it knows them again and nobody else does; empty if it does not say.
    """

    partition_id: int
    num_partitions: int
    code_digest: str
    class_counts: list[int]
    problem: str = ""
    num_images: int = 0
    label: str = ""
    has_own_images: bool = False
    fingerprint: str = ""

    @property
    def num_held(self) -> int:
        """Images that it holds, whichever way it said so."""
        return sum(self.class_counts) or self.num_images


@dataclass(frozen=True)
class TrainReply:
    """A client's answer to a train message; `weight_bytes` and `reply_bytes` count it on the wire.

    Args:
        masks: which weights it keeps: what it says if that is true of the weights here, otherwise those that are not 0.
        sent_masks: the masks as they came, perhaps with noise on them; None if it sends none.
        train_loss: None, like `discovery_seconds`, from clients that do not tell classes apart.
        accuracy: empty from such clients.
        study: None from such clients, and in rounds without circuits.
    """

    partition_id: int
    num_examples: int
    weights: dict[str, Tensor]
    masks: Masks
    sent_masks: Masks | None
    train_loss: float | None
    train_seconds: float
    discovery_seconds: float | None
    accuracy: list[ClassAccuracy]
    study: Study | None
    weight_bytes: int
    reply_bytes: int


@dataclass(frozen=True)
class EvaluateReply:
    """A client's answer to an evaluate message; `study` is None from clients that find circuits on the probe set."""

    partition_id: int
    num_examples: int
    study: Study | None
    transplant: list[CircuitQuality]
    evaluate_seconds: float
