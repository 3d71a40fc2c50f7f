"""The same network with a little noise: what two models of one mechanism may differ by."""

import torch

from fedcircuits.models import Weights


def perturbed(weights: Weights, generator: torch.Generator, noise: float = 0.01) -> Weights:
    """Return a copy in which every parameter is multiplied by 1 + `noise` times a normal number; zeros stay zero.

    Args:
        weights: a network's parameters, on any device.
        generator: draws on the CPU, parameters in the order of `weights`.
        noise: standard deviation of the factors, 0 or more.
    """
    factors = {name: 1 + noise * torch.randn(value.shape, generator=generator) for name, value in weights.items()}
    return {name: value * factors[name].to(value) for name, value in weights.items()}
