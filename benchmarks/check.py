"""Measure the error rates of the check of the discovery: how often good networks fail it, and how often garbage passes.

    FEDCIRCUITS_DATA=folder/of/torchvision/files python benchmarks/check.py --seeds 0-4 --out check.csv

Small federations train in this process, on digits and on 2,000 images of MNIST (left out without FEDCIRCUITS_DATA):
all data with one client, the same shares of every class with five clients, classes of its own for each of three; dense
and sparse. Circuits are found on the server's probe set with the default discovery, and the check pools up to three
clients, as in a run. The same networks are then made worthless in ways that anybody who looks at circuits may come
upon without noticing. The CSV has one row per check; a table by kind is printed.
"""

import argparse
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd
import torch
from torch import Tensor

from fedcircuits.circuit_scores import whole_logits
from fedcircuits.config_values import ClassIds
from fedcircuits.data import Dataset, LabelledImages, load_dataset
from fedcircuits.deep.validity import CheckedModel, check_validity, result_of
from fedcircuits.discovery import discover_circuits, discovery_images
from fedcircuits.models import initial_weights, model_spec
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.study import client_bench, prepare_subject
from fedcircuits.training import RoundPosition, train_sparse

GOOD_ACCURACY: Final = 0.9
"""A federation counts as good if its clients' own models reach this on test images of their own classes, on average."""

GOOD: Final = "good"
"""What the networks are called to which nothing was done."""

PAPER: Final = {
    "discovery": "gates",
    "size-rule": "penalty",
    "objective": "target-class",
    "ablation": "zero",
    "gate-site": "pre",
    "gate-steps": 200,
    "gate-penalty": 0.01,
    "gate-penalty-unit": "absolute",
}
"""The discovery of conf/paper."""


@dataclass(frozen=True)
class Plan:
    """A federation that is trained.

    Args:
        name: what the table calls it.
        dataset: `digits` or `mnist`.
        num_clients: how many; the check looks at the first three.
        classes_per_client: of its own; 0: everybody holds all classes.
        sparsity: fraction of weights that are zero.
        num_rounds: rounds of plain averaging; the clients' models of the last one are looked at.
    """

    name: str
    dataset: str
    num_clients: int
    classes_per_client: int
    sparsity: float
    num_rounds: int


PLANS: Final = (
    Plan("digits, one client, dense", "digits", 1, 0, 0.0, 2),
    Plan("digits, one client, sparse", "digits", 1, 0, 0.9, 4),
    Plan("digits, IID, dense", "digits", 5, 0, 0.0, 4),
    Plan("digits, IID, sparse", "digits", 5, 0, 0.9, 6),
    Plan("digits, 2 classes each, dense", "digits", 3, 2, 0.0, 3),
    Plan("digits, 2 classes each, sparse", "digits", 3, 2, 0.9, 3),
    Plan("digits, 3 classes each, dense", "digits", 3, 3, 0.0, 3),
    Plan("digits, 3 classes each, sparse", "digits", 3, 3, 0.9, 3),
    Plan("MNIST, one client, dense", "mnist", 1, 0, 0.0, 1),
    Plan("MNIST, one client, sparse", "mnist", 1, 0, 0.95, 2),
    Plan("MNIST, 3 classes each, dense", "mnist", 3, 3, 0.0, 1),
    Plan("MNIST, 3 classes each, sparse", "mnist", 3, 3, 0.95, 1),
)


@dataclass(frozen=True)
class Client:
    """A client's model, and the classes that it was trained on."""

    weights: Mapping[str, Tensor]
    classes: ClassIds


@dataclass(frozen=True)
class Federation:
    """What was trained under a plan."""

    plan: Plan
    seed: int
    clients: tuple[Client, ...]


