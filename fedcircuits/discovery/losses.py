"""What a circuit loses on images of its class and of others, compared with a network that is sure and right."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.discovery.images import ContrastSet, DiscoveryImages
from fedcircuits.models import EVALUATION_BATCH, GateSite, Gating, SparseCNN


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
class ContrastLoss:
    """The contrast loss of circuits on a fixed set of images, which weighs own and other images alike.

    Args:
        model: the network.
        images: where the set's images are.
        chosen: the set, on the same device.
        ablation: `[channel]`, what a channel that is off becomes.
        site: where gates act.
    """

    model: SparseCNN
    images: DiscoveryImages
    chosen: ContrastSet
    ablation: Tensor
    site: GateSite

    @torch.no_grad()
    def of(self, members: Bool[Tensor, "restart class_row channel"]) -> Float[Tensor, "restart class_row"]:
        """Return the loss of every circuit on the images of its class: the mean of its means over own and others."""
        gates = members.to(self.ablation.dtype)
        return torch.stack([self._of_one_restart(rows) for rows in gates])

    def _of_one_restart(self, gates: Tensor) -> Tensor:
        samples = self.chosen.samples
        class_of_row = torch.tensor(self.images.class_ids, device=gates.device)
        sums, weights = torch.zeros_like(gates[:, 0]), torch.zeros_like(gates[:, 0])
        for part in torch.arange(len(self.chosen), device=gates.device).split(EVALUATION_BATCH):
            group, share = samples.group[part], self.chosen.share[part].to(gates.dtype)
            pixels = self.images.pool.images[samples.indices[part]]
            logits = self.model(pixels, Gating(gates, group, self.ablation, self.site))
            losses = class_losses(logits, class_of_row[group], self.chosen.is_positive[part])
            sums.index_add_(0, group, losses * share)
            weights.index_add_(0, group, share)
        return sums / weights
