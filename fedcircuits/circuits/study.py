"""Study one model: find its circuits on some images, find them again on others where that is due, and measure them.

Circuits of two models say something about the models only if both were asked the same question: the same images, and
the same classes to be told apart. So circuits that are to be compared are found on the server's probe set, in two
halves that share no image and are the same for every model: the circuits of one half are the model's, those of the
other half say how far images alone change them. On a client's own images circuits are found once, on all of them.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache

from jaxtyping import Bool, Float
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.connectivity import alive_kernels, reachable_channels
from fedcircuits.circuits.discovery import (
    Negatives,
    ablation_values,
    discover_circuits,
    discovery_images,
)
from fedcircuits.circuits.quality import circuit_qualities
from fedcircuits.circuits.verdicts import CircuitQuality
from fedcircuits.data.datasets import Dataset, LabelledImages, stratified_split
from fedcircuits.networks.cnn import GateSite, SparseCNN, Weights, build_model
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import DataKind
from fedcircuits.seeding import SERVER, Purpose, numpy_generator, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.settings.config_values import ClassIds
from fedcircuits.training.local import RoundPosition

_RETEST = {Purpose.LOCAL_DISCOVERY: Purpose.RETEST_LOCAL, Purpose.GLOBAL_DISCOVERY: Purpose.RETEST_GLOBAL}


@dataclass(frozen=True)
class Bench:
    """The images that models are studied on, by one client or by the server.

    Args:
        partition_id: the client whose own images are the source; `SERVER` for the probe set, whose images, and so
            their draws, are the same whoever looks at them.
        source: images that circuits are found on.
        second_source: as many others, for the retest; None where circuits are found once.
        reference: images that ablation means are taken over; circuits of different clients are defined against the
            same reference only if it is the common probe set.
        spare_negatives: where to take images of other classes if `source` holds a single class; None = nowhere.
        test: held-out images that every score comes from.
        classes: classes whose circuits are looked for, ascending.
    """

    partition_id: int
    source: LabelledImages
    second_source: LabelledImages | None
    reference: LabelledImages
    spare_negatives: LabelledImages | None
    test: LabelledImages
    classes: ClassIds

    @property
    def data(self) -> DataKind:
        """Whose images the source is."""
        return DataKind.SERVER if self.partition_id == SERVER else DataKind.CLIENT

    def asking(self, told_apart: Collection[int]) -> "Bench":
        """Return the bench with the probe set's images of some classes only; a client's own images stay what they are.

        Args:
            told_apart: the classes that circuits must tell apart, the same for every model that is compared.
        """
        if self.data is DataKind.CLIENT:
            return self
        second = None if self.second_source is None else self.second_source.of_classes(told_apart)
        return replace(self, source=self.source.of_classes(told_apart), second_source=second)


@dataclass(frozen=True)
class Study:
    """What was found in one model.

    Args:
        circuits: one per class.
        retest: those of the second source; None if none were due, or if it lacks a class.
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


@lru_cache(maxsize=2)
def probe_halves(probe: LabelledImages, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Split the probe set by class into two halves without a common image; once per process."""
    return stratified_split(probe, 0.5, numpy_generator(seed, Purpose.PROBE_HALVES))


def client_bench(settings: Settings, dataset: Dataset, train: LabelledImages, partition_id: int) -> Bench:
    """Return the bench of a client that holds `train`; the probe set is on it only as far as the settings allow."""
    held = train.labels.unique().tolist()
    classes = tuple(c for c in settings.searched_classes if c in held)
    if settings.discovery.finds_on_probe:
        return probe_bench(settings, dataset, classes)
    shared = dataset.probe if settings.discovery.share_probe else None
    return Bench(partition_id, train, None, train if shared is None else shared, shared, dataset.test, classes)


def own_bench(settings: Settings, train: LabelledImages, test: LabelledImages, partition_id: int) -> Bench:
    """Return the bench of a client that has images of its own and nothing else."""
    held = train.labels.unique().tolist()
    classes = tuple(c for c in settings.searched_classes if c in held)
    return Bench(partition_id, train, None, train, None, test, classes)


def probe_bench(settings: Settings, dataset: Dataset, classes: ClassIds) -> Bench:
    """Return the bench on which circuits are found that are compared: the probe set's halves.

    Args:
        settings: of the run; its seed decides the halves.
        dataset: has the probe set.
        classes: classes whose circuits are looked for, ascending.
    """
    first, second = probe_halves(dataset.probe, settings.run.seed)
    return Bench(SERVER, first, second, dataset.probe, None, dataset.test, classes)


def server_bench(settings: Settings, dataset: Dataset) -> Bench:
    """Return the bench of the server, for all classes that the settings ask for."""
    return probe_bench(settings, dataset, settings.searched_classes)


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
        position: the round.
        trained_classes: classes that the model was trained on.
        purpose: `LOCAL_DISCOVERY` or `GLOBAL_DISCOVERY`.
    """
    circuits, retest, negatives = find_circuits(settings, subject, bench, position, trained_classes, purpose)
    return Study(circuits, retest, measure_circuits(settings, subject, bench, circuits, trained_classes), negatives)


def find_circuits(
    settings: Settings,
    subject: Subject,
    bench: Bench,
    position: RoundPosition,
    trained_classes: Collection[int],
    purpose: Purpose,
) -> tuple[Circuits, Circuits | None, Negatives]:
    """Find the circuits of a model, and find them again on the second source where a retest is due.

    Args:
        settings: of the run.
        subject: the model, prepared on `bench`.
        bench: the images to use.
        position: the round; with the purpose and the bench's partition it seeds the draws.
        trained_classes: classes that the model was trained on.
        purpose: `LOCAL_DISCOVERY` or `GLOBAL_DISCOVERY`.

    Returns:
        the circuits; those of the second source, None if none are due or if it lacks a class; and where images of other
        classes came from.
    """

    def discover(source: LabelledImages, purpose: Purpose) -> tuple[Circuits, Negatives]:
        images = discovery_images(source, bench.spare_negatives, bench.classes, settings.discovery.objective)
        generator = torch_generator(settings.run.seed, purpose, bench.partition_id, position.server_round)
        circuits = discover_circuits(
            subject.model,
            images,
            subject.ablation,
            settings.discovery,
            settings.training.batch_size,
            generator,
            trained_classes,
        )
        return circuits, images.negatives

    circuits, negatives = discover(bench.source, purpose)
    if bench.second_source is None or not settings.discovery.is_retest_round(position.server_round):
        return circuits, None, negatives
    retest, _ = discover(bench.second_source, _RETEST[purpose])
    return circuits, retest if retest.class_ids == circuits.class_ids else None, negatives


def measure_circuits(
    settings: Settings, subject: Subject, bench: Bench, circuits: Circuits, trained_classes: Collection[int]
) -> list[CircuitQuality]:
    """Measure circuits in a model, which need not be the one they were found in (a transplant)."""
    site = GateSite(settings.discovery.gate_site)
    return circuit_qualities(
        subject.model, circuits, subject.reachable, subject.ablation, site, bench.test, trained_classes
    )
