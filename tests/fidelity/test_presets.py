"""The presets of the paper are the paper's setting, whatever split or sparsity they are about."""

import pytest
from paper import PRESETS, preset

REFERENCE = {
    "dataset": "mnist",
    "model": "cnn",
    "channels": "32,64,128",
    "local-epochs": 5,
    "batch-size": 256,
    "optimizer": "adam",
    "learning-rate": 0.001,
    "min-alive": 4,
    "sparsity-floor": "reference",
    "sparsity-schedule": "round",
    "objective": "target-class",
    "ablation": "zero",
    "gate-site": "pre",
    "gate-steps": 200,
    "gate-learning-rate": 0.1,
    "gate-penalty": 0.01,
    "gate-penalty-unit": "absolute",
    "discovery-data": "client",
    "strategy": "fedavg",
    "weighting": "plain",
    "fraction-train": 1.0,
}


def test_there_are_presets():
    assert PRESETS


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_of_the_paper_has_the_reference_settings(make_settings, path):
    config = make_settings(preset(path)).config
    assert {key: config[key] for key in REFERENCE} == REFERENCE
