"""Small federations that train in this process, and ways to make their networks worthless.

Networks are made worthless as it may happen to anybody without being noticed: not trained, not enough, on wrong
labels, or with a readout that does not look at its features.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch
from torch import Tensor

from fedcircuits.data.datasets import LabelledImages, load_dataset
from fedcircuits.networks.cnn import Weights, initial_weights
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.settings.app_config import app_defaults
from fedcircuits.settings.config_values import ClassIds
from fedcircuits.training.local import RoundPosition, train_sparse

DATA_VARIABLE: Final = "FEDCIRCUITS_DATA"
"""The environment variable that names the folder of torchvision's dataset files."""


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
        changes: settings that are not the defaults.
    """

    name: str
    dataset: str
    num_clients: int
    classes_per_client: int
    sparsity: float
    num_rounds: int
    changes: Mapping[str, Any] = field(default_factory=dict)


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


def seed_range(text: str) -> range:
    """Read seeds such as 0-4 from the command line."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def settings_of(plan: Plan, seed: int, changes: Mapping[str, Any]) -> Settings:
    """Return the app's defaults with what a plan and a kind change."""
    shared = {
        "dataset": plan.dataset,
        "data-dir": os.environ.get(DATA_VARIABLE, "data"),
        "sparsity": plan.sparsity,
        "discovery-data": "server",
        "seed": seed,
        **plan.changes,
    }
    return Settings.from_config({**app_defaults(), **shared, **changes})


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
    """Train the clients of a plan."""
    settings = settings_of(plan, seed, {})
    shards = shards_of(plan, load_dataset(settings.data, seed).train, seed)
    models = train_clients(settings, [shard for shard, _ in shards], plan.num_rounds)
    clients = tuple(Client(model, classes) for model, (_, classes) in zip(models, shards, strict=True))
    return Federation(plan, seed, clients)


def train_clients(settings: Settings, shards: Sequence[LabelledImages], num_rounds: int) -> list[Weights]:
    """Train with plain averaging, and return the clients' models of the last round before they are averaged."""
    spec, seed = settings.spec, settings.run.seed
    weights: Weights = initial_weights(spec, torch_generator(seed, Purpose.INITIAL_WEIGHTS))
    models: list[Weights] = []
    for server_round in range(1, num_rounds + 1):
        position, models = RoundPosition(server_round, num_rounds), []
        for client, shard in enumerate(shards):
            generator = torch_generator(seed, Purpose.TRAINING, client, server_round)
            trained = train_sparse(spec, weights, shard, settings.training, settings.sparsity, position, generator)
            models.append(trained.weights)
        weights = mean_of(models)
    return models


def mean_of(models: Sequence[Weights]) -> Weights:
    """Return the plain mean of models."""
    return {name: torch.stack([model[name] for model in models]).mean(0) for name in models[0]}


def untrained(federation: Federation) -> Federation:
    """Give every client weights that have never been trained, cut to the places of its own that are not zero."""
    spec = settings_of(federation.plan, federation.seed, {}).spec

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
    spec, train = settings.spec, load_dataset(settings.data, seed).train
    initial = initial_weights(spec, torch_generator(seed, Purpose.INITIAL_WEIGHTS))
    clients = []
    for index, (shard, classes) in enumerate(shards_of(plan, train, seed)[: settings.examination.examination_clients]):
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
