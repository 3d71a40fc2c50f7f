"""A round under the lens: every examination of its models, and what each of them cost.

The server takes them, because it alone has all clients' weights; all of them use its held-out images: readouts are
fitted and channels matched on the probe set, and everything is scored on the same balanced sample of the test set.
"""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import combinations
from statistics import fmean
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from fedcircuits.alignment.barriers import measure_barrier
from fedcircuits.alignment.circuits import AlignedModel
from fedcircuits.alignment.pairs import align_pair
from fedcircuits.circuits.circuit import no_circuits
from fedcircuits.circuits.connectivity import alive_kernels, reachable_channels
from fedcircuits.circuits.found import Couples, FoundCircuits
from fedcircuits.circuits.scores import balanced_sample
from fedcircuits.circuits.study import Subject, prepare_subject, server_bench
from fedcircuits.comparisons.rows import Row
from fedcircuits.data.datasets import Dataset
from fedcircuits.examination.activations import activation_retention
from fedcircuits.examination.alternatives import CentralTraining, train_centrally
from fedcircuits.examination.faithfulness import nested_curves
from fedcircuits.examination.identifiability import circuits_of_copy, with_other_negatives
from fedcircuits.examination.ladder import FIT_IMAGES, climb_ladder
from fedcircuits.examination.patching import patch_circuits
from fedcircuits.examination.round_models import ClientModel, RoundModels
from fedcircuits.examination.scrutiny import scrutinise
from fedcircuits.examination.swaps import swap_circuits
from fedcircuits.examination.transfer import Party, transfer_circuits
from fedcircuits.networks.cnn import GateSite, Weights, initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import Comparison
from fedcircuits.seeding import SERVER, Purpose, torch_generator
from fedcircuits.settings import Settings

Tables = dict[str, list[Row]]
"""Table name to its rows of one round."""


