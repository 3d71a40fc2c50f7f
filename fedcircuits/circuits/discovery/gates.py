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

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fedcircuits.circuits.discovery.gate_losses import GateBatch, GateTask, whole_outputs
from fedcircuits.circuits.discovery.images import DiscoveryImages, draw_batch
from fedcircuits.circuits.discovery.restarts import resample_by_class
from fedcircuits.networks.cnn import GateSite, SparseCNN
from fedcircuits.networks.cuda_graphs import has_fixed_shapes, is_recorded, optimised, replay_rows
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
    device = ablation.device
    class_of_row = torch.tensor(images.class_ids * len(starts), device=device)
    targets = whole_outputs(model, images, settings)
    subnetworks = model.subnetworks(ablation, GateSite(settings.gate_site))
    task = GateTask(model, subnetworks, images, ablation, settings, class_of_row, targets)
    # Drawing looks at labels only, again and again.
    labelled = replace(images, pool=replace(images.pool, labels=images.pool.labels.cpu()))
    draws = (_draw(labelled, settings, batch_size, starts, ablation.dtype) for _ in itertools.count())
    logits = torch.cat([start.logits for start in starts]).to(ablation).requires_grad_()
    price = logits.new_full((len(logits), 1), settings.gate_penalty)
    if settings.gate_penalty_unit == "loss-range":
        price = price * task.loss_range(next(draws).to(device))[:, None] / logits.shape[1]
    optimiser = _optimiser(logits, settings)

    def step(batch: GateBatch) -> None:
        optimiser.zero_grad()
        for part in task.passes(batch):
            task.losses(straight_through(logits), batch, part).sum().backward()
        (price * logits.sigmoid()).sum().backward()
        optimiser.step()

    batches = list(itertools.islice(draws, settings.gate_steps))
    if has_fixed_shapes(device):
        replay_rows(lambda *row: step(GateBatch(*row)), _tables(batches), lambda: optimised(optimiser), device)
    else:
        for batch in batches:
            step(batch)
    return logits.detach().view(len(starts), len(images.class_ids), -1)


def _optimiser(logits: Tensor, settings: DiscoverySettings) -> torch.optim.Optimizer:
    device, rate = logits.device, settings.gate_learning_rate
    return torch.optim.Adam([logits], lr=rate, fused=has_fixed_shapes(device), capturable=is_recorded(device))


def straight_through(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return 1 where a logit is above 0 and 0 elsewhere, with the gradient of the sigmoid."""
    soft = logits.sigmoid()
    return (logits > 0).to(soft.dtype) + (soft - soft.detach())


def _draw(
    images: DiscoveryImages,
    settings: DiscoverySettings,
    batch_size: int,
    starts: Sequence[GateStart],
    dtype: torch.dtype,
) -> GateBatch:
    """Draw the next step's samples of all restarts, on the CPU."""
    indices, groups = [], []
    for restart, start in enumerate(starts):
        samples = draw_batch(images, settings, batch_size, start.generator)
        indices.append(start.source[samples.indices])
        groups.append(samples.group + restart * len(images.class_ids))
    group = torch.cat(groups)
    return GateBatch(torch.cat(indices), group, 1 / group.bincount().to(dtype)[group])


def _tables(batches: Sequence[GateBatch]) -> list[Tensor]:
    """Return the fields of all batches, `[step, sample]`; batches are filled up with samples of no share."""
    fields = zip(*((batch.indices, batch.group, batch.share) for batch in batches), strict=True)
    return [pad_sequence(list(field), batch_first=True) for field in fields]
