"""Circuit discovery with learned gates: which channels a frozen network needs for a class.

Every channel has a gate logit per class, initial value 2. A gate is 1 where its logit is above 0; gradients pass
straight through with the sigmoid's slope (arXiv 2512.23043). Adam lowers a task loss plus a price for open gates, and
the circuit is what is open at the end. Three task losses are offered:

- `target-class`: cross-entropy on images of the class alone, as in the paper. Nothing in it minds a circuit that
  says "c" whatever it sees.
- `contrast`: half the images are of other classes, for which the class's probability must be low.
- `kl`: the circuit's output must match the whole network's, on the same balanced images.

All classes are learned in one pass: each sample goes through its own class's gates. Losses of different classes
share no gate and Adam works element by element, so the result is that of learning class by class.
"""

from dataclasses import dataclass
from enum import StrEnum

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.circuits import Circuits, no_circuits, rank_channels
from fedcircuits.config_values import ClassIds
from fedcircuits.data import LabelledImages
from fedcircuits.models import EVALUATION_BATCH, GateSite, Gating, SparseCNN
from fedcircuits.settings import DiscoverySettings

INITIAL_LOGIT = 2.0


class Negatives(StrEnum):
    """Where the images of other classes came from that a circuit was contrasted with."""

    OWN = "own"
    "From the same data as the class's own images."
    PROBE = "probe"
    "From the server's probe set, because the client holds a single class."
    NONE = "none"
    "There were none: nothing kept the circuit from saying its class for every image."


@dataclass(frozen=True)
class DiscoveryImages:
    """The images of one discovery, and where negatives come from.

    Args:
        pool: images of the classes asked for, and negatives; sorted by class.
        negatives: origin of the images of other classes.
        class_ids: the classes to look at: those asked for that the data holds, ascending.
    """

    pool: LabelledImages
    negatives: Negatives
    class_ids: ClassIds


@dataclass(frozen=True)
class GateBatch:
    """One step's samples. `indices` point into the pool; `group` is the row of the class whose gates apply."""

    indices: Int[Tensor, " batch"]
    group: Int[Tensor, " batch"]


def discovery_images(
    data: LabelledImages, probe: LabelledImages | None, wanted: ClassIds, objective: str
) -> DiscoveryImages:
    """Gather the images for a discovery.

    Args:
        data: the images that circuits are looked for on, at least one.
        probe: where to take negatives if `data` holds a single class; None = nowhere.
        wanted: classes asked for; those that `data` does not hold are left out.
        objective: `target-class` uses no negatives.
    """
    held = data.labels.unique().tolist()
    negatives, pool = Negatives.OWN, data
    if objective == "target-class" or (len(held) == 1 and probe is None):
        negatives = Negatives.NONE
    elif len(held) == 1 and probe is not None:
        negatives = Negatives.PROBE
        others = probe.select((probe.labels != held[0]).nonzero().flatten())
        pool = LabelledImages(torch.cat([data.images, others.images]), torch.cat([data.labels, others.labels]))
    order = pool.labels.argsort(stable=True)
    return DiscoveryImages(pool.select(order), negatives, tuple(c for c in sorted(wanted) if c in held))


def ablation_values(model: SparseCNN, data: LabelledImages, settings: DiscoverySettings) -> Float[Tensor, " channel"]:
    """Return what an off channel is replaced by: zero, or its mean over `data` at the gates' site."""
    if settings.ablation == "zero":
        return torch.zeros(model.spec.num_channels, device=data.device)
    with torch.no_grad():
        return model.channel_means(data.images, GateSite(settings.gate_site))


def discover_circuits(
    model: SparseCNN,
    images: DiscoveryImages,
    ablation: Float[Tensor, " channel"],
    settings: DiscoverySettings,
    batch_size: int,
    generator: torch.Generator,
) -> Circuits:
    """Learn the gates of every class in one pass.

    Args:
        model: the network under study; its parameters are frozen here.
        images: from `discovery_images`.
        ablation: from `ablation_values`.
        settings: objective, gate site, steps, batch, learning rate and penalty.
        batch_size: of the reference's batches, for the `target-class` objective only.
        generator: draws the batches.

    Returns:
        One circuit per class of `images`, on the CPU; none if there is no class.
    """
    num_channels = model.spec.num_channels
    if not images.class_ids:
        return no_circuits(num_channels)
    model.requires_grad_(False)
    task = _Task(model, images, ablation, settings, batch_size, generator, _targets(model, images, settings))
    logits = torch.full(
        (len(images.class_ids), num_channels), INITIAL_LOGIT, device=images.pool.device, requires_grad=True
    )
    optimiser = torch.optim.Adam([logits], lr=settings.gate_learning_rate)
    price = _price(task, torch.ones_like(logits).detach())
    for _ in range(settings.gate_steps):
        optimiser.zero_grad()
        loss = task.losses(straight_through(logits), task.draw()).sum() + (price * logits.sigmoid()).sum()
        loss.backward()
        optimiser.step()
    final = logits.detach().cpu()
    return Circuits(images.class_ids, final > 0, final.sigmoid(), rank_channels(final))