@dataclass(frozen=True)
class Outcome:
    """One check, as a row of the CSV.

    Args:
        kind: what was done to the networks; `good` if nothing.
        plan: the federation.
        seed: of its training.
        accuracy: of the clients' models on test images of their classes, mean over the clients that were checked.
        effect: of the check, pooled.
        z: of the check, pooled.
        num_circuits: circuits that were pooled.
        passed: the verdict.
    """

    kind: str
    plan: str
    seed: int
    accuracy: float
    effect: float
    z: float
    num_circuits: int
    passed: bool


def settings_of(plan: Plan, seed: int, changes: Mapping[str, Any]) -> Settings:
    """Return the defaults of pyproject.toml with what a plan and a kind change."""
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    shared = {
        "dataset": plan.dataset,
        "data-dir": os.environ.get("FEDCIRCUITS_DATA", "data"),
        "train-limit": 0 if plan.dataset == "digits" else 2000,
        "heldout-limit": 0 if plan.dataset == "digits" else 1000,
        "sparsity": plan.sparsity,
        "discovery-data": "server",
        "deep-draws": 100 if plan.dataset == "digits" else 30,
        "seed": seed,
    }
    return Settings.from_config({**pyproject["tool"]["flwr"]["app"]["config"], **shared, **changes})


def shards_of(plan: Plan, train: LabelledImages, seed: int) -> list[tuple[LabelledImages, ClassIds]]:
    """Deal the training images out; classes of its own are the same for every seed, shares of all classes are not."""
    if not plan.classes_per_client:
        everything = tuple(sorted(train.labels.unique().tolist()))
        order = torch.randperm(len(train), generator=torch_generator(seed, Purpose.PARTITION))
        return [(train.select(part), everything) for part in order.chunk(plan.num_clients)]
    dealt = []
    for client in range(plan.num_clients):
        first = client * plan.classes_per_client
        own = tuple(range(first, first + plan.classes_per_client))
        dealt.append((train.of_classes(own), own))
    return dealt


def train_federation(plan: Plan, seed: int) -> Federation:
    """Train with plain averaging, and return the clients' models of the last round before they are averaged."""
    settings = settings_of(plan, seed, {})
    spec, train = model_spec(settings), load_dataset(settings.data, seed).train
    shards = shards_of(plan, train, seed)
    weights = initial_weights(spec, torch_generator(seed, Purpose.INITIAL_WEIGHTS))
    clients: list[Client] = []
    for server_round in range(1, plan.num_rounds + 1):
        position, clients = RoundPosition(server_round, plan.num_rounds), []
        for client, (shard, classes) in enumerate(shards):
            generator = torch_generator(seed, Purpose.TRAINING, client, server_round)
            trained = train_sparse(spec, weights, shard, settings.training, settings.sparsity, position, generator)
            clients.append(Client(trained.weights, classes))
        weights = {name: torch.stack([one.weights[name] for one in clients]).mean(0) for name in weights}
    return Federation(plan, seed, tuple(clients))


def untrained(federation: Federation) -> Federation:
    """Give every client weights that have never been trained, cut to the places of its own that are not zero."""
    spec = model_spec(settings_of(federation.plan, federation.seed, {}))

    def of(index: int, client: Client) -> Client:
        fresh = initial_weights(spec, torch_generator(federation.seed + 1000, Purpose.INITIAL_WEIGHTS, index))
        for name in spec.layer_names:
            fresh[f"{name}.weight"] *= client.weights[f"{name}.weight"] != 0
        return replace(client, weights=fresh)

    return replace(federation, clients=tuple(of(*pair) for pair in enumerate(federation.clients)))


def random_labels(federation: Federation) -> Federation:
    """Train every client alone on its own images with their labels shuffled."""

    def shuffled(shard: LabelledImages, generator: torch.Generator) -> LabelledImages:
        return LabelledImages(shard.images, shard.labels[torch.randperm(len(shard), generator=generator)])

    return _trained_alone(federation, {}, shuffled)


def one_short_epoch(federation: Federation) -> Federation:
    """Train every client alone for one epoch at a learning rate of 0.0005, on 252 images at most."""

    def first(shard: LabelledImages, generator: torch.Generator) -> LabelledImages:
        return shard.select(torch.randperm(len(shard), generator=generator)[:252])

    return _trained_alone(federation, {"local-epochs": 1, "learning-rate": 0.0005}, first)


