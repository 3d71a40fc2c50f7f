"""Gathers the evidence: runs grouped into experiments, and experiments into families, by their names.

`digits-shared-class` is the experiment `shared-class` of the family `digits`; conf/ names them so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from analysis.claims.evidence import compared_classes, evidence, same_class_of
from analysis.collection import find_runs
from analysis.experiments import Experiment, group, read_seed_runs
from analysis.run import load_run

DENSE: Final = "dense"
"""The experiment that is the dense control of the sparse ones."""

_SHARED: Final = "shared-class"
"""The experiment that says which class is the shared one."""


@dataclass(frozen=True, eq=False)
class Family:
    """Experiments on one dataset and in one setting.

    Args:
        name: such as `digits`.
        experiments: by their role, such as `shared-class`.
        evidence: by role, one row per seed; see `evidence`, with `shared_class` and `shared_class_common` for the
            classes that clients of the shared-class split have in common.
    """

    name: str
    experiments: dict[str, Experiment]
    evidence: dict[str, pd.DataFrame]

    def sparsities(self) -> dict[str, float]:
        """Return the experiments that differ from the dense control in sparsity alone, and theirs, ascending."""
        if DENSE not in self.experiments:
            return {}
        control = {**self.experiments[DENSE].settings, "sparsity": None}
        found = {
            role: float(experiment.settings["sparsity"])
            for role, experiment in self.experiments.items()
            if role != DENSE and {**experiment.settings, "sparsity": None} == control
        }
        return dict(sorted(found.items(), key=lambda item: item[1]))


def read_families(paths: Sequence[Path]) -> tuple[list[Family], tuple[str, ...]]:
    """Read the runs of sweeps, one at a time, and return their families and what a reader must know.

    Raises:
        RunLogError: if there is no run, or one is damaged.
    """
    found = find_runs(paths)
    experiments, notes = group(read_seed_runs(found.runs))
    families: dict[str, dict[str, Experiment]] = {}
    for experiment in experiments:
        name, _, role = experiment.label.partition("-")
        families.setdefault(name, {})[role or name] = experiment
    read = [Family(name, members, _evidence(members)) for name, members in families.items()]
    return read, (*found.notes, *notes)


def _evidence(members: dict[str, Experiment]) -> dict[str, pd.DataFrame]:
    shared = _shared_classes(members.get(_SHARED))
    return {role: _table(experiment, shared) for role, experiment in members.items()}


def _shared_classes(experiment: Experiment | None) -> frozenset[int]:
    return frozenset() if experiment is None else compared_classes(load_run(experiment.runs[0].path))


def _table(experiment: Experiment, shared: frozenset[int]) -> pd.DataFrame:
    rows = {}
    for seed_run in experiment.runs:
        run = load_run(seed_run.path)
        rows[seed_run.seed] = {
            **evidence(run),
            "shared_class": same_class_of(run, shared),
            "shared_class_common": same_class_of(run, shared, "common_phi"),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed")
