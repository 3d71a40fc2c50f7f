from dataclasses import asdict

import pytest
import torch

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.study import Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.swaps import Swap, swap_circuits
from fedcircuits.networks.cnn import GateSite, build_model
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import TABLES, ModelKind

SPEC = ModelSpec(1, 2, (2,), 2)
CLIENT, GLOBAL = ModelKind.CLIENT, ModelKind.GLOBAL


def subject(slope: float, ablation: tuple[float, float] = (0.0, 0.0)) -> Subject:
    """Channel 0 fires on bright images and speaks for class 0, channel 1 on dark ones and speaks against it."""
    weights = {name: torch.zeros(shape) for name, shape in SPEC.state_shapes.items()}
    weights["conv1.weight"][:, 0, 1, 1] = torch.tensor([1.0, -1.0])
    weights["fc.weight"][0] = torch.tensor([slope, -slope])
    weights["fc.bias"][1] = 0.25
    model = build_model(SPEC, weights, torch.device("cpu"))
    return Subject(model, torch.ones(2, dtype=torch.bool), torch.tensor(ablation))


def circuits(*members: tuple[bool, bool], class_ids: tuple[int, ...] = (0,)) -> Circuits:
    rows = torch.tensor(members)
    return Circuits.ranked_by_score(class_ids, rows, rows.float())


def bright_and_dark() -> LabelledImages:
    images = torch.cat([torch.ones(3, 1, 2, 2), -torch.ones(2, 1, 2, 2)])
    return LabelledImages(images, torch.tensor([0, 0, 0, 1, 1]))


def swap(local: Subject, average: Subject, test: LabelledImages | None = None) -> dict[tuple[str, str], Swap]:
    """The client's circuit is the first channel, the global model's the second."""
    entries = swap_circuits(
        3,
        (local, circuits((True, False))),
        (average, circuits((False, True))),
        bright_and_dark() if test is None else test,
        (0, 1),
        GateSite.POST,
    )
    assert {(entry.partition_id, entry.class_id) for entry in entries} == {(3, 0)}
    return {(entry.circuit, entry.weights): entry for entry in entries}


def test_each_circuit_is_judged_in_each_models_weights():
    found = swap(subject(2.0), subject(1.0))
    assert len(found) == 4
    # The whole model's log-odds are slope - 0.25 and -slope - 0.25; a channel that is off takes its half away.
    for circuit in (CLIENT, GLOBAL):
        assert found[circuit, CLIENT].separation == pytest.approx(2.0)
        assert found[circuit, GLOBAL].separation == pytest.approx(1.0)
        assert found[circuit, CLIENT].faithfulness == found[circuit, GLOBAL].faithfulness == pytest.approx(0.5)
    # The first channel recognises bright images; with the second alone, class 1's bias wins everywhere.
    assert (found[CLIENT, CLIENT].recall, found[CLIENT, CLIENT].false_positive_rate) == (1.0, 0.0)
    assert (found[GLOBAL, GLOBAL].recall, found[GLOBAL, GLOBAL].false_positive_rate) == (0.0, 0.0)
    assert found[CLIENT, GLOBAL].balanced_accuracy == 1.0
    assert found[GLOBAL, CLIENT].balanced_accuracy == 0.5


def test_off_channels_take_the_values_of_the_model_whose_weights_run():
    found = swap(subject(2.0, ablation=(0.0, 1.0)), subject(2.0))
    # In the client's model the second channel is stuck at 1, which costs 2 for bright and dark images alike.
    assert found[CLIENT, CLIENT].recall == 0.0
    assert found[CLIENT, GLOBAL].recall == 1.0
    assert found[CLIENT, CLIENT].separation == pytest.approx(found[CLIENT, GLOBAL].separation)


def test_a_model_that_separates_nothing_has_nothing_to_share():
    found = swap(subject(2.0), subject(0.0))
    assert found[CLIENT, GLOBAL].separation == 0.0
    assert found[CLIENT, GLOBAL].faithfulness is None


def test_without_negatives_there_is_recall_alone():
    bright = LabelledImages(torch.ones(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64))
    entry = swap(subject(2.0), subject(1.0), bright)[CLIENT, CLIENT]
    assert entry.recall == 1.0
    assert entry.separation is entry.faithfulness is entry.false_positive_rate is entry.balanced_accuracy is None


def test_classes_that_only_one_model_has_a_circuit_of_are_left_out():
    both = circuits((True, False), (False, True), class_ids=(0, 1))
    test, site = bright_and_dark(), GateSite.POST
    entries = swap_circuits(0, (subject(2.0), both), (subject(1.0), circuits((True, False))), test, (0, 1), site)
    assert {entry.class_id for entry in entries} == {0}
    nothing = circuits((True, False), class_ids=(1,))
    assert swap_circuits(0, (subject(2.0), nothing), (subject(1.0), circuits((True, True))), test, (0, 1), site) == []


def test_a_swap_holds_the_columns_of_the_table():
    entry = swap(subject(2.0), subject(1.0))[CLIENT, GLOBAL]
    assert ["round", *asdict(entry)] == TABLES["swaps"].names
