"""Learned gates: which channels stay open when open gates have a price.

Every channel has a gate logit per class, initial value 2. A gate is 1 where its logit is above 0; gradients pass
straight through with the sigmoid's slope (arXiv 2512.23043). Adam lowers a task loss plus a price for open gates, and
what is open at the end is needed. Three task losses are offered:

- `target-class`: cross-entropy on images of the class alone, as in the paper. Nothing in it minds a circuit that
  says "c" whatever it sees.
- `contrast`: half the images are of other classes, for which the class's probability must be low.
- `kl`: the circuit's output must match the whole network's, on the same balanced images.

All classes, and all restarts, are learned in one pass: each sample goes through its own row of gates. Losses of
different rows share no gate and Adam works element by element, so the result is that of learning row by row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from fedcircuits.discovery.images import DiscoveryImages, Samples, draw_batch
from fedcircuits.discovery.losses import class_losses
from fedcircuits.discovery.restarts import resample_by_class
from fedcircuits.models import EVALUATION_BATCH, GateSite, Gating, SparseCNN
from fedcircuits.settings import DiscoverySettings

INITIAL_LOGIT = 2.0
INITIAL_SPREAD = 0.5
"""Standard deviation of the initial logits where there are several restarts.

From one common start, all gates that lose cross 0 in the same step, and what is needed is never asked again. With a
spread, they cross one after the other (0.5 is five steps of 0.1), and hardly any gate starts out closed (4 deviations).
"""


@dataclass(frozen=True)
class GateStart:
    """Where one restart begins.

    Args:
        generator: draws its batches.
        source: for each place in the pool, the image that stands there in this restart's resample.
        logits: initial gate logits.
    """

    generator: torch.Generator
    source: Int[Tensor, " image"]
    logits: Float[Tensor, "class_row channel"]


def single_start(images: DiscoveryImages, num_channels: int, generator: torch.Generator) -> GateStart:
    """Return the start of a discovery without restarts: the images as they are, all logits alike."""
    logits = torch.full((len(images.class_ids), num_channels), INITIAL_LOGIT)
    return GateStart(generator, torch.arange(len(images.pool)), logits)


def noisy_start(images: DiscoveryImages, num_channels: int, generator: torch.Generator) -> GateStart:
    """Return the start of one restart of several: images drawn anew within each class, and logits that differ."""
    source = resample_by_class(images.pool.labels.cpu(), generator)
    noise = torch.randn((len(images.class_ids), num_channels), generator=generator)
    return GateStart(generator, source, INITIAL_LOGIT + INITIAL_SPREAD * noise)


def learn_gates(
    model: SparseCNN,
    images: DiscoveryImages,
    ablation: Float[Tensor, " channel"],
    settings: DiscoverySettings,
    batch_size: int,
    starts: Sequence[GateStart],
) -> Float[Tensor, "restart class_row channel"]:
    """Return the gate logits of every class at the end of learning, one set per start.

    Args:
        model: the network under study, its parameters frozen.
        images: from `discovery_images`, of at least one class.
        ablation: what a channel that is off becomes.
        settings: objective, gate site, steps, batch, learning rate and penalty.
        batch_size: of the reference's batches, for the `target-class` objective only.
        starts: at least one.
    """
    task = _Task(model, images, ablation, settings, batch_size, starts, _targets(model, images, settings))
    logits = torch.cat([start.logits for start in starts]).to(ablation).requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=settings.gate_learning_rate)
    price = _price(task, torch.ones_like(logits).detach())
    for _ in range(settings.gate_steps):
        optimiser.zero_grad()
        loss = task.losses(straight_through(logits), task.draw()).sum() + (price * logits.sigmoid()).sum()
        loss.backward()
        optimiser.step()
    return logits.detach().view(len(starts), len(images.class_ids), -1)


def straight_through(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return 1 where a logit is above 0 and 0 elsewhere, with the gradient of the sigmoid."""
    soft = logits.sigmoid()
    return (logits > 0).to(soft.dtype) + (soft - soft.detach())


@dataclass(frozen=True)
class _Task:
    """The fixed parts of one discovery: draws batches, and says what gates cost on them."""

    model: SparseCNN
    images: DiscoveryImages
    ablation: Tensor
    settings: DiscoverySettings
    batch_size: int
    starts: Sequence[GateStart]
    targets: Tensor | None

    def draw(self) -> Samples:
        """Return the next step's samples of all restarts, on the images' device."""
        indices, groups = [], []
        for restart, start in enumerate(self.starts):
            batch = draw_batch(self.images, self.settings, self.batch_size, start.generator)
            indices.append(start.source[batch.indices])
            groups.append(batch.group + restart * len(self.images.class_ids))
        return Samples(torch.cat(indices), torch.cat(groups)).to(self.images.pool.device)

    def losses(self, gates: Tensor, batch: Samples) -> Tensor:
        """Return the mean task loss of each row of gates."""
        gating = Gating(gates, batch.group, self.ablation, GateSite(self.settings.gate_site))
        losses = self._sample_losses(self.model(self.images.pool.images[batch.indices], gating), batch)
        sums = torch.zeros(len(gates), device=losses.device).index_add(0, batch.group, losses)
        return sums / torch.bincount(batch.group, minlength=len(gates))

    def _sample_losses(self, output: Tensor, batch: Samples) -> Tensor:
        if self.targets is not None:
            expected = self.targets[batch.indices]
            return F.kl_div(output.log_softmax(1), expected, reduction="none", log_target=True).sum(1)
        class_of_row = torch.tensor(self.images.class_ids * len(self.starts), device=output.device)
        class_ids = class_of_row[batch.group]
        return class_losses(output, class_ids, self.images.pool.labels[batch.indices] == class_ids)


@torch.no_grad()
def _price(task: _Task, all_open: Tensor) -> Tensor:
    """Return what an open channel costs each row of gates, `[row, 1]`.

    In units of the loss range, the price of all channels is a share of what the whole model wins over the empty
    circuit, so that a model that has learned little does not lose every channel to a price made for a better one.
    """
    penalty = all_open[:, :1] * task.settings.gate_penalty
    if task.settings.gate_penalty_unit == "absolute":
        return penalty
    batch = task.draw()
    won = task.losses(torch.zeros_like(all_open), batch) - task.losses(all_open, batch)
    return penalty * won.clamp(min=0)[:, None] / all_open.shape[1]


@torch.no_grad()
def _targets(model: SparseCNN, images: DiscoveryImages, settings: DiscoverySettings) -> Tensor | None:
    """Return the whole model's log-probabilities for every image of the pool, if the objective compares with them."""
    if settings.objective != "kl":
        return None
    return torch.cat([model(part).log_softmax(1) for part in images.pool.images.split(EVALUATION_BATCH)])