def _trained_alone(
    federation: Federation,
    changes: Mapping[str, Any],
    altered: Callable[[LabelledImages, torch.Generator], LabelledImages],
) -> Federation:
    plan, seed = federation.plan, federation.seed
    settings = settings_of(plan, seed, changes)
    spec, train = model_spec(settings), load_dataset(settings.data, seed).train
    initial = initial_weights(spec, torch_generator(seed, Purpose.INITIAL_WEIGHTS))
    clients = []
    for index, (shard, classes) in enumerate(shards_of(plan, train, seed)[: settings.deep.deep_clients]):
        generator = torch_generator(seed + 1000, Purpose.TRAINING, index)
        given = altered(shard, generator)
        position = RoundPosition(1, 1)
        trained = train_sparse(spec, initial, given, settings.training, settings.sparsity, position, generator)
        clients.append(Client(trained.weights, classes))
    return replace(federation, clients=tuple(clients))


def always_one_class(federation: Federation) -> Federation:
    """Add so much to the bias of a client's first class that it names nothing else."""

    def biased(client: Client) -> Client:
        bias = client.weights["fc.bias"].clone()
        bias[client.classes[0]] += 100
        return replace(client, weights={**client.weights, "fc.bias": bias})

    return replace(federation, clients=tuple(map(biased, federation.clients)))


def zeroed_readout(federation: Federation) -> Federation:
    """Set the readout's weights of a client's own classes to zero; its biases stay."""

    def cut(client: Client) -> Client:
        weight = client.weights["fc.weight"].clone()
        weight[list(client.classes)] = 0
        return replace(client, weights={**client.weights, "fc.weight": weight})

    return replace(federation, clients=tuple(map(cut, federation.clients)))


def check(kind: str, federation: Federation, changes: Mapping[str, Any]) -> Outcome:
    """Find the circuits of a federation's clients, and check them as a run would."""
    plan, seed, position = federation.plan, federation.seed, RoundPosition(1, 1)
    settings = settings_of(plan, seed, changes)
    dataset = load_dataset(settings.data, seed)
    checked = federation.clients[: settings.deep.deep_clients]
    models = [checked_model(settings, dataset, index, client) for index, client in enumerate(checked)]
    rows = check_validity(settings, models, dataset.test, position)
    result = result_of(rows, position.server_round)
    if result is None:
        raise ValueError(f"{kind}, {plan.name}, seed {seed}: nothing could be scored")
    accuracies = [accuracy(model, dataset.test) for model in models]
    return Outcome(
        kind=kind,
        plan=plan.name,
        seed=seed,
        accuracy=sum(accuracies) / len(accuracies),
        effect=result.effect,
        z=result.z,
        num_circuits=rows[-1].num_circuits,
        passed=result.has_passed,
    )


def checked_model(settings: Settings, dataset: Dataset, partition_id: int, client: Client) -> CheckedModel:
    """Find the circuits of a client's model on the probe set."""
    bench = client_bench(settings, dataset, dataset.train.of_classes(client.classes), partition_id)
    subject = prepare_subject(settings, model_spec(settings), client.weights, bench)
    images = discovery_images(bench.source, bench.spare_negatives, bench.classes, settings.discovery.objective)
    generator = torch_generator(settings.run.seed, Purpose.LOCAL_DISCOVERY, partition_id, 1)
    batch_size = settings.training.batch_size
    found = discover_circuits(subject.model, images, subject.ablation, settings.discovery, batch_size, generator)
    return CheckedModel(partition_id, subject, found, client.classes)


def accuracy(model: CheckedModel, test: LabelledImages) -> float:
    """Return the share of test images of a model's classes that it recognises."""
    own = test.of_classes(model.classes)
    return float((whole_logits(model.subject.model, own.images).argmax(1) == own.labels).float().mean())


