from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import Tensor

from fedcircuits.alignment.circuits import AlignedModel
from fedcircuits.alignment.pairs import LayerAlignment, align_pair, judge_alignment
from fedcircuits.alignment.relabelling import identity_permutations, permute_members, permute_weights
from fedcircuits.circuits.circuit import Circuits, no_circuits
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import TABLES, AlignmentVerdict, MatchingMethod

SPEC = ModelSpec(1, 8, (12, 16), 4, hidden_units=(6,))
EVERYTHING = torch.ones(SPEC.num_channels, dtype=torch.bool)
Entries = dict[tuple[str, str], LayerAlignment]


def circuits(members: Tensor, *class_ids: int) -> Circuits:
    return Circuits.ranked_by_score(class_ids, members, members.float())


def two_circuits() -> Tensor:
    """Class 0 keeps the first three channels of conv1 and four of conv2, class 1 the next three and four."""
    members = torch.zeros(2, SPEC.num_channels, dtype=torch.bool)
    members[0, [0, 1, 2, 12, 13, 14, 15]] = True
    members[1, [3, 4, 5, 16, 17, 18, 19]] = True
    return members


def model(seed: int, partition_id: int | None = 0, found: Circuits | None = None) -> AlignedModel:
    weights = initial_weights(SPEC, torch.Generator().manual_seed(seed))
    for name in SPEC.hidden_names:
        weights[f"{name}.bias"] += 3.0  # so that no unit is dead by accident
    found = circuits(two_circuits(), 0, 1) if found is None else found
    return AlignedModel(partition_id, weights, found, EVERYTHING, (True,) * len(found.class_ids))


def relabelled(original: AlignedModel, partition_id: int | None) -> AlignedModel:
    """The same model and circuits, every channel under another name."""
    rng = np.random.default_rng(5)
    orders = {name: rng.permutation(order) for name, order in identity_permutations(SPEC).items()}
    found = circuits(permute_members(SPEC, original.circuits.members, orders), *original.circuits.class_ids)
    return AlignedModel(
        partition_id, permute_weights(SPEC, original.weights, orders), found, EVERYTHING, original.usable
    )


def align(first: AlignedModel, second: AlignedModel, num_draws: int = 20) -> Entries:
    images = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    entries = align_pair(SPEC, first, second, images, num_draws, torch.Generator().manual_seed(0))
    return {(entry.method, entry.layer): entry for entry in entries}


def test_entries_hold_the_columns_of_the_table():
    entries = align(model(0), model(1, partition_id=None))
    assert ["round", *asdict(entries["weights", "all"])] == TABLES["alignment"].names
    assert {(e.a_partition_id, e.b_partition_id) for e in entries.values()} == {(0, None)}
    layers = ["conv1", "conv2", "hidden1", "all"]
    assert list(entries) == [(method, layer) for method in MatchingMethod for layer in layers]


@pytest.mark.parametrize("method", MatchingMethod)
def test_a_relabelled_model_is_told_by_matching_and_by_nothing_else(method: MatchingMethod):
    first = model(0)
    entry = align(first, relabelled(first, 1))[method, "all"]
    assert (entry.num_channels, entry.num_matched, entry.num_circuits) == (28, 28, 2)
    assert entry.fixed_points < 0.3
    assert entry.correlation < 0.5
    assert entry.matched_correlation == pytest.approx(1.0, abs=1e-6)  # float32 sums in another order
    assert entry.phi < 0.3
    assert entry.matched_phi == pytest.approx(1.0)
    # Classes share no channel: with 3 of 12 and 4 of 16, phi is -1/3 in both layers.
    assert entry.other_class_phi == pytest.approx(-1 / 3)
    # 40 random circuits; phi of one has a standard deviation of about 1/sqrt(28 - 2).
    assert entry.random_phi == pytest.approx(0.0, abs=4 * 0.2 / np.sqrt(40))
    assert entry.verdict == AlignmentVerdict.RELABELLING


@pytest.mark.parametrize("method", MatchingMethod)
def test_alignment_does_not_matter_where_channels_keep_their_places(method: MatchingMethod):
    for (found_by, layer), entry in align(model(0), model(0, 1)).items():
        if found_by == method:
            assert entry.fixed_points == 1.0
            assert entry.correlation == entry.matched_correlation == pytest.approx(1.0)
            assert entry.verdict == AlignmentVerdict.IRRELEVANT
            assert entry.phi == entry.matched_phi == (None if layer == "hidden1" else pytest.approx(1.0))


@pytest.mark.parametrize("method", MatchingMethod)
def test_other_circuits_in_a_relabelled_model_stay_different(method: MatchingMethod):
    first = model(0)
    elsewhere = circuits(two_circuits().roll(1, 0), 0, 1)  # each class has the other's channels
    entry = align(first, relabelled(model(0, 1, elsewhere), 1))[method, "all"]
    assert entry.matched_phi == pytest.approx(-1 / 3)
    assert entry.other_class_phi == pytest.approx(1.0)
    assert entry.verdict == AlignmentVerdict.DIFFERENT


