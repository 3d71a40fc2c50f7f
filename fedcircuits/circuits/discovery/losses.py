"""What a circuit loses on images of its class and of others, compared with a network that is sure and right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.circuits.discovery.images import ContrastSet, DiscoveryImages, Negatives
from fedcircuits.networks.cnn import GateSite, SparseCNN
from fedcircuits.networks.subnetworks import Subnetworks

_MOST_ERROR = 0.25
"""Balanced error of a network that tells a class from others: half of what always saying the same gives."""


def class_losses(
    logits: Float[Tensor, "batch num_classes"],
    class_ids: Int[Tensor, " batch"],
    is_positive: Bool[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    """Return -log p_c for images of class c and -log(1 - p_c) for others, computed without cancellation."""
    own = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, class_ids[:, None], True)
    log_all = logits.logsumexp(1)
    log_own = logits.gather(1, class_ids[:, None])[:, 0]
    log_others = logits.masked_fill(own, -torch.inf).logsumexp(1)
    return log_all - torch.where(is_positive, log_own, log_others)


@dataclass(frozen=True)
class _Swept:
    """One class with its images: the output of the first convolution, and each image's weight; weights sum to 1."""

    class_id: int
    stem: Tensor
    is_positive: Tensor
    share: Tensor

    def loss(self, circuit: Callable[[Tensor], Tensor], counts_errors: bool) -> Tensor:
        """Return what a circuit loses on the images: its balanced error, or the contrast loss."""
        logits = circuit(self.stem)
        if counts_errors:
            return self.share[(logits.argmax(1) == self.class_id) != self.is_positive].sum()
        class_ids = torch.full_like(self.is_positive, self.class_id, dtype=torch.int64)
        return (class_losses(logits, class_ids, self.is_positive) * self.share).sum()


@dataclass(frozen=True)
class SweepLoss:
    """What a sweep over sizes weighs circuits by, on a fixed set of images; own and other images count alike.

    It is the balanced error, that is, half the share of own images that are missed plus half the share of other images
    that are taken for the class. Where the whole network itself hardly tells the class from others, as for a class that
    averaging has silenced, an error would be blind to what the network still knows: there, and where there are no other
    images, it is the contrast loss.

    Args:
        subnetworks: runs circuits of the network.
        classes: the images of each class.
        counts_errors: for each class, which of the two it is.
    """

    subnetworks: Subnetworks
    classes: Sequence[_Swept]
    counts_errors: Sequence[bool]

    @classmethod
    def on(
        cls, model: SparseCNN, images: DiscoveryImages, chosen: ContrastSet, ablation: Tensor, site: GateSite
    ) -> "SweepLoss":
        """Look at the whole network, and say for each class which loss it is.

        Args:
            model: the network.
            images: where the set's images are.
            chosen: the set, on the same device.
            ablation: `[channel]`, what a channel that is off becomes.
            site: where gates act.
        """
        classes = []
        for row, class_id in enumerate(images.class_ids):
            own = chosen.of_row(row)
            stem = model.stem(images.pool.images[own.samples.indices])
            classes.append(_Swept(class_id, stem, own.is_positive, (own.share / own.share.sum()).to(stem.dtype)))
        loss = cls(model.subnetworks(ablation, site), classes, [True] * len(classes))
        whole = loss.of(torch.ones(1, len(classes), len(ablation), dtype=torch.bool, device=ablation.device))[0]
        has_both = images.negatives is not Negatives.NONE
        return replace(loss, counts_errors=[has_both and error <= _MOST_ERROR for error in whole.tolist()])

    @torch.no_grad()
    def of(
        self,
        members: Bool[Tensor, "restart class_row channel"],
        is_asked: Bool[Tensor, "restart class_row"] | None = None,
    ) -> Float[Tensor, "restart class_row"]:
        """Return the loss of every circuit on the images of its class; NaN for those that are not asked about."""
        if is_asked is None:
            is_asked = torch.ones(members.shape[:-1], dtype=torch.bool, device=members.device)
        losses = torch.full(is_asked.shape, torch.nan, dtype=self.classes[0].share.dtype, device=members.device)
        for restart, row in is_asked.nonzero().tolist():
            circuit = self.subnetworks.of(members[restart, row])
            losses[restart, row] = self.classes[row].loss(circuit, self.counts_errors[row])
        return losses
