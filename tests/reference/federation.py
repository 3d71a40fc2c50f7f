"""A whole federation: every client trains from the server's weights, and the server takes the mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from reference.averaging import mean
from reference.masks import Weights
from reference.training import LEARNING_RATE, train


@dataclass(frozen=True)
class Client:
    """One client. `rounds` holds, for each round, the batches of all its epochs."""

    images: Tensor
    labels: Tensor
    rounds: Sequence[Sequence[Sequence[int]]]


@dataclass(frozen=True)
class Round:
    """What a round leaves: the weights of each client, and their mean."""

    clients: list[Weights]
    average: Weights


def run_rounds(
    start: Weights, clients: list[Client], num_rounds: int, sparsity: float, learning_rate: float = LEARNING_RATE
) -> list[Round]:
    """Run a federation from the weights `start`."""
    rounds: list[Round] = []
    for i in range(num_rounds):
        weights = rounds[-1].average if rounds else start
        trained = [
            train(weights, client.images, client.labels, client.rounds[i], sparsity, learning_rate)
            for client in clients
        ]
        rounds.append(Round(trained, mean(trained)))
    return rounds
