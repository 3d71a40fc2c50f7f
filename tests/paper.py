"""The paper's setting for tests: its presets, a small run in it, and the orders in which this code draws images."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fedcircuits.seeding import SERVER, Purpose, torch_generator
from fedcircuits.settings import Settings

CONF = Path(__file__).parents[1] / "conf"
PRESETS = sorted((CONF / "paper").glob("*.toml"))

SMALL = {
    # After the first round, weights that grow back have all taken Adam's first step, of nearly the same size: which of
    # them a mask drops can hang on rounding. With this seed, magnitudes on the two sides of a mask's threshold never
    # come closer than 3e-5 of their size.
    "seed": 9,
    "dataset": "digits",
    "train-limit": 400,
    "heldout-limit": 150,
    "num-clients": 2,
    "partition": "classes",
    "client-classes": "0,1;1,2,3",  # one class shared, and clients of different sizes
    "channels": "8,8,12",
    "num-server-rounds": 2,
    "sparsity": 0.8,
    # Fewer images, fewer steps: smaller batches and larger steps, so that something is learned.
    "batch-size": 16,
    "learning-rate": 0.01,
    # Gates that nothing holds open close at step 20; what comes after only prunes.
    "gate-steps": 80,
}
"""What differs from the paper's setting in a run that takes seconds."""


def preset(path: Path) -> dict[str, Any]:
    """Return what a file of `conf` sets."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def small_config(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flat config of a small run in the paper's setting."""
    return {**defaults, **preset(CONF / "paper" / "noniid-2class.toml"), **SMALL}


def training_batches(settings: Settings, num_images: int, partition_id: int, server_round: int) -> list[list[int]]:
    """Return the batches of all epochs that a client trains on in a round."""
    generator = torch_generator(settings.run.seed, Purpose.TRAINING, partition_id, server_round)
    orders = [torch.randperm(num_images, generator=generator) for _ in range(settings.training.local_epochs)]
    return [batch.tolist() for order in orders for batch in order.split(settings.training.batch_size)]


def discovery_orders(
    settings: Settings, labels: Tensor, purpose: Purpose, partition_id: int = SERVER, server_round: int = 1
) -> list[list[int]]:
    """Return the order into which the images are shuffled for each step of a discovery; classes do not matter to it."""
    generator = torch_generator(settings.run.seed, purpose, partition_id, server_round)
    by_class = labels.argsort(stable=True)
    steps = range(settings.discovery.gate_steps)
    return [by_class[torch.randperm(len(labels), generator=generator)].tolist() for _ in steps]
