"""The images of a discovery: who gives them, and how they are drawn for each class.

The pool is sorted by class, so the images of a class are a block of it and images of other classes are what the block
leaves. Draws are made on the CPU, whatever device the pool is on, so that they are the same everywhere.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.settings import DiscoverySettings
from fedcircuits.settings.config_values import ClassIds


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

    def of_trained(self, trained_classes: Collection[int]) -> "DiscoveryImages":
        """Return the images of the classes that a model knows; all of them if that leaves nothing to tell apart.

        Args:
            trained_classes: the classes that it was trained on; the classes asked for stay in any case.
        """
        known = {*trained_classes, *self.class_ids}
        if len(known & {*self.pool.labels.unique().tolist()}) < 2:
            return self
        return replace(self, pool=self.pool.of_classes(known))


@dataclass(frozen=True)
class Samples:
    """Images drawn for several classes. `indices` point into the pool; `group` is the row whose gates apply."""

    indices: Int[Tensor, " sample"]
    group: Int[Tensor, " sample"]

    def to(self, device: torch.device) -> "Samples":
        """Return the samples on `device`."""
        return Samples(self.indices.to(device), self.group.to(device))


@dataclass(frozen=True)
class ContrastSet:
    """A fixed set of images on which circuits are judged; for each class its own images, then those of others.

    Args:
        samples: the images, `group` being the row of the class.
        is_positive: true where the image is of the class itself.
        share: 1 / number of images of its kind (own or other) of its class: a weight that makes sums into means.
    """

    samples: Samples
    is_positive: Bool[Tensor, " sample"]
    share: Float[Tensor, " sample"]

    def __len__(self) -> int:
        return len(self.share)

    def to(self, device: torch.device) -> "ContrastSet":
        """Return the set on `device`."""
        return ContrastSet(self.samples.to(device), self.is_positive.to(device), self.share.to(device))

    def of_row(self, row: int) -> "ContrastSet":
        """Return the images of one class."""
        chosen = self.samples.group == row
        samples = Samples(self.samples.indices[chosen], self.samples.group[chosen])
        return ContrastSet(samples, self.is_positive[chosen], self.share[chosen])


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
        pool = data.joined(others)
    order = pool.labels.argsort(stable=True)
    return DiscoveryImages(pool.select(order), negatives, tuple(c for c in sorted(wanted) if c in held))


def draw_batch(
    images: DiscoveryImages, settings: DiscoverySettings, batch_size: int, generator: torch.Generator
) -> Samples:
    """Draw one step's samples for all classes."""
    if settings.objective == "target-class":
        return _reference_batch(images, batch_size, generator)
    return _balanced_batch(images, settings.gate_batch, generator)


def draw_contrast_set(images: DiscoveryImages, per_class: int, generator: torch.Generator) -> ContrastSet:
    """Draw up to `per_class` images for each class without replacement, half of them of other classes if there are any.

    Every other class gives as many images as every other, as far as it has them. A class of fewer images than half of
    `per_class` gives all that it has.
    """
    has_negatives = images.negatives is not Negatives.NONE
    half = per_class // 2 if has_negatives else per_class
    labels = images.pool.labels.cpu()
    indices, groups, kinds, shares = [], [], [], []
    for row, class_id in enumerate(images.class_ids):
        others = labels[labels != class_id].unique() if has_negatives else torch.tensor([], dtype=labels.dtype)
        for is_positive, classes in ((True, [class_id]), (False, others.tolist())):
            drawn = _draw_evenly(labels, classes, half, generator)
            indices.append(drawn)
            groups.append(torch.full_like(drawn, row))
            kinds.append(torch.full((len(drawn),), is_positive))
            shares.append(torch.full((len(drawn),), 1 / max(len(drawn), 1)))
    return ContrastSet(Samples(torch.cat(indices), torch.cat(groups)), torch.cat(kinds), torch.cat(shares))


def _draw_evenly(labels: Tensor, classes: list[int], count: int, generator: torch.Generator) -> Tensor:
    """Draw up to `count` images from `classes`, one of each class in turn while it has any."""
    shuffled = []
    for position in torch.randperm(len(classes), generator=generator).tolist():
        held = (labels == classes[position]).nonzero().flatten()
        shuffled.append(held[torch.randperm(len(held), generator=generator)])
    if not shuffled:
        return torch.zeros(0, dtype=torch.int64)
    turn = torch.cat([torch.arange(len(held)) for held in shuffled])
    return torch.cat(shuffled)[turn.argsort(stable=True)[:count]]


def _reference_batch(images: DiscoveryImages, batch_size: int, generator: torch.Generator) -> Samples:
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
    return Samples(torch.cat(indices), torch.cat(groups))


def _balanced_batch(images: DiscoveryImages, gate_batch: int, generator: torch.Generator) -> Samples:
    """Draw `gate_batch` (even) images per class with replacement, half of them of other classes if there are any."""
    labels = images.pool.labels.cpu()
    classes = torch.tensor(images.class_ids)
    first = torch.searchsorted(labels, classes)[:, None]
    count = torch.searchsorted(labels, classes, right=True)[:, None] - first
    has_negatives = images.negatives is not Negatives.NONE
    num_positive = gate_batch // 2 if has_negatives else gate_batch
    draws = torch.rand((len(classes), gate_batch), generator=generator, dtype=torch.float64)
    positive = first + (draws[:, :num_positive] * count).long()
    negative = (draws[:, num_positive:] * (len(labels) - count)).long()
    negative += torch.where(negative >= first, count, 0)
    indices = torch.cat([positive, negative], 1)
    group = torch.arange(len(classes))[:, None].expand_as(indices)
    return Samples(indices.flatten(), group.flatten())
