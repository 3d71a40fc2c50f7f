"""Groups runs into experiments: the same settings, apart from the seed and from what cannot change a result."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fedcircuits.errors import RunLogError
from fedcircuits.runlog.reader import read_info
from fedcircuits.settings import NEUTRAL_SETTINGS

NOT_IDENTITY: Final = NEUTRAL_SETTINGS | {"seed"}
"""Settings in which runs of one experiment may differ."""

IMAGES: Final = "images"
"""What stands for the images in an experiment's identity, beside its settings."""

SPLIT: Final = (
    IMAGES,
    *("dataset", "class-names", "image-size", "image-channels", "pixel-mean", "pixel-std"),
    *("fit-images", "skip-unreadable"),
    *("clutter-size", "clutter-fragments", "clutter-copies"),
    *("own-test-fraction", "train-limit", "heldout-limit", "probe-fraction", "num-clients", "partition"),
    *("dirichlet-alpha", "min-partition-size", "dirichlet-balanced", "classes-per-client", "client-classes"),
    "rotate-classes",
)
"""Settings that decide, together with the seed, which images each client holds."""


@dataclass(frozen=True)
class SeedRun:
    """The run of one seed, as run.json describes it; its tables are not read yet."""

    path: Path
    info: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """The seed that the run was started with."""
        return int(self.info["settings"]["seed"])

    @property
    def last_round(self) -> int:
        """Its last whole round."""
        return int(self.info["last_round"])

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that make it this experiment, how many clients there really were, and what the images were."""
        settings = {key: value for key, value in self.info["settings"].items() if key not in NOT_IDENTITY}
        num_clients = self.info.get("num_clients") or settings.get("num-clients")
        return settings | {"num-clients": num_clients, IMAGES: _images(self.info)}

    @property
    def age(self) -> tuple[bool, str, str]:
        """Sorts runs of one seed: the newest completed one comes last."""
        return self.info.get("status") == "completed", str(self.info.get("started")), self.path.name


def _images(info: Mapping[str, Any]) -> str | None:
    """Return what tells the images of a run from others, in short; None if the run did not write it down."""
    data, clients = info.get("data"), info.get("clients") or []
    if not isinstance(data, dict):
        return None
    known_by = [data.get("train"), data.get("heldout"), *(client.get("fingerprint") for client in clients)]
    return hashlib.sha256(repr(known_by).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Experiment:
    """Runs that differ in their seed only.

    Args:
        label: the name of its runs; where that is not enough, with the settings that tell it from others.
        settings: its identity.
        runs: one per seed, by seed.
    """

    label: str
    settings: Mapping[str, Any]
    runs: tuple[SeedRun, ...]

    @property
    def seeds(self) -> list[int]:
        """Its seeds, ascending."""
        return [run.seed for run in self.runs]

    @property
    def last_round(self) -> int:
        """The last round that every seed has; later ones are not compared."""
        return min(run.last_round for run in self.runs)

    def has_clients_of(self, other: "Experiment") -> bool:
        """Tell whether the clients of both, seed by seed and partition by partition, hold the same images."""
        return all(self.settings.get(key) == other.settings.get(key) for key in SPLIT)


def read_seed_runs(paths: Iterable[Path]) -> list[SeedRun]:
    """Read the run.json of each run directory.

    Raises:
        RunLogError: if one is damaged or has no seed.
    """
    runs = [SeedRun(path, read_info(path)) for path in paths]
    for run in runs:
        settings, last_round = run.info.get("settings"), run.info.get("last_round")
        if not (isinstance(settings, dict) and isinstance(settings.get("seed"), int) and isinstance(last_round, int)):
            raise RunLogError(f"run.json of {run.path} lacks valid settings, their seed, or last_round")
    return runs


def group(runs: Sequence[SeedRun]) -> tuple[tuple[Experiment, ...], tuple[str, ...]]:
    """Return the experiments that runs belong to, in order of their first run, and what a reader must know.

    Of several runs of one experiment and seed the newest completed one counts. A run without a whole round does not.

    Raises:
        RunLogError: if no run has a whole round.
    """
    notes = [f"{run.path.name} has no whole round; left out" for run in runs if run.last_round == 0]
    members: dict[str, list[SeedRun]] = {}
    for run in runs:
        if run.last_round > 0:
            members.setdefault(repr(sorted(run.identity.items())), []).append(run)
    if not members:
        raise RunLogError("no run has a whole round to compare: " + "; ".join(notes))
    labels = _labels(list(members.values()))
    experiments = []
    for label, own in zip(labels, members.values(), strict=True):
        chosen = {run.seed: run for run in sorted(own, key=lambda run: run.age)}
        experiment = Experiment(label, own[0].identity, tuple(chosen[seed] for seed in sorted(chosen)))
        notes += [*_repeats(label, own, chosen), *_lengths(experiment)]
        experiments.append(experiment)
    return tuple(experiments), (*notes, *_versions(experiments))


def _labels(groups: Sequence[Sequence[SeedRun]]) -> list[str]:
    """Name each group; groups of one name get the settings in which they differ appended."""
    names = [" / ".join(dict.fromkeys(str(run.info.get("name")) for run in own)) for own in groups]
    labels = []
    for name, own in zip(names, groups, strict=True):
        twins = [other[0].identity for other, other_name in zip(groups, names, strict=True) if other_name == name]
        mine = own[0].identity
        differing = [key for key in _keys(twins) if any(twin.get(key) != mine.get(key) for twin in twins)]
        shown = ", ".join(f"{key} {mine.get(key, '–')}" for key in differing)
        labels.append(f"{name} ({shown})" if differing else name)
    return labels


def _keys(settings: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for one in settings for key in one))


def _repeats(label: str, own: Sequence[SeedRun], chosen: Mapping[int, SeedRun]) -> list[str]:
    counts = Counter(run.seed for run in own)
    return [
        f"{label}, seed {seed}: {number} runs; {chosen[seed].path.name}, the newest whole one, counts"
        for seed, number in sorted(counts.items())
        if number > 1
    ]


def _lengths(experiment: Experiment) -> list[str]:
    """Say so where seeds have different numbers of rounds."""
    longest = max(run.last_round for run in experiment.runs)
    if longest == experiment.last_round:
        return []
    short = [f"seed {run.seed} has {run.last_round}" for run in experiment.runs if run.last_round < longest]
    return [
        f"{experiment.label}: seeds have up to {longest} rounds, but {', '.join(short)}; "
        f"compared up to round {experiment.last_round}"
    ]


def _versions(experiments: Iterable[Experiment]) -> list[str]:
    """Say so where runs were made by different versions of the code."""
    digests = {str(run.info.get("code_digest")) for experiment in experiments for run in experiment.runs}
    return [f"the runs were made by {len(digests)} different versions of the code"] if len(digests) > 1 else []
