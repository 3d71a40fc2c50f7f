"""Compare ways of finding circuits, on clients' models of a small federation that runs in this process.

    python benchmarks/discovery.py --dataset digits --classes-per-client 2 --sparsity 0.95 --seeds 0-2 --out found.csv

Three clients of disjoint classes train for a few rounds with plain averaging by images. In the last round, every way of
discovery looks at every client's model. The CSV has one row per seed, client, class and way; the means are printed.
"""

import argparse
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from federations import seed_range, train_clients
from scipy.stats import spearmanr
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.discovery import discover_circuits, discovery_images
from fedcircuits.circuits.scores import balanced_sample, circuit_logits, judge, whole_logits
from fedcircuits.circuits.study import Bench, Subject, client_bench, measure_circuits, prepare_subject
from fedcircuits.data.datasets import Dataset, LabelledImages, load_dataset
from fedcircuits.networks.cnn import GateSite, Weights
from fedcircuits.overlap import overlap_values, pair_sets
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.settings.app_config import app_defaults

NUM_CLIENTS = 3
IMAGES_PER_CLASS = 50
"""Test images of a class on which single channels are ablated."""

GATES = {"discovery": "gates", "size-rule": "penalty"}
SWEEP = {"discovery": "attribution", "size-rule": "sweep"}
WAYS: Mapping[str, Mapping[str, Any]] = {
    "paper": {
        **GATES,
        "objective": "target-class",
        "ablation": "zero",
        "gate-site": "pre",
        "gate-steps": 200,
        "gate-penalty": 0.01,
        "gate-penalty-unit": "absolute",
    },
    "gates contrast": GATES,
    "gates contrast x5": {**GATES, "restarts": 5},
    "gates kl": {**GATES, "objective": "kl"},
    "gates sweep .95": {"discovery": "gates", "size-rule": "sweep", "sweep-target": 0.95},
    "attribution budget .25": {"discovery": "attribution", "size-rule": "budget", "circuit-budget": 0.25},
    "attribution sweep .9": {**SWEEP, "sweep-target": 0.9},
    "attribution sweep .95": {**SWEEP, "sweep-target": 0.95},
    "attribution sweep .98": {**SWEEP, "sweep-target": 0.98},
    "attribution sweep .95 x5": {**SWEEP, "sweep-target": 0.95, "restarts": 5},
}


@dataclass(frozen=True)
class Found:
    """One circuit, as a row of the CSV; rates and shares are fractions, all on test images.

    Args:
        size_share: channels kept, of those that carry signal.
        model_recall: of the whole network.
        model_false_positive_rate: of the whole network, negatives being the classes that it was trained on.
        seconds: of discovery, per class.
        retest_phi: agreement with a second discovery from other draws, layers pooled.
        rank_correlation: Spearman's, of the ranking with what the separation loses when one channel is ablated.
        is_good: recall of 0.95, false-positive rate of 0.10 and a size below a third at once.
    """

    seed: int
    client: int
    way: str
    class_id: int
    size_share: float
    recall: float | None
    false_positive_rate: float | None
    balanced_accuracy: float | None
    model_recall: float | None
    model_false_positive_rate: float | None
    seconds: float
    retest_phi: float
    rank_correlation: float
    is_good: bool


def main() -> None:
    """Measure, write the CSV and print the means."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.num_threads)
    rows = [row for seed in arguments.seeds for row in measure_seed(arguments, seed)]
    table = pd.DataFrame(map(asdict, rows))
    table.to_csv(arguments.out, index=False)
    means = table.drop(columns=["seed", "client", "class_id"]).groupby("way", sort=False).mean(numeric_only=True)
    print(means.astype(float).round(3).to_string())


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--train-limit", type=int, default=0)
    parser.add_argument("--classes-per-client", type=int, choices=[1, 2, 3], default=2)
    parser.add_argument("--sparsity", type=float, default=0.95)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=seed_range, default=range(1), help="such as 0-2")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings that all ways share")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--num-threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def settings_of(arguments: argparse.Namespace, seed: int, changes: Mapping[str, Any]) -> Settings:
    """Return the app's defaults with the command line's and a way's changes."""
    given = tomllib.loads("\n".join(arguments.set))
    shared = {
        "dataset": arguments.dataset,
        "data-dir": arguments.data_dir,
        "train-limit": arguments.train_limit,
        "sparsity": arguments.sparsity,
        "seed": seed,
    }
    return Settings.from_config({**app_defaults(), **shared, **given, **changes})


def measure_seed(arguments: argparse.Namespace, seed: int) -> Iterator[Found]:
    """Train one federation and let every way look at its clients' models."""
    settings = settings_of(arguments, seed, {})
    dataset = load_dataset(settings.data, seed).to(torch.device(arguments.device))
    shards = [shard_of(dataset.train, client, arguments.classes_per_client) for client in range(NUM_CLIENTS)]
    models = train_clients(settings, shards, arguments.rounds)
    for client, (shard, weights) in enumerate(zip(shards, models, strict=True)):
        yield from measure_client(arguments, dataset, shard, weights, seed, client)


