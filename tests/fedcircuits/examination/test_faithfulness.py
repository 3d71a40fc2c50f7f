import math

import pytest
import torch
from additive_network import IMAGES, SITE, additive_subject, members, pixel_images

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.study import Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.faithfulness import (
    CurvePoint,
    completeness,
    curve_areas,
    nested_curve,
    nested_curves,
    nested_members,
    stochastic_faithfulness,
)
from fedcircuits.examination.trials import prepare_trial
from fedcircuits.networks.cnn import GateSite, build_model, initial_weights
from fedcircuits.networks.spec import ModelSpec

STRENGTHS = (0.5, 0.25, 0.125, 0.125)


def curve(faithfulness: list[float | None], shares: list[float]) -> list[CurvePoint]:
    pairs = zip(faithfulness, shares, strict=True)
    return [CurvePoint(0, i, share, value, None, None, None) for i, (value, share) in enumerate(pairs)]


def random_subject(site: GateSite = SITE) -> tuple[Subject, LabelledImages]:
    """Return a true network with random weights, and images of three classes."""
    spec = ModelSpec(in_channels=1, image_size=8, channels=(4, 6), num_classes=3)
    generator = torch.Generator().manual_seed(0)
    model = build_model(spec, initial_weights(spec, generator), torch.device("cpu"))
    labels = torch.arange(30) % 3
    images = torch.randn(30, 1, 8, 8, generator=generator) + labels[:, None, None, None]
    reachable = torch.ones(10, dtype=torch.bool)
    return Subject(model, reachable, torch.rand(10, generator=generator)), LabelledImages(images, labels)


def test_faithfulness_is_the_share_of_the_separation() -> None:
    trial = prepare_trial(additive_subject(STRENGTHS), IMAGES, 0, [0, 1], SITE)
    assert trial.whole == pytest.approx(2.0)
    values = trial.faithfulness(members([0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1]))
    assert values.tolist() == pytest.approx([0, 0.5, 0.375, 1])


def test_only_trained_classes_count_as_others() -> None:
    subject, data = random_subject()
    assert set(prepare_trial(subject, data, 0, [0, 2], SITE).data.labels.tolist()) == {0, 2}


@pytest.mark.parametrize("site", list(GateSite))
def test_the_empty_circuit_has_none_of_a_true_network_and_the_full_one_all(site: GateSite) -> None:
    subject, data = random_subject()
    for class_id in range(3):
        trial = prepare_trial(subject, data, class_id, [0, 1, 2], site)
        values = trial.faithfulness(torch.stack([torch.zeros(10), torch.ones(10)]).bool())
        # A constant output has the same log-odds everywhere: what is left is the rounding of two means, of about
        # 1e-7 nats; the trial's M(N) is hundredths of a nat here.
        assert values.tolist() == pytest.approx([0, 1], abs=1e-4)
        odds = trial.log_odds(torch.zeros(1, 10, dtype=torch.bool))
        assert float(odds.max() - odds.min()) < 1e-6


def test_a_curve_is_taken_along_the_ranking() -> None:
    trial = prepare_trial(additive_subject(STRENGTHS), IMAGES, 0, [0, 1], SITE)
    points = nested_curve(trial, torch.tensor([1, 0, 3, 2]))
    assert [point.size for point in points] == [0, 1, 2, 3, 4]
    assert [point.share for point in points] == [0, 0.25, 0.5, 0.75, 1]
    assert [point.faithfulness for point in points] == pytest.approx([0, 0.25, 0.75, 0.875, 1])
    # A tie of the logits goes to class 0: the empty circuit says it always, others where the pixel is above 0.
    assert [point.recall for point in points] == [1, 1, 1, 1, 1]
    assert [point.false_positive_rate for point in points] == [1, 0.5, 0.5, 0.5, 0.5]
    assert [point.balanced_accuracy for point in points] == [0.5, 0.75, 0.75, 0.75, 0.75]


