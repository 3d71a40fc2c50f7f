"""One client's part of a round: train and study its own model, then study the new global model.

Both halves are pure given their arguments; the app around them only decodes and encodes messages.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.quality import ClassAccuracy, class_accuracies
from fedcircuits.circuits.study import Bench, Study, measure_circuits, prepare_subject, study_model
from fedcircuits.circuits.verdicts import CircuitQuality
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import Weights, build_model
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import DataKind
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.training.local import RoundPosition, TrainedModel, train_sparse


@dataclass(frozen=True)
class LocalUpdate:
    """A client's trained model; `study` is None in rounds without circuits.

    A client that does not tell classes apart in what it reports has neither accuracy nor study.
    """

    trained: TrainedModel
    accuracy: list[ClassAccuracy]
    study: Study | None
    train_seconds: float
    discovery_seconds: float


@dataclass(frozen=True)
class GlobalView:
    """The new global model as a client sees it: its own circuits transplanted, and circuits found on its own images.

    `study` is None where circuits are found on the probe set: there the server finds the global model's itself.
    """

    study: Study | None
    transplant: list[CircuitQuality]
    evaluate_seconds: float


def train_client(
    settings: Settings,
    spec: ModelSpec,
    weights: Weights,
    train: LabelledImages,
    bench: Bench,
    partition_id: int,
    position: RoundPosition,
    told_apart: Collection[int],
) -> LocalUpdate:
    """Train on the client's images, then find and measure the circuits of the trained model if they are reported.

    Args:
        settings: of the run.
        spec: the network's shape.
        weights: the global weights that the round starts from.
        train: the client's images.
        bench: the images that its circuits are found and measured on.
        partition_id: the client.
        position: the round.
        told_apart: classes that circuits must tell apart where they are found on the probe set.
    """
    generator = torch_generator(settings.run.seed, Purpose.TRAINING, partition_id, position.server_round)
    started = time.perf_counter()
    trained = train_sparse(spec, weights, train, settings.training, settings.sparsity, position, generator)
    train_seconds = time.perf_counter() - started
    if not settings.privacy.reports_classes:
        return LocalUpdate(trained, [], None, train_seconds, 0.0)
    accuracy = class_accuracies(build_model(spec, trained.weights, train.device), bench.test)
    started = time.perf_counter()
    study = None
    if settings.discovery.is_circuit_round(position.server_round, position.num_rounds):
        held = train.labels.unique().tolist()
        asking = bench.asking(told_apart)
        subject = prepare_subject(settings, spec, trained.weights, asking)
        study = study_model(settings, subject, asking, position, held, Purpose.LOCAL_DISCOVERY)
    return LocalUpdate(trained, accuracy, study, train_seconds, time.perf_counter() - started)


def view_global(
    settings: Settings,
    spec: ModelSpec,
    weights: Weights,
    bench: Bench,
    position: RoundPosition,
    local: Circuits,
    trained_classes: Collection[int],
) -> GlobalView:
    """Run the client's circuits on the global weights, and find the global model's circuits on the client's images.

    Args:
        settings: of the run.
        spec: the network's shape.
        weights: the new global weights.
        bench: the client's.
        position: the round.
        local: the circuits of the client's own model of the same round.
        trained_classes: classes that any client of the round trained on.
    """
    started = time.perf_counter()
    subject = prepare_subject(settings, spec, weights, bench)
    study = None
    if bench.data is DataKind.CLIENT:
        study = study_model(settings, subject, bench, position, trained_classes, Purpose.GLOBAL_DISCOVERY)
    transplant = measure_circuits(settings, subject, bench, local, trained_classes)
    return GlobalView(study, transplant, time.perf_counter() - started)
