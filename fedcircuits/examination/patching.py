"""Did averaging take the circuit's weights? A client's weights put back into the global model where its circuit is.

What is put back are the weights that compute the circuit's channels: the incoming kernels of every kept channel, from
all channels of the layer before, and its bias. Kernels that lead from the circuit to other channels, hidden layers and
the readout stay those of the global model. Random circuits of the same sizes hold as many weights. After "weight
patching" of arXiv 2604.13694.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from statistics import fmean, pstdev

import torch
from jaxtyping import Bool
from torch import Tensor

from fedcircuits.alignment.random_circuits import random_circuits
from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.scores import Judgement, judge, whole_logits
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import Weights, build_model
from fedcircuits.networks.spec import ModelSpec


@dataclass(frozen=True)
class Patch:
    """A client's circuit put back into the global model, on test images; None where there is no image to count.

    Args:
        partition_id: the client.
        class_id: the class.
        num_weights: weights and biases that were put back.
        separation: of the class in the global model as it is, nats.
        patched_separation: the same with the circuit's weights put back.
        gain: what that gains.
        random_gain: mean gain of random circuits of the same sizes, among the client's reachable channels.
        random_gain_sd: its standard deviation over them.
        p_value: (1 + random circuits that gain as much or more) / (random circuits + 1).
        balanced_accuracy_gain: what the circuit gains in balanced accuracy.
        random_balanced_accuracy_gain: mean of random circuits.
    """

    partition_id: int
    class_id: int
    num_weights: int
    separation: float | None
    patched_separation: float | None
    gain: float | None
    random_gain: float | None
    random_gain_sd: float | None
    p_value: float | None
    balanced_accuracy_gain: float | None
    random_balanced_accuracy_gain: float | None


def patch_circuits(
    spec: ModelSpec,
    partition_id: int,
    local: tuple[Weights, Circuits, Bool[Tensor, " channel"]],
    average: Weights,
    test: LabelledImages,
    negatives: Collection[int],
    num_draws: int,
    generator: torch.Generator,
) -> list[Patch]:
    """Put each of a client's circuits back into the global model, and random ones of the same sizes.

    Args:
        spec: the shape of both networks.
        partition_id: the client.
        local: its weights before averaging, its circuits, and which of its channels carry signal; channels that do
            not are in no circuit here.
        average: the global weights.
        test: test images, at least one, on the device to compute on.
        negatives: classes that each class must be told from; the class itself does not count among them.
        num_draws: random circuits per class, 1 or more.
        generator: draws them.

    Returns:
        one entry per circuit.
    """
    weights, circuits, reachable = local
    bench = _PatchBench(spec, weights, average, test)
    entries = []
    for class_id, member in zip(circuits.class_ids, circuits.members & reachable, strict=True):
        drawn = random_circuits(member, reachable, spec.channels, num_draws, generator)
        before = judge(bench.global_logits, test, class_id, negatives)
        after, *random = (judge(bench.patched_logits(m), test, class_id, negatives) for m in (member, *drawn))
        entries.append(_entry(partition_id, class_id, num_patched_weights(spec, member), before, after, random))
    return entries


def num_patched_weights(spec: ModelSpec, member: Bool[Tensor, " channel"]) -> int:
    """Return how many weights and biases a circuit's channels have."""
    layers = zip(spec.conv_names, member.split(list(spec.channels)), strict=True)
    return sum(int(kept.sum()) * (math.prod(spec.weight_shapes[name][1:]) + 1) for name, kept in layers)


class _PatchBench:
    """One network that is patched again and again."""

    def __init__(self, spec: ModelSpec, local: Weights, average: Weights, test: LabelledImages) -> None:
        self.spec, self.test = spec, test
        self.local, self.average = (
            {name: value.to(test.device) for name, value in weights.items()} for weights in (local, average)
        )
        self.model = build_model(spec, average, test.device)
        self.global_logits = whole_logits(self.model, test.images)

    def patched_logits(self, member: Bool[Tensor, " channel"]) -> Tensor:
        """Return the logits of the global model with the client's weights in a circuit's channels."""
        patched = dict(self.average)
        layers = member.to(self.test.device).split(list(self.spec.channels))
        for name, kept in zip(self.spec.conv_names, layers, strict=True):
            for parameter in (f"{name}.weight", f"{name}.bias"):
                mask = kept.view(-1, *[1] * (self.local[parameter].dim() - 1))
                patched[parameter] = torch.where(mask, self.local[parameter], self.average[parameter])
        self.model.load_state_dict(patched)
        return whole_logits(self.model, self.test.images)


def _entry(
    partition_id: int, class_id: int, num_weights: int, before: Judgement, after: Judgement, random: list[Judgement]
) -> Patch:
    """Compare what a circuit gains with what random ones do."""
    gain = _difference(after.separation, before.separation)
    drawn = [g for g in (_difference(r.separation, before.separation) for r in random) if g is not None]
    accuracy = before.balanced_accuracy
    drawn_accuracy = [g for g in (_difference(r.balanced_accuracy, accuracy) for r in random) if g is not None]
    return Patch(
        partition_id=partition_id,
        class_id=class_id,
        num_weights=num_weights,
        separation=before.separation,
        patched_separation=after.separation,
        gain=gain,
        random_gain=fmean(drawn) if drawn else None,
        random_gain_sd=pstdev(drawn) if drawn else None,
        p_value=None if gain is None else (1 + sum(g >= gain for g in drawn)) / (len(drawn) + 1),
        balanced_accuracy_gain=_difference(after.balanced_accuracy, accuracy),
        random_balanced_accuracy_gain=fmean(drawn_accuracy) if drawn_accuracy else None,
    )


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