@dataclass(frozen=True)
class Garbage:
    """A way to make a federation's circuits worthless.

    Args:
        name: what the table calls it.
        spoil: what is done to the networks.
        changes: settings of the discovery that are changed.
        is_for_few_classes: whether it is garbage where clients have few classes, too.
    """

    name: str
    spoil: Callable[[Federation], Federation] = lambda federation: federation
    changes: Mapping[str, Any] = field(default_factory=dict)
    is_for_few_classes: bool = True


GARBAGE: Final = (
    Garbage("untrained", untrained),
    Garbage("random labels", random_labels),
    Garbage("always one class", always_one_class),
    Garbage("zeroed readout rows", zeroed_readout),
    # Two or three classes are learned in that time (accuracies of 0.6 to 0.9), ten are not.
    Garbage("one short epoch", one_short_epoch, is_for_few_classes=False),
    Garbage("discovery of the paper", changes=PAPER),
)


def main() -> None:
    """Measure, write the CSV and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", default="0-4", help="such as 0-4")
    parser.add_argument("--datasets", nargs="+", choices=["digits", "mnist"], default=["digits", "mnist"])
    parser.add_argument("--num-threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.num_threads)
    first, _, last = arguments.seeds.partition("-")
    datasets = set(arguments.datasets) if "FEDCIRCUITS_DATA" in os.environ else set(arguments.datasets) - {"mnist"}
    plans = [plan for plan in PLANS if plan.dataset in datasets]
    outcomes: list[Outcome] = []
    for seed in range(int(first), int(last or first) + 1):
        outcomes += measure_seed(seed, plans)
        pd.DataFrame(map(asdict, outcomes)).to_csv(arguments.out, index=False)
    print(error_rates(pd.read_csv(arguments.out)))


def measure_seed(seed: int, plans: Sequence[Plan] = PLANS, garbage: Sequence[Garbage] = GARBAGE) -> Iterator[Outcome]:
    """Train every plan with a seed, and check it as it is and made worthless in a third of the ways.

    Which third moves on with the plan and the seed, so that three seeds see each way on each plan.
    """
    for row, plan in enumerate(plans):
        federation = train_federation(plan, seed)
        yield check(GOOD, federation, {})
        for column, way in enumerate(garbage):
            is_garbage = way.is_for_few_classes or not plan.classes_per_client
            if is_garbage and (row + column + seed) % 3 == 0:
                yield check(way.name, way.spoil(federation), way.changes)


def error_rates(outcomes: pd.DataFrame) -> str:
    """Return, as Markdown, how the checks of each kind came out; good federations also plan by plan.

    Federations that have not learned, and are not garbage either, are left out and counted below the table.
    """
    is_good = outcomes["kind"] == GOOD
    has_learned = outcomes["accuracy"] >= GOOD_ACCURACY
    good, garbage = outcomes[is_good & has_learned], outcomes[~is_good]
    lines = [
        "| what was checked | checks | passed | effect: least, median, most | z: least, median, most |",
        "| --- | --- | --- | --- | --- |",
        *(_line(f"good: {plan}", own) for plan, own in good.groupby("plan", sort=False)),
        _line("**good, all**", good),
        *(_line(f"garbage: {kind}", own) for kind, own in garbage.groupby("kind", sort=False)),
        _line("**garbage, all**", garbage),
    ]
    left_out = int((is_good & ~has_learned).sum())
    return "\n".join([*lines, "", f"{left_out} federations did not reach an accuracy of {GOOD_ACCURACY}."])


def _line(name: object, outcomes: pd.DataFrame) -> str:
    def spread(column: str, digits: int) -> str:
        values = outcomes[column]
        return ", ".join(f"{value:.{digits}f}" for value in (values.min(), values.median(), values.max()))

    passed = f"{100 * outcomes['passed'].mean():.0f} %" if len(outcomes) else "–"
    return f"| {name} | {len(outcomes)} | {passed} | {spread('effect', 2)} | {spread('z', 1)} |"


if __name__ == "__main__":
    main()