def test_without_a_shared_class_only_the_other_class_control_is_left():
    first = model(0, 0, circuits(two_circuits()[:1], 0))
    second = model(1, 1, circuits(two_circuits()[1:], 1))
    entry = align(first, second)["weights", "conv1"]
    assert (entry.phi, entry.matched_phi, entry.random_phi, entry.num_circuits) == (None, None, None, 0)
    assert entry.other_class_phi is not None
    assert entry.verdict == AlignmentVerdict.UNDECIDED


@pytest.mark.parametrize("verdict", [False, None])
def test_circuits_that_are_not_usable_or_have_no_verdict_are_left_out(verdict):
    first = model(0)
    judged = AlignedModel(1, first.weights, first.circuits, EVERYTHING, (verdict, True))
    entry = align(first, judged)["activations", "all"]
    assert entry.num_circuits == 1
    assert entry.other_class_phi == pytest.approx(-1 / 3)  # class 0 of the first against class 1 of the second


def test_a_circuit_that_is_empty_in_a_layer_counts_in_the_others():
    members = two_circuits()
    members[0, 12:] = False
    entries = align(model(0), model(0, 1, circuits(members, 0, 1)))
    assert entries["weights", "conv2"].num_circuits == 1
    assert entries["weights", "conv1"].num_circuits == entries["weights", "all"].num_circuits == 2


def test_the_universe_follows_the_matching():
    first = model(0)
    orders = {"conv1": np.arange(12)[::-1].copy(), "conv2": np.arange(16), "hidden1": np.arange(6)}
    reachable = EVERYTHING.clone()
    reachable[6:12] = False  # of both models the first six channels of conv1, as the first calls them
    members = permute_members(SPEC, two_circuits(), orders)
    left = AlignedModel(0, first.weights, first.circuits, reachable, (True, True))
    right = AlignedModel(
        1,
        permute_weights(SPEC, first.weights, orders),
        circuits(members, 0, 1),
        permute_members(SPEC, reachable, orders),
        (True, True),
    )
    entry = align(left, right)["weights", "conv1"]
    # Unmatched, 3 and 3 of a universe of 12 share none: -1/3. Matched, the universe has 6, and classes 3 each of it.
    assert entry.phi == pytest.approx(-1 / 3)
    assert entry.matched_phi == pytest.approx(1.0)
    assert entry.other_class_phi == pytest.approx(-1.0)


def test_models_without_a_living_channel_or_circuit_leave_everything_open():
    dead = {name: torch.zeros(shape) for name, shape in SPEC.state_shapes.items()}
    nothing = no_circuits(SPEC.num_channels)
    empty = AlignedModel(None, dead, nothing, ~EVERYTHING, ())
    for entry in align(model(0), empty).values():
        assert (entry.num_channels, entry.num_matched, entry.num_circuits) == (0, 0, 0)
        assert entry.fixed_points is entry.correlation is entry.matched_correlation is entry.phi is None
        assert entry.verdict == AlignmentVerdict.UNDECIDED


@pytest.mark.parametrize(
    ("fixed_points", "phi", "matched_phi", "other_class_phi", "random_phi", "verdict"),
    [
        (0.95, 0.0, 0.9, 0.0, 0.0, "alignment irrelevant"),
        (0.5, 0.0, 0.6, 0.1, 0.0, "relabelling"),
        (0.5, 0.0, 0.6, None, 0.0, "relabelling"),  # a single class each: random circuits are the only control
        (0.5, 0.0, 0.6, 0.55, 0.0, "undecided"),  # the matching brings circuits of all classes together
        (0.5, 0.55, 0.6, 0.1, 0.0, "alignment irrelevant"),  # they overlap as they are
        (0.5, 0.35, -0.1, 0.3, 0.0, "alignment irrelevant"),  # and matching only takes them apart
        (0.5, 0.35, 0.6, 0.1, 0.0, "relabelling"),  # in part
        (0.5, 0.0, 0.25, 0.0, 0.0, "undecided"),  # nearer by matching, yet not alike
        (0.5, 0.25, 0.32, 0.0, 0.0, "undecided"),  # alike by a hair
        (0.5, 0.0, 0.05, 0.0, 0.0, "genuinely different"),
        (0.5, 0.25, 0.2, 0.3, 0.0, "genuinely different"),
        (0.5, None, None, 0.3, None, "undecided"),
        (None, 0.0, 0.0, 0.0, 0.0, "undecided"),
    ],
)
def test_verdicts(fixed_points, phi, matched_phi, other_class_phi, random_phi, verdict: str):
    assert judge_alignment(fixed_points, phi, matched_phi, other_class_phi, random_phi) == verdict
