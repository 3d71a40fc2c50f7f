"""Gates learned in steps that a GPU replays, taken on the CPU: the same, and nothing in them forbids a recording."""

import pytest
import torch
from recorders import play_gpu

from fedcircuits.circuits.discovery import ablation_values, discovery_images
from fedcircuits.circuits.discovery.gates import learn_gates, noisy_start, single_start

NUM_CHANNELS = 15
"""Of the network in conftest.py."""


GATES = {"discovery": "gates", "size-rule": "penalty"}


def learn(model, data, discovery, num_restarts=1):
    images = discovery_images(data, None, (0, 1, 3), discovery.objective)
    generators = [torch.Generator().manual_seed(seed) for seed in range(num_restarts)]
    start = noisy_start if num_restarts > 1 else single_start
    starts = [start(images, NUM_CHANNELS, generator) for generator in generators]
    return learn_gates(model, images, ablation_values(model, data, discovery), discovery, 16, starts)


@pytest.mark.parametrize("objective", ["target-class", "contrast", "kl"])
@pytest.mark.parametrize(("ablation", "site"), [("zero", "pre"), ("zero", "post"), ("mean", "pre"), ("mean", "post")])
@pytest.mark.parametrize("unit", ["absolute", "loss-range"])
def test_replayed_steps_learn_the_same_gates(
    double, make_settings, data, model, monkeypatch, objective, ablation, site, unit
):
    changes = {"objective": objective, "ablation": ablation, "gate-site": site, "gate-penalty-unit": unit}
    price = {"gate-penalty": 0.01 if unit == "absolute" else 0.3}
    discovery = make_settings({**GATES, **changes, **price, "gate-steps": 25, "gate-batch": 8}).discovery
    in_turn = learn(model.requires_grad_(False), data, discovery)
    recorder = play_gpu(monkeypatch)
    # Double precision: 1e-16, magnified by Adam, which divides by the size of gradients, over 25 steps of 0.1.
    torch.testing.assert_close(learn(model, data, discovery), in_turn, rtol=0, atol=1e-9)
    assert (in_turn < 2).any()
    assert recorder.events == ["warm-up"] * 3 + ["record"]


def test_so_they_do_in_several_restarts(double, make_settings, data, model, monkeypatch):
    changes = {"objective": "target-class", "ablation": "zero", "gate-site": "pre", "gate-steps": 30}
    discovery = make_settings({**GATES, **changes}).discovery
    in_turn = learn(model.requires_grad_(False), data, discovery, num_restarts=3)
    play_gpu(monkeypatch)
    torch.testing.assert_close(learn(model, data, discovery, num_restarts=3), in_turn, rtol=0, atol=1e-9)
