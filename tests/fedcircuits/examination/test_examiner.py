"""All examinations of one hand-made round."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.connectivity import alive_kernels, reachable_channels
from fedcircuits.circuits.found import FoundCircuits, Question
from fedcircuits.data.datasets import Dataset, LabelledImages
from fedcircuits.examination import examiner as module
from fedcircuits.examination.examiner import Examiner
from fedcircuits.examination.round_models import ClientModel, RoundModels
from fedcircuits.networks.cnn import Weights, initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import TABLES, DataKind, ModelKind
from fedcircuits.settings import Settings
from fedcircuits.training.local import RoundPosition

MakeSettings = Callable[..., Settings]

SPEC = ModelSpec(in_channels=1, image_size=8, channels=(3, 4), num_classes=3)
QUICK = {"examination-images": 4, "examination-draws": 3, "examination-clients": 2, "local-epochs": 1, "sparsity": 0.0}
POSITION = RoundPosition(2, 2)
TABLES_OF_CIRCUITS = ("curves", "scrutiny", "swaps", "transfer", "patching")


def bright_images(num_images: int, seed: int) -> LabelledImages:
    """Return images whose brightness is their class."""
    labels = torch.arange(num_images) % 3
    noise = torch.randn(num_images, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return LabelledImages(noise + 2 * labels[:, None, None, None], labels)


DATASET = Dataset(bright_images(30, 0), bright_images(15, 1), bright_images(15, 2))


def weights_of(seed: int) -> Weights:
    return {name: 2 * v for name, v in initial_weights(SPEC, torch.Generator().manual_seed(seed)).items()}


def circuits_of(weights: Weights, partition_id: int | None, kind: ModelKind, classes: tuple[int, ...]) -> FoundCircuits:
    scores = torch.rand(len(classes), 7, generator=torch.Generator().manual_seed(len(classes)))
    circuits = Circuits.ranked_by_score(classes, scores > 0.4, scores)
    reachable = reachable_channels(SPEC, alive_kernels(SPEC, weights))
    question = Question(DataKind.SERVER, None, (0, 1, 2))
    usable = (True,) * len(classes)
    return FoundCircuits(kind, partition_id, POSITION.server_round, circuits, reachable, usable, question)


def client(partition_id: int, average: Weights, *classes: int) -> ClientModel:
    weights = weights_of(partition_id + 1)
    return ClientModel(
        partition_id,
        weights,
        {name: torch.ones_like(weights[f"{name}.weight"]) for name in SPEC.layer_names},
        10,
        classes,
        circuits_of(weights, partition_id, ModelKind.CLIENT, classes),
        circuits_of(average, partition_id, ModelKind.GLOBAL, classes),
    )


@pytest.fixture
def models() -> RoundModels:
    """Three clients: of two classes, of one, and of all."""
    average = weights_of(0)
    clients = (client(0, average, 0, 1), client(4, average, 2), client(7, average, 0, 1, 2))
    found = circuits_of(average, None, ModelKind.GLOBAL, (0, 1, 2))
    return RoundModels(POSITION, weights_of(9), clients, (0.5, 0.3, 0.2), DATASET.train, average, found, (0, 1, 2))


@pytest.fixture
def examiner(make_settings: MakeSettings) -> Examiner:
    return Examiner(make_settings(QUICK), SPEC, DATASET)


def with_weights(models: RoundModels, change: Callable[[Weights], Weights]) -> RoundModels:
    """Change all weights of a round, and what can be reached with them."""

    def found_in(weights: Weights, found: FoundCircuits | None) -> FoundCircuits | None:
        reachable = reachable_channels(SPEC, alive_kernels(SPEC, weights))
        return None if found is None else replace(found, reachable=reachable)

    average = change(models.average)
    clients = []
    for one in models.clients:
        own = change(one.weights)
        found, seen = found_in(own, one.found), found_in(average, one.found_global)
        clients.append(replace(one, weights=own, found=found, found_global=seen))
    found = found_in(average, models.found)
    return replace(models, start=change(models.start), clients=tuple(clients), average=average, found=found)


def test_rows_have_the_columns_of_their_tables(make_settings: MakeSettings, models: RoundModels) -> None:
    examiner = Examiner(make_settings({**QUICK, "examination-clients": 3}), SPEC, DATASET)
    for name, rows in examiner.examine(models).items():
        assert rows, name
        assert {tuple(row) for row in rows} == {tuple(TABLES[name].names)}, name
        assert {row["round"] for row in rows} == {2}


def test_the_first_clients_are_chosen_and_the_average_is_theirs_too(examiner: Examiner, models: RoundModels) -> None:
    tables = examiner.examine(models)
    ends = [(row["a_partition_id"], row["b_partition_id"]) for row in tables["barriers"]]
    assert ends == [(0, 4), (0, None), (4, None)]
    looked_at = {(row["model"], row["partition_id"]) for row in tables["scrutiny"]}
    assert looked_at == {("client", 0), ("client", 4), ("global", None)}
    assert {row["partition_id"] for row in tables["ladder"] if row["rung"] == "A3"} == {0, 4, 7, None}


def test_a_client_of_one_class_is_told_from_everybodys(models: RoundModels) -> None:
    assert [models.told_apart(one) for one in models.clients] == [(0, 1), (0, 1, 2), (0, 1, 2)]
    assert replace(models, trained_classes=(2,)).told_apart(models.clients[1]) == (2,)


def test_negatives_of_a_client_are_the_other_classes_that_it_holds(
    examiner: Examiner, models: RoundModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, list[Any]] = {"swap_circuits": [], "patch_circuits": [], "scrutinise": []}
    places = {"swap_circuits": 4, "patch_circuits": 5, "scrutinise": 3}
    for name, place in places.items():
        monkeypatch.setattr(module, name, lambda *given, n=name, p=place: asked[n].append(given[p]) or [])
    examiner.examine(models)
    of_clients = [(0, 1), (0, 1, 2)]
    everybody = [(0, 1, 2)]
    assert asked == {"swap_circuits": of_clients, "patch_circuits": of_clients, "scrutinise": of_clients + everybody}


def test_every_chosen_client_takes_the_circuits_of_classes_that_it_shares_with_another(
    make_settings: MakeSettings, models: RoundModels
) -> None:
    rows = Examiner(make_settings({**QUICK, "examination-clients": 3}), SPEC, DATASET).examine(models)["transfer"]
    ends = {(row["a_partition_id"], row["b_partition_id"], row["class_id"]) for row in rows}
    assert ends == {(0, 7, 0), (7, 0, 0), (0, 7, 1), (7, 0, 1), (4, 7, 2), (7, 4, 2)}
    of_one_class = [row for row in rows if row["a_partition_id"] == 4]
    assert {row["other_class_transfer"] for row in of_one_class} == {None}


def test_training_in_one_place_has_the_images_and_the_steps_of_the_clients(
    examiner: Examiner, models: RoundModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    trained = module.train_centrally
    monkeypatch.setattr(module, "train_centrally", lambda *asked: given.append(asked[1]) or trained(*asked))
    held = DATASET.train.of_classes([0, 2])
    uneven = (replace(models.clients[0], num_images=21), *models.clients[1:])
    examiner.examine(replace(models, clients=uneven, train=held))
    (central,) = given
    assert set(central.train.labels.tolist()) == {0, 2}
    assert central.images_per_client == pytest.approx(41 / 3)
    assert central.start is models.start


def test_rounds_without_circuits_are_examined(examiner: Examiner, models: RoundModels) -> None:
    clients = tuple(replace(one, found=None, found_global=None) for one in models.clients)
    tables = examiner.examine(replace(models, clients=clients, found=None))
    assert {name for name, rows in tables.items() if not rows} == set(TABLES_OF_CIRCUITS)
    assert {row["phi"] for row in tables["alignment"]} == {None}


def test_without_a_clients_view_of_the_average_there_is_no_swap(examiner: Examiner, models: RoundModels) -> None:
    clients = (replace(models.clients[0], found_global=None), *models.clients[1:])
    tables = examiner.examine(replace(models, clients=clients))
    assert {row["partition_id"] for row in tables["swaps"]} == {4}
    assert {row["partition_id"] for row in tables["patching"]} == {0, 4}


def test_everybody_having_one_and_the_same_class_leaves_figures_undefined(
    examiner: Examiner, models: RoundModels
) -> None:
    alone = (models.clients[1],)
    tables = examiner.examine(replace(models, clients=alone, shares=(1.0,), trained_classes=(2,)))
    assert {row["separation"] for row in tables["swaps"] + tables["patching"]} == {None}
    assert {row["p_sufficiency"] for row in tables["scrutiny"] if row["model"] == "client"} == {None}


@pytest.mark.parametrize("what", ["weight", "everything"])
def test_networks_that_carry_no_signal_are_examined(examiner: Examiner, models: RoundModels, what: str) -> None:
    def kill(weights: Weights) -> Weights:
        return {name: v * 0 if what in name or what == "everything" else v for name, v in weights.items()}

    dead = with_weights(models, kill)
    tables = examiner.examine(dead)
    assert {row["num_reachable"] for row in tables["scrutiny"]} == {0}
    assert {row["faithfulness"] for row in tables["curves"] + tables["swaps"]} == {None}
    assert {row["num_matched"] for row in tables["alignment"] if row["method"] == "activations"} == {0}
    assert examiner.retention(dead) == {"conv1": None, "conv2": None}


@pytest.mark.parametrize("scale", [1e6, 1e12, 1e20, 1e35])
def test_networks_that_overflow_have_no_figures_that_are_not_numbers(
    examiner: Examiner, models: RoundModels, scale: float
) -> None:
    diverged = with_weights(models, lambda weights: {name: v * scale for name, v in weights.items()})
    tables = examiner.examine(diverged)
    figures = [(name, column, v) for name, rows in tables.items() for row in rows for column, v in row.items()]
    assert not [one for one in figures if isinstance(one[2], float) and not math.isfinite(one[2])]
    assert all(value is None or math.isfinite(value) for value in examiner.retention(diverged).values())


def test_classes_without_held_out_images_are_no_obstacle(make_settings: MakeSettings, models: RoundModels) -> None:
    settings = make_settings({**QUICK, "examination-clients": 3})
    no_probe = replace(DATASET, probe=DATASET.probe.of_classes([0, 1]))
    no_test = replace(DATASET, test=DATASET.test.of_classes([2]))
    for dataset in (no_probe, no_test):
        tables = Examiner(settings, SPEC, dataset).examine(models)
        assert all(tables.values())


def test_two_classes_are_enough(make_settings: MakeSettings) -> None:
    spec = replace(SPEC, num_classes=2)
    held = [part.of_classes([0, 1]) for part in (DATASET.train, DATASET.probe, DATASET.test)]
    weights = initial_weights(spec, torch.Generator().manual_seed(0))
    masks = {name: torch.ones_like(weights[f"{name}.weight"]) for name in spec.layer_names}
    found = replace(circuits_of(weights_of(0), 0, ModelKind.CLIENT, (0, 1)), reachable=torch.ones(7, dtype=torch.bool))
    one = ClientModel(0, weights, masks, 10, (0, 1), found, replace(found, model=ModelKind.GLOBAL))
    models = RoundModels(POSITION, weights, (one,), (1.0,), held[0], weights, None, (0, 1))
    tables = Examiner(make_settings(QUICK), spec, Dataset(*held)).examine(models)
    assert [name for name, rows in tables.items() if not rows] == ["transfer"]  # there is only one client
