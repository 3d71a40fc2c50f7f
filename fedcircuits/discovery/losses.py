"""What a circuit loses on images of its class and of others, compared with a network that is sure and right."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.discovery.images import ContrastSet, DiscoveryImages, Negatives
from fedcircuits.models import GateSite, SparseCNN

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
    log_own = logits[own]
    log_others = logits.masked_fill(own, -torch.inf).logsumexp(1)
    return log_all - torch.where(is_positive, log_own, log_others)


@dataclass(frozen=True)
class SweepLoss:
    """What a sweep over sizes weighs circuits by, on a fixed set of images; own and other images count alike.

    It is the balanced error, that is, half the share of own images that are missed plus half the share of other images
    that are taken for the class. Where the whole network itself hardly tells the class from others, as for a class that
    averaging has silenced, an error would be blind to what the network still knows: there, and where there are no other
    images, it is the contrast loss.

    Args:
        model: the network.
        images: where the set's images are.
        chosen: the set, on the same device.
        ablation: `[channel]`, what a channel that is off becomes.
        site: where gates act.
        stems: for each class, what the first convolution hands on of the class's images of the set.
        counts_errors: `[class]`, which of the two it is.
    """

    model: SparseCNN
    images: DiscoveryImages
    chosen: ContrastSet
    ablation: Tensor
    site: GateSite
    stems: Sequence[Tensor]
    counts_errors: Tensor

    @classmethod
    def on(
        cls, model: SparseCNN, images: DiscoveryImages, chosen: ContrastSet, ablation: Tensor, site: GateSite
    ) -> "SweepLoss":
        """Look at the whole network, and say for each class which loss it is."""
        every_class = torch.ones(len(images.class_ids), dtype=torch.bool, device=ablation.device)
        places = [chosen.of_row(row).samples.indices for row in range(len(every_class))]
        stems = [model.stem(images.pool.images[place]) for place in places]
        loss = cls(model, images, chosen, ablation, site, stems, every_class)
        is_telling = loss.of(torch.ones(1, len(every_class), len(ablation), device=ablation.device).bool())[0]
        has_both = torch.full_like(every_class, images.negatives is not Negatives.NONE)
        return replace(loss, counts_errors=has_both & (is_telling <= _MOST_ERROR))

    @torch.no_grad()
    def of(
        self,
        members: Bool[Tensor, "restart class_row channel"],
        is_asked: Bool[Tensor, "restart class_row"] | None = None,
    ) -> Float[Tensor, "restart class_row"]:
        """Return the loss of every circuit on the images of its class; NaN for those that are not asked about."""
        if is_asked is None:
            is_asked = torch.ones(members.shape[:-1], dtype=torch.bool, device=members.device)
        losses = torch.full(is_asked.shape, torch.nan, dtype=self.ablation.dtype, device=members.device)
        for restart, row in is_asked.nonzero().tolist():
            losses[restart, row] = self._of_circuit(members[restart, row], row)
        return losses

    def _of_circuit(self, member: Tensor, row: int) -> Tensor:
        chosen, class_id = self.chosen.of_row(row), self.images.class_ids[row]
        logits = self.model.subnetwork(member, self.ablation, self.site)(self.stems[row])
        if self.counts_errors[row]:
            losses = ((logits.argmax(1) == class_id) != chosen.is_positive).to(logits.dtype)
        else:
            losses = class_losses(logits, torch.full_like(chosen.samples.group, class_id), chosen.is_positive)
        share = chosen.share.to(logits.dtype)
        return (losses * share).sum() / share.sum()
