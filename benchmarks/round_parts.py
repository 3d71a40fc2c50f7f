"""The parts of a round, each measured on a little of its work and scaled by how often a round does that much."""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from bare_loop import Federation
from images import naive_loader
from naive import discovery as naive_discovery
from naive import evaluation as naive_evaluation
from naive import training as naive_training
from naive.network import CNN
from naive.training import Loader
from product import as_gates, discover, random_circuits, start_weights, train
from timing import Seconds, Timing, Work, compare
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.quality import class_accuracies
from fedcircuits.circuits.study import Bench, Subject, measure_circuits, prepare_subject
from fedcircuits.data.datasets import LabelledImages

NAIVE = "naive"
PAPER = "ours, the paper's method"
DEFAULT = "ours, default instrument"
RETEST = "ours, default instrument, retest"

Costs = dict[str, dict[str, Timing]]
"""Name of a part to what a round spends on it, by way."""


@dataclass(frozen=True)
class Scene:
    """A federation after some training, as both sides hold it; images are on the device to measure.

    Args:
        federations: the product's, by way.
        weights: of the model that is looked at.
        model: the naive one with the same weights.
        test: the test images of a repetition.
        circuits: of the first client's classes, drawn at random.
        loaders: the naive side's, of `train`, `probe` and `test` images.
        device: to measure on.
    """

    federations: Mapping[str, Federation]
    weights: dict[str, Tensor]
    model: CNN
    test: LabelledImages
    circuits: Circuits
    loaders: Mapping[str, Loader]
    device: torch.device

    @classmethod
    def load(
        cls, folder: Path, federations: Mapping[str, Federation], num_test_images: int, share: float, device: str
    ) -> "Scene":
        """Train the first client's model for an epoch, and lay everything out."""
        paper = federations[PAPER]
        data, bench = paper.trains[0], paper.benches[0]
        weights = train(paper.settings, start_weights(paper.settings), data, 1).weights
        model = CNN()
        model.load_state_dict(weights)
        # The test set is sorted as MNIST is: the first images are of all classes.
        test = bench.test.select(torch.arange(num_test_images, device=bench.test.device))
        loaders = {
            "train": naive_loader(folder, True, data),
            "probe": naive_loader(folder, False, paper.dataset.probe),
            "test": naive_loader(folder, False, test, shuffle=False),
        }
        circuits = random_circuits(paper.settings, bench.classes, share)
        return cls(federations, weights, model.to(device), test, circuits, loaders, torch.device(device))

    @property
    def paper(self) -> Federation:
        """The federation with the paper's settings."""
        return self.federations[PAPER]

    def bench(self, way: str) -> Bench:
        """Return the first client's bench, with the test images of a repetition."""
        return replace(self.federations[way].benches[0], test=self.test)

    def server_bench(self, way: str) -> Bench:
        """Return the server's bench likewise."""
        return replace(self.federations[way].server_bench, test=self.test)

    def subject(self, way: str) -> Subject:
        """Return the model on the first client's bench."""
        federation = self.federations[way]
        return prepare_subject(federation.settings, federation.spec, self.weights, self.bench(way))


@dataclass(frozen=True)
class Part:
    """One part of a round.

    Args:
        counts: what a round does and what is measured, in words.
        ways: what is measured, and how many times a round does as much.
        is_discovery: a retest does it twice.
    """

    counts: str
    ways: Mapping[str, tuple[Work, float]]
    is_discovery: bool = False


def costs_of_parts(scene: Scene, num_steps: int, repetitions: int, is_apart: bool) -> Costs:
    """Measure every part; counts are printed on the way."""
    parts = {
        "training": training(scene, num_steps),
        "discovery, clients' images": client_discovery(scene, num_steps),
        "discovery, server's images": server_discovery(scene, num_steps),
        "putting models on benches": preparation(scene),
        "figures of circuits": evaluation(scene),
        "accuracy of models": accuracy(scene),
    }
    costs: Costs = {}
    for name, part in parts.items():
        print(f"- {name}: {part.counts}", flush=True)
        timings = compare({way: work for way, (work, _) in part.ways.items()}, repetitions, is_apart)
        scaled = {timing.name: timing.scaled(part.ways[timing.name][1]) for timing in timings}
        scaled.setdefault(NAIVE, Timing(NAIVE, [Seconds(0, 0)] * repetitions))
        scaled.setdefault(DEFAULT, scaled[PAPER])
        scaled[RETEST] = scaled[DEFAULT].scaled(2 if part.is_discovery else 1)
        costs[name] = scaled
    return costs


