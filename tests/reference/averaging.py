"""The server: the mean of the clients' weights, each counting the same, and nothing after it."""

import torch

from reference.masks import Weights


def mean(clients: list[Weights]) -> Weights:
    """Return the mean of every tensor; it is not masked again."""
    average = {}
    for name in clients[0]:
        total = torch.zeros_like(clients[0][name])
        for weights in clients:
            total = total + weights[name]
        average[name] = total / len(clients)
    return average


def density(weights: Weights) -> float:
    """Return the share of the weights, biases aside, that are not zero."""
    values = [value for name, value in weights.items() if name.endswith(".weight")]
    return sum(int((value != 0).sum()) for value in values) / sum(value.numel() for value in values)
