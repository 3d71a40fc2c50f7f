import pytest
import torch
from additive_network import IMAGES, SITE, additive_subject, members
from hypothesis import given
from hypothesis import strategies as st

from fedcircuits.examination.completeness import (
    completeness,
    incompleteness,
    minimality,
    needless_share,
    random_subsets,
    removal_drops,
    stochastic_faithfulness,
)
from fedcircuits.examination.trials import Trial, prepare_trial

STRENGTHS = (0.5, 0.3, 0.195, 0.005)


def trial_of(strengths: tuple[float, ...] = STRENGTHS) -> Trial:
    return prepare_trial(additive_subject(strengths), IMAGES, 0, [0, 1], SITE)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_completeness_is_what_the_rest_cannot_do() -> None:
    circuit, empty, full = members([1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1])
    assert completeness(trial_of(), circuit) == pytest.approx(0.695)
    assert completeness(trial_of(), empty) == pytest.approx(0)
    assert completeness(trial_of(), full) == pytest.approx(1)


def test_incompleteness_of_an_additive_network_is_what_the_circuit_lacks() -> None:
    # Whatever is lost, circuit and network differ by the channels outside.
    circuit, full, empty = members([1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0])
    assert incompleteness(trial_of(), circuit, seeded()) == pytest.approx(0.2)
    assert incompleteness(trial_of(), full, seeded()) == pytest.approx(0)
    assert incompleteness(trial_of(), empty, seeded()) is None


@given(st.integers(1, 40), st.integers(0, 1000))
def test_random_subsets_lie_in_the_circuit_and_have_their_sizes(size: int, seed: int) -> None:
    member = torch.arange(50) < size
    subsets = random_subsets(member, torch.Generator().manual_seed(seed))
    assert not (subsets & ~member).any()
    expected = [max(1, round(share * size)) for share in (0.25, 0.5, 0.75)]
    assert subsets.sum(1).tolist() == [count for count in expected for _ in range(8)]


def test_drops_are_the_members_own_strengths() -> None:
    drops = removal_drops(trial_of(), members([1, 0, 1, 1])[0])
    assert drops.tolist() == pytest.approx([0.5, 0.195, 0.005], abs=1e-6)
    assert minimality(drops) == pytest.approx(0.005, abs=1e-6)
    assert needless_share(drops) == pytest.approx(1 / 3)


def test_a_channel_that_gets_in_the_way_has_a_negative_drop() -> None:
    drops = removal_drops(trial_of((0.75, 0.5, -0.25, 0.0)), members([1, 0, 1, 0])[0])
    assert minimality(drops) == pytest.approx(-0.25)


def test_an_empty_circuit_has_no_least_needed_channel() -> None:
    drops = removal_drops(trial_of(), members([0, 0, 0, 0])[0])
    assert minimality(drops) is None
    assert needless_share(drops) is None


def test_ablating_everything_outside_is_the_circuit_itself() -> None:
    trial, member = trial_of(), members([1, 1, 0, 0])[0]
    assert stochastic_faithfulness(trial, member, 1.0, seeded()) == float(trial.faithfulness(member[None])[0])
    assert stochastic_faithfulness(trial, member, 0.0, seeded()) == pytest.approx(1)


def test_ablating_half_of_the_outside_costs_half_of_it_on_average() -> None:
    trial, member = trial_of((0.5, 0.25, 0.25, 0.0)), members([1, 0, 0, 1])[0]
    values = [stochastic_faithfulness(trial, member, 0.5, torch.Generator().manual_seed(i)) for i in range(100)]
    # 0.5 + 0.25 on average; 800 draws of two fair coins of 0.25 leave a standard error of 0.006.
    assert sum(values) / 100 == pytest.approx(0.75, abs=0.02)