def training(scene: Scene, num_steps: int) -> Part:
    """All epochs of all clients."""
    settings, data = scene.paper.settings, scene.paper.trains[0]
    size, epochs = settings.training.batch_size, settings.training.local_epochs
    round_steps = epochs * sum(math.ceil(len(each) / size) for each in scene.paper.trains)
    few = data.select(torch.arange(num_steps * size, device=data.device))
    batches = _FirstBatches(scene.loaders["train"], num_steps)

    def naive() -> None:
        model = copy.deepcopy(scene.model).requires_grad_(True)
        naive_training.train(model, batches, 1, settings.sparsity.sparsity)

    times = round_steps / num_steps
    ours = partial(train, settings, scene.weights, few, 1)
    counts = f"{round_steps} steps of {size} images, {num_steps} measured"
    return Part(counts, {NAIVE: (naive, times), PAPER: (ours, times)})


class _FirstBatches:
    """The first batches of every epoch of a loader."""

    def __init__(self, loader: Loader, count: int) -> None:
        self.loader, self.count = loader, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return islice(self.loader, self.count)


def client_discovery(scene: Scene, num_steps: int) -> Part:
    """Circuits of three local models and of the global one on three clients' images."""
    num_models = 2 * len(scene.paper.trains)
    return _discovery(scene, num_steps, num_models, "train", scene.bench(PAPER), scene.bench(DEFAULT))


def server_discovery(scene: Scene, num_steps: int) -> Part:
    """Circuits of the global model on the server's images."""
    return _discovery(scene, num_steps, 1, "probe", scene.server_bench(PAPER), scene.server_bench(DEFAULT))


def _discovery(
    scene: Scene, num_steps: int, num_models: int, images: str, paper_bench: Bench, default_bench: Bench
) -> Part:
    paper, default = scene.federations[PAPER].settings, scene.federations[DEFAULT].settings
    times = num_models * paper.discovery.gate_steps / num_steps
    classes = list(paper_bench.classes)
    loader = scene.loaders[images]
    ways: dict[str, tuple[Work, float]] = {
        NAIVE: (partial(naive_discovery.discover, scene.model, loader, classes, num_steps), times),
        # Steps get cheaper as gates close, so they are all taken; the naive ones cost the same from first to last.
        PAPER: (partial(discover, paper, scene.subject(PAPER), paper_bench, paper.discovery.gate_steps), num_models),
        DEFAULT: (partial(discover, default, scene.subject(DEFAULT), default_bench, num_steps), num_models),
    }
    steps = f"{paper.discovery.gate_steps} steps, {num_steps} measured of the naive ones; the default has no steps"
    return Part(f"{num_models} models, {len(classes)} classes, {steps}", ways, is_discovery=True)


def preparation(scene: Scene) -> Part:
    """What the product works out once for each model, values of channels that are off among it."""
    num_models = 2 * len(scene.paper.trains) + 1
    ways = {way: (partial(scene.subject, way), num_models) for way in (PAPER, DEFAULT)}
    return Part(f"{num_models} models; the naive side needs none", ways)


def evaluation(scene: Scene) -> Part:
    """Figures of own, transplanted and global circuits of every client, and of the server's."""
    classes = list(scene.circuits.class_ids)
    of_server = len(scene.paper.trained_classes)
    num_circuits = 3 * sum(len(bench.classes) for bench in scene.paper.benches) + of_server
    num_images = len(scene.paper.dataset.test)
    times = num_circuits / len(classes) * num_images / len(scene.test)
    gates = as_gates(scene.paper.settings, scene.circuits, scene.device)
    naive = partial(naive_evaluation.evaluate, scene.model, gates, scene.loaders["test"], scene.paper.trained_classes)
    ways: dict[str, tuple[Work, float]] = {NAIVE: (naive, times)}
    for way in (PAPER, DEFAULT):
        arguments = (scene.subject(way), scene.bench(way), scene.circuits, scene.paper.trained_classes)
        ways[way] = (partial(measure_circuits, scene.federations[way].settings, *arguments), times)
    measured = f"{len(classes)} circuits and {len(scene.test)} images measured"
    return Part(f"{num_circuits} circuits, {num_images} images; {measured}", ways)


def accuracy(scene: Scene) -> Part:
    """Recall of every class of the local models and of the global one."""
    num_models, num_images = len(scene.paper.trains) + 1, len(scene.paper.dataset.test)
    times = num_models * num_images / len(scene.test)
    naive = partial(naive_evaluation.class_recalls, scene.model, scene.loaders["test"])
    ours = partial(class_accuracies, scene.subject(PAPER).model, scene.test)
    counts = f"{num_models} models, {num_images} images, {len(scene.test)} measured"
    return Part(counts, {NAIVE: (naive, times), PAPER: (ours, times)})
