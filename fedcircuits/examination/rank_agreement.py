"""Does a circuit's ranking follow what single channels do? Exact effects, and their agreement with a ranking."""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import stats
from torch import Tensor

from fedcircuits.circuits.scores import circuit_logits
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.trials import separations
from fedcircuits.networks.cnn import GateSite, SparseCNN


def channel_effects(
    model: SparseCNN,
    data: LabelledImages,
    class_ids: Sequence[int],
    negatives: Collection[int],
    ablation: Float[Tensor, " channel"],
    site: GateSite,
    reachable: Bool[Tensor, " channel"],
) -> Float[Tensor, "class channel"]:
    """Return e = M(N) - M(N without the channel), nats; one ablated pass per channel serves all classes.

    Args:
        model: the network.
        data: test images, at least one.
        class_ids: classes to measure, one row each.
        negatives: classes that each must be told from; the class itself does not count among its own.
        ablation: what a channel that is off becomes.
        site: where gates act.
        reachable: channels that carry signal; the others have no effect on M, 0.

    Returns:
        effects on the CPU; NaN throughout for a class without images on both sides.
    """
    channels = reachable.nonzero().flatten()
    without = ~torch.eye(len(reachable), dtype=torch.bool)[channels]
    logits = circuit_logits(model, data.images, torch.cat([torch.ones_like(reachable)[None], without]), ablation, site)
    effects = torch.zeros(len(class_ids), len(reachable), dtype=torch.float64)
    for row, class_id in zip(effects, class_ids, strict=True):
        values = separations(logits, data, class_id, negatives)
        row[channels] = values[0] - values[1:]
    return effects


def rank_agreement(
    ranking: Int[Tensor, " channel"], effects: Float[Tensor, " channel"], reachable: Bool[Tensor, " channel"]
) -> float | None:
    """Return Spearman's correlation of a ranking with single-channel effects over the channels that carry signal.

    Args:
        ranking: channels from the most to the least important.
        effects: what the network loses with each channel.
        reachable: channels that count.

    Returns:
        1 where the ranking is that of the effects; None if the effects are all alike or not defined.
    """
    order = ranking[reachable[ranking]]
    values = effects[order].numpy()
    if len(values) < 2 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return None
    return float(stats.spearmanr(-np.arange(len(values)), values).statistic)
