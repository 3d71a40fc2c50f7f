"""Weight-sparse training of one model on one client's images.

Agrees with the reference behaviour of arXiv 2512.23043 in its settings: a fresh optimiser, magnitude masks after
every step at the sparsity that the schedule gives, and once more after the last step.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import Weights, build_model, detached_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.settings import SparsitySettings, TrainingSettings
from fedcircuits.training.sparsity import Masks, kept_counts, sparsity_at
from fedcircuits.training.steps import SparseTrainer, StepPlan, take_steps


@dataclass(frozen=True)
class RoundPosition:
    """Where a round stands in its run; `server_round` is 1-based."""

    server_round: int
    num_rounds: int


@dataclass(frozen=True)
class TrainedModel:
    """What local training leaves: weights, masks of the non-zero ones, and the mean loss of the last epoch (nats)."""

    weights: dict[str, Tensor]
    masks: Masks
    train_loss: float


def train_sparse(
    spec: ModelSpec,
    weights: Weights,
    data: LabelledImages,
    training: TrainingSettings,
    sparsity: SparsitySettings,
    position: RoundPosition,
    generator: torch.Generator,
) -> TrainedModel:
    """Train for `local_epochs` from `weights` and return the sparse result.

    Args:
        spec: the network's shape.
        weights: where the round starts; not changed.
        data: the client's training images, at least one.
        training: epochs, batch size, optimiser, precision of the passes; `proximal_mu` above 0 adds FedProx's term
            (arXiv 1812.06127).
        sparsity: target, floor and schedule; a target of 0 trains densely.
        position: tells the `run` schedule how far the run has come.
        generator: shuffles the images anew in each epoch.
    """
    model = build_model(spec, weights, data.device)
    trainer = SparseTrainer(model, data, training, sparsity)
    *counts, final_counts = _ramp(spec, len(data), training, sparsity, position)
    plan = _plan(len(data), training, counts, generator)
    losses = take_steps(trainer, plan)
    trainer.sparsify(final_counts)
    trained = detached_weights(model)
    num_batches = len(losses) // training.local_epochs
    return TrainedModel(
        weights=trained,
        # Magnitude may keep a weight that is exactly zero, in a dead filter for one: only what can act counts as kept.
        masks={name: trained[f"{name}.weight"] != 0 for name in spec.layer_names},
        train_loss=float((losses * torch.tensor(plan.sizes))[-num_batches:].sum()) / len(data),
    )


def _ramp(
    spec: ModelSpec, num_images: int, training: TrainingSettings, sparsity: SparsitySettings, position: RoundPosition
) -> list[list[int]]:
    """Return how many weights each layer keeps after each step, and when all steps are taken."""
    round_steps = training.local_epochs * -(-num_images // training.batch_size)
    first, total_steps = 0, round_steps
    if sparsity.sparsity_schedule == "run":
        first, total_steps = (position.server_round - 1) * round_steps, position.num_rounds * round_steps
    steps = range(first, first + round_steps + 1)
    return [kept_counts(spec, sparsity_at(step, total_steps, sparsity.sparsity), sparsity) for step in steps]


def _plan(num_images: int, training: TrainingSettings, counts: list[list[int]], generator: torch.Generator) -> StepPlan:
    """Shuffle the images for each epoch and cut them into batches."""
    orders = [torch.randperm(num_images, generator=generator) for _ in range(training.local_epochs)]
    batches = [batch for order in orders for batch in order.split(training.batch_size)]
    return StepPlan(pad_sequence(batches, batch_first=True), [len(batch) for batch in batches], counts)
