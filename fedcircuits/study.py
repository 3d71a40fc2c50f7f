"""Study one model: find its circuits on some images, find them again where a retest is due, and measure them."""

from collections.abc import Collection
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from fedcircuits.circuits import Circuits
from fedcircuits.config_values import ClassIds
from fedcircuits.connectivity import alive_kernels, reachable_channels
from fedcircuits.data import Dataset, LabelledImages
from fedcircuits.discovery import (
    Negatives,
    ablation_values,
    discover_circuits,
    discovery_images,
)
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import GateSite, SparseCNN, Weights, build_model
from fedcircuits.quality import circuit_qualities
from fedcircuits.seeding import SERVER, Purpose, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.training import RoundPosition
from fedcircuits.verdicts import CircuitQuality

_RETEST = {Purpose.LOCAL_DISCOVERY: Purpose.RETEST_LOCAL, Purpose.GLOBAL_DISCOVERY: Purpose.RETEST_GLOBAL}


@dataclass(frozen=True)
class Bench:
    """The images that models are studied on, by one client or by the server.

    Args:
        partition_id: the client; `SERVER` for the server.
        source: images that circuits are found on.
        reference: images that ablation means are taken over; circuits of different clients are defined against the
            same reference only if it is the common probe set.
        spare_negatives: where to take images of other classes if `source` holds a single class; None = nowhere.
        test: held-out images that every score comes from.
        classes: classes whose circuits are looked for, ascending.
    """

    partition_id: int
    source: LabelledImages
    reference: LabelledImages
    spare_negatives: LabelledImages | None
    test: LabelledImages
    classes: ClassIds


@dataclass(frozen=True)
class Study:
    """What was found in one model.

    Args:
        circuits: one per class.
        retest: a second, independent discovery; None if none was due.
        quality: one entry per circuit, on the test set.
        negatives: where images of other classes came from.
    """

    circuits: Circuits
    retest: Circuits | None
    quality: list[CircuitQuality]
    negatives: Negatives


@dataclass(frozen=True)
class Subject:
    """A model on a bench, with what every look at it needs.

    Args:
        model: the network, on the bench's device.
        reachable: `[channel]`, channels that carry signal.
        ablation: `[channel]`, what a channel that is off becomes.
    """

    model: SparseCNN
    reachable: Bool[Tensor, " channel"]
    ablation: Float[Tensor, " channel"]


def client_bench(settings: Settings, dataset: Dataset, train: LabelledImages, partition_id: int) -> Bench:
    """Return the bench of a client that holds `train`; the probe set is on it only as far as the settings allow."""
    shared = dataset.probe if settings.discovery.share_probe else None
    held = train.labels.unique().tolist()
    return Bench(
        partition_id=partition_id,
        source=dataset.probe if settings.discovery.discovery_data == "server" else train,
        reference=train if shared is None else shared,
        spare_negatives=shared,
        test=dataset.test,
        classes=tuple(c for c in settings.circuit_classes if c in held),
    )


def own_bench(settings: Settings, train: LabelledImages, test: LabelledImages, partition_id: int) -> Bench:
    """Return the bench of a client that has images of its own and nothing else."""
    held = train.labels.unique().tolist()
    classes = tuple(c for c in settings.circuit_classes if c in held)
    return Bench(partition_id, train, train, None, test, classes)


def server_bench(settings: Settings, dataset: Dataset) -> Bench:
    """Return the bench of the server, which finds circuits on its probe set."""
    return Bench(SERVER, dataset.probe, dataset.probe, None, dataset.test, settings.circuit_classes)


def prepare_subject(settings: Settings, spec: ModelSpec, weights: Weights, bench: Bench) -> Subject:
    """Put a model on a bench; studies of it and transplants into it share what is worked out here."""
    model = build_model(spec, weights, bench.source.device)
    ablation = ablation_values(model, bench.reference, settings.discovery)
    return Subject(model, reachable_channels(spec, alive_kernels(spec, weights)), ablation)


def study_model(
    settings: Settings,
    subject: Subject,
    bench: Bench,
    position: RoundPosition,
    trained_classes: Collection[int],
    purpose: Purpose,
) -> Study:
    """Find and measure the circuits of a model.

    Args:
        settings: of the run.
        subject: the model, prepared on `bench`.
        bench: the images to use.
        position: the round; with the purpose and the partition it seeds the discovery.
        trained_classes: classes that the model was trained on.
        purpose: `LOCAL_DISCOVERY` or `GLOBAL_DISCOVERY`.
    """
    images = discovery_images(bench.source, bench.spare_negatives, bench.classes, settings.discovery.objective)

    def discover(purpose: Purpose) -> Circuits:
        generator = torch_generator(settings.run.seed, purpose, bench.partition_id, position.server_round)
        batch_size = settings.training.batch_size
        return discover_circuits(subject.model, images, subject.ablation, settings.discovery, batch_size, generator)

    circuits = discover(purpose)
    is_retest = settings.discovery.is_retest_round(position.server_round)
    return Study(
        circuits=circuits,
        retest=discover(_RETEST[purpose]) if is_retest else None,
        quality=measure_circuits(settings, subject, bench, circuits, trained_classes),
        negatives=images.negatives,
    )


def measure_circuits(
    settings: Settings, subject: Subject, bench: Bench, circuits: Circuits, trained_classes: Collection[int]
) -> list[CircuitQuality]:
    """Measure circuits in a model, which need not be the one they were found in (a transplant)."""
    site = GateSite(settings.discovery.gate_site)
    return circuit_qualities(
        subject.model, circuits, subject.reachable, subject.ablation, site, bench.test, trained_classes
    )
