"""The settings of a run: Flower's flat run config, checked once and turned into frozen dataclasses.

Keys are kebab-case in the config and snake_case here; `Settings.from_config` is the one place that translates.
Defaults live in pyproject.toml alone, where each key is explained.
"""

from fedcircuits.settings.federation_size import check_num_clients, round_size, too_few_to_average
from fedcircuits.settings.groups import (
    DataSettings,
    DiscoverySettings,
    ExaminationSettings,
    FederationSettings,
    MachineSettings,
    ModelSettings,
    RunSettings,
    SparsitySettings,
    TrainingSettings,
)
from fedcircuits.settings.image_shapes import CLUTTERED_DIGITS, FOLDER, SHAPES, ImageShape
from fedcircuits.settings.run_config import NEUTRAL_SETTINGS, Scalar, Settings

__all__ = [
    "CLUTTERED_DIGITS",
    "FOLDER",
    "NEUTRAL_SETTINGS",
    "SHAPES",
    "DataSettings",
    "DiscoverySettings",
    "ExaminationSettings",
    "FederationSettings",
    "ImageShape",
    "MachineSettings",
    "ModelSettings",
    "RunSettings",
    "Scalar",
    "Settings",
    "SparsitySettings",
    "TrainingSettings",
    "check_num_clients",
    "round_size",
    "too_few_to_average",
]
