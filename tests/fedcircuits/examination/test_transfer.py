"""Circuits of one client in another's weights, on networks of which every figure can be worked out by hand."""

from collections.abc import Sequence
from dataclasses import asdict

import pytest
import torch
from additive_network import IMAGES, SITE, additive_subject, members

from fedcircuits.alignment.random_circuits import draw_circuits
from fedcircuits.circuits.circuit import Circuits
from fedcircuits.examination.transfer import NUM_RANDOM, Party, Transfer, transfer_circuits
from fedcircuits.records import TABLES

BOTH = (0, 1)


def party(
    partition_id: int,
    strengths: Sequence[float],
    *circuits: Sequence[int],
    class_ids: tuple[int, ...] = (0,),
    told_apart: tuple[int, ...] = BOTH,
    reachable: Sequence[bool] = (True,) * 4,
) -> Party:
    """Two channels in each of two layers; the separation of a circuit is twice the sum of its strengths."""
    rows = members(*circuits)
    found = Circuits.ranked_by_score(class_ids, rows, rows.float())
    return Party(
        partition_id, additive_subject([float(strength) for strength in strengths], reachable), found, told_apart
    )


def transfers(*parties: Party) -> dict[tuple[int, int, int], Transfer]:
    entries = transfer_circuits(parties, IMAGES, SITE, torch.Generator().manual_seed(0))
    return {(entry.a_partition_id, entry.b_partition_id, entry.class_id): entry for entry in entries}


def test_a_circuit_is_judged_in_the_other_clients_weights_against_that_ones_own() -> None:
    found = transfers(party(3, (1, 1, 1, 1), (0, 0, 1, 1)), party(5, (4, 3, 2, 1), (1, 1, 0, 0)))
    assert set(found) == {(3, 5, 0), (5, 3, 0)}
    entry = found[3, 5, 0]
    # In 5's weights the channels of 3's circuit add 2 + 1 of 10, those of its own 4 + 3.
    assert entry.faithfulness == pytest.approx(0.3)
    assert entry.own_faithfulness == pytest.approx(0.7)
    assert entry.transfer == pytest.approx(3 / 7)
    assert found[5, 3, 0].transfer == pytest.approx(1.0)


def test_random_circuits_have_the_sizes_of_the_circuit_that_is_given() -> None:
    # Two channels of the second layer: there are no others to draw.
    entry = transfers(party(3, (1, 1, 1, 1), (0, 0, 1, 1)), party(5, (4, 3, 2, 1), (1, 1, 0, 0)))[3, 5, 0]
    assert entry.random_transfer == pytest.approx(3 / 7)
    assert entry.random_transfer_sd == pytest.approx(0.0)
    assert entry.transfer_excess == pytest.approx(0.0)
    # One channel of the first layer, of strength 9 or 1: half of the draws each, four standard deviations at most off.
    entry = transfers(party(3, (1, 1, 1, 1), (1, 0, 0, 0)), party(5, (9, 1, 0, 0), (1, 1, 0, 0)))[3, 5, 0]
    assert entry.transfer == pytest.approx(0.9)
    assert entry.random_transfer == pytest.approx(0.5, abs=4 * 0.4 / NUM_RANDOM**0.5)
    assert entry.random_transfer_sd == pytest.approx(0.4, abs=0.1)
    assert entry.transfer_excess == pytest.approx(0.9 - entry.random_transfer)


def test_random_circuits_are_drawn_from_what_carries_signal_in_the_taker() -> None:
    taker = party(5, (9, 0, 0, 1), (1, 0, 0, 0), reachable=(True, False, True, True))
    entry = transfers(party(3, (1, 1, 1, 1), (1, 1, 0, 0)), taker)[3, 5, 0]
    # Of the two channels of the first layer only one is left to draw.
    assert entry.random_transfer == pytest.approx(1.0)


def test_channels_that_carry_no_signal_in_the_giver_are_not_part_of_its_circuit() -> None:
    giver = party(3, (1, 1, 1, 1), (1, 1, 0, 0), reachable=(True, False, True, True))
    entry = transfers(giver, party(5, (2, 6, 1, 1), (1, 1, 0, 0)))[3, 5, 0]
    assert entry.faithfulness == pytest.approx(0.2)


def test_circuits_of_other_classes_are_judged_on_this_class() -> None:
    giver = party(3, (1, 1, 1, 1), (1, 1, 0, 0), (0, 0, 0, 1), class_ids=(0, 1))
    taker = party(5, (4, 3, 2, 1), (1, 1, 0, 0), class_ids=(0,))
    found = transfers(giver, taker)
    assert set(found) == {(3, 5, 0), (5, 3, 0)}
    assert found[3, 5, 0].other_class_transfer == pytest.approx(1 / 7)
    assert found[5, 3, 0].other_class_transfer is None  # client 5 has no other


def test_every_ordered_pair_and_shared_class_has_an_entry() -> None:
    rows = ((1, 0, 1, 0), (0, 1, 0, 1))
    parties = [party(k, (1, 2, 3, 4), *rows, class_ids=(0, 1)) for k in (0, 1, 2)]
    assert set(transfers(*parties)) == {(a, b, c) for a in (0, 1, 2) for b in (0, 1, 2) for c in (0, 1) if a != b}


def test_classes_that_only_one_client_knows_and_single_clients_are_left_out() -> None:
    first, second = party(0, (1, 1, 1, 1), (1, 0, 0, 0)), party(1, (1, 1, 1, 1), (1, 0, 0, 0), class_ids=(1,))
    assert transfers(first, second) == transfers(first) == {}


@pytest.mark.parametrize(
    "taker", [party(5, (0, 0, 0, 0), (1, 1, 0, 0)), party(5, (1, 1, 1, 1), (1,) * 4, told_apart=(0,))]
)
def test_a_model_that_does_not_separate_the_class_leaves_everything_undefined(taker: Party) -> None:
    entry = transfers(party(3, (1, 1, 1, 1), (1, 1, 0, 0)), taker)[3, 5, 0]
    assert set(asdict(entry).values()) == {0, 3, 5, None}


def test_nothing_is_held_against_a_circuit_that_does_next_to_nothing_itself() -> None:
    entry = transfers(party(3, (1, 1, 1, 1), (1, 1, 0, 0)), party(5, (4, 3, 2.5, 0.5), (0, 0, 0, 1)))[3, 5, 0]
    assert (entry.faithfulness, entry.own_faithfulness) == (pytest.approx(0.7), pytest.approx(0.05))
    assert entry.transfer is entry.random_transfer is entry.random_transfer_sd is entry.transfer_excess is None


def test_a_layer_that_reaches_fewer_channels_than_asked_for_gives_all_it_has() -> None:
    alive = torch.tensor([True, False, True, True])
    drawn = draw_circuits([2, 1], alive, (2, 2), 5, torch.Generator().manual_seed(0))
    assert drawn[:, :2].tolist() == [[True, False]] * 5
    assert drawn[:, 2:].sum(1).tolist() == [1] * 5


def test_a_transfer_holds_the_columns_of_the_table() -> None:
    entry = transfers(party(3, (1, 1, 1, 1), (1, 1, 0, 0)), party(5, (1, 1, 1, 1), (1, 1, 0, 0)))[3, 5, 0]
    assert ["round", *asdict(entry)] == TABLES["transfer"].names
