import math
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest
import torch
from additive_network import SITE, additive_subject, members, pixel_images

from fedcircuits.circuits import Circuits
from fedcircuits.data import LabelledImages
from fedcircuits.deep.control_scores import Score, score_circuits, score_random_circuits
from fedcircuits.deep.controls import Candidate, Control, nonsense_candidate, permuted_candidate, untrained_candidate
from fedcircuits.deep.validity import ValidityRow, check_validity, compare, verdict
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import initial_weights
from fedcircuits.records import TABLES
from fedcircuits.settings import Settings
from fedcircuits.study import Bench, prepare_subject
from fedcircuits.training import RoundPosition, train_sparse

MakeSettings = Callable[[dict[str, Any]], Settings]

SPEC = ModelSpec(in_channels=1, image_size=8, channels=(12, 24), num_classes=10)
POSITION = RoundPosition(1, 1)
QUICK = {
    "gate-steps": 60,
    "deep-draws": 20,
    "sparsity": 0.8,
    "gate-penalty": 0.6,
    "local-epochs": 6,
    "learning-rate": 0.01,
}
PAPER = {
    "discovery": "gates",
    "size-rule": "penalty",
    "objective": "target-class",
    "gate-site": "pre",
    "ablation": "zero",
    "gate-penalty": 0.01,
    "gate-penalty-unit": "absolute",
}


