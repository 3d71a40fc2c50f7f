"""What a sweep is made of: configurations times seeds, checked before anything starts."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fedcircuits.errors import SettingsError, SweepError
from fedcircuits.settings import Scalar, Settings
from fedcircuits.settings.app_config import app_defaults

_OWN: Final = {"seed": "--seeds", "run-dir": "--out"}
"""Settings that a sweep gives its runs, and the options for them."""


@dataclass(frozen=True)
class Job:
    """One run to be made.

    Args:
        experiment: name of the configuration; the run's name too.
        seed: of the run.
        overrides: what differs from the app's defaults, seed and name included, by config key.
        settings: the full settings that follow.
        num_clients: SuperNodes that the run wants.
    """

    experiment: str
    seed: int
    overrides: Mapping[str, Scalar]
    settings: Settings
    num_clients: int

    def toml(self, run_dir: Path) -> str:
        """Return the run config for Flower, with the folder that the run directory goes into."""
        # Unless it is escaped beyond TOML, a scalar in JSON is the same scalar in TOML.
        items = {**self.overrides, "run-dir": str(run_dir)}
        return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in items.items())


def plan_jobs(paths: Sequence[Path], seeds: Sequence[int], changes: Mapping[str, Scalar]) -> list[Job]:
    """Return every run of a sweep, all experiments of the first seed first.

    Args:
        paths: configuration files, or folders of them.
        seeds: one run of each experiment per seed.
        changes: settings that override those of every file.

    Raises:
        SweepError: with every mistake at once: a file that cannot be read, settings that are wrong or the sweep's own,
            names that are taken or no file names, or an experiment that does not say how many clients it wants.
    """
    defaults = app_defaults()
    experiments: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for path in _files(paths):
        try:
            config = {**tomllib.loads(path.read_text(encoding="utf-8")), **changes}
        except (OSError, ValueError) as error:
            problems.append(f"{path}: {error}")
            continue
        name = str(config.get("run-name") or path.stem)
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            problems.append(f"{path}: run-name {name!r}: letters, digits, dots, dashes and underscores only")
        if name in experiments:
            problems.append(f"{path}: another file has the run-name {name!r} already")
        experiments[name] = config
        problems += [f"{path}: {problem}" for problem in _problems(defaults, config)]
    if problems:
        raise SweepError("; ".join(problems))
    return [_job(defaults, name, config, seed) for seed in seeds for name, config in experiments.items()]


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        found = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not found:
            raise SweepError(f"{path.resolve()} holds no .toml file")
        yield from found


def _problems(defaults: Mapping[str, Scalar], config: Mapping[str, Any]) -> list[str]:
    problems = [f"{key}: a sweep gives it; use {option}" for key, option in _OWN.items() if key in config]
    try:
        settings = Settings.from_config({**defaults, **config})
    except SettingsError as error:
        return problems + error.problems
    if not _num_clients(settings):
        problems.append("num-clients: a sweep must know how many clients to start")
    return problems


def _job(defaults: Mapping[str, Scalar], name: str, config: Mapping[str, Scalar], seed: int) -> Job:
    overrides = {**config, "run-name": name, "seed": seed}
    settings = Settings.from_config({**defaults, **overrides})
    return Job(name, seed, overrides, settings, _num_clients(settings))


def _num_clients(settings: Settings) -> int:
    """Return how many clients the settings ask for, or 0 if they leave it open."""
    listed = len(settings.data.client_classes) if settings.data.partition == "classes" else 0
    return settings.data.num_clients or listed
