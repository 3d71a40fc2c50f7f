"""The ladder on models in which it is known where the damage is."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fedcircuits.circuits.scores import balanced_sample
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination import readouts
from fedcircuits.examination.alternatives import CentralTraining, train_centrally
from fedcircuits.examination.ladder import FIT_IMAGES, Rung, climb_ladder
from fedcircuits.examination.readouts import stratified_folds
from fedcircuits.examination.round_models import ClientModel, RoundModels
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import RungName
from fedcircuits.settings import Settings
from fedcircuits.training.local import RoundPosition, train_sparse

SPEC = ModelSpec(in_channels=1, image_size=4, channels=(8,), num_classes=4)

Weights = dict[str, Tensor]


def bars(seed: int, per_class: int) -> LabelledImages:
    """Draw noisy images of bars and steps, four kinds in all."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(4).repeat_interleave(per_class)
    steps = torch.tensor([-1.0, -1.0, 1.0, 1.0])
    kinds = torch.stack([steps.expand(4, 4), -steps.expand(4, 4), steps.expand(4, 4).T, -steps.expand(4, 4).T])
    images = kinds[labels][:, None] + 0.7 * torch.randn(len(labels), 1, 4, 4, generator=generator)
    return LabelledImages(images, labels)


PROBE, TEST = bars(1, 25), bars(2, 40)
EVERY_CLASS = range(4)


@pytest.fixture(scope="session")
def central(make_settings: Callable[..., Settings]) -> CentralTraining:
    settings = make_settings({"local-epochs": 10, "batch-size": 20, "learning-rate": 0.02, "sparsity": 0.0})
    start = initial_weights(SPEC, torch.Generator().manual_seed(0))
    return CentralTraining(start, bars(0, 40), 40, settings.training, settings.sparsity, RoundPosition(1, 1))


@pytest.fixture(scope="session")
def trained(central: CentralTraining) -> Weights:
    generator = torch.Generator().manual_seed(0)
    trained = train_sparse(
        SPEC, central.start, central.train, central.training, central.sparsity, central.position, generator
    )
    return trained.weights


def climb(
    clients: Mapping[int, Weights],
    average: Weights,
    probe: LabelledImages = PROBE,
    test: LabelledImages = TEST,
    trained_classes: range = EVERY_CLASS,
    central: CentralTraining | None = None,
) -> list[Rung]:
    masks = {layer: torch.ones(shape, dtype=torch.bool) for layer, shape in SPEC.weight_shapes.items()}
    generator = torch.Generator().manual_seed(0)
    fitting = balanced_sample(probe, tuple(EVERY_CLASS), FIT_IMAGES, generator)
    models = RoundModels(
        position=RoundPosition(1, 1),
        start={},
        clients=tuple(
            ClientModel(partition_id, weights, masks, 1, (), None, None) for partition_id, weights in clients.items()
        ),
        shares=(1 / len(clients),) * len(clients),
        train=None,
        average=average,
        found=None,
        trained_classes=tuple(trained_classes),
    )
    untrained = initial_weights(SPEC, torch.Generator().manual_seed(0))
    trained = None if central is None else train_centrally(SPEC, central, generator)
    return climb_ladder(SPEC, models, untrained, trained, fitting, test)


def accuracies(rungs: list[Rung]) -> dict[str, float]:
    """Return the accuracy of every rung that belongs to no client."""
    return {rung.rung: rung.accuracy or 0.0 for rung in rungs if rung.partition_id is None}


def test_every_rung_is_there_once_and_one_per_client(trained: Weights, central: CentralTraining) -> None:
    rungs = climb({3: trained, 5: trained}, trained, central=central)
    assert sorted(rung.rung for rung in rungs if rung.partition_id is None) == sorted(RungName)
    assert [(r.rung, r.partition_id) for r in rungs if r.partition_id is not None] == [("A3", 3), ("A3", 5)]


def test_an_average_of_equal_clients_has_no_gap_due_to_averaging(trained: Weights) -> None:
    found = accuracies(climb({0: trained, 1: trained}, trained))
    assert found["A0"] > 0.9
    assert found["A3"] == found["A2"]
    assert found["E_logits"] == found["E_probabilities"] == found["overlap_count"] == found["A0"]


def test_a_new_readout_is_no_worse_than_the_one_that_is_there(trained: Weights) -> None:
    found = accuracies(climb({0: trained, 1: trained}, trained, probe=bars(3, 20)))
    assert min(found[rung] for rung in ("A1", "A2", "A3", "A3c")) >= found["A0"] - 0.02  # of 160 images three


