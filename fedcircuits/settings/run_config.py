"""From Flower's flat run config to the settings, with every mistake in one error."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, get_type_hints

from fedcircuits.errors import SettingsError
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records.renamings import SETTINGS
from fedcircuits.settings.config_values import ClassIds, kebab, read_value
from fedcircuits.settings.contradictions import CHECKS
from fedcircuits.settings.groups import (
    NEUTRAL,
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
from fedcircuits.settings.image_shapes import shape_of
from fedcircuits.settings.privacy import PrivacySettings

Scalar = bool | int | float | str
"""What a Flower run config can hold."""


@dataclass(frozen=True)
class Settings:
    """Everything that a run was asked to do.

    `config` is the flat form it came from, as sent to clients and logged. Where `rotate-classes` moves class ids on, it
    holds them as they were written, and the groups as they are meant.
    """

    run: RunSettings
    data: DataSettings
    model: ModelSettings
    training: TrainingSettings
    sparsity: SparsitySettings
    discovery: DiscoverySettings
    examination: ExaminationSettings
    federation: FederationSettings
    privacy: PrivacySettings
    machine: MachineSettings
    config: Mapping[str, Scalar]

    @property
    def spec(self) -> ModelSpec:
        """The shape of the network; its first linear layer follows from the image size."""
        return self.model.spec(self.data.shape)

    @property
    def searched_classes(self) -> ClassIds:
        """Classes whose circuits are looked for, ascending."""
        return tuple(sorted(self.discovery.circuit_classes)) or tuple(range(self.data.shape.num_classes))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Settings":
        """Check a flat config and build the settings.

        Args:
            config: kebab-case keys to scalars; every key of pyproject's `[tool.flwr.app.config]`, and no other.

        Raises:
            SettingsError: with every mistake at once: unknown, missing, of a wrong type, out of range, or
                in contradiction with another key.
        """
        groups = {f.name: f.type for f in fields(cls) if f.name != "config"}
        known = {kebab(f.name) for group in groups.values() for f in fields(group)}  # type: ignore[arg-type]
        problems = [_unknown(key) for key in sorted(set(config) - known)]
        values: dict[str, Any] = {}
        for group in groups.values():
            for name, hint in get_type_hints(group, include_extras=True).items():
                try:
                    values[name] = read_value(config, kebab(name), hint)
                except ValueError as error:
                    problems.append(str(error))
        for check in CHECKS:
            try:
                problems += check(values)
            except KeyError:
                continue  # a value that this check needs is wrong, and listed already
        if problems:
            raise SettingsError(problems)
        values |= _rotated(values)
        built = {
            name: group(**{f.name: values[f.name] for f in fields(group)})  # type: ignore[arg-type, operator]
            for name, group in groups.items()
        }
        return cls(**built, config=dict(config))


def _unknown(key: str) -> str:
    return f"{key}: is called {SETTINGS[key]} now" if key in SETTINGS else f"{key}: unknown setting"


def _rotated(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the lists of classes that move on by the run's seed, if any do."""
    if not values["rotate_classes"] or values["partition"] != "classes":
        return {}
    num_classes = shape_of(values).num_classes

    def rotate(class_ids: ClassIds) -> ClassIds:
        return tuple((class_id + values["seed"]) % num_classes for class_id in class_ids)

    return {
        "client_classes": tuple(rotate(class_ids) for class_ids in values["client_classes"]),
        "circuit_classes": rotate(values["circuit_classes"]),
    }


NEUTRAL_SETTINGS: Final = frozenset(
    kebab(setting.name)
    for group in fields(Settings)
    if group.name != "config"
    for setting in fields(group.type)  # type: ignore[arg-type]
    if setting.metadata == NEUTRAL
)
"""The keys of settings that change no result."""
