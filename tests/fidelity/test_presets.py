"""Presets of the paper are the paper's setting, whatever split or sparsity they are about; others share its splits."""

import pytest
from paper import CONF, PRESETS, preset

REFERENCE = {
    "dataset": "mnist",
    "model": "cnn",
    "channels": "32,64,128",
    "kernel-size": 3,
    "padding": "same",
    "hidden-units": "",
    "local-epochs": 5,
    "batch-size": 256,
    "optimizer": "adam",
    "learning-rate": 0.001,
    "min-alive": 4,
    "sparsity-floor": "reference",
    "sparsity-schedule": "round",
    "discovery": "gates",
    "size-rule": "penalty",
    "restarts": 1,
    "objective": "target-class",
    "ablation": "zero",
    "gate-site": "pre",
    "gate-steps": 200,
    "gate-learning-rate": 0.1,
    "gate-penalty": 0.01,
    "gate-penalty-unit": "absolute",
    "discovery-data": "client",
    "circuit-every": 1,
    "strategy": "fedavg",
    "weighting": "plain",
    "fraction-train": 1.0,
}

IID, DIRICHLET = {"partition": "iid"}, {"partition": "dirichlet", "dirichlet-alpha": 0.5}
FOUR_CIRCUITS = {"num-clients": 5, "circuit-classes": "0,1,2,7"}


def by_class(classes):
    return {"partition": "classes", "client-classes": classes, "num-clients": 3, "circuit-classes": "all"}


ONE, TWO, THREE = by_class("0;3;6"), by_class("0,1;2,3;4,5"), by_class("0,1,2;3,4,5;6,7,8")
SHARED = by_class("0,1,2;0,3,4;0,5,6")

EXPERIMENTS = {
    "iid": IID | FOUR_CIRCUITS,
    "iid-3clients": IID | {"num-clients": 3, "circuit-classes": "all"},
    "noniid-1class": ONE,
    "noniid-2class": TWO,
    "noniid-3class": THREE,
    "shared-class": SHARED,
    "long-3class": THREE,
    "long-shared": SHARED,
    "long-iid-3clients": IID | {"num-clients": 3, "circuit-classes": "all"},
    "sparsity-0.95": TWO,
    "sparsity-0.97": TWO,
    "sparsity-0.99": TWO,
    "sparsity-0.995": TWO,
    "dense": TWO,
    "dirichlet-0.5": DIRICHLET | FOUR_CIRCUITS,
}
SPARSITIES = {"dense": 0.0, **{f"sparsity-{level}": level for level in (0.95, 0.97, 0.99, 0.995)}}
FAMILIES = {
    "paper": {"dataset": "mnist", "sparsity": 0.997, "num-server-rounds": 10, "local-epochs": 5},
    "digits": {"dataset": "digits", "sparsity": 0.9, "num-server-rounds": 8, "local-epochs": 5},
    "cluttered-digits": {"dataset": "cluttered-digits", "sparsity": 0.9, "num-server-rounds": 6, "local-epochs": 5},
}
RUN_NAMES = {"cluttered-digits": "cluttered"}
"""What the names of a family's runs begin with, if it is not the folder's name."""

IMAGES_OF_CONTROL = {"paper": 54_000, "digits": 809, "cluttered-digits": 4_854}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_has_every_experiment(family):
    assert {path.stem for path in (CONF / family).glob("*.toml")} == set(EXPERIMENTS)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_what_its_name_says_in_each_family(make_settings, family, name):
    config = make_settings(preset(CONF / family / f"{name}.toml")).config
    is_by_class = EXPERIMENTS[name]["partition"] == "classes"
    expected = {
        **FAMILIES[family],
        **EXPERIMENTS[name],
        "run-name": f"{RUN_NAMES.get(family, family)}-{name}",
        "train-limit": IMAGES_OF_CONTROL[family] if name.endswith("iid-3clients") else 0,
        "weighting": "plain",
        # The paper's classes are the paper's; otherwise no class is more than an example.
        "rotate-classes": is_by_class and family != "paper",
    }
    if name in SPARSITIES:
        expected["sparsity"] = SPARSITIES[name]
    if name.startswith("long"):
        expected["num-server-rounds"] = 30 if family == "cluttered-digits" else 50
    assert {key: config[key] for key in expected} == expected


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_of_the_paper_has_the_reference_settings(make_settings, path):
    config = make_settings(preset(path)).config
    assert {key: config[key] for key in REFERENCE} == REFERENCE
