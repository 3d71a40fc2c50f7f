"""Compare ways of fitting the ladder's readouts, on the models of a small IID federation that runs in this process.

    python benchmarks/readouts.py --seeds 0-2
    python benchmarks/readouts.py --seeds 0-1 --set dataset=folder data-dir=cifar10 class-names=airplane,automobile,… \
        image-size=32 image-channels=3 train-limit=6000 heldout-limit=4000 learning-rate=0.001

Three clients train for a few rounds with plain averaging. Then readouts are fitted on probe images and scored
on all test images: freely (logistic regression of scikit-learn at C = 1, whatever the network's own readout is), and as
the ladder does it. Printed are means over seeds, and of client readouts over clients, with the CPU seconds of
one readout.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import torch
from federations import mean_of, seed_range, train_clients
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from fedcircuits.circuits.scores import balanced_sample
from fedcircuits.data.datasets import Dataset, LabelledImages, load_dataset
from fedcircuits.data.partitions import partition_indices
from fedcircuits.examination.readouts import Readout, fit_readout, fit_rescaling, no_readout
from fedcircuits.networks.cnn import Weights, build_model, in_passes, initial_weights
from fedcircuits.networks.spec import READOUT, ModelSpec
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.settings.app_config import app_defaults

NUM_CLIENTS = 3
IMAGES = (20, 100)
"""Probe images per class to fit on."""

Fit = Callable[[Tensor, Tensor, Readout], Callable[[Tensor], Tensor]]
"""Features, labels and a network's own readout to a function from features to classes."""


def main() -> None:
    """Print one row per way and number of images as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=seed_range, default=range(3), help="such as 0-2")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings, as in a run config")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for seed in arguments.seeds for row in _of_seed(_settings(seed, arguments), seed)]
    table = pd.DataFrame(rows).groupby(["way", "images"], sort=False).mean().reset_index()
    print("| " + " | ".join(table.columns) + " |\n|" + " --- |" * len(table.columns))
    for row in table.itertuples(index=False):
        print("| " + " | ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")


def _settings(seed: int, arguments: argparse.Namespace) -> Settings:
    config = {**app_defaults(), "seed": seed, "num-clients": NUM_CLIENTS, "num-server-rounds": arguments.rounds}
    for pair in arguments.set:
        key, value = pair.split("=", 1)
        config[key] = type(config[key])(value)
    return Settings.from_config(config)


def _of_seed(settings: Settings, seed: int) -> Iterator[dict[str, Any]]:
    dataset, spec = load_dataset(settings.data, seed), settings.spec
    untrained = initial_weights(spec, torch_generator(seed, Purpose.INITIAL_WEIGHTS))
    average, clients = _federate(settings, dataset)
    for per_class in IMAGES:
        classes = tuple(range(spec.num_classes))
        fitting = balanced_sample(dataset.probe, classes, per_class, torch_generator(seed, Purpose.LADDER))
        for way, fit in {"freely": _freely, "as the ladder": _as_the_ladder}.items():
            # The average is asked first: one readout's time is that of its fit.
            (new, seconds), *own = (
                _accuracy(spec, weights, fit, fitting, dataset.test) for weights in (average, *clients)
            )
            as_is, rescaled = _without_fit(spec, average, fitting, dataset.test)
            yield {
                "way": way,
                "images": per_class,
                "A0": as_is,
                "A1": rescaled,
                "A2": new,
                "A3": sum(each for each, _ in own) / len(own),
                "R": _accuracy(spec, untrained, fit, fitting, dataset.test, has_own=False)[0],
                "seconds": seconds,
            }


def _federate(settings: Settings, dataset: Dataset) -> tuple[Weights, list[Weights]]:
    """Return the average of the last round, and the clients' models that it was made of."""
    parts = partition_indices(dataset.train, settings.data, NUM_CLIENTS, settings.run.seed)
    clients = train_clients(settings, [dataset.train.select(part) for part in parts], settings.run.num_server_rounds)
    return mean_of(clients), clients


def _accuracy(
    spec: ModelSpec, weights: Weights, fit: Fit, fitting: LabelledImages, test: LabelledImages, has_own: bool = True
) -> tuple[float, float]:
    """Return the accuracy of a new readout, and the CPU seconds of its fit."""
    known, asked = _features(spec, weights, fitting.images), _features(spec, weights, test.images)
    own = _own_readout(weights) if has_own else no_readout(spec.num_classes, known.shape[1])
    started = time.process_time()
    predict = fit(known, fitting.labels, own)
    seconds = time.process_time() - started
    return _share(predict(asked), test.labels), seconds


def _without_fit(
    spec: ModelSpec, weights: Weights, fitting: LabelledImages, test: LabelledImages
) -> tuple[float, float]:
    """Return the accuracy of a network as it is, and with its logits rescaled."""
    own = _own_readout(weights)
    known, asked = (own.scores(_features(spec, weights, each.images)).float() for each in (fitting, test))
    rescaled = fit_rescaling(known, fitting.labels).predict(asked)
    return _share(asked.argmax(1), test.labels), _share(rescaled, test.labels)


def _freely(features: Tensor, labels: Tensor, _: Readout) -> Callable[[Tensor], Tensor]:
    shift, scale = features.mean(0), features.std(0, correction=0)
    scale = torch.where(scale > 0, scale, torch.inf)
    model = LogisticRegression(max_iter=200).fit(((features - shift) / scale).numpy(), labels.numpy())
    return lambda asked: torch.from_numpy(model.predict(((asked - shift) / scale).numpy()))


def _as_the_ladder(features: Tensor, labels: Tensor, own: Readout) -> Callable[[Tensor], Tensor]:
    return fit_readout(features, labels, own).predict


def _own_readout(weights: Weights) -> Readout:
    return Readout(weights[f"{READOUT}.weight"].double(), weights[f"{READOUT}.bias"].double())


@torch.no_grad()
def _features(spec: ModelSpec, weights: Weights, images: Tensor) -> Tensor:
    model = build_model(spec, weights, images.device)
    return torch.cat([model.features(part) for part in in_passes(images, spec)])


def _share(predicted: Tensor, labels: Tensor) -> float:
    return float((predicted == labels).double().mean())


if __name__ == "__main__":
    main()
