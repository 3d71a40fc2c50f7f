"""Circuit discovery: which channels a frozen network needs for a class.

A discovery rates every channel for every class, by learned gates (`gates`) or by attribution (`attribution`), and a
rule cuts the ranking into a circuit and the rest (`sizing`). With several restarts this is done on as many resamples of
the images, and the circuit is what most of them kept (`restarts`).
"""

from collections.abc import Collection

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits, no_circuits
from fedcircuits.circuits.connectivity import alive_kernels, reachable_channels
from fedcircuits.circuits.discovery.attribution import attribute_channels
from fedcircuits.circuits.discovery.gates import learn_gates, noisy_start, single_start
from fedcircuits.circuits.discovery.images import DiscoveryImages, Negatives, discovery_images, draw_contrast_set
from fedcircuits.circuits.discovery.losses import SweepLoss
from fedcircuits.circuits.discovery.restarts import bootstrap, child_generators, vote
from fedcircuits.circuits.discovery.sizing import budget_size, graded_scores, largest, rank_reachable_first, sweep_sizes
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import GateSite, SparseCNN, detached_weights
from fedcircuits.settings import DiscoverySettings

__all__ = ["Negatives", "ablation_values", "discover_circuits", "discovery_images"]


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
    trained_classes: Collection[int] | None = None,
) -> Circuits:
    """Find the circuits of every class.

    All images rate the channels, so that models that are compared are asked the same. How many of them a sweep keeps
    is judged on images of the classes that the model was trained on: it can do no more than guess on others, and a
    circuit would leave out channels of its own class in order to guess less.

    Args:
        model: the network under study; its parameters are frozen here.
        images: from `discovery_images`.
        ablation: from `ablation_values`.
        settings: how channels are rated, how many are kept, and how often that is repeated.
        batch_size: of the reference's batches, for the `target-class` objective only.
        generator: makes every draw.
        trained_classes: of the model; None = those of the images.

    Returns:
        One circuit per class of `images`, on the CPU; none if there is no class. Channels that carry no signal rank
        behind all others.
    """
    if not images.class_ids:
        return no_circuits(model.spec.num_channels)
    model.requires_grad_(False)
    importance = _importance(model, images, ablation, settings, batch_size, generator)
    reachable = reachable_channels(model.spec, alive_kernels(model.spec, detached_weights(model))).to(importance.device)
    ranking = rank_reachable_first(importance, reachable)
    if settings.size_rule == "penalty":
        members = importance > 0
    else:
        known = images if trained_classes is None else images.of_trained(trained_classes)
        members = largest(ranking, _sizes(ranking, int(reachable.sum()), model, known, ablation, settings, generator))
    if settings.restarts > 1:
        return vote(images.class_ids, members.cpu(), ranking.cpu())
    graded = importance.sigmoid() if settings.discovery == "gates" else importance
    scores = graded if settings.size_rule == "penalty" else graded_scores(graded, members)
    return Circuits(images.class_ids, members[0].cpu(), scores[0].cpu(), ranking[0].cpu())


def _importance(
    model: SparseCNN,
    images: DiscoveryImages,
    ablation: Tensor,
    settings: DiscoverySettings,
    batch_size: int,
    generator: torch.Generator,
) -> Float[Tensor, "restart class_row channel"]:
    """Rate every channel for every class: by its gate's logit, or by its attribution."""
    generators = child_generators(generator, settings.restarts) if settings.restarts > 1 else [generator]
    if settings.discovery == "gates":
        start = noisy_start if settings.restarts > 1 else single_start
        starts = [start(images, len(ablation), each) for each in generators]
        return learn_gates(model, images, ablation, settings, batch_size, starts)
    chosen = draw_contrast_set(images, settings.attribution_images, generator)
    versions = [bootstrap(chosen, each) for each in generators] if settings.restarts > 1 else [chosen]
    return attribute_channels(model, images, versions, ablation, settings)


def _sizes(
    ranking: Tensor,
    num_reachable: int,
    model: SparseCNN,
    images: DiscoveryImages,
    ablation: Tensor,
    settings: DiscoverySettings,
    generator: torch.Generator,
) -> Int[Tensor, "restart class_row"]:
    """Return how many channels each circuit keeps by the rules `budget` and `sweep`."""
    if settings.size_rule == "budget":
        size = budget_size(settings.circuit_budget, num_reachable)
        return torch.full(ranking.shape[:2], size, device=ranking.device)
    # Drawn anew, since images that made a ranking flatter it; a class with few images has none to change to.
    chosen = draw_contrast_set(images, settings.attribution_images, generator).to(ranking.device)
    loss = SweepLoss.on(model, images, chosen, ablation, GateSite(settings.gate_site))
    return sweep_sizes(ranking, num_reachable, settings.sweep_target, loss.of)
