from itertools import pairwise

import torch
from additive_network import IMAGES, SITE, additive_subject, members

from fedcircuits.examination.hypothesis_tests import (
    necessity_p_value,
    rank_p_value,
    sufficiency_p_value,
)
from fedcircuits.examination.trials import Trial, prepare_trial

STRENGTHS = (0.5, 0.3, 0.15, 0.05)
RIVALS = members([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1])


def trial_of(strengths: tuple[float, ...] = STRENGTHS) -> Trial:
    return prepare_trial(additive_subject(strengths), IMAGES, 0, [0, 1], SITE)


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


def test_stronger_circuits_never_have_larger_p_values() -> None:
    order = [members(row)[0] for row in ([0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0])]
    for test in (sufficiency_p_value, necessity_p_value):
        values = [test(trial_of(), member, RIVALS) for member in order]
        assert all(0 < later <= earlier <= 1 for earlier, later in pairwise(values))
