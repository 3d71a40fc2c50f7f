"""The check of the discovery: pooled figures worked out by hand, planted circuits, and a client that spoils nothing."""

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from planted import NUM_PLANTED, SPEC, Planted, planted_images, planted_network

from fedcircuits.alignment.random_circuits import random_circuits
from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.study import Bench, prepare_subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.contests import Contest
from fedcircuits.examination.validity import (
    CheckedModel,
    ValidityRow,
    check_validity,
    judge_contests,
    result_of,
    standard_error,
)
from fedcircuits.records import TABLES
from fedcircuits.settings import Settings
from fedcircuits.training.local import RoundPosition

MakeSettings = Callable[[dict[str, Any]], Settings]

POSITION = RoundPosition(1, 1)
CLASSES = tuple(range(SPEC.num_classes))


def images(seed: int) -> LabelledImages:
    return planted_images(20, torch.Generator().manual_seed(seed))


PROBE, TEST = images(1), images(2)


def contest(
    hits: list[int], *rivals: list[int], class_id: int = 0, client: int = 0, num_own: int = 2, first: int = 0
) -> Contest:
    """Return a contest on images in a row, those of the class first."""
    count = len(hits)
    return Contest(
        partition_id=client,
        class_id=class_id,
        positions=torch.arange(first, first + count),
        is_own=torch.arange(count) < num_own,
        hits=torch.tensor(hits).bool(),
        rival_hits=torch.tensor(rivals).bool(),
    )


PERFECT = contest([1, 1, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1])
"""Two images of the class and two others; rivals of balanced accuracy 0.5, both."""


def test_the_records_have_the_columns_of_their_table() -> None:
    assert ["round", *(field.name for field in fields(ValidityRow))] == TABLES["validity"].names


def test_a_circuit_stands_against_the_mean_of_its_rivals() -> None:
    row, pooled = judge_contests([PERFECT], 1)
    assert (row.partition_id, row.class_id, row.num_circuits, row.passed) == (0, 0, 1, None)
    assert (row.balanced_accuracy, row.random_balanced_accuracy, row.random_sd) == (1.0, 0.5, 0.0)
    assert row.effect == pytest.approx(0.5)
    assert row.z == pytest.approx(0.5 / row.standard_error)
    assert replace(pooled, partition_id=0, class_id=0, passed=None) == row


def test_the_error_of_images_is_that_of_paired_differences() -> None:
    # Ahead of the mean rival by 0, 1/2 on the class's images and by 1/2, 1 on the others; an image has a weight of 1/4.
    # Deviations from the means of the two sides (1/4 and 3/4) are all 1/4, and one image more on each side is 1 off.
    expected = 4 * (0.25 / 4) ** 2 + 2 * (1 / 4) ** 2
    assert standard_error([PERFECT]) == pytest.approx(math.sqrt(expected))


def test_the_error_of_draws_shrinks_with_their_number() -> None:
    # Rivals of balanced accuracy 1 and 0: a variance of 1/2, over two draws 1/4. Every image is half way ahead.
    unsure = contest([1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1])
    assert standard_error([unsure]) == pytest.approx(math.sqrt(2 / 16 + 1 / 4))
    four = contest([1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1])
    assert standard_error([four]) == pytest.approx(math.sqrt(2 / 16 + (1 / 3) / 4))


def test_images_that_several_clients_share_are_not_counted_as_new_ones() -> None:
    other = contest([1, 1, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1], client=1)
    apart = contest([1, 1, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1], client=1, first=4)
    added = 2 * 2 * (1 / 4) ** 2
    assert standard_error([PERFECT, other]) == pytest.approx(math.sqrt(4 * (2 * 0.25 / 4) ** 2 + added) / 2)
    assert standard_error([PERFECT, apart]) == pytest.approx(math.sqrt(8 * (0.25 / 4) ** 2 + added) / 2)


def test_pooling_takes_means_over_clients_and_classes() -> None:
    none = contest([1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 1, 0], class_id=1, client=2)
    *_, pooled = judge_contests([PERFECT, none], 1)
    assert (pooled.partition_id, pooled.class_id, pooled.num_circuits) == (None, None, 2)
    assert (pooled.balanced_accuracy, pooled.random_balanced_accuracy) == (0.75, 0.5)
    assert pooled.effect == pytest.approx(0.25)
    assert pooled.passed is False  # four images say little


