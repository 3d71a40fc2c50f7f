"""Other models that a round could have ended with: a mean without dilution, and training in one place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.settings import SparsitySettings, TrainingSettings
from fedcircuits.training.local import RoundPosition, train_sparse
from fedcircuits.training.sparsity import Masks


@dataclass(frozen=True)
class CentralTraining:
    """What training in one place would have had in this round.

    Args:
        start: the global weights that the round started from.
        train: images of all clients of the round, each once if several hold it.
        images_per_client: images of the mean client of the round, which set how many steps it takes.
        training: as the clients'; a proximal term is left out.
        sparsity: as the clients'.
        position: the round.
    """

    start: Weights
    train: LabelledImages
    images_per_client: float
    training: TrainingSettings
    sparsity: SparsitySettings
    position: RoundPosition


def overlap_count_mean(
    spec: ModelSpec, clients: Sequence[tuple[Weights, Masks]], shares: Sequence[float]
) -> dict[str, Tensor]:
    """Return the mean of each weight over the clients that keep it, 0 where none does; biases are averaged over all.

    Args:
        spec: the network's shape.
        clients: each client's weights and masks.
        shares: each client's weight in a mean; they sum to 1.
    """
    mean = {}
    for key in spec.state_shapes:
        mean[key] = torch.stack([s * weights[key] for s, (weights, _) in zip(shares, clients, strict=True)]).sum(0)
    for layer in spec.layer_names:
        held = torch.stack([s * masks[layer] for s, (_, masks) in zip(shares, clients, strict=True)]).sum(0)
        # What nobody keeps is 0 in every client, so its mean is 0 whatever it is divided by.
        mean[f"{layer}.weight"] /= torch.where(held > 0, held, 1.0)
    return mean


def train_centrally(spec: ModelSpec, central: CentralTraining, generator: torch.Generator) -> dict[str, Tensor]:
    """Train on all images for as many steps as the mean client takes, and return the weights.

    Every batch is full, so that up to a batch per epoch more images are seen than by a client; the images are drawn in
    passes over all of them, not again and again from the share of one client.
    """
    steps = central.training.local_epochs * math.ceil(central.images_per_client / central.training.batch_size)
    num_images = steps * central.training.batch_size
    passes = -(-num_images // len(central.train))
    order = torch.cat([torch.randperm(len(central.train), generator=generator) for _ in range(passes)])[:num_images]
    # One epoch over images that are drawn already.
    training = replace(central.training, local_epochs=1, proximal_mu=0.0)
    images = central.train.select(order.to(central.train.device))
    return train_sparse(spec, central.start, images, training, central.sparsity, central.position, generator).weights