def striped_images(num_images: int, seed: int) -> LabelledImages:
    """Return images of four classes: rows or columns, on the first or the second half."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num_images) % 4
    patterns = torch.zeros(4, 1, 8, 8)
    patterns[0, :, ::2, :4] = patterns[1, :, ::2, 4:] = patterns[2, :, :4, ::2] = patterns[3, :, 4:, ::2] = 1
    return LabelledImages(patterns[labels] + 0.3 * torch.randn(num_images, 1, 8, 8, generator=generator), labels)


TRAIN, PROBE, TEST = striped_images(240, 0), striped_images(80, 1), striped_images(80, 2)
BENCH = Bench(0, PROBE, None, PROBE, None, TEST, (0, 1, 2, 3))


@pytest.fixture(scope="module")
def trained(make_settings: MakeSettings) -> dict[str, torch.Tensor]:
    settings = make_settings(QUICK)
    initial = initial_weights(SPEC, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    return train_sparse(SPEC, initial, TRAIN, settings.training, settings.sparsity, POSITION, generator).weights


@pytest.fixture(scope="module")
def rows_of(make_settings: MakeSettings, trained: dict[str, torch.Tensor]) -> Callable[[str], list[ValidityRow]]:
    """Check a setting of discovery by its name, once."""

    @cache
    def rows(name: str) -> list[ValidityRow]:
        settings = make_settings({**QUICK, **(PAPER if name == "paper" else {})})
        return check_validity(settings, SPEC, trained, BENCH, POSITION, [0, 1, 2, 3])

    return rows


def score(recall: float | None, false_positive_rate: float | None, size: int = 3) -> Score:
    return Score(recall, false_positive_rate, 8 if recall is not None else 0, 18, size)


def test_the_records_have_the_columns_of_their_table() -> None:
    columns = TABLES["validity"].names
    assert [field.name for field in fields(ValidityRow)] == columns[columns.index("control") :]


def test_errors_are_binomial_with_one_hit_and_one_miss_added() -> None:
    # (6 + 1) / 10 of 8 images, (9 + 1) / 20 of 18 images; half of each rate, so a quarter of each variance.
    assert score(0.75, 0.5).variance == pytest.approx((0.7 * 0.3 / 8 + 0.5 * 0.5 / 18) / 4)
    assert score(1.0, 0.0).variance > 0


def test_z_is_the_difference_in_standard_errors() -> None:
    real, control = score(1.0, 0.0, size=4), score(0.75, 0.5, size=7)
    row, pooled = compare(Control.RANDOM, {5: real}, {5: control})
    assert (row.control, row.class_id, row.size, row.control_size) == ("random", 5, 4, 7)
    assert (row.balanced_accuracy, row.control_balanced_accuracy) == (1.0, 0.625)
    assert row.z == pytest.approx(0.375 / math.sqrt(real.variance + control.variance))
    assert row.beaten
    assert replace(pooled, class_id=5) == row


def test_pooling_takes_means_over_classes() -> None:
    real, control = {0: score(1.0, 0.0, 2), 1: score(0.5, 0.0, 5)}, {0: score(0.5, 0.5, 9), 1: score(0.5, 0.5, 9)}
    *_, pooled = compare(Control.PERMUTED, real, control)
    assert (pooled.class_id, pooled.balanced_accuracy, pooled.control_balanced_accuracy) == (None, 0.875, 0.5)
    assert (pooled.size, pooled.control_size) == (4, 9)  # 3.5 is rounded to even
    variance = sum(each.variance for each in (*real.values(), *control.values()))
    assert pooled.z == pytest.approx(0.375 / (math.sqrt(variance) / 2))


def test_one_class_cannot_carry_the_others_through_the_gate() -> None:
    good, empty = score(1.0, 0.0), score(1.0, 1.0)
    *_, pooled = compare(Control.RANDOM, {0: good, 1: empty}, {0: empty, 1: empty})
    assert pooled.z is not None
    assert pooled.z > 2
    assert pooled.beaten is False  # one of two is not most
    assert compare(Control.RANDOM, {0: good, 1: good, 2: empty}, dict.fromkeys(range(3), empty))[-1].beaten is True


def test_a_control_that_does_as_well_is_not_beaten_whatever_its_size() -> None:
    for size in (0, 1, 50):
        row, _ = compare(Control.UNTRAINED, {0: score(1.0, 0.0, 10)}, {0: score(1.0, 0.0, size)})
        assert row.z == 0
        assert row.beaten is False


def test_classes_without_test_images_have_no_verdict_and_are_left_out_of_the_pool() -> None:
    real, control = {0: score(None, 0.1), 1: score(1.0, 0.0)}, {0: score(None, 0.2), 1: score(0.5, 0.5)}
    missing, present, pooled = compare(Control.UNTRAINED, real, control)
    assert (missing.balanced_accuracy, missing.z, missing.beaten) == (None, None, None)
    assert (pooled.z, pooled.beaten) == (present.z, True)
    assert compare(Control.UNTRAINED, {0: score(None, 0.1)}, {0: score(None, 0.2)})[-1].beaten is None


def test_the_verdict_needs_every_pooled_control() -> None:
    won, lost = (
        ValidityRow("random", None, 1, 0.5, 3, 3, 9, True),
        ValidityRow("random", None, 0.5, 0.5, 3, 3, 0, False),
    )
    assert verdict([won, won]) is True
    assert verdict([won, lost]) is False
    assert verdict([won, replace(lost, class_id=4)]) is True
    assert verdict([won, replace(lost, z=None, beaten=None)]) is None
    assert verdict([]) is None


def test_random_circuits_are_stood_for_by_one_of_the_best() -> None:
    # Only the circuit of channel 0 sees anything: logit 0 is its pixel, and all others answer class 0 for a tie.
    subject = additive_subject((1.0, 0.0, 0.0, 0.0))
    circuits = Circuits.ranked_by_score((0,), members([0, 1, 0, 0]), torch.rand(1, 4))
    candidate = Candidate(subject, circuits, pixel_images([1.0, 1.0, -1.0, -1.0], [0, 0, 1, 1]))
    chance = score_random_circuits(candidate, (0, 1), SITE, 40, torch.Generator().manual_seed(0))[0]
    # Half of the draws are channel 0, more than one in twenty.
    assert (chance.balanced_accuracy, chance.size) == (1.0, 1)
    found = score_circuits(candidate, (0, 1), SITE)[0]
    assert (found.recall, found.false_positive_rate, found.num_positive, found.num_negative) == (1.0, 1.0, 2, 2)


def test_an_untrained_control_has_the_zeros_of_the_model(
    make_settings: MakeSettings, trained: dict[str, torch.Tensor]
) -> None:
    cut = {name: value * (torch.rand(value.shape) < 0.5) for name, value in trained.items()}
    generator = torch.Generator().manual_seed(0)
    model = untrained_candidate(make_settings(QUICK), SPEC, cut, BENCH, generator).subject.model
    for name in SPEC.layer_names:
        weight = model.get_submodule(name).weight
        assert torch.equal(weight != 0, cut[f"{name}.weight"] != 0)
        assert not torch.equal(weight, cut[f"{name}.weight"])


def test_nonsense_leaves_no_class_in_its_place(make_settings: MakeSettings, trained: dict[str, torch.Tensor]) -> None:
    settings = make_settings({**QUICK, "gate-steps": 1})
    subject = prepare_subject(settings, SPEC, trained, BENCH)
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        moved = nonsense_candidate(settings, subject, BENCH, [0, 1, 2], generator).test.labels
        pairs = {tuple(pair) for pair in torch.stack([TEST.labels, moved], 1).tolist()}
        assert {old for old, new in pairs if old == new} == {3}  # not a trained class: stays
        assert {new for old, new in pairs if old != 3} == {0, 1, 2}


def test_permuted_labels_are_the_same_labels(make_settings: MakeSettings, trained: dict[str, torch.Tensor]) -> None:
    settings = make_settings({**QUICK, "gate-steps": 1})
    subject = prepare_subject(settings, SPEC, trained, BENCH)
    test = permuted_candidate(settings, subject, BENCH, torch.Generator().manual_seed(0)).test
    assert test.class_counts(10) == TEST.class_counts(10)
    assert not torch.equal(test.labels, TEST.labels)


def test_contrast_passes_the_gate(rows_of: Callable[[str], list[ValidityRow]]) -> None:
    rows = rows_of("contrast")
    assert [row.control for row in rows] == [str(control) for control in Control for _ in range(5)]
    assert [row.class_id for row in rows[:5]] == [0, 1, 2, 3, None]
    assert verdict(rows) is True


def test_circuits_that_always_say_their_class_fail_the_gate(rows_of: Callable[[str], list[ValidityRow]]) -> None:
    assert verdict(rows_of("paper")) is False


def test_an_untrained_network_fails_the_gate(make_settings: MakeSettings) -> None:
    initial = initial_weights(SPEC, torch.Generator().manual_seed(5))
    rows = check_validity(make_settings(QUICK), SPEC, initial, BENCH, POSITION, [0, 1, 2, 3])
    assert verdict(rows) is False


def test_the_same_seed_gives_the_same_rows(
    rows_of: Callable[[str], list[ValidityRow]], make_settings: MakeSettings, trained: dict[str, torch.Tensor]
) -> None:
    again = check_validity(make_settings(QUICK), SPEC, trained, BENCH, POSITION, [0, 1, 2, 3])
    assert again == rows_of("contrast")


@pytest.mark.parametrize("trained_classes", [[], [2], [7, 9]])
def test_there_is_no_gate_where_nothing_can_be_told_apart(
    make_settings: MakeSettings, trained: dict[str, torch.Tensor], trained_classes: list[int]
) -> None:
    assert check_validity(make_settings(QUICK), SPEC, trained, BENCH, POSITION, trained_classes) == []


def test_only_trained_classes_are_looked_at(make_settings: MakeSettings, trained: dict[str, torch.Tensor]) -> None:
    settings = make_settings({**QUICK, "gate-steps": 2, "deep-draws": 2})
    rows = check_validity(settings, SPEC, trained, BENCH, POSITION, [1, 2])
    assert {row.class_id for row in rows} == {1, 2, None}


def test_a_trained_class_without_test_images_does_not_stop_the_gate(
    make_settings: MakeSettings, trained: dict[str, torch.Tensor]
) -> None:
    settings = make_settings({**QUICK, "gate-steps": 2, "deep-draws": 2})
    without = TEST.select((TEST.labels != 1).nonzero().flatten())
    rows = check_validity(settings, SPEC, trained, replace(BENCH, test=without), POSITION, [0, 1])
    untrained = [row for row in rows if row.control == "untrained"]
    assert [row.balanced_accuracy for row in untrained] == [None, None, None]  # class 0 has nothing to be told from
    assert verdict(rows) is None
