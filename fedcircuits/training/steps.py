"""How local training takes its steps: one after the other on a CPU, recorded and replayed on a GPU.

Which images a step sees, and how many weights it leaves, is known before the first step. On a CPU every step gets
its own images and numbers. On a GPU all steps have the same shapes: a short batch is filled up with images that do not
count, and all numbers of all steps are moved there at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import SparseCNN, in_passes, is_faster_in_blocks
from fedcircuits.networks.cuda_graphs import has_fixed_shapes, is_recorded, optimised, replay_rows
from fedcircuits.settings import SparsitySettings, TrainingSettings
from fedcircuits.training.sparsity import weight_masks

SGD_MOMENTUM = 0.9


@dataclass(frozen=True)
class StepPlan:
    """What the steps of a round are to do; on the CPU.

    Args:
        indices: the images of each step's batch; a short batch is filled up with image 0.
        sizes: how many images of each batch count, the first ones.
        counts: for each step, how many weights each layer keeps after it.
    """

    indices: Int[Tensor, "step batch_size"]
    sizes: Sequence[int]
    counts: Sequence[Sequence[int]]


class SparseTrainer:
    """A model in training: takes steps, with one optimiser, and keeps FedProx's anchor, which is where it starts."""

    def __init__(
        self, model: SparseCNN, data: LabelledImages, training: TrainingSettings, sparsity: SparsitySettings
    ) -> None:
        self.model, self.data, self._training, self._sparsity = model, data, training, sparsity
        self.optimiser = _optimiser(model, training, data.device)
        self._anchor = [parameter.detach().clone() for parameter in model.parameters()]

    def step(
        self,
        indices: Int[Tensor, " image"],
        share: Float[Tensor, " image"],
        counts: Sequence[int] | Int[Tensor, " layer"],
    ) -> Float[Tensor, ""]:
        """Take one step and return the batch's loss before it.

        Args:
            indices: the batch's images.
            share: the weight of each image's loss.
            counts: how many weights each layer keeps afterwards.
        """
        self.optimiser.zero_grad()
        spec, total = self.model.spec, share.new_zeros(())
        for part, weight in zip(in_passes(indices, spec), in_passes(share, spec), strict=True):
            loss = (self._losses(part) * weight).sum()
            loss.backward()
            total += loss.detach()
        if self._training.proximal_mu:
            self._add_proximal_gradient()
        self.optimiser.step()
        self.sparsify(counts)
        return total

    @torch.no_grad()
    def sparsify(self, counts: Sequence[int] | Int[Tensor, " layer"]) -> None:
        """Set the smallest weights to zero in place; a target of 0 leaves the model dense."""
        if self._sparsity.sparsity == 0:
            return
        weights = self.model.state_dict()
        for name, mask in weight_masks(self.model.spec, weights, counts, self._sparsity).items():
            weights[f"{name}.weight"].mul_(mask)

    def _losses(self, indices: Tensor) -> Tensor:
        """Return the cross-entropy of each image; only the network's own layers are computed in low precision."""
        images, is_half = self.data.images[indices], self._training.precision == "bfloat16"
        in_blocks = is_faster_in_blocks(self.model.spec, images) and not is_half
        forward: Callable[[Tensor], Tensor] = self.model.forward_in_blocks if in_blocks else self.model
        # Copies of weights in low precision must not outlive the step that they are recorded in.
        with torch.autocast(images.device.type, torch.bfloat16, enabled=is_half, cache_enabled=False):
            logits = forward(images)
        return F.cross_entropy(logits.to(images.dtype), self.data.labels[indices], reduction="none")

    def _add_proximal_gradient(self) -> None:
        """Add the gradient of mu/2 * ||w - anchor||^2 to the gradients at hand."""
        for parameter, start in zip(self.model.parameters(), self._anchor, strict=True):
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - start, alpha=self._training.proximal_mu)


def take_steps(trainer: SparseTrainer, plan: StepPlan) -> Float[Tensor, " step"]:
    """Take all steps and return the mean loss of each step's batch, on the CPU."""
    sizes = torch.tensor(plan.sizes)[:, None]
    counts_in = torch.arange(plan.indices.shape[1]) < sizes
    shares = counts_in.to(trainer.data.images.dtype) / sizes
    if has_fixed_shapes(trainer.data.device):
        return _replayed_steps(trainer, plan, shares)
    steps = zip(plan.indices, shares, plan.sizes, plan.counts, strict=True)
    return torch.stack([trainer.step(indices[:size], share[:size], counts) for indices, share, size, counts in steps])


def _replayed_steps(trainer: SparseTrainer, plan: StepPlan, shares: Tensor) -> Tensor:
    """Take the steps on full batches, each with its row of tables on the model's device."""
    losses = torch.zeros(len(shares), dtype=shares.dtype, device=trainer.data.device)

    def step(place: Tensor, indices: Tensor, share: Tensor, counts: Tensor) -> None:
        losses.index_copy_(0, place, trainer.step(indices, share, counts)[None])

    tables = [torch.arange(len(shares))[:, None], plan.indices, shares, torch.tensor(plan.counts)]
    replay_rows(step, tables, lambda: [*optimised(trainer.optimiser), losses], trainer.data.device)
    return losses.cpu()


def _optimiser(model: SparseCNN, training: TrainingSettings, device: torch.device) -> torch.optim.Optimizer:
    if training.optimizer == "adam":
        return torch.optim.Adam(
            model.parameters(), lr=training.learning_rate, fused=True, capturable=is_recorded(device)
        )
    return torch.optim.SGD(model.parameters(), lr=training.learning_rate, momentum=SGD_MOMENTUM)
