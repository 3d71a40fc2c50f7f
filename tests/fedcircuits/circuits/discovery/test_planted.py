"""Circuits that were wired by hand are found again."""

import pytest
import torch
from planted import NUM_PLANTED, planted_images, planted_network
from sklearn.metrics import roc_auc_score

from fedcircuits.circuits.discovery import ablation_values, discover_circuits, discovery_images

SPARSE, DENSE = (0.1, 0.1), (1.0, 0.05)


def discover(make_settings, planted, changes, seed):
    generator = torch.Generator().manual_seed(seed)
    settings = make_settings({"attribution-images": 32, "gate-steps": 60, **changes}).discovery
    data = planted_images(30, generator)
    images = discovery_images(data, None, tuple(range(NUM_PLANTED)), "contrast")
    ablation = ablation_values(planted.model, data, settings)
    return discover_circuits(planted.model, images, ablation, settings, 32, generator)


def rank_quality(found, planted):
    """Area under the ROC curve of the ranking against the planted circuits, one per class."""
    importance = -found.ranking.argsort(dim=1)
    return [roc_auc_score(truth, row) for truth, row in zip(planted.members, importance, strict=True)]


@pytest.mark.parametrize("discovery", ["gates", "attribution"])
@pytest.mark.parametrize("ablation", ["mean", "zero"])
@pytest.mark.parametrize("distractors", [SPARSE, DENSE], ids=["sparse", "dense"])
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_circuits_lead_the_ranking(make_settings, discovery, ablation, distractors, seed):
    planted = planted_network(torch.Generator().manual_seed(seed), *distractors)
    found = discover(
        make_settings, planted, {"discovery": discovery, "size-rule": "budget", "ablation": ablation}, seed
    )
    assert min(rank_quality(found, planted)) >= 0.95


@pytest.mark.parametrize("discovery", ["gates", "attribution"])
@pytest.mark.parametrize("restarts", [1, 3])
@pytest.mark.parametrize("distractors", [SPARSE, DENSE], ids=["sparse", "dense"])
def test_at_the_planted_size_the_circuits_are_exactly_the_planted_ones(make_settings, discovery, restarts, distractors):
    planted = planted_network(torch.Generator().manual_seed(2), *distractors)
    # Four of 40 channels; where some carry no signal, a tenth is still rounded up to four.
    changes = {"discovery": discovery, "size-rule": "budget", "circuit-budget": 0.1, "restarts": restarts}
    found = discover(make_settings, planted, changes, 2)
    assert torch.equal(found.members, planted.members)


def test_the_price_of_gates_closes_all_but_the_planted_channels(make_settings):
    planted = planted_network(torch.Generator().manual_seed(3), *SPARSE)
    found = discover(make_settings, planted, {"discovery": "gates", "size-rule": "penalty"}, 3)
    assert torch.equal(found.members, planted.members)


@pytest.mark.parametrize("discovery", ["gates", "attribution"])
def test_a_sweep_stops_among_the_planted_channels(make_settings, discovery):
    planted = planted_network(torch.Generator().manual_seed(3), *SPARSE)
    found = discover(make_settings, planted, {"discovery": discovery, "size-rule": "sweep", "sweep-target": 1.0}, 3)
    assert not (found.members & ~planted.members).any()
    assert found.members.sum(1).min() >= 2
