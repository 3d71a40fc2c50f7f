"""Controls of overlap: one model's circuits under another question, and under a little noise on its weights.

Overlap between models means little where either of them makes as much of a difference: a circuit depends on the classes
that it must be told from, and where two channels do the same, any of them may be named.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import torch

from fedcircuits.circuits.found import FoundCircuits
from fedcircuits.circuits.study import Bench, find_circuits, prepare_subject
from fedcircuits.examination.round_models import ClientModel
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.settings.config_values import ClassIds
from fedcircuits.training.local import RoundPosition

PERTURBATION: Final = 0.01
"""Standard deviation of the noise on each parameter, as a share of it."""


def with_other_negatives(
    settings: Settings,
    spec: ModelSpec,
    bench: Bench,
    position: RoundPosition,
    client: ClientModel,
    found: FoundCircuits,
) -> Iterator[tuple[FoundCircuits, FoundCircuits]]:
    """Find each class's circuit with every second of the other classes as negatives, and with the rest of them.

    Args:
        settings: of the run.
        spec: the network's shape.
        bench: the probe set's halves.
        position: the round.
        client: the model.
        found: its circuits, whose classes are looked at, and the classes that they had to tell apart.

    Yields:
        both circuits of a class; none where the class was told from fewer than two others.
    """
    for class_id, usable in zip(found.circuits.class_ids, found.usable, strict=True):
        negatives = found.question.negatives(class_id)
        if len(negatives) < 2:
            continue
        questions = [
            replace(found.question, classes=tuple(sorted([class_id, *part])))
            for part in (negatives[::2], negatives[1::2])
        ]
        first, second = (
            _asked(
                settings,
                spec,
                bench,
                position,
                client.weights,
                client.classes,
                replace(found, usable=(usable,), question=question),
                (class_id,),
            )
            for question in questions
        )
        yield first, second


def circuits_of_copy(
    settings: Settings,
    spec: ModelSpec,
    bench: Bench,
    position: RoundPosition,
    client: ClientModel,
    found: FoundCircuits,
) -> FoundCircuits:
    """Find the circuits of a slightly perturbed copy of a model; arguments as `with_other_negatives`."""
    generator = torch_generator(settings.run.seed, Purpose.PERTURBATION, client.partition_id, position.server_round)
    copy = perturbed(client.weights, generator)
    return _asked(settings, spec, bench, position, copy, client.classes, found, found.circuits.class_ids)


def _asked(
    settings: Settings,
    spec: ModelSpec,
    bench: Bench,
    position: RoundPosition,
    weights: Weights,
    trained_classes: ClassIds,
    like: FoundCircuits,
    classes: ClassIds,
) -> FoundCircuits:
    """Find circuits of some classes, asked the question of `like`, and call them as those of `like` are called."""
    asked = replace(bench.asking(like.question.classes), classes=classes)
    subject = prepare_subject(settings, spec, weights, asked)
    circuits, retest, _ = find_circuits(settings, subject, asked, position, trained_classes, Purpose.LOCAL_DISCOVERY)
    return replace(like, circuits=circuits, retest=retest, reachable=subject.reachable)


def perturbed(weights: Weights, generator: torch.Generator, noise: float = PERTURBATION) -> dict[str, torch.Tensor]:
    """Return a copy whose parameters were multiplied by 1 + noise * N(0, 1); what is 0 stays 0."""
    return {
        name: value * (1 + noise * torch.randn(value.shape, generator=generator).to(value.device))
        for name, value in weights.items()
    }
