"""A model's copy with a little noise on its weights: whether circuits survive what no behaviour depends on."""

import torch

from fedcircuits.networks.cnn import Weights

PERTURBATION = 0.01
"""Standard deviation of the noise on each parameter, as a share of it."""


def perturbed(weights: Weights, generator: torch.Generator, noise: float = PERTURBATION) -> dict[str, torch.Tensor]:
    """Return a copy whose parameters were multiplied by 1 + noise * N(0, 1); what is 0 stays 0."""
    return {
        name: value * (1 + noise * torch.randn(value.shape, generator=generator).to(value.device))
        for name, value in weights.items()
    }
