"""Compare the questions that clients' models can be asked before their circuits are compared.

    python benchmarks/question.py --split shared --sparsity 0.9 --seeds 0-4 --out questions.csv

Three clients train for a few rounds with plain averaging. In the last round every question is put to every client's
model twice, on two disjoint halves of images, and circuits of one class are compared across clients: phi of different
halves over the reliability of the halves. `same model` puts two models' names on one model and gives them halves of
their own: its phi_true is 1 if the correction is right. The CSV has one row per seed, question, class and pair.
"""

import argparse
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from federations import seed_range, train_clients

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.discovery import Negatives, discover_circuits
from fedcircuits.circuits.discovery.images import DiscoveryImages
from fedcircuits.circuits.study import Subject, measure_circuits, prepare_subject, server_bench
from fedcircuits.data.datasets import Dataset, LabelledImages, load_dataset, stratified_split
from fedcircuits.networks.cnn import Weights
from fedcircuits.overlap import overlap_values, pair_sets
from fedcircuits.settings import Settings
from fedcircuits.settings.app_config import app_defaults

SPLITS: Mapping[str, Sequence[Sequence[int]]] = {
    "iid": (),
    "shared": ((0, 1, 2), (0, 3, 4), (0, 5, 6)),
    "overlapping": ((0, 1, 2, 3), (0, 1, 4, 5), (0, 1, 6, 7)),
}
"""Split to the classes of its three clients; IID clients hold a third of every class."""

OWN_IMAGES = "own images, own classes"
OWN_CLASSES = "probe, own classes"
TRAINED_CLASSES = "probe, trained classes"
COMMON_CLASSES = "probe, classes of both"
NO_NEGATIVES = "probe, no negatives"
KL = "probe, gates, kl to the whole model"
SAME_MODEL = "same model, trained classes"
QUESTIONS = (OWN_IMAGES, OWN_CLASSES, TRAINED_CLASSES, COMMON_CLASSES, NO_NEGATIVES, KL, SAME_MODEL)


@dataclass(frozen=True)
class Compared:
    """One class of two clients, as a row of the CSV.

    Args:
        phi: mean of phi(A1, B2) and phi(A2, B1).
        root: geometric mean of both reliabilities; 0 if one of them is negative.
        size_share: channels kept, of those that carry signal, in the first client's circuit.
        recall: of that circuit on test images.
        false_positive_rate: among the other classes that its model was trained on.
    """

    seed: int
    question: str
    class_id: int
    pair: str
    phi: float
    root: float
    size_share: float
    recall: float | None
    false_positive_rate: float | None


Found = tuple[Subject, tuple[Circuits, Circuits]]
"""A model and its circuits from either half."""


def main() -> None:
    """Measure, write the CSV and print means over seeds; phi_true is a ratio of means within each seed."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    table = pd.DataFrame(asdict(row) for seed in arguments.seeds for row in measure_seed(arguments, seed))
    if arguments.out:
        table.to_csv(arguments.out, index=False)
    by_seed = table.drop(columns=["class_id", "pair"]).groupby(["question", "seed"], sort=False).mean()
    by_seed["phi_true"] = by_seed["phi"] / by_seed["root"]
    by_question = by_seed.groupby("question", sort=False)
    spread = by_question["phi_true"].std().rename("sd of phi_true")
    print(pd.concat([by_question.mean(), spread], axis=1).astype(float).round(3).to_string())


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--split", choices=list(SPLITS), default="shared")
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seeds", type=seed_range, default=range(1), help="such as 0-4")
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, default=QUESTIONS)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further settings")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def settings_of(arguments: argparse.Namespace, seed: int, changes: Mapping[str, Any]) -> Settings:
    """Return the app's defaults with the command line's and a question's changes."""
    given = tomllib.loads("\n".join(arguments.set))
    shared = {"dataset": arguments.dataset, "sparsity": arguments.sparsity, "seed": seed}
    return Settings.from_config({**app_defaults(), **shared, **given, **changes})


def measure_seed(arguments: argparse.Namespace, seed: int) -> Iterator[Compared]:
    """Train one federation, and compare its clients' circuits under every question."""
    settings = settings_of(arguments, seed, {})
    dataset = load_dataset(settings.data, seed)
    shards = _shards(dataset.train, SPLITS[arguments.split], seed)
    models = train_clients(settings, shards, arguments.rounds)
    for question in arguments.questions:
        changes = {"discovery": "gates", "size-rule": "penalty", "objective": "kl"} if question == KL else {}
        yield from compare_clients(settings_of(arguments, seed, changes), dataset, shards, models, question)


