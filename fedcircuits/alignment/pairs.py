"""Is "disjoint" just a relabelling? Circuits of two models before and after their channels are matched.

All clients of a round start from the same weights, so channels should keep their places; that one circuit sits under
other numbers in another model must be shown. It is shown if a matching of channels, made without looking at circuits,
brings circuits of one class together: more than it does for circuits of different classes, and for random ones.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from torch import Tensor

from fedcircuits.alignment.circuits import (
    NO_VALUES,
    AlignedModel,
    AlignedValues,
    CircuitComparison,
    mean_of_defined,
)
from fedcircuits.alignment.matching import Correlations, channel_correlations, match_activations
from fedcircuits.alignment.relabelling import Permutations
from fedcircuits.alignment.weight_matching import match_weights
from fedcircuits.networks.cnn import build_model
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import ALL_LAYERS, AlignmentVerdict, MatchingMethod

STAYS = 0.95
"""Share of fixed points from which a matching changes too little for circuits to depend on it."""

ALIKE = 0.3
"""From it on, circuits count as alike: two with a quarter of the channels each then share about half of them."""

EXCESS = 0.1
"""By how much phi after matching must exceed phi before it, and both controls, for the matching to have done that."""


@dataclass(frozen=True)
class LayerAlignment:
    """One layer of a pair of models, matched by one method; values are None where there is nothing to average.

    Args:
        method: how channels were matched.
        a_partition_id: the first model's client; None for the global model.
        b_partition_id: the second's.
        layer: a convolution or hidden layer; `all` pools the convolutions, which circuits are made of.
        num_channels: channels that are alive (not constant on the probe images) in both models at the same place.
        num_matched: pairs of living channels that the matching made.
        fixed_points: share of these pairs whose channels have the same place.
        correlation: mean correlation of the activations of channels alive at the same place.
        matched_correlation: mean correlation of matched pairs.
        phi: mean overlap of the models' circuits of one class, channels as they are; None for hidden layers.
        matched_phi: the same, the second model's channels matched.
        other_class_phi: mean overlap of circuits of different classes, channels matched: a control.
        random_phi: mean overlap of the first's circuits with random ones of the sizes of the second's, drawn from the
            second's reachable channels and matched with them: another control.
        num_circuits: pairs of circuits of one class with a defined phi before and after, which the means are over.
        verdict: see `judge_alignment`.
    """

    method: MatchingMethod
    a_partition_id: int | None
    b_partition_id: int | None
    layer: str
    num_channels: int
    num_matched: int
    fixed_points: float | None
    correlation: float | None
    matched_correlation: float | None
    phi: float | None
    matched_phi: float | None
    other_class_phi: float | None
    random_phi: float | None
    num_circuits: int
    verdict: AlignmentVerdict


def align_pair(
    spec: ModelSpec,
    first: AlignedModel,
    second: AlignedModel,
    images: Float[Tensor, "image channel height width"],
    num_draws: int,
    generator: torch.Generator,
) -> list[LayerAlignment]:
    """Match the channels of two models by each method, and compare their circuits.

    Args:
        spec: the shape of both networks.
        first: the model that stays as it is.
        second: the model whose channels are matched; circuits are taken from both as they were found.
        images: the same for both, at least one, on the device to compute on.
        num_draws: random circuits for each class that both hold.
        generator: draws these, and the order in which layers are visited.

    Returns:
        one entry per method and layer.
    """
    models = [build_model(spec, model.weights, images.device) for model in (first, second)]
    correlations = channel_correlations(models[0], models[1], images)
    orders = {
        MatchingMethod.ACTIVATIONS: match_activations(correlations),
        MatchingMethod.WEIGHTS: match_weights(spec, first.weights, second.weights, generator),
    }
    comparison = CircuitComparison(spec, first, second, num_draws, generator)
    entries = []
    for method, permutations in orders.items():
        circuits = comparison.values(permutations)
        for layer, channels in _channel_figures(spec, correlations, permutations).items():
            values = circuits.get(layer, NO_VALUES)
            entries.append(_entry(method, first, second, layer, channels, values))
    return entries


def judge_alignment(
    fixed_points: float | None,
    phi: float | None,
    matched_phi: float | None,
    other_class_phi: float | None,
    random_phi: float | None,
) -> AlignmentVerdict:
    """Say what the matching of a pair means for its circuits.

    - `alignment irrelevant`: channels keep their places (`STAYS`), or circuits are `ALIKE` as they are and matching
      gains less than `EXCESS`.
    - `relabelling`: circuits are `ALIKE` after matching, which gains `EXCESS` and exceeds both controls by as much.
    - `genuinely different`: circuits are `ALIKE` neither before nor after, and do not exceed the controls so far.
    - `undecided`: anything else, such as a matching that brings circuits of all classes together, or a missing value.
    """
    if fixed_points is not None and fixed_points >= STAYS:
        return AlignmentVerdict.IRRELEVANT
    if fixed_points is None or phi is None or matched_phi is None:
        return AlignmentVerdict.UNDECIDED
    control = max(value for value in (other_class_phi, random_phi, -1.0) if value is not None)
    has_gained, has_excess = matched_phi - phi >= EXCESS, matched_phi - control >= EXCESS
    if phi >= ALIKE and not has_gained:
        return AlignmentVerdict.IRRELEVANT
    if matched_phi >= ALIKE and has_gained and has_excess:
        return AlignmentVerdict.RELABELLING
    if max(phi, matched_phi) < ALIKE and not has_excess:
        return AlignmentVerdict.DIFFERENT
    return AlignmentVerdict.UNDECIDED


@dataclass(frozen=True)
class _ChannelPairs:
    """Correlations of channels alive at the same place, those of matched channels, and which of these stay in place."""

    in_place: Float[Array, " in_both"]
    matched: Float[Array, " pair"]
    stays: Bool[Array, " pair"]


def _entry(
    method: MatchingMethod,
    first: AlignedModel,
    second: AlignedModel,
    layer: str,
    channels: _ChannelPairs,
    circuits: AlignedValues,
) -> LayerAlignment:
    fixed_points = mean_of_defined(channels.stays)
    phis = (circuits.phi, circuits.matched_phi, circuits.other_class_phi, circuits.random_phi)
    return LayerAlignment(
        method=method,
        a_partition_id=first.partition_id,
        b_partition_id=second.partition_id,
        layer=layer,
        num_channels=len(channels.in_place),
        num_matched=len(channels.matched),
        fixed_points=fixed_points,
        correlation=mean_of_defined(channels.in_place),
        matched_correlation=mean_of_defined(channels.matched),
        phi=circuits.phi,
        matched_phi=circuits.matched_phi,
        other_class_phi=circuits.other_class_phi,
        random_phi=circuits.random_phi,
        num_circuits=circuits.num_circuits,
        verdict=judge_alignment(fixed_points, *phis),
    )


def _channel_figures(
    spec: ModelSpec, correlations: dict[str, Correlations], orders: Permutations
) -> dict[str, _ChannelPairs]:
    """Gather the pairs of living channels of each layer, and of all convolutions together."""
    pairs = {name: _living_pairs(layer, orders[name]) for name, layer in correlations.items()}
    convs = [pairs[name] for name in spec.conv_names]
    pooled = _ChannelPairs(
        np.concatenate([conv.in_place for conv in convs]),
        np.concatenate([conv.matched for conv in convs]),
        np.concatenate([conv.stays for conv in convs]),
    )
    return {**pairs, ALL_LAYERS: pooled}


def _living_pairs(layer: Correlations, order: Array) -> _ChannelPairs:
    rows = np.flatnonzero(layer.alive_a & layer.alive_b[order])
    in_place = layer.matrix.diagonal()[layer.alive_a & layer.alive_b]
    return _ChannelPairs(in_place, layer.matrix[rows, order[rows]], order[rows] == rows)
