"""A round of the product without Flower: its core functions in a plain loop over clients."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fedcircuits.circuits.quality import class_accuracies
from fedcircuits.circuits.study import Bench, client_bench, prepare_subject, server_bench, study_model
from fedcircuits.data.datasets import Dataset, LabelledImages, load_dataset
from fedcircuits.data.partitions import client_images
from fedcircuits.federation.local_round import GlobalView, LocalUpdate, train_client, view_global
from fedcircuits.networks.cnn import Weights, build_model
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.seeding import Purpose
from fedcircuits.settings import Settings
from fedcircuits.training.local import RoundPosition


@dataclass(frozen=True)
class Federation:
    """Everything that a federation's rounds need, on one device; lists are by partition."""

    settings: Settings
    spec: ModelSpec
    dataset: Dataset
    trains: Sequence[LabelledImages]
    benches: Sequence[Bench]

    @classmethod
    def load(cls, settings: Settings, num_clients: int, device: str = "cpu") -> "Federation":
        """Load the data and split it."""
        dataset = load_dataset(settings.data, settings.run.seed)
        split = [
            client_images(dataset.train, settings.data, num_clients, partition_id, settings.run.seed)
            for partition_id in range(num_clients)
        ]
        trains, dataset = [part.to(torch.device(device)) for part in split], dataset.to(torch.device(device))
        benches = [client_bench(settings, dataset, train, i) for i, train in enumerate(trains)]
        return cls(settings, settings.spec, dataset, trains, benches)

    @property
    def trained_classes(self) -> list[int]:
        """Classes that any client holds."""
        return sorted({class_id for train in self.trains for class_id in train.labels.unique().tolist()})

    @property
    def server_bench(self) -> Bench:
        """The server's bench, with the classes that were trained on."""
        bench = server_bench(self.settings, self.dataset).asking(self.trained_classes)
        return replace(bench, classes=tuple(self.trained_classes))


def train_phase(
    federation: Federation, weights: Weights, position: RoundPosition, partitions: Sequence[int]
) -> list[LocalUpdate]:
    """Let some clients train and study their models."""
    settings, spec = federation.settings, federation.spec
    return [
        train_client(
            settings,
            spec,
            weights,
            federation.trains[i],
            federation.benches[i],
            i,
            position,
            federation.trained_classes,
        )
        for i in partitions
    ]


def average(federation: Federation, updates: Sequence[LocalUpdate], partitions: Sequence[int]) -> dict[str, Tensor]:
    """Return the mean of the clients' weights, as the settings weigh them."""
    is_plain = federation.settings.federation.weighting == "plain"
    sizes = [1 if is_plain else len(federation.trains[i]) for i in partitions]
    return {
        name: sum(size / sum(sizes) * update.trained.weights[name] for size, update in zip(sizes, updates, strict=True))
        for name in updates[0].trained.weights
    }


def evaluate_phase(
    federation: Federation,
    weights: Weights,
    position: RoundPosition,
    updates: Sequence[LocalUpdate],
    partitions: Sequence[int],
) -> list[GlobalView]:
    """Let clients look at the new global model, if their round has circuits."""
    settings, classes = federation.settings, federation.trained_classes
    return [
        view_global(settings, federation.spec, weights, federation.benches[i], position, update.study.circuits, classes)
        for i, update in zip(partitions, updates, strict=True)
        if update.study is not None
    ]


def server_phase(federation: Federation, weights: Weights, position: RoundPosition) -> None:
    """Take the global model's accuracy and, in a round with circuits, study it on the server's images."""
    settings, spec, bench = federation.settings, federation.spec, federation.server_bench
    class_accuracies(build_model(spec, weights, bench.test.device), bench.test)
    if settings.discovery.is_circuit_round(position.server_round, position.num_rounds):
        subject = prepare_subject(settings, spec, weights, bench)
        study_model(settings, subject, bench, position, federation.trained_classes, Purpose.GLOBAL_DISCOVERY)


def whole_round(federation: Federation, weights: Weights, position: RoundPosition) -> dict[str, Tensor]:
    """Run a round of all clients and return the new global weights."""
    partitions = range(len(federation.trains))
    updates = train_phase(federation, weights, position, partitions)
    new_weights = average(federation, updates, partitions)
    evaluate_phase(federation, new_weights, position, updates, partitions)
    server_phase(federation, new_weights, position)
    return new_weights
