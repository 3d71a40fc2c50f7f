"""How often intervals of accuracy cover the accuracy on the population, where all seeds share their test images.

    python benchmarks/coverage.py --models 30

Networks of many seeds are trained on a few of the bundled digits and scored on all others, which are the population. A
study is some of these networks, scored on 269 images drawn from the population, as many of each class as it has there.
Its intervals are made as in verdicts. The table says how many studies of a thousand cover the mean accuracy of all
networks on the population; 95 % should.
"""

import argparse

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from analysis.statistics.image_variance import image_variance
from analysis.statistics.seeds import interval
from fedcircuits.circuits.quality import predicted_classes
from fedcircuits.data.datasets import LabelledImages, load_dataset
from fedcircuits.networks.cnn import SparseCNN, build_model, initial_weights
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.settings.app_config import app_defaults
from fedcircuits.training.local import RoundPosition, train_sparse

NUM_IMAGES = 269
"""Test images of the bundled digits."""

NUM_STUDIES = 1000

_TRAINING = {"sparsity": 0.0, "local-epochs": 20}
"""Networks that have learned, so that they differ little from seed to seed."""


def main() -> None:
    """Print a row per number of seeds as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", type=int, default=30, help="networks to draw studies from")
    parser.add_argument("--train-images", type=int, default=300, help="that each network is trained on")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    hits, labels = train_and_score(arguments.models, arguments.train_images)
    print(f"accuracy {hits.mean():.3f}, standard deviation over networks {hits.mean(axis=1).std(ddof=1):.4f}\n")
    print("| seeds | intervals over seeds cover | with test images |\n|---|---|---|")
    for num_seeds in (5, 10):
        of_seeds, of_both = coverage(hits, labels, num_seeds, np.random.default_rng(0))
        print(f"| {num_seeds} | {100 * of_seeds:.0f} % | {100 * of_both:.0f} % |")


def train_and_score(num_models: int, num_train: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which images of the population each network recognises, `[network, image]`, and their classes."""
    images = _all_digits()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    pool, population = images.select(order[: 2 * num_train]), images.select(order[2 * num_train :])
    hits = [
        (predicted_classes(_trained(pool, num_train, seed), population) == population.labels).numpy()
        for seed in range(num_models)
    ]
    return np.array(hits), population.labels.numpy()


def coverage(
    hits: NDArray[np.bool_], labels: NDArray[np.int64], num_seeds: int, generator: np.random.Generator
) -> tuple[float, float]:
    """Return the shares of studies whose interval covers the population, without test images in it and with them."""
    truth = hits.mean()
    classes, sizes = np.unique(labels, return_counts=True)
    counts = np.round(NUM_IMAGES * sizes / len(labels)).astype(int)
    weights = np.repeat(sizes / len(labels) / counts, counts)
    originals = pd.MultiIndex.from_arrays([np.repeat(classes, counts), np.arange(counts.sum())])
    covered = np.zeros(2)
    for _ in range(NUM_STUDIES):
        networks = generator.choice(len(hits), num_seeds)
        images = [generator.choice(np.flatnonzero(labels == c), n) for c, n in zip(classes, counts, strict=True)]
        shares = hits[np.ix_(networks, np.concatenate(images))] * weights
        accuracy = shares.sum(axis=1)
        found = image_variance(pd.DataFrame(shares, columns=originals))
        covered += [one.low <= truth <= one.high for one in (interval(accuracy), interval(accuracy, images=found))]
    return float(covered[0] / NUM_STUDIES), float(covered[1] / NUM_STUDIES)


def _all_digits() -> LabelledImages:
    dataset = load_dataset(_settings(0).data, seed=0)
    parts = (dataset.train, dataset.probe, dataset.test)
    return LabelledImages(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))


def _trained(pool: LabelledImages, num_train: int, seed: int) -> SparseCNN:
    settings = _settings(seed)
    spec = settings.spec
    weights = initial_weights(spec, torch_generator(seed, Purpose.INITIAL_WEIGHTS))
    generator = torch_generator(seed, Purpose.TRAINING, 0, 1)
    own = pool.select(torch.randperm(len(pool), generator=generator)[:num_train])
    trained = train_sparse(spec, weights, own, settings.training, settings.sparsity, RoundPosition(1, 1), generator)
    return build_model(spec, trained.weights, pool.device)


def _settings(seed: int) -> Settings:
    return Settings.from_config({**app_defaults(), **_TRAINING, "seed": seed})


if __name__ == "__main__":
    main()