class Examiner:
    """Takes the examinations of a run.

    Args:
        settings: of the run.
        spec: the network's shape.
        dataset: gives probe and test set, on the device to use.
    """

    def __init__(self, settings: Settings, spec: ModelSpec, dataset: Dataset) -> None:
        self._settings = settings
        self._spec = spec
        self._bench = server_bench(settings, dataset)
        self._probe_set = dataset.probe
        self._all_classes = tuple(range(spec.num_classes))
        sampling = torch_generator(settings.run.seed, Purpose.EXAMINATION_IMAGES)
        self._test = balanced_sample(dataset.test, self._all_classes, settings.examination.examination_images, sampling)
        self._probe = balanced_sample(
            dataset.probe, self._all_classes, settings.examination.examination_images, sampling
        )
        self._site = GateSite(settings.discovery.gate_site)

    def examine(self, models: RoundModels) -> Tables:
        """Take every examination that has a table of its own, and return the rows of these tables and of `costs`."""
        measures = {
            "scrutiny": self._scrutiny,
            "alignment": self._alignment,
            "barriers": self._barriers,
            "swaps": self._swaps,
            "transfer": self._transfer,
            "patching": self._patching,
            "ladder": self._ladder,
        }
        identity = {"round": models.position.server_round}
        tables: Tables = {"costs": []}
        for name, measure in measures.items():
            started = time.perf_counter()
            for table, rows in measure(models).items():
                tables[table] = [identity | row for row in rows]
            tables["costs"].append(identity | {"measure": name, "seconds": time.perf_counter() - started})
        return tables

    def controls(self, models: RoundModels) -> dict[Comparison, Couples]:
        """Find circuits that differ only in what they were asked, or by a little noise, to compare overlap with.

        Returns:
            the first chosen client's circuits, with one part of the other classes as negatives and with the other part;
            and the chosen clients' circuits with those of slightly changed copies. Nothing of clients whose circuits
            were not found twice on the probe set.
        """
        chosen = [
            (client, client.found)
            for client in self._chosen(models)
            if client.found is not None and client.found.retest is not None
        ]
        asked = (self._settings, self._spec, self._bench, models.position)
        return {
            Comparison.OTHER_NEGATIVES: [
                couple for client, found in chosen[:1] for couple in with_other_negatives(*asked, client, found)
            ],
            Comparison.PERTURBED_COPY: [(found, circuits_of_copy(*asked, client, found)) for client, found in chosen],
        }

    def retention(self, models: RoundModels) -> dict[str, float | None]:
        """Return the activation retention of each convolution."""
        clients = [client.weights for client in models.clients]
        images = self._probe.images
        return activation_retention(self._spec, clients, models.average, images, images.device)

    def _scrutiny(self, models: RoundModels) -> Tables:
        """Look closely at the circuits of chosen clients, and at those of the global model on the server's data."""
        tables: Tables = {"curves": [], "scrutiny": []}
        looks = [(c.weights, c.found, models.told_apart(c)) for c in self._chosen(models)]
        average = (models.average, models.found, models.trained_classes or self._all_classes)
        for weights, found, classes in [*looks, average]:
            if found is None:
                continue
            identity = {"model": str(found.model), "partition_id": found.partition_id, "data": str(found.question.data)}
            subject = self._subject(weights)
            partition = SERVER if found.partition_id is None else found.partition_id
            generator = self._draws(Purpose.SCRUTINY, models, partition)
            curves = nested_curves(subject, found.circuits, self._test, classes, self._site)
            draws = self._settings.examination.examination_draws
            scrutiny = scrutinise(subject, found.circuits, self._test, classes, self._site, draws, generator)
            tables["curves"] += _rows(curves, identity)
            tables["scrutiny"] += _rows(scrutiny, identity)
        return tables

    def _alignment(self, models: RoundModels) -> Tables:
        """Match the channels of every two chosen clients, and of each of them with the average."""
        generator = self._draws(Purpose.ALIGNMENT, models)
        rows: list[Row] = []
        for first, second in self._pairs(models):
            entries = align_pair(
                self._spec, first, second, self._probe.images, self._settings.examination.examination_draws, generator
            )
            rows += _rows(entries)
        return {"alignment": rows}

    def _barriers(self, models: RoundModels) -> Tables:
        """Walk between the same pairs as `_alignment`."""
        barriers = [
            measure_barrier(
                self._spec,
                (first.partition_id, first.weights),
                (second.partition_id, second.weights),
                self._probe,
            )
            for first, second in self._pairs(models)
        ]
        return {"barriers": _rows(barriers)}

    def _swaps(self, models: RoundModels) -> Tables:
        """Run circuits of chosen clients and of the average in each other's weights."""
        rows: list[Row] = []
        average = self._subject(models.average)
        for client in self._chosen(models):
            if client.found is None or client.found_global is None:
                continue
            local = (self._subject(client.weights), client.found.circuits)
            swaps = swap_circuits(
                client.partition_id,
                local,
                (average, client.found_global.circuits),
                self._test,
                models.told_apart(client),
                self._site,
            )
            rows += _rows(swaps)
        return {"swaps": rows}

    def _transfer(self, models: RoundModels) -> Tables:
        """Run circuits of chosen clients in each other's weights."""
        parties = [
            Party(client.partition_id, self._subject(client.weights), client.found.circuits, models.told_apart(client))
            for client in self._chosen(models)
            if client.found is not None
        ]
        entries = transfer_circuits(parties, self._test, self._site, self._draws(Purpose.TRANSFER, models))
        return {"transfer": _rows(entries)}

    def _patching(self, models: RoundModels) -> Tables:
        """Put circuits of chosen clients back into the average."""
        generator = self._draws(Purpose.PATCHING, models)
        rows: list[Row] = []
        for client in self._chosen(models):
            if client.found is None:
                continue
            patches = patch_circuits(
                self._spec,
                client.partition_id,
                (client.weights, client.found.circuits, client.found.reachable),
                models.average,
                self._test,
                models.told_apart(client),
                self._settings.examination.examination_draws,
                generator,
            )
            rows += _rows(patches)
        return {"patching": rows}

    def _ladder(self, models: RoundModels) -> Tables:
        """Climb with all clients, not only chosen ones: the average is made of all of them."""
        generator = self._draws(Purpose.LADDER, models)
        fitting = balanced_sample(self._probe_set, self._all_classes, FIT_IMAGES, generator)
        central = self._trained_centrally(models, generator)
        initial = torch_generator(self._settings.run.seed, Purpose.INITIAL_WEIGHTS)
        untrained = initial_weights(self._spec, initial)
        rungs = climb_ladder(self._spec, models, untrained, central, fitting, self._test)
        return {"ladder": _rows(rungs)}

    def _trained_centrally(self, models: RoundModels, generator: torch.Generator) -> Weights | None:
        """Train in one place on all clients' images; None where the server does not have them."""
        if models.train is None:
            return None
        per_client = fmean(client.num_images for client in models.clients)
        training, sparsity = self._settings.training, self._settings.sparsity
        central = CentralTraining(models.start, models.train, per_client, training, sparsity, models.position)
        return train_centrally(self._spec, central, generator)

    def _chosen(self, models: RoundModels) -> tuple[ClientModel, ...]:
        """Return the first `examination-clients` clients of the round."""
        return models.clients[: self._settings.examination.examination_clients]

    def _pairs(self, models: RoundModels) -> list[tuple[AlignedModel, AlignedModel]]:
        """Return every two chosen clients, and each of them with the average as it is seen on the client's data."""
        chosen = self._chosen(models)
        first = [self._aligned(client.partition_id, client.weights, client.found) for client in chosen]
        second = [self._aligned(c.partition_id, c.weights, c.found, is_second=True) for c in chosen]
        averages = [self._aligned(None, models.average, c.found_global, is_second=True) for c in chosen]
        of_clients = [(first[i], second[j]) for i, j in combinations(range(len(chosen)), 2)]
        return [*of_clients, *zip(first, averages, strict=True)]

    def _aligned(
        self, partition_id: int | None, weights: Weights, found: FoundCircuits | None, *, is_second: bool = False
    ) -> AlignedModel:
        """Lay out one model of a pair; the second's circuits are those of the other half of the images, if known."""
        if found is None:
            nothing = no_circuits(self._spec.num_channels)
            return AlignedModel(partition_id, weights, nothing, self._reachable(weights), ())
        circuits = found.retest if is_second and found.retest is not None else found.circuits
        return AlignedModel(partition_id, weights, circuits, found.reachable, found.usable)

    def _subject(self, weights: Weights) -> Subject:
        return prepare_subject(self._settings, self._spec, weights, self._bench)

    def _reachable(self, weights: Weights) -> Bool[Tensor, " channel"]:
        return reachable_channels(self._spec, alive_kernels(self._spec, weights))

    def _draws(self, purpose: Purpose, models: RoundModels, partition_id: int = SERVER) -> torch.Generator:
        return torch_generator(self._settings.run.seed, purpose, partition_id, models.position.server_round)


def _rows(entries: Iterable[Any], identity: Mapping[str, Any] | None = None) -> list[Row]:
    """Lay out records as rows; values that overflowed in a diverged network are undefined, like all others."""
    return [{**(identity or {}), **{name: _known(value) for name, value in asdict(entry).items()}} for entry in entries]


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
