"""Channel attribution: what each channel adds to telling a class from others, from gradients along a straight path.

The measure of a circuit is its separation: the mean log-odds of the class over its own images less that over images of
others. Gates are moved together, in all layers at once, from 0 (the empty circuit) to 1 (the whole network), and each
gate's gradient is averaged over the midpoints of equal steps on that line: integrated gradients (Sundararajan et al.
2017, arXiv 1703.01365) with the gates as inputs. The attributions of a class therefore add up to the separation of the
whole network less that of the empty circuit, which is 0. Where there is no image of another class, the measure is the
mean log-odds over the class's images less the empty circuit's: the same with the second part left out.

Every image has gates of its own, so one backward pass gives the attributions of each image, and a resample of the
images is a weighted sum of them.

With zero ablation before ReLU a gate scales the convolution's output, its bias included, and ReLU passes the scale on.
Only at gates of exactly 0, which midpoints avoid, would a channel get no gradient there.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from fedcircuits.circuits.discovery.images import ContrastSet, DiscoveryImages
from fedcircuits.circuits.scores import log_odds
from fedcircuits.networks.cnn import GateSite, Gating, SparseCNN, in_passes
from fedcircuits.settings import DiscoverySettings


def attribute_channels(
    model: SparseCNN,
    images: DiscoveryImages,
    versions: Sequence[ContrastSet],
    ablation: Float[Tensor, " channel"],
    settings: DiscoverySettings,
) -> Float[Tensor, "restart class_row channel"]:
    """Return what each channel adds to the separation of each class, in nats.

    Args:
        model: the network under study, its parameters frozen.
        images: where the samples are.
        versions: the same samples with the shares of each restart, at least one.
        ablation: what a channel that is off becomes.
        settings: gate site, and points on the path.
    """
    chosen = versions[0].to(images.pool.device)
    site = GateSite(settings.gate_site)
    by_image = image_attributions(model, images, chosen, ablation, site, settings.attribution_points)
    num_rows = len(images.class_ids)
    weights = torch.stack([separation_weights(version.to(by_image.device), num_rows) for version in versions])
    return weights.to(by_image.dtype) @ by_image


def image_attributions(
    model: SparseCNN,
    images: DiscoveryImages,
    chosen: ContrastSet,
    ablation: Float[Tensor, " channel"],
    site: GateSite,
    num_points: int,
) -> Float[Tensor, "sample channel"]:
    """Return what each channel adds to the log-odds of its sample's class, in nats.

    Args:
        model: the network under study, its parameters frozen.
        images: where the samples are.
        chosen: the samples, on the images' device, those of a class in one block.
        ablation: what a channel that is off becomes.
        site: where gates act.
        num_points: points on the path.
    """
    blocks = []
    for row, class_id in enumerate(images.class_ids):
        pixels = images.pool.images[chosen.of_row(row).samples.indices]
        # Gates after the activation act on the output of the first convolution, which is the same at every point.
        seen = pixels if site is GateSite.PRE else model.stem(pixels)
        total = torch.zeros(len(pixels), len(ablation), device=pixels.device, dtype=ablation.dtype)
        steps = torch.arange(num_points * len(pixels), device=pixels.device)
        for part in in_passes(steps, model.spec):
            point, image = part // len(pixels), part % len(pixels)
            openness = ((point + 0.5) / num_points).to(ablation.dtype)
            total.index_add_(0, image, _gate_gradient(model, seen[image], class_id, openness, ablation, site))
        blocks.append(total / num_points)
    return torch.cat(blocks)


def _gate_gradient(
    model: SparseCNN, seen: Tensor, class_id: int, openness: Tensor, ablation: Tensor, site: GateSite
) -> Tensor:
    """Return the gradient of each image's log-odds by its gates, all of which are open to the image's `openness`."""
    gates = openness[:, None].repeat(1, len(ablation)).requires_grad_()
    gating = Gating(gates, torch.arange(len(seen), device=seen.device), ablation, site)
    logits = model(seen, gating) if site is GateSite.PRE else model.from_stem(seen, gating)
    return torch.autograd.grad(log_odds(logits, class_id).sum(), gates)[0]


def separation_weights(chosen: ContrastSet, num_rows: int) -> Float[Tensor, "class_row sample"]:
    """Return the weights with which the samples' log-odds add up to the separation of each class."""
    signed = torch.where(chosen.is_positive, chosen.share, -chosen.share)
    is_of_row = chosen.samples.group == torch.arange(num_rows, device=signed.device)[:, None]
    return signed * is_of_row