def test_a_class_without_images_of_either_side_has_no_figures_and_is_left_out_of_the_pool() -> None:
    blind = contest([1, 1], [0, 1], [1, 1], class_id=3)
    *_, missing, pooled = judge_contests([PERFECT, blind], 1)
    assert (missing.class_id, missing.balanced_accuracy, missing.z, missing.num_circuits) == (3, None, None, 0)
    assert (pooled.num_circuits, pooled.effect) == (1, pytest.approx(0.5))
    nothing = judge_contests([blind], 1)
    assert nothing[-1].passed is None
    assert result_of(nothing, 1) is None


# -- Planted circuits


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings({"examination-draws": 20, "examination-images": 20})


def planted(seed: int) -> Planted:
    return planted_network(torch.Generator().manual_seed(seed))


def checked(settings: Settings, client: int, network: Planted, members: torch.Tensor) -> CheckedModel:
    bench = Bench(client, PROBE, None, PROBE, None, TEST, CLASSES)
    subject = prepare_subject(settings, SPEC, network.model.state_dict(), bench)
    circuits = Circuits.ranked_by_score(tuple(range(NUM_PLANTED)), members, members.float())
    return CheckedModel(client, subject, circuits, CLASSES)


def good(settings: Settings, client: int) -> CheckedModel:
    network = planted(client)
    return checked(settings, client, network, network.members)


def bad(settings: Settings, client: int) -> CheckedModel:
    """Return a client whose circuits are drawn by lot, as many channels as the planted ones have."""
    network, generator = planted(client), torch.Generator().manual_seed(client)
    everywhere = torch.ones(SPEC.num_channels, dtype=torch.bool)
    drawn = [random_circuits(one, everywhere, SPEC.channels, 1, generator)[0] for one in network.members]
    return checked(settings, client, network, torch.stack(drawn))


def test_planted_circuits_pass(settings: Settings) -> None:
    rows = check_validity(settings, [good(settings, 0)], TEST, POSITION)
    assert [(row.partition_id, row.class_id) for row in rows] == [(0, 0), (0, 1), (0, 2), (None, None)]
    assert all(row.balanced_accuracy == pytest.approx(1.0, abs=0.05) for row in rows)
    assert rows[-1].passed is True


def test_circuits_drawn_by_lot_fail(settings: Settings) -> None:
    result = result_of(check_validity(settings, [bad(settings, n) for n in range(3)], TEST, POSITION), 1)
    assert result is not None
    assert not result.has_passed
    assert abs(result.effect) < 0.05


def test_one_bad_client_among_three_good_ones_does_not_void_all(settings: Settings) -> None:
    models = [bad(settings, 0), *(good(settings, n) for n in (1, 2, 3))]
    rows = check_validity(settings, models, TEST, POSITION)
    assert rows[-1].passed is True
    assert all((row.effect or 0.0) > 0.3 for row in rows[:-1] if row.partition_id != 0)


def test_the_same_seed_gives_the_same_rows(settings: Settings) -> None:
    first, second = (check_validity(settings, [good(settings, 0)], TEST, POSITION) for _ in range(2))
    assert first == second
    later = check_validity(settings, [good(settings, 0)], TEST, RoundPosition(2, 2))
    assert [row.random_balanced_accuracy for row in later] != [row.random_balanced_accuracy for row in first]


@pytest.mark.parametrize("classes", [(), (2,), (3,)])
def test_nothing_is_checked_where_nothing_can_be_told_apart(settings: Settings, classes: tuple[int, ...]) -> None:
    model = replace(good(settings, 0), classes=classes)
    assert check_validity(settings, [model], TEST, POSITION) == []
    assert check_validity(settings, [], TEST, POSITION) == []


def test_circuits_of_classes_that_a_client_does_not_know_are_not_checked(settings: Settings) -> None:
    rows = check_validity(settings, [replace(good(settings, 0), classes=(1, 2))], TEST, POSITION)
    assert [row.class_id for row in rows] == [1, 2, None]


def test_a_known_class_without_test_images_does_not_stop_the_check(settings: Settings) -> None:
    without = TEST.of_classes([0, 2])
    model = replace(good(settings, 0), classes=(0, 1))
    rows = check_validity(settings, [model], without, POSITION)
    assert [row.balanced_accuracy for row in rows] == [None, None, None]  # class 0 has nothing to be told from
    assert result_of(rows, 1) is None


def test_the_draws_of_a_class_are_shared_out_among_clients(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(*arguments: Any) -> torch.Tensor:
        asked.append(arguments[3])
        return random_circuits(*arguments)

    monkeypatch.setattr("fedcircuits.examination.contests.random_circuits", counted)
    check_validity(settings, [good(settings, n) for n in range(3)], TEST, POSITION)
    assert set(asked) == {7}  # 20 draws for three clients
