"""What a circuit loses on images of its class and of others, compared with a network that is sure and right."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.discovery.images import ContrastSet, DiscoveryImages, Negatives
from fedcircuits.models import EVALUATION_BATCH, GateSite, Gating, SparseCNN

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
        counts_errors: `[class]`, which of the two it is.
    """

    model: SparseCNN
    images: DiscoveryImages
    chosen: ContrastSet
    ablation: Tensor
    site: GateSite
    counts_errors: Tensor

    @classmethod
    def on(
        cls, model: SparseCNN, images: DiscoveryImages, chosen: ContrastSet, ablation: Tensor, site: GateSite
    ) -> "SweepLoss":
        """Look at the whole network, and say for each class which loss it is."""
        every_class = torch.ones(len(images.class_ids), dtype=torch.bool, device=ablation.device)
        loss = cls(model, images, chosen, ablation, site, every_class)
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
        rows = zip(members.to(self.ablation.dtype), is_asked, strict=True)
        return torch.stack([self._of_one_restart(gates, asked) for gates, asked in rows])

    def _of_one_restart(self, gates: Tensor, asked: Tensor) -> Tensor:
        indices = asked[self.chosen.samples.group].nonzero().flatten()
        group, share = self.chosen.samples.group[indices], self.chosen.share[indices].to(gates.dtype)
        losses = torch.cat([self._of_samples(gates, part) for part in indices.split(EVALUATION_BATCH)])
        sums, weights = (torch.zeros_like(gates[:, 0]).index_add(0, group, v) for v in (losses * share, share))
        return sums / weights

    def _of_samples(self, gates: Tensor, part: Tensor) -> Tensor:
        samples, is_positive = self.chosen.samples, self.chosen.is_positive[part]
        group = samples.group[part]
        class_ids = torch.tensor(self.images.class_ids, device=gates.device)[group]
        pixels = self.images.pool.images[samples.indices[part]]
        logits = self.model(pixels, Gating(gates, group, self.ablation, self.site))
        errors = (logits.argmax(1) == class_ids) != is_positive
        return torch.where(
            self.counts_errors[group], errors.to(gates.dtype), class_losses(logits, class_ids, is_positive)
        )