@dataclass(frozen=True)
class _Task:
    """The fixed parts of one discovery: draws batches, and says what gates cost on them."""

    model: SparseCNN
    images: DiscoveryImages
    ablation: Tensor
    settings: DiscoverySettings
    batch_size: int
    generator: torch.Generator
    targets: Tensor | None

    def draw(self) -> GateBatch:
        """Return the next step's samples on the images' device."""
        batch = draw_batch(self.images, self.settings, self.batch_size, self.generator)
        device = self.images.pool.device
        return GateBatch(batch.indices.to(device), batch.group.to(device))

    def losses(self, gates: Tensor, batch: GateBatch) -> Tensor:
        """Return the mean task loss of each class, `[class]`."""
        gating = Gating(gates, batch.group, self.ablation, GateSite(self.settings.gate_site))
        output = self.model(self.images.pool.images[batch.indices], gating)
        expected = None if self.targets is None else self.targets[batch.indices]
        return _losses_by_class(output, self.images, batch, expected)


@torch.no_grad()
def _price(task: _Task, all_open: Tensor) -> Tensor:
    """Return what an open channel costs each class, `[class, 1]`.

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


def straight_through(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return 1 where a logit is above 0 and 0 elsewhere, with the gradient of the sigmoid."""
    soft = logits.sigmoid()
    return (logits > 0).to(soft.dtype) + (soft - soft.detach())


def draw_batch(
    images: DiscoveryImages, settings: DiscoverySettings, batch_size: int, generator: torch.Generator
) -> GateBatch:
    """Draw one step's samples for all classes, on the CPU."""
    if settings.objective == "target-class":
        return _reference_batch(images, batch_size, generator)
    return _balanced_batch(images, settings.gate_batch, generator)


def _reference_batch(images: DiscoveryImages, batch_size: int, generator: torch.Generator) -> GateBatch:
    """Shuffle, cut into batches, and give each class its images in the first batch that has any (the reference)."""
    labels = images.pool.labels.cpu()
    order = torch.randperm(len(labels), generator=generator)
    batch_of = torch.arange(len(labels)) // batch_size
    shuffled = labels[order]
    indices, groups = [], []
    for row, class_id in enumerate(images.class_ids):
        positions = (shuffled == class_id).nonzero().flatten()
        chosen = positions[batch_of[positions] == batch_of[positions[0]]]
        indices.append(order[chosen])
        groups.append(torch.full_like(chosen, row))
    return GateBatch(torch.cat(indices), torch.cat(groups))


def _balanced_batch(images: DiscoveryImages, gate_batch: int, generator: torch.Generator) -> GateBatch:
    """Draw `gate_batch` (even) images per class with replacement, half of them of other classes if there are any."""
    labels = images.pool.labels.cpu()
    classes = torch.tensor(images.class_ids)
    first = torch.searchsorted(labels, classes)[:, None]
    count = torch.searchsorted(labels, classes, right=True)[:, None] - first
    has_negatives = images.negatives is not Negatives.NONE
    num_positive = gate_batch // 2 if has_negatives else gate_batch
    draws = torch.rand((len(classes), gate_batch), generator=generator, dtype=torch.float64)
    # The pool is sorted by class: positives are a block, negatives are everything that the block leaves.
    positive = first + (draws[:, :num_positive] * count).long()
    negative = (draws[:, num_positive:] * (len(labels) - count)).long()
    negative += torch.where(negative >= first, count, 0)
    indices = torch.cat([positive, negative], 1)
    group = torch.arange(len(classes))[:, None].expand_as(indices)
    return GateBatch(indices.flatten(), group.flatten())


def _losses_by_class(output: Tensor, images: DiscoveryImages, batch: GateBatch, expected: Tensor | None) -> Tensor:
    """Return the mean loss over the samples of each class, `[class]`."""
    class_of_group = torch.tensor(images.class_ids, device=output.device)[batch.group]
    if expected is not None:
        losses = F.kl_div(output.log_softmax(1), expected, reduction="none", log_target=True).sum(1)
    else:
        is_positive = images.pool.labels[batch.indices] == class_of_group
        losses = class_losses(output, class_of_group, is_positive)
    sums = torch.zeros(len(images.class_ids), device=output.device).index_add(0, batch.group, losses)
    return sums / torch.bincount(batch.group, minlength=len(images.class_ids))


def class_losses(
    logits: Float[Tensor, "batch num_classes"],
    class_ids: Int[Tensor, " batch"],
    is_positive: Bool[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    """Return -log p_c for images of class c and -log(1 - p_c) for others, computed without cancellation."""
    own = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, class_ids[:, None], True)
    log_all = logits.logsumexp(1)
    log_own = logits[own]
    log_others = logits.masked_fill(own, -torch.inf).logsumexp(1)
    return log_all - torch.where(is_positive, log_own, log_others)
