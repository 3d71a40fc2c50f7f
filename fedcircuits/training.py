"""Weight-sparse training of one model on one client's images.

Agrees with the reference behaviour of arXiv 2512.23043 in its settings: a fresh optimiser, magnitude masks after
every step at the sparsity that the schedule gives, and once more after the last step.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fedcircuits.data import LabelledImages
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import SparseCNN, Weights, build_model, detached_weights, in_passes
from fedcircuits.settings import SparsitySettings, TrainingSettings
from fedcircuits.sparsity import Masks, sparsity_at, weight_masks

SGD_MOMENTUM = 0.9


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
    optimiser = _optimiser(model, training)
    anchor = [parameter.detach().clone() for parameter in model.parameters()]
    round_steps = training.local_epochs * -(-len(data) // training.batch_size)
    step, total_steps = 0, round_steps
    if sparsity.sparsity_schedule == "run":
        step, total_steps = (position.server_round - 1) * round_steps, position.num_rounds * round_steps
    epoch_loss = torch.zeros((), device=data.device)
    for _ in range(training.local_epochs):
        epoch_loss.zero_()
        order = torch.randperm(len(data), generator=generator).to(data.device)
        for batch in order.split(training.batch_size):
            optimiser.zero_grad()
            for part in in_passes(batch, spec):
                with torch.autocast(data.device.type, torch.bfloat16, enabled=training.precision == "bfloat16"):
                    loss = F.cross_entropy(model(data.images[part]), data.labels[part], reduction="sum")
                (loss / len(batch)).backward()
                epoch_loss += loss.detach()
            if training.proximal_mu:
                _add_proximal_gradient(model, anchor, training.proximal_mu)
            optimiser.step()
            _sparsify(model, sparsity_at(step, total_steps, sparsity.sparsity), sparsity)
            step += 1
    _sparsify(model, sparsity_at(step, total_steps, sparsity.sparsity), sparsity)
    trained = detached_weights(model)
    return TrainedModel(
        weights=trained,
        # Magnitude may keep a weight that is exactly zero, in a dead filter for one: only what can act counts as kept.
        masks={name: trained[f"{name}.weight"] != 0 for name in spec.layer_names},
        train_loss=float(epoch_loss) / len(data),
    )


def _optimiser(model: SparseCNN, training: TrainingSettings) -> torch.optim.Optimizer:
    if training.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=training.learning_rate, fused=True)
    return torch.optim.SGD(model.parameters(), lr=training.learning_rate, momentum=SGD_MOMENTUM)


def _add_proximal_gradient(model: SparseCNN, anchor: list[Tensor], mu: float) -> None:
    """Add the gradient of mu/2 * ||w - anchor||^2 to the gradients at hand."""
    for parameter, start in zip(model.parameters(), anchor, strict=True):
        if parameter.grad is not None:
            parameter.grad.add_(parameter.detach() - start, alpha=mu)


@torch.no_grad()
def _sparsify(model: SparseCNN, sparsity: float, settings: SparsitySettings) -> None:
    """Set the smallest weights to zero in place; a target of 0 leaves the model dense."""
    if settings.sparsity == 0:
        return
    weights = model.state_dict()
    for name, mask in weight_masks(model.spec, weights, sparsity, settings).items():
        weights[f"{name}.weight"].mul_(mask)
