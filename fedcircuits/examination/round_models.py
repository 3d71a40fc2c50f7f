"""What an examination is given: all models of one round, with the circuits that were found in them."""

from dataclasses import dataclass

from fedcircuits.circuits.found import FoundCircuits
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import Weights
from fedcircuits.settings.config_values import ClassIds
from fedcircuits.training.local import RoundPosition
from fedcircuits.training.sparsity import Masks


@dataclass(frozen=True)
class ClientModel:
    """One client's model of the round, before averaging.

    Args:
        partition_id: the client.
        weights: its parameters.
        masks: which of them it keeps.
        num_images: training images that it holds.
        classes: those it holds, ascending; empty if it does not say.
        found: its circuits; None in a round without circuits.
        found_global: the global model's circuits, asked the same question; None in such a round, or if they are not
            known.
    """

    partition_id: int
    weights: Weights
    masks: Masks
    num_images: int
    classes: ClassIds
    found: FoundCircuits | None
    found_global: FoundCircuits | None


@dataclass(frozen=True)
class RoundModels:
    """All models of one round.

    Args:
        position: the round.
        start: global weights that the round started from.
        clients: those that were averaged, in the order of their partitions, at least one.
        shares: each client's weight in the average; they sum to 1.
        train: the clients' training images together, each once if several hold it; None if the server lacks some, or
            does not know which they are.
        average: the new global weights.
        found: the global model's circuits on the server's data; None in a round without circuits.
        trained_classes: classes that any client has trained on so far, ascending; empty if clients do not say.
    """

    position: RoundPosition
    start: Weights
    clients: tuple[ClientModel, ...]
    shares: tuple[float, ...]
    train: LabelledImages | None
    average: Weights
    found: FoundCircuits | None
    trained_classes: ClassIds

    def told_apart(self, client: ClientModel) -> ClassIds:
        """Return the classes that a client's circuits must tell theirs from: its own, or, if it has one, everybody's.

        A single class has no others beside it, and its circuits were contrasted with the probe set's images.
        """
        return client.classes if len(client.classes) > 1 else self.trained_classes