def _shards(train: LabelledImages, split: Sequence[Sequence[int]], seed: int) -> list[LabelledImages]:
    if split:
        return [train.of_classes(classes) for classes in split]
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    return [train.select(part.sort().values) for part in order.chunk(3)]


def compare_clients(
    settings: Settings,
    dataset: Dataset,
    shards: Sequence[LabelledImages],
    models: Sequence[Weights],
    question: str,
) -> Iterator[Compared]:
    """Put one question to both models of every pair of clients that share a class."""
    seed, bench = settings.run.seed, server_bench(settings, dataset)
    held = [tuple(shard.labels.unique().tolist()) for shard in shards]
    trained = sorted({class_id for classes in held for class_id in classes})
    for a, b in combinations(range(len(shards)), 2):
        common = tuple(sorted({*held[a]} & {*held[b]}))
        if question == COMMON_CLASSES and len(common) < 2:
            continue
        asked = {COMMON_CLASSES: common, NO_NEGATIVES: common}
        found: list[Found] = []
        for place, client in enumerate((a, b)):
            source, classes = dataset.probe, asked.get(question, trained)
            if question in (OWN_IMAGES, OWN_CLASSES):
                classes = held[client]
                source = shards[client] if question == OWN_IMAGES else source
            weights, knows = models[client], held[client]
            if question == SAME_MODEL:
                # Two parts of all held-out images, as if two clients with one model had a probe set each.
                weights, knows, source = models[a], held[a], _parts(dataset)[place]
            subject = prepare_subject(settings, settings.spec, weights, bench)
            halves = stratified_split(source.of_classes(classes), 0.5, np.random.default_rng(seed))
            first, second = (find(settings, subject, half, common, knows, question) for half in halves)
            found.append((subject, (first, second)))
        subject, (first, _) = found[0]
        quality = measure_circuits(settings, subject, replace(bench, classes=common), first, held[a])
        size = (first.members & subject.reachable).sum(1) / subject.reachable.sum()
        for row, (phi, root) in enumerate(zip(*correlations(found), strict=True)):
            judged = quality[row]
            yield Compared(
                seed, question, judged.class_id, f"{a}-{b}", phi, root, float(size[row]), judged.sufficiency,
                judged.false_positive_rate,
            )  # fmt: skip


def _parts(dataset: Dataset) -> tuple[LabelledImages, LabelledImages]:
    return stratified_split(dataset.probe.joined(dataset.test), 0.5, np.random.default_rng(1))


def find(
    settings: Settings,
    subject: Subject,
    source: LabelledImages,
    classes: tuple[int, ...],
    trained_classes: tuple[int, ...],
    question: str,
) -> Circuits:
    """Find the circuits of some classes of a model that was trained on some."""
    negatives = Negatives.NONE if question == NO_NEGATIVES else Negatives.OWN
    images = DiscoveryImages(source.select(source.labels.argsort(stable=True)), negatives, classes)
    generator = torch.Generator().manual_seed(settings.run.seed)
    return discover_circuits(
        subject.model, images, subject.ablation, settings.discovery, 32, generator, trained_classes
    )


def correlations(found: Sequence[Found]) -> tuple[list[float], list[float]]:
    """Return for each class phi across two models, of different halves, and the root of their reliabilities."""
    (a, (a1, a2)), (b, (b1, b2)) = found
    num_classes, num_channels = a1.members.shape
    members = torch.cat([a1.members, a2.members, b1.members, b2.members]).numpy()
    universe = np.concatenate(
        [np.broadcast_to(subject.reachable.numpy(), (2 * num_classes, num_channels)) for subject in (a, b)]
    )
    ends = np.array([(0, 3), (1, 2), (0, 1), (2, 3)])[:, :, None] * num_classes + np.arange(num_classes)
    counted = pair_sets(members, universe, a.model.spec.channels, ends[:, 0].ravel(), ends[:, 1].ravel())
    phi = overlap_values(counted).phi[:, -1].reshape(4, num_classes)
    root = np.sqrt(np.clip(phi[2], 0, None) * np.clip(phi[3], 0, None))
    return phi[:2].mean(0).tolist(), root.tolist()


if __name__ == "__main__":
    main()
