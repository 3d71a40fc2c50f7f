"""Local training, apart from its agreement with the paper's: that is in fidelity/test_training.py."""

import pytest
import torch
import torch.nn.functional as F

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks import cnn as models
from fedcircuits.networks.cnn import SparseCNN, initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.training.local import RoundPosition, train_sparse
from fedcircuits.training.sparsity import densities

SPEC = ModelSpec(in_channels=1, image_size=8, channels=(4, 6), num_classes=3)
FIRST_OF_TWO, SECOND_OF_TWO = RoundPosition(1, 2), RoundPosition(2, 2)


@pytest.fixture
def data() -> LabelledImages:
    generator = torch.Generator().manual_seed(1)
    return LabelledImages(
        torch.randn(22, 1, 8, 8, generator=generator), torch.randint(0, 3, (22,), generator=generator)
    )


@pytest.fixture
def start() -> dict[str, torch.Tensor]:
    return initial_weights(SPEC, torch.Generator().manual_seed(2))


def run(settings, start, data, position=FIRST_OF_TWO, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return train_sparse(SPEC, start, data, settings.training, settings.sparsity, position, generator)


def test_the_same_generator_gives_the_same_bits(make_settings, data, start):
    settings = make_settings({"batch-size": 5})
    first, second, other = (run(settings, start, data, seed=seed).weights for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_start_is_left_as_it_was(make_settings, data, start):
    before = {name: value.clone() for name, value in start.items()}
    run(make_settings({}), start, data)
    assert all(torch.equal(start[name], before[name]) for name in start)


def test_masks_cover_exactly_the_weights_that_are_left(make_settings, data, start):
    trained = run(make_settings({"sparsity": 0.8}), start, data)
    for name, mask in trained.masks.items():
        assert not trained.weights[f"{name}.weight"][~mask].any()
    assert 0.1 < densities(trained.masks)["fc"] < 0.3


def test_a_dense_run_keeps_every_weight(make_settings, data, start):
    trained = run(make_settings({"sparsity": 0.0}), start, data)
    assert densities(trained.masks)["all"] == 1.0


def test_the_run_schedule_goes_on_where_the_last_round_stopped(make_settings, data, start):
    settings = make_settings(
        {"sparsity": 0.8, "sparsity-schedule": "run", "min-alive": 0, "batch-size": 22, "local-epochs": 4}
    )
    # Of 8 steps in all, 4 anneal: after round 1 the schedule stands at step 4, the first at full sparsity.
    assert densities(run(settings, start, data, RoundPosition(1, 4)).masks)["fc"] == pytest.approx(0.6, abs=0.02)
    assert densities(run(settings, start, data, SECOND_OF_TWO).masks)["fc"] == pytest.approx(0.2, abs=0.02)


def test_the_proximal_term_pulls_towards_the_start(make_settings, data, start):
    def distance(mu: float) -> float:
        strategy = "fedprox" if mu else "fedavg"
        changes = {"sparsity": 0.0, "strategy": strategy, "proximal-mu": mu, "batch-size": 5, "local-epochs": 20}
        weights = run(make_settings(changes), start, data).weights
        return sum(float((weights[name] - start[name]).square().sum()) for name in start)

    assert distance(10.0) < 0.5 * distance(0.0)


def test_the_first_proximal_step_is_a_plain_step(make_settings, data, start):
    changes = {"sparsity": 0.0, "local-epochs": 1, "batch-size": 22, "optimizer": "sgd"}
    plain = run(make_settings(changes), start, data).weights
    proximal = run(make_settings({**changes, "strategy": "fedprox", "proximal-mu": 5.0}), start, data).weights
    assert all(torch.equal(plain[name], proximal[name]) for name in plain)


def test_the_loss_is_the_mean_over_the_last_epoch(make_settings, data, start):
    changes = {"sparsity": 0.0, "local-epochs": 1, "batch-size": 22}
    model = SparseCNN(SPEC)
    model.load_state_dict(start)
    expected = float(F.cross_entropy(model(data.images), data.labels).detach())
    assert run(make_settings(changes), start, data).train_loss == pytest.approx(expected, rel=1e-5)


def test_a_kept_weight_that_is_zero_does_not_count_as_kept(make_settings, data, start):
    dead = {name: torch.zeros_like(value) if name == "conv2.weight" else value for name, value in start.items()}
    settings = make_settings({"sparsity": 0.0, "local-epochs": 1, "batch-size": 22})
    dead["fc.weight"] = torch.zeros_like(start["fc.weight"])  # no gradient reaches conv2 in the first step
    trained = run(settings, dead, data)
    assert not trained.masks["conv2"].any()
    assert trained.masks["fc"].any() or not trained.weights["fc.weight"].any()


def test_passes_of_any_size_take_the_same_steps(make_settings, data, start, monkeypatch: pytest.MonkeyPatch):
    settings = make_settings({"sparsity": 0.5, "batch-size": 11})
    at_once = run(settings, start, data)
    monkeypatch.setitem(models._PASS_VALUES, "cpu", 3 * SPEC.largest_map)
    in_parts = run(settings, start, data)
    for name, value in at_once.weights.items():
        torch.testing.assert_close(in_parts.weights[name], value, rtol=0, atol=1e-5)
    assert in_parts.train_loss == pytest.approx(at_once.train_loss, rel=1e-5)


def test_half_precision_takes_nearly_the_same_steps_and_leaves_whole_precision(make_settings, data, start):
    # One step of plain SGD, with eight bits of mantissa and now and then another place as the maximum of a window.
    changes = {"sparsity": 0.0, "batch-size": 22, "local-epochs": 1, "optimizer": "sgd", "learning-rate": 1.0}
    whole = run(make_settings(changes), start, data).weights
    half = run(make_settings({**changes, "precision": "bfloat16"}), start, data).weights
    assert all(value.dtype == torch.float32 for value in half.values())
    vectors = [torch.cat([value.flatten() for value in weights.values()]) for weights in (start, whole, half)]
    assert 0 < (vectors[2] - vectors[1]).norm() < 0.1 * (vectors[1] - vectors[0]).norm()
