from itertools import pairwise

import pytest
import torch
from additive_network import IMAGES, SITE, additive_subject, members, pixel_images
from scipy import stats

from fedcircuits.examination.completeness import removal_drops
from fedcircuits.examination.hypothesis_tests import (
    equivalence_p_value,
    minimality_p_value,
    necessity_p_value,
    rank_p_value,
    sufficiency_p_value,
)
from fedcircuits.examination.trials import Trial, prepare_trial

STRENGTHS = (0.5, 0.3, 0.15, 0.05)
RIVALS = members([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1])


def trial_of(strengths: tuple[float, ...] = STRENGTHS) -> Trial:
    return prepare_trial(additive_subject(strengths), IMAGES, 0, [0, 1], SITE)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_rank_p_value_counts_the_circuit_itself_and_ties_against_it() -> None:
    assert rank_p_value(0.5, torch.tensor([0.1, 0.5, 0.7])) == 3 / 4
    assert rank_p_value(0.9, torch.tensor([0.1, 0.5, 0.7])) == 1 / 4
    assert rank_p_value(0.0, torch.tensor([0.1, 0.5, 0.7])) == 1


def test_sufficiency_ranks_the_circuit_among_random_ones() -> None:
    assert sufficiency_p_value(trial_of(), members([1, 0, 0, 0])[0], RIVALS) == 2 / 5
    assert sufficiency_p_value(trial_of(), members([0, 0, 0, 1])[0], RIVALS) == 1
    assert sufficiency_p_value(trial_of(), members([1, 1, 0, 0])[0], RIVALS) == 1 / 5


def test_necessity_ranks_what_the_network_loses() -> None:
    assert necessity_p_value(trial_of(), members([0, 1, 0, 0])[0], RIVALS) == 3 / 5
    assert necessity_p_value(trial_of(), members([1, 1, 0, 0])[0], RIVALS) == 1 / 5


def test_minimality_compares_with_channels_that_were_added() -> None:
    trial, member = trial_of(), members([1, 1, 0, 0])[0]
    p_value = minimality_p_value(trial, member, removal_drops(trial, member), 100, seeded())
    # Drops 0.5 and 0.3 against 0.15 and 0.05: of six ways to rank two among four, one is as good.
    assert p_value == pytest.approx(1 / 6)
    worst = members([0, 0, 1, 1])[0]
    assert minimality_p_value(trial, worst, removal_drops(trial, worst), 100, seeded()) == pytest.approx(1)


def test_minimality_draws_no_more_than_asked() -> None:
    trial, member = trial_of(), members([1, 0, 0, 0])[0]
    # One real drop above one added: 1 of 2 ways.
    assert minimality_p_value(trial, member, removal_drops(trial, member), 1, seeded()) == pytest.approx(1 / 2)


def test_minimality_needs_channels_inside_and_outside() -> None:
    trial = trial_of()
    for member in members([0, 0, 0, 0], [1, 1, 1, 1]):
        assert minimality_p_value(trial, member, removal_drops(trial, member), 10, seeded()) is None


def test_equivalence_agrees_with_two_welch_tests() -> None:
    pixels, labels = [1.0, 2.0, 4.0, -1.0, 0.0, 0.5], [0, 0, 0, 1, 1, 1]
    trial = prepare_trial(additive_subject((0.96, 0.04, 0.0, 0.0)), pixel_images(pixels, labels), 0, [0, 1], SITE)
    p_value = equivalence_p_value(trial, members([1, 0, 1, 1])[0])
    # The circuit changes every log-odds by -0.04 x; the margin is a tenth of M(N).
    changes = [-0.04 * x for x in pixels]
    margin = 0.1 * (7 / 3 + 0.5 / 3)
    low = stats.ttest_ind([c + margin for c in changes[:3]], changes[3:], equal_var=False, alternative="greater")
    high = stats.ttest_ind([c - margin for c in changes[:3]], changes[3:], equal_var=False, alternative="less")
    assert p_value == pytest.approx(max(low.pvalue, high.pvalue), rel=1e-4)  # float32 log-odds
    assert 0 < p_value < 0.5


def test_equivalence_is_certain_for_the_whole_and_refused_outside_the_margin() -> None:
    assert equivalence_p_value(trial_of(), members([1, 1, 1, 1])[0]) == 0
    p_value = equivalence_p_value(trial_of(), members([0, 0, 1, 1])[0])
    assert p_value is not None
    assert p_value > 0.5


def test_equivalence_needs_two_images_on_each_side() -> None:
    trial = prepare_trial(additive_subject(STRENGTHS), pixel_images([1.0, 0.0, 0.0], [0, 1, 1]), 0, [0, 1], SITE)
    assert equivalence_p_value(trial, members([1, 1, 0, 0])[0]) is None


def test_stronger_circuits_never_have_larger_p_values() -> None:
    order = [members(row)[0] for row in ([0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0])]
    for test in (sufficiency_p_value, necessity_p_value):
        values = [test(trial_of(), member, RIVALS) for member in order]
        assert all(0 < later <= earlier <= 1 for earlier, later in pairwise(values))
