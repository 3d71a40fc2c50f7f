"""The product's side of the benchmarks: settings of the paper or of its own defaults, and calls of public functions."""

import argparse
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.discovery import discover_circuits, discovery_images
from fedcircuits.circuits.study import Bench, Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.cuda_graphs import Replayed
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import DiscoverySettings, Settings
from fedcircuits.settings.app_config import app_defaults
from fedcircuits.settings.config_values import kebab
from fedcircuits.training.local import RoundPosition, TrainedModel, train_sparse

PROJECT = Path(__file__).parents[1]
PRESET = PROJECT / "conf" / "paper" / "noniid-3class.toml"
ONLY_CIRCUITS = {"retest-every": 0, "validity-every": 0, "examination-every": 0}
"""No repeated discovery, no checks, no examinations."""


def add_setting_options(parser: argparse.ArgumentParser) -> None:
    """Add the option for settings that are compared with the paper's."""
    parser.add_argument(
        "--also",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="settings of the product to measure beside the paper's, each on its own; text in quotes",
    )


def paper_settings(data_dir: Path, **changes: Any) -> Settings:
    """Return the paper's three-class experiment, circuits and nothing else; keywords are settings with underscores."""
    given = {kebab(key): value for key, value in changes.items()}
    preset = tomllib.loads(PRESET.read_text(encoding="utf-8"))
    return Settings.from_config({**app_defaults(), **preset, **ONLY_CIRCUITS, "data-dir": str(data_dir), **given})


def default_settings(data_dir: Path, **changes: Any) -> Settings:
    """Return the same with the product's own way of discovery."""
    defaults, own = app_defaults(), {field.name for field in fields(DiscoverySettings)}
    of_discovery = {name: defaults[kebab(name)] for name in own if kebab(name) not in ONLY_CIRCUITS}
    return paper_settings(data_dir, **(of_discovery | changes))


def variants(settings: Settings, also: Sequence[str]) -> dict[str, Settings]:
    """Return the settings under the name `ours`, and with each of some changes."""
    changed = {f"ours, {change}": {**settings.config, **tomllib.loads(change)} for change in also}
    return {"ours": settings} | {name: Settings.from_config(config) for name, config in changed.items()}


def start_weights(settings: Settings) -> dict[str, Tensor]:
    """Return the weights that a run starts from."""
    return initial_weights(settings.spec, torch_generator(settings.run.seed, Purpose.INITIAL_WEIGHTS))


def train(settings: Settings, weights: Mapping[str, Tensor], data: LabelledImages, epochs: int) -> TrainedModel:
    """Train as a client does in a run's only round, for some epochs."""
    training, position = replace(settings.training, local_epochs=epochs), RoundPosition(1, 1)
    generator = torch_generator(settings.run.seed, Purpose.TRAINING, 0, 1)
    return train_sparse(settings.spec, weights, data, training, settings.sparsity, position, generator)


def without_graphs(work: Callable[[], object]) -> object:
    """Do the product's work with every step started from Python, also on a GPU."""
    Replayed.is_on = False
    try:
        return work()
    finally:
        Replayed.is_on = True


def discover(settings: Settings, subject: Subject, bench: Bench, num_steps: int) -> Circuits:
    """Find the circuits of the bench's classes; gates, where they are learned, take `num_steps`."""
    discovery = replace(settings.discovery, gate_steps=num_steps)
    images = discovery_images(bench.source, bench.spare_negatives, bench.classes, discovery.objective)
    generator = torch_generator(settings.run.seed, Purpose.LOCAL_DISCOVERY, 0, 1)
    return discover_circuits(
        subject.model, images, subject.ablation, discovery, settings.training.batch_size, generator
    )


def random_circuits(settings: Settings, class_ids: Sequence[int], share: float) -> Circuits:
    """Return circuits that keep a share of the channels of each layer, drawn at random."""
    widths, generator = settings.spec.channels, torch.Generator().manual_seed(0)
    rows = [
        torch.cat([torch.randperm(width, generator=generator) < round(share * width) for width in widths])
        for _ in class_ids
    ]
    members = torch.stack(rows)
    return Circuits.ranked_by_score(tuple(class_ids), members, members.float())


def as_gates(settings: Settings, circuits: Circuits, device: torch.device) -> dict[int, dict[str, Tensor]]:
    """Return circuits as the naive side holds them: by class and layer, 1 = on."""
    spec = settings.spec
    parts = [member.float().to(device).split(list(spec.channels)) for member in circuits.members]
    return {
        class_id: dict(zip(spec.conv_names, part, strict=True))
        for class_id, part in zip(circuits.class_ids, parts, strict=True)
    }