def shard_of(train: LabelledImages, client: int, num_classes: int) -> LabelledImages:
    """Return the images of the classes that a client holds alone."""
    held = (train.labels // num_classes) == client
    return train.select(held.nonzero().flatten())


def measure_client(
    arguments: argparse.Namespace,
    dataset: Dataset,
    shard: LabelledImages,
    weights: Weights,
    seed: int,
    client: int,
) -> Iterator[Found]:
    """Let every way look at one client's model."""

    @cache
    def subject_and_effects(ablation: str, gate_site: str) -> tuple[Subject, dict[int, Tensor]]:
        settings = settings_of(arguments, seed, {"ablation": ablation, "gate-site": gate_site})
        bench = client_bench(settings, dataset, shard, client)
        subject = prepare_subject(settings, settings.spec, weights, bench)
        return subject, single_channel_effects(subject, GateSite(gate_site), bench)

    for way in arguments.ways:
        settings = settings_of(arguments, seed, WAYS[way])
        bench = client_bench(settings, dataset, shard, client)
        subject, effects = subject_and_effects(settings.discovery.ablation, settings.discovery.gate_site)
        yield from measure_way(settings, subject, bench, effects, seed, client, way)


def measure_way(
    settings: Settings, subject: Subject, bench: Bench, effects: dict[int, Tensor], seed: int, client: int, way: str
) -> Iterator[Found]:
    """Find the circuits of a model twice, and measure the first ones."""
    started = time.perf_counter()
    circuits = find(settings, subject, bench, Purpose.LOCAL_DISCOVERY)
    seconds = (time.perf_counter() - started) / len(circuits.class_ids)
    retest = find(settings, subject, bench, Purpose.RETEST_LOCAL)
    phis = retest_phi(circuits, retest, subject)
    logits = whole_logits(subject.model, bench.test.images)
    num_reachable = int(subject.reachable.sum())
    for row, quality in enumerate(measure_circuits(settings, subject, bench, circuits, bench.classes)):
        whole = judge(logits, bench.test, quality.class_id, bench.classes)
        size_share = int((circuits.members[row] & subject.reachable).sum()) / num_reachable
        recall, alarms = quality.sufficiency, quality.false_positive_rate
        is_good = None not in {recall, alarms} and recall >= 0.95 and alarms <= 0.10 and size_share < 1 / 3  # type: ignore[operator]
        yield Found(
            seed=seed,
            client=client,
            way=way,
            class_id=quality.class_id,
            size_share=size_share,
            recall=recall,
            false_positive_rate=alarms,
            balanced_accuracy=quality.balanced_accuracy,
            model_recall=whole.recall,
            model_false_positive_rate=whole.false_positive_rate,
            seconds=seconds,
            retest_phi=float(phis[row]),
            rank_correlation=rank_correlation(circuits.ranking[row], effects[quality.class_id], subject.reachable),
            is_good=is_good,
        )


def find(settings: Settings, subject: Subject, bench: Bench, purpose: Purpose) -> Circuits:
    """Find the circuits of the bench's classes, with the draws of a purpose."""
    images = discovery_images(bench.source, bench.spare_negatives, bench.classes, settings.discovery.objective)
    generator = torch_generator(settings.run.seed, purpose, bench.partition_id, 1)
    discovery, batch_size = settings.discovery, settings.training.batch_size
    return discover_circuits(subject.model, images, subject.ablation, discovery, batch_size, generator, bench.classes)


def single_channel_effects(subject: Subject, site: GateSite, bench: Bench) -> dict[int, Tensor]:
    """Return, for each class, what its separation loses when each channel alone is ablated, `[channel]`."""
    num_channels = subject.model.spec.num_channels
    generator = torch.Generator().manual_seed(0)
    negatives = bench.classes if len(bench.classes) > 1 else tuple(range(subject.model.spec.num_classes))
    sample = balanced_sample(bench.test, negatives, IMAGES_PER_CLASS, generator)
    members = torch.cat([torch.ones(1, num_channels), 1 - torch.eye(num_channels)]).bool()
    logits = circuit_logits(subject.model, sample.images, members, subject.ablation, site)
    effects = {}
    for class_id in bench.classes:
        whole, *without = (judge(each, sample, class_id, negatives).separation for each in logits)
        if whole is not None:
            effects[class_id] = whole - torch.tensor([value if value is not None else torch.nan for value in without])
    return effects


def rank_correlation(ranking: Tensor, effects: Tensor, reachable: Tensor) -> float:
    """Return Spearman's correlation of a ranking with effects, over the channels that carry signal."""
    importance = -ranking.argsort()
    return float(spearmanr(importance[reachable], effects[reachable]).statistic)


def retest_phi(first: Circuits, second: Circuits, subject: Subject) -> np.ndarray:
    """Return how far the circuits of each class agree, all layers pooled."""
    members = torch.cat([first.members, second.members]).numpy()
    universe = np.broadcast_to(subject.reachable.numpy(), members.shape)
    count = len(first.class_ids)
    pairs = pair_sets(members, universe, subject.model.spec.channels, np.arange(count), np.arange(count) + count)
    return overlap_values(pairs).phi[:, -1]


if __name__ == "__main__":
    main()
