"""What discovery finds where there is nothing to find: circuits of a model, and their four controls.

A setting of discovery is worth something only if its circuits beat those that it finds in an untrained network, for
classes that the network was never taught, for labels that mean nothing, and those drawn at random.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from jaxtyping import Int
from torch import Tensor

from fedcircuits.circuits import Circuits
from fedcircuits.data import LabelledImages
from fedcircuits.discovery import discover_circuits, discovery_images
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import Weights, initial_weights
from fedcircuits.settings import Settings
from fedcircuits.study import Bench, Subject, prepare_subject


class Control(StrEnum):
    """What the circuits of a model are compared with."""

    UNTRAINED = "untrained"
    "Circuits of initial weights under the model's own weight masks, found and scored on true labels."
    NONSENSE = "nonsense"
    "Circuits of the model for the wrong class: images of c count as images of another class throughout."
    PERMUTED = "permuted"
    "Circuits of the model for labels that are shuffled among images, in discovery and in the test."
    RANDOM = "random"
    "Random reachable channels of the model, as many in each layer as its circuits have."


@dataclass(frozen=True)
class Candidate:
    """Circuits with the model that they are to be run in, and the images that they are scored on."""

    subject: Subject
    circuits: Circuits
    test: LabelledImages


def find_circuits(settings: Settings, subject: Subject, bench: Bench, generator: torch.Generator) -> Candidate:
    """Find the circuits of a model with the run's own discovery."""
    images = discovery_images(bench.source, bench.spare_negatives, bench.classes, settings.discovery.objective)
    circuits = discover_circuits(
        subject.model, images, subject.ablation, settings.discovery, settings.training.batch_size, generator
    )
    return Candidate(subject, circuits, bench.test)


def untrained_candidate(
    settings: Settings, spec: ModelSpec, weights: Weights, bench: Bench, generator: torch.Generator
) -> Candidate:
    """Find the circuits of initial weights that are cut to the non-zero ones of `weights`."""
    initial = initial_weights(spec, generator)
    for name in spec.layer_names:
        initial[f"{name}.weight"] *= weights[f"{name}.weight"].cpu() != 0
    return find_circuits(settings, prepare_subject(settings, spec, initial, bench), bench, generator)


def nonsense_candidate(
    settings: Settings, subject: Subject, bench: Bench, trained_classes: Collection[int], generator: torch.Generator
) -> Candidate:
    """Find circuits for the wrong class: each trained class's images stand for another trained class throughout.

    The classes move on by one in a circle of random order, which leaves none in its place.
    """
    circle = torch.tensor(sorted(trained_classes))[torch.randperm(len(trained_classes), generator=generator)]
    moved = torch.arange(subject.model.spec.num_classes)
    moved[circle] = circle.roll(-1)
    source, test = (replace(data, labels=moved.to(data.device)[data.labels]) for data in (bench.source, bench.test))
    return find_circuits(settings, subject, replace(bench, source=source, test=test), generator)


def permuted_candidate(settings: Settings, subject: Subject, bench: Bench, generator: torch.Generator) -> Candidate:
    """Find circuits for labels that are shuffled among the images."""
    source, test = (replace(data, labels=shuffled(data.labels, generator)) for data in (bench.source, bench.test))
    return find_circuits(settings, subject, replace(bench, source=source, test=test), generator)


def shuffled(labels: Int[Tensor, " image"], generator: torch.Generator) -> Int[Tensor, " image"]:
    """Return the labels in random order."""
    return labels[torch.randperm(len(labels), generator=generator).to(labels.device)]
