import pytest
import torch

from fedcircuits.circuits.discovery import ablation_values, discover_circuits, discovery_images
from fedcircuits.circuits.discovery.gates import INITIAL_LOGIT, learn_gates, noisy_start
from fedcircuits.circuits.discovery.images import draw_contrast_set
from fedcircuits.circuits.discovery.restarts import bootstrap, child_generators, resample_by_class, vote


def test_a_circuit_is_what_most_restarts_kept():
    members = torch.tensor([[[1, 1, 0, 0]], [[1, 0, 1, 0]], [[1, 1, 0, 0]]]).bool()
    rankings = torch.tensor([[[0, 1, 2, 3]], [[2, 0, 3, 1]], [[0, 1, 2, 3]]])
    circuits = vote((7,), members, rankings)
    assert circuits.class_ids == (7,)
    torch.testing.assert_close(circuits.scores, torch.tensor([[1, 2 / 3, 1 / 3, 0]]))
    assert circuits.members.tolist() == [[True, True, False, False]]
    # Mean places: 1/3, 5/3, 4/3, 8/3.
    assert circuits.ranking.tolist() == [[0, 2, 1, 3]]


@pytest.mark.parametrize("objective", ["contrast", "kl", "target-class"])
def test_all_restarts_in_one_pass_are_restarts_one_after_the_other(make_settings, data, model, objective):
    changes = {"discovery": "gates", "size-rule": "penalty", "objective": objective}
    settings = make_settings({**changes, "gate-steps": 30, "gate-batch": 8}).discovery
    images = discovery_images(data, None, (0, 1, 2, 3), objective)
    ablation = ablation_values(model, data, settings)

    def starts():
        generators = child_generators(torch.Generator().manual_seed(0), 3)
        return [noisy_start(images, model.spec.num_channels, each) for each in generators]

    together = learn_gates(model, images, ablation, settings, 16, starts())
    alone = torch.cat([learn_gates(model, images, ablation, settings, 16, [start]) for start in starts()])
    # 30 steps of Adam on gradients that differ in their last bits; Adam divides by their size, so 1e-3 is generous.
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-3)
    assert not torch.equal(together[0], together[1])


def test_restarts_begin_at_different_logits_and_hardly_ever_closed(data):
    images = discovery_images(data, None, (0, 1, 2, 3), "contrast")
    start = noisy_start(images, 5000, torch.Generator().manual_seed(0))
    assert start.logits.mean().item() == pytest.approx(INITIAL_LOGIT, abs=0.02)
    assert start.logits.std().item() == pytest.approx(0.5, abs=0.02)
    assert (start.logits > 0).all()


def test_a_resample_keeps_every_image_in_its_class():
    labels = torch.tensor([0] * 50 + [2] + [5] * 30)
    source = resample_by_class(labels, torch.Generator().manual_seed(0))
    assert torch.equal(labels[source], labels)
    assert source[50] == 50
    # Of 50 images drawn 50 times with replacement, about 1 - 1/e stay.
    assert 25 <= len(source[:50].unique()) <= 38


def test_a_bootstrap_keeps_the_weight_of_own_and_of_other_images(data):
    images = discovery_images(data, None, (0, 1, 2, 3), "contrast")
    chosen = draw_contrast_set(images, 16, torch.Generator().manual_seed(0))
    drawn = bootstrap(chosen, torch.Generator().manual_seed(1))
    assert drawn.samples is chosen.samples
    for row in range(4):
        for kind in (True, False):
            part = (chosen.samples.group == row) & (chosen.is_positive == kind)
            assert chosen.share[part].sum().item() == pytest.approx(1)
            assert drawn.share[part].sum().item() == pytest.approx(1)
    assert not torch.equal(drawn.share, chosen.share)


@pytest.mark.parametrize("discovery", ["gates", "attribution"])
def test_with_restarts_scores_are_shares_of_votes(make_settings, data, model, discovery):
    changes = {"discovery": discovery, "size-rule": "budget", "restarts": 5, "gate-steps": 10}
    settings = make_settings(changes).discovery
    images = discovery_images(data, None, (0, 1), "contrast")
    ablation = ablation_values(model, data, settings)
    found = discover_circuits(model, images, ablation, settings, 16, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found.scores * 5, (found.scores * 5).round())
    assert torch.equal(found.members, found.scores > 0.5)
    # Each restart keeps a quarter of 15 channels, rounded up.
    torch.testing.assert_close(found.scores.sum(1), torch.tensor([4.0, 4.0]))