def test_images_made_of_one_original_are_left_out_together(trained: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    dealt: list[Tensor] = []

    def deal(labels: Tensor, groups: Tensor, num_folds: int) -> Tensor:
        dealt.append(groups)
        return stratified_folds(labels, groups, num_folds)

    monkeypatch.setattr(readouts, "stratified_folds", deal)
    climb({0: trained}, trained, probe=replace(PROBE, origins=torch.arange(len(PROBE)) // 5))
    assert len(dealt) == 5  # A1, A2, A3, A3c and R
    assert all(groups.bincount().tolist() == [5] * 20 for groups in dealt)


def test_a_spoilt_readout_shows_as_a_gap_of_the_head(trained: Weights) -> None:
    spoilt = trained | {name: trained[name][[1, 2, 3, 0]] for name in ("fc.weight", "fc.bias")}
    found = accuracies(climb({0: trained, 1: trained}, spoilt))
    assert found["A0"] < 0.1
    assert found["A2"] > 0.9
    assert found["A3"] - found["A2"] == pytest.approx(0.0, abs=0.02)


def test_bodies_that_cancel_show_as_a_gap_of_the_body(trained: Weights) -> None:
    opposite = trained | {"conv1.weight": -trained["conv1.weight"]}
    average = {name: (trained[name] + opposite[name]) / 2 for name in trained}
    found = accuracies(climb({0: trained, 1: opposite}, average))
    assert found["A0"] == found["A2"] == 0.25
    assert found["A3"] > 0.9


def test_flat_logits_are_repaired_by_rescaling_them(trained: Weights) -> None:
    flat = trained | {"fc.weight": trained["fc.weight"] / 100, "fc.bias": torch.tensor([0.0, 1.0, 2.0, 3.0])}
    found = accuracies(climb({0: trained}, flat))
    assert found["A0"] == 0.25
    assert found["A1"] > 0.9


def test_of_one_client_the_mean_is_its_own_row_and_the_joint_readout_is_its_head(trained: Weights) -> None:
    rungs = climb({7: trained}, trained)
    own, mean = (rung for rung in rungs if rung.rung == "A3")
    assert (own.partition_id, mean.partition_id) == (7, None)
    assert own.accuracy == mean.accuracy == accuracies(rungs)["A3c"]


def test_accuracy_on_trained_classes_leaves_out_images_of_others(trained: Weights) -> None:
    always_zero = trained | {"fc.weight": torch.zeros(4, 32), "fc.bias": torch.tensor([1.0, 0.0, 0.0, 0.0])}
    as_is = climb({0: trained}, always_zero, trained_classes=range(2))[0]
    assert (as_is.rung, as_is.accuracy, as_is.accuracy_trained) == ("A0", 0.25, 0.5)


def test_classes_that_are_missing_in_probe_or_test_images_are_no_obstacle(trained: Weights) -> None:
    no_first, no_last = (PROBE.select(torch.nonzero(PROBE.labels != c).flatten()) for c in (0, 3))
    found = accuracies(climb({0: trained, 1: trained}, trained, probe=no_first, test=no_last))
    assert found["A2"] == found["A0"] > 0.9  # nothing tells against the readout of class 0
    assert all(math.isfinite(value) for value in found.values())


def test_a_single_class_in_the_probe_images_is_no_obstacle(trained: Weights) -> None:
    single = PROBE.select(torch.nonzero(PROBE.labels == 2).flatten())
    found = accuracies(climb({0: trained}, trained, probe=single))
    assert found["A2"] == found["A0"] > 0.9
    assert found["R"] == 0.25  # the only class that features without a readout have been shown


def test_without_test_images_of_trained_classes_there_is_no_accuracy_on_them(trained: Weights) -> None:
    rungs = climb({0: trained}, trained, trained_classes=range(0))
    assert {rung.accuracy_trained for rung in rungs} == {None}


def test_dead_networks_have_a_ladder_too(trained: Weights) -> None:
    dead = {name: torch.zeros_like(value) for name, value in trained.items()}
    found = accuracies(climb({0: dead, 1: dead}, dead))
    assert found["A0"] == found["A2"] == found["A3"] == 0.25


def test_central_training_learns_what_clients_know(trained: Weights, central: CentralTraining) -> None:
    assert accuracies(climb({0: trained}, trained, central=central))["A4"] > 0.9


def test_without_central_training_its_rung_is_missing(trained: Weights) -> None:
    assert "A4" not in accuracies(climb({0: trained}, trained))


def test_the_same_generator_gives_the_same_ladder(trained: Weights, central: CentralTraining) -> None:
    first, again = (climb({0: trained, 1: central.start}, trained, central=central) for _ in range(2))
    assert first == again
