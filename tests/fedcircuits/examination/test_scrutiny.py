from dataclasses import asdict, fields

import pytest
import torch
from additive_network import IMAGES, SITE, additive_subject, members, pixel_images

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.scores import judge
from fedcircuits.circuits.study import Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.faithfulness import CurvePoint
from fedcircuits.examination.scrutiny import Scrutiny, scrutinise
from fedcircuits.examination.trials import prepare_trial
from fedcircuits.networks.cnn import GateSite, Gating, build_model, initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import TABLES

SPEC = ModelSpec(in_channels=1, image_size=8, channels=(4, 6), num_classes=3)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def random_study() -> tuple[Subject, LabelledImages, Circuits]:
    """Return a true network with random weights, images whose brightness is their class, and random circuits."""
    generator = seeded()
    weights = {name: 3 * value for name, value in initial_weights(SPEC, generator).items()}
    labels = torch.arange(24) % 3
    images = torch.randn(24, 1, 8, 8, generator=generator) + labels[:, None, None, None]
    scores = torch.rand(3, 10, generator=generator)
    reachable = torch.arange(10) != 7
    subject = Subject(build_model(SPEC, weights, torch.device("cpu")), reachable, torch.rand(10, generator=generator))
    return subject, LabelledImages(images, labels), Circuits.ranked_by_score((0, 1, 2), scores > 0.5, scores)


def test_the_records_have_the_columns_of_their_tables() -> None:
    for table, record in (("scrutiny", Scrutiny), ("curves", CurvePoint)):
        columns = TABLES[table].names
        assert [field.name for field in fields(record)] == columns[columns.index("class_id") :]


def test_a_row_has_the_figures_worked_out_by_hand() -> None:
    circuits = Circuits.ranked_by_score((0,), members([1, 1, 0, 0]), torch.tensor([[0.9, 0.8, 0.2, 0.1]]))
    (row,) = scrutinise(additive_subject((0.5, 0.3, 0.15, 0.05)), circuits, IMAGES, [0, 1], SITE, 20, seeded())
    assert (row.class_id, row.num_channels, row.num_reachable) == (0, 2, 4)
    figures = {
        "separation": 2.0,
        "faithfulness": 0.8,
        "completeness": 0.8,
        "rank_agreement": 1.0,
        "cpr": 0.25 * (0.25 + 0.65 + 0.875 + 0.975),  # F at 0 to 4 channels: 0, .5, .8, .95, 1
        "p_sufficiency": 1.0,  # the first layer has no other circuit of two channels
    }
    assert {name: getattr(row, name) for name in figures} == pytest.approx(figures, abs=1e-6)


def test_p_values_are_probabilities() -> None:
    subject, data, circuits = random_study()
    for row in scrutinise(subject, circuits, data, [0, 1, 2], SITE, 9, seeded()):
        for name in ("p_sufficiency", "p_necessity"):
            assert 0 < getattr(row, name) <= 1


def test_many_circuits_at_once_agree_with_one_image_at_a_time() -> None:
    subject, data, circuits = random_study()
    for site in GateSite:
        for class_id, member in zip(circuits.class_ids, circuits.members, strict=True):
            trial = prepare_trial(subject, data, class_id, [0, 1, 2], site)
            rest = subject.reachable & ~member
            fast = trial.faithfulness(torch.stack([member, rest])) * trial.whole
            slow = [_separation_one_by_one(subject, trial.data, class_id, each, site) for each in (member, rest)]
            assert fast.tolist() == pytest.approx(slow, abs=1e-5)  # float32 log-odds of a few nats


def _separation_one_by_one(
    subject: Subject, data: LabelledImages, class_id: int, member: torch.Tensor, site: GateSite
) -> float:
    gates = (member | ~subject.reachable).float()[None]
    gating = Gating(gates, torch.zeros(1, dtype=torch.int64), subject.ablation, site)
    with torch.no_grad():
        logits = torch.cat([subject.model(image[None], gating) for image in data.images])
    found = judge(logits, data, class_id, [0, 1, 2]).separation
    assert found is not None
    return found


def test_a_network_that_separates_nothing_has_no_figures() -> None:
    circuits = Circuits.ranked_by_score((0, 1), members([1, 1, 0, 0], [0, 0, 1, 0]), torch.rand(2, 4))
    for row in scrutinise(additive_subject((0.0,) * 4), circuits, IMAGES, [0, 1], SITE, 5, seeded()):
        assert row.separation == 0
        undefined = {name: value for name, value in asdict(row).items() if value is not None}
        assert set(undefined) == {"class_id", "num_channels", "num_reachable", "separation"}


def test_a_class_without_test_images_has_no_figures() -> None:
    circuits = Circuits.ranked_by_score((0, 1), members([1, 1, 0, 0], [0, 0, 1, 0]), torch.rand(2, 4))
    data = pixel_images([1.0, 2.0], [0, 0])
    for row in scrutinise(additive_subject((0.5,) * 4), circuits, data, [0, 1], SITE, 5, seeded()):
        assert row.separation is None
        assert row.faithfulness is None
        assert row.rank_agreement is None


def test_empty_and_full_circuits_have_every_figure_that_is_defined() -> None:
    circuits = Circuits.ranked_by_score((0, 1), members([0, 0, 0, 0], [1, 1, 1, 1]), torch.rand(2, 4))
    empty, full = scrutinise(additive_subject((0.5,) * 4), circuits, IMAGES, [0, 1], SITE, 5, seeded())
    assert (empty.faithfulness, empty.completeness) == pytest.approx((0, 0))
    assert (full.faithfulness, full.completeness) == pytest.approx((1, 1))
    assert (empty.p_sufficiency, full.p_necessity) == (1, 1)


def test_the_same_generator_gives_the_same_rows() -> None:
    subject, data, circuits = random_study()
    first, second = (scrutinise(subject, circuits, data, [0, 1, 2], SITE, 5, seeded()) for _ in range(2))
    assert first == second
