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
from fedcircuits.models import GateSite, Gating, SparseCNN, in_passes
from fedcircuits.settings import DiscoverySettings
from fedcircuits.subnetworks import Subnetworks

INITIAL_LOGIT = 2.0
_BLOCK = 16
"""Images of a row go through the network in multiples of this: convolutions are compiled for each shape."""

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
    targets = _targets(model, images, settings)
    subnetworks = model.subnetworks(ablation, GateSite(settings.gate_site))
    task = _Task(model, subnetworks, images, ablation, settings, batch_size, starts, targets)
    logits = torch.cat([start.logits for start in starts]).to(ablation).requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=settings.gate_learning_rate)
    price = _price(task, torch.ones_like(logits).detach())
    for _ in range(settings.gate_steps):
        optimiser.zero_grad()
        batch = task.draw()
        for part in task.passes(batch):
            task.losses(straight_through(logits), batch, part).sum().backward()
        (price * logits.sigmoid()).sum().backward()
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
    subnetworks: Subnetworks
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

    def passes(self, batch: Samples) -> tuple[Tensor, ...]:
        """Split a batch into what goes through the network at once: places in the batch."""
        if self._closed_gates_learn_nothing:
            return tuple((batch.group == row).nonzero().flatten() for row in batch.group.unique())
        return in_passes(torch.arange(len(batch.group), device=batch.group.device), self.model.spec)

    def losses(self, gates: Tensor, batch: Samples, part: Tensor) -> Tensor:
        """Return what some of a batch's samples add to the mean task loss of each row of gates."""
        samples = Samples(batch.indices[part], batch.group[part])
        share = 1 / torch.bincount(batch.group, minlength=len(gates)).to(gates.dtype)
        losses = self._sample_losses(self._output(gates, samples), samples) * share[samples.group]
        return torch.zeros(len(gates), device=gates.device, dtype=gates.dtype).index_add(0, samples.group, losses)

    def _output(self, gates: Tensor, samples: Samples) -> Tensor:
        """Run samples through the network, each with its own row of gates."""
        if self._closed_gates_learn_nothing:
            return self._output_of_row(gates[samples.group[0]], samples.indices)
        pixels, site = self.images.pool.images[samples.indices], GateSite(self.settings.gate_site)
        gating = Gating(gates, samples.group, self.ablation, site)
        if site is GateSite.POST:
            return self.model.from_stem(self.model.stem(pixels), gating)
        output: Tensor = self.model(pixels, gating)
        return output

    @property
    def _closed_gates_learn_nothing(self) -> bool:
        """Tell whether the task's gradient of a closed gate is 0, so that its channel need not be computed.

        It is where a closed gate makes the input of ReLU 0. An open one then scales what the channel hands on. Rows
        differ in what is open, so each is a pass of its own; a GPU is faster with all of them at once.
        """
        is_zero = self.settings.ablation == "zero" and GateSite(self.settings.gate_site) is GateSite.PRE
        return is_zero and self.ablation.device.type == "cpu"

    def _output_of_row(self, gates: Tensor, indices: Tensor) -> Tensor:
        """Run images through the open channels of one row of gates, in full blocks, so that there are few shapes."""
        in_blocks = indices.repeat(2)[: -(-len(indices) // _BLOCK) * _BLOCK] if len(indices) > _BLOCK else indices
        stem = self.model.stem(self.images.pool.images[in_blocks])
        return self.subnetworks.of(gates > 0)(stem, gates.split(list(self.model.spec.channels)))[: len(indices)]

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
    closed, opened = (
        sum(task.losses(gates, batch, part) for part in task.passes(batch))
        for gates in (torch.zeros_like(all_open), all_open)
    )
    won = torch.as_tensor(closed - opened)
    return penalty * won.clamp(min=0)[:, None] / all_open.shape[1]


@torch.no_grad()
def _targets(model: SparseCNN, images: DiscoveryImages, settings: DiscoverySettings) -> Tensor | None:
    """Return the whole model's log-probabilities for every image of the pool, if the objective compares with them."""
    if settings.objective != "kl":
        return None
    return torch.cat([model(part).log_softmax(1) for part in in_passes(images.pool.images, model.spec)])
