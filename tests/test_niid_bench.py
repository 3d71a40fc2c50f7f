"""The configurations in conf/niid-bench say what the benchmark says."""

import math
import tomllib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "conf" / "niid-bench"

SPLITS = {
    "mnist-iid": ("mnist", "iid"),
    "mnist-2class": ("mnist", "pathological", 2),
    "mnist-3class": ("mnist", "pathological", 3),
    "mnist-dirichlet-0.5": ("mnist", "dirichlet", 0.5),
    "fashion-mnist-2class": ("fashion-mnist", "pathological", 2),
    "fashion-mnist-dirichlet-0.5": ("fashion-mnist", "dirichlet", 0.5),
    "cifar10-2class": ("cifar10", "pathological", 2),
    "cifar10-dirichlet-0.5": ("cifar10", "dirichlet", 0.5),
}
NUM_PARAMETERS = {"mnist": 44_426, "fashion-mnist": 44_426, "cifar10": 62_006}


@pytest.fixture(params=sorted(SPLITS))
def named(request, make_settings):
    """A name and its settings."""
    text = (FOLDER / f"{request.param}.toml").read_text(encoding="utf-8")
    return request.param, make_settings(tomllib.loads(text))


def test_every_configuration_of_the_benchmark_is_checked_here():
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(SPLITS)


def test_the_split_is_the_one_of_the_name(named):
    name, settings = named
    data = settings.data
    shapes = {"iid": (), "pathological": (data.classes_per_client,), "dirichlet": (data.dirichlet_alpha,)}
    assert (data.dataset, data.partition, *shapes[data.partition]) == SPLITS[name]
    assert data.dirichlet_balanced == (data.partition == "dirichlet")
    assert (data.num_clients, data.min_partition_size, data.train_limit, data.heldout_limit) == (10, 10, 0, 0)
    assert settings.run.run_name == f"niid-{name}"


def test_training_and_averaging_are_the_benchmarks(named):
    _, settings = named
    training, federation = settings.training, settings.federation
    assert settings.run.num_server_rounds == 50
    assert (training.local_epochs, training.batch_size) == (10, 64)
    assert (training.optimizer, training.learning_rate) == ("sgd", 0.01)
    assert (federation.strategy, federation.weighting, federation.fraction_train) == ("fedavg", "examples", 1.0)


def test_the_network_is_the_benchmarks_and_dense(named):
    _, settings = named
    shapes = settings.spec.state_shapes.values()
    assert sum(math.prod(shape) for shape in shapes) == NUM_PARAMETERS[settings.data.dataset]
    assert settings.sparsity.sparsity == 0.0
    assert settings.discovery.circuit_every == 0