def test_unreachable_channels_are_in_no_circuit_and_never_off() -> None:
    subject = additive_subject(STRENGTHS, (True, False, True, True))
    points = nested_curve(prepare_trial(subject, IMAGES, 0, [0, 1], SITE), torch.tensor([1, 0, 3, 2]))
    assert [point.size for point in points] == [0, 1, 2, 3]
    # Channel 1 stays on (in a true network that adds nothing to the separation; here it adds a quarter).
    assert [point.faithfulness for point in points] == pytest.approx([0, 0.75, 0.875, 1])


def test_nested_circuits_are_cut_from_the_reachable_part_of_the_ranking() -> None:
    found = nested_members(torch.tensor([2, 0, 3, 1]), torch.tensor([True, True, False, True]), [0, 1, 3])
    assert torch.equal(found, members([0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 1]))


def test_curves_come_class_by_class() -> None:
    circuits = Circuits.ranked_by_score((0, 1), members([1, 0, 0, 0], [0, 1, 0, 0]), torch.rand(2, 4))
    points = nested_curves(additive_subject(STRENGTHS), circuits, IMAGES, [0, 1], SITE)
    assert [point.class_id for point in points] == [0] * 5 + [1] * 5


def test_areas_are_those_worked_out_by_hand() -> None:
    areas = curve_areas(curve([0, 0.5, 0.75, 1], [0, 0.25, 0.5, 1]))
    # (0 + .5)/2 * .25 + (.5 + .75)/2 * .25 + (.75 + 1)/2 * .5
    assert areas.cpr == pytest.approx(0.0625 + 0.15625 + 0.4375)
    assert areas.cmd == pytest.approx(1 - 0.65625)


def test_a_curve_above_one_adds_to_both_areas() -> None:
    areas = curve_areas(curve([0, 2, 1], [0, 0.5, 1]))
    assert areas.cpr == pytest.approx(0.5 + 0.75)
    assert areas.cmd == pytest.approx(0.5 + 0.25)  # |1 - F| is 1, 1, 0


def test_areas_are_undefined_where_faithfulness_is() -> None:
    for points in (curve([None, None], [0, 1]), curve([0.0], [0.0])):
        assert curve_areas(points).cpr is None


def test_a_network_that_separates_nothing_has_rates_but_no_faithfulness() -> None:
    subject = additive_subject((0.0, 0.0, 0.0, 0.0))
    points = nested_curve(prepare_trial(subject, IMAGES, 0, [0, 1], SITE), torch.arange(4))
    assert {point.faithfulness for point in points} == {None}
    assert {point.balanced_accuracy for point in points} == {0.5}


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], [2, 2]])
def test_a_class_without_images_on_both_sides_has_no_separation(labels: list[int]) -> None:
    trial = prepare_trial(additive_subject(STRENGTHS), pixel_images([1.0, 2.0], labels), 0, [0, 1], SITE)
    assert math.isnan(trial.whole)
    assert not trial.is_separable
    assert {point.faithfulness for point in nested_curve(trial, torch.arange(4))} == {None}


def test_a_model_without_signal_has_a_curve_of_one_point() -> None:
    trial = prepare_trial(additive_subject(STRENGTHS, (False,) * 4), IMAGES, 0, [0, 1], SITE)
    (point,) = nested_curve(trial, torch.arange(4))
    assert (point.size, point.share) == (0, 0)


def test_completeness_is_what_the_rest_cannot_do() -> None:
    trial = prepare_trial(additive_subject((0.5, 0.3, 0.195, 0.005)), IMAGES, 0, [0, 1], SITE)
    circuit, empty, full = members([1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1])
    assert completeness(trial, circuit) == pytest.approx(0.695)
    assert completeness(trial, empty) == pytest.approx(0)
    assert completeness(trial, full) == pytest.approx(1)


def test_ablating_half_of_the_outside_costs_half_of_it_on_average() -> None:
    trial = prepare_trial(additive_subject((0.5, 0.25, 0.25, 0.0)), IMAGES, 0, [0, 1], SITE)
    member = members([1, 0, 0, 1])[0]
    values = [stochastic_faithfulness(trial, member, torch.Generator().manual_seed(i)) for i in range(100)]
    # 0.5 + 0.25 on average; 800 draws of two fair coins of 0.25 leave a standard error of 0.006.
    assert sum(values) / 100 == pytest.approx(0.75, abs=0.02)
