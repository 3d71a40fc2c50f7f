"""Gathers the evidence: runs grouped into experiments, and experiments into families, by the names of their runs.

`digits-shared-class` is the experiment `shared-class` of the family `digits`; conf/ names them so.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from analysis import measures
from analysis.claims.evidence import compared_classes, evidence, evidence_on
from analysis.claims.heavy_evidence import heavy_evidence
from analysis.collection import find_runs
from analysis.experiments import Experiment, group, read_seed_runs
from analysis.run import load_run
from fedcircuits.errors import RunLogError

DENSE: Final = "dense"
"""The experiment that is the dense control of the sparse ones."""

SHARED: Final = "shared-class"
"""The experiment whose clients share one class."""

SPLIT: Final = "noniid-3class"
"""The experiment whose clients hold three classes each."""

CONTROL: Final = "iid-3clients"
"""The IID control of the two, with as many clients and steps."""


@dataclass(frozen=True, eq=False)
class Family:
    """Experiments on one dataset and in one setting.

    Args:
        name: such as `digits`.
        experiments: by their role, such as `shared-class`.
        evidence: by role, one row per seed and one column per number of `evidence`, `evidence_on`
            and `heavy_evidence`.
        pilot: seeds that are shown but not judged, because they were seen while the rules were written.
    """

    name: str
    experiments: Mapping[str, Experiment]
    evidence: Mapping[str, pd.DataFrame]
    pilot: Collection[int] = ()

    def judged(self, role: str) -> pd.DataFrame:
        """Return the evidence of an experiment that counts, indexed by seed."""
        table = self.evidence[role]
        return table[~table.index.isin(list(self.pilot))]

    def sparsities(self) -> dict[str, float]:
        """Return the experiments that differ from the dense control in sparsity alone, and theirs, ascending."""
        if DENSE not in self.experiments:
            return {}
        found = {
            role: float(experiment.settings["sparsity"])
            for role, experiment in self.experiments.items()
            if role != DENSE and not self.differences(DENSE, role, {"sparsity"})
        }
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def differences(self, role: str, other: str, allowed: Collection[str]) -> list[str]:
        """Return the settings in which two experiments differ, beside those in which they may."""
        a, b = self.experiments[role].settings, self.experiments[other].settings
        return sorted(key for key in {*a, *b} if key not in allowed and a.get(key) != b.get(key))


def read_families(
    paths: Sequence[Path], pilot: Mapping[str, Collection[int]] | None = None
) -> tuple[list[Family], tuple[str, ...]]:
    """Read the runs of sweeps, one at a time, and return their families and what a reader must know.

    Args:
        paths: sweep folders, or runs.
        pilot: by family, the seeds that are shown but not judged.

    Raises:
        RunLogError: if there is no run, one is damaged, or two experiments have one name.
    """
    found = find_runs(paths)
    experiments, notes = group(read_seed_runs(found.runs))
    families: dict[str, dict[str, Experiment]] = {}
    for experiment in experiments:
        for full_name in sorted({str(run.info.get("name")) for run in experiment.runs}):
            name, _, role = full_name.partition("-")
            members = families.setdefault(name, {})
            if (role or name) in members:
                raise RunLogError(
                    f"two experiments are called {full_name} but have different settings: "
                    f"{members[role or name].label}; {experiment.label}"
                )
            members[role or name] = experiment
    seen = pilot or {}
    read = [Family(name, members, _evidence(members), seen.get(name, ())) for name, members in families.items()]
    return read, (*found.notes, *notes)


def _evidence(members: Mapping[str, Experiment]) -> dict[str, pd.DataFrame]:
    shared = _classes(members.get(SHARED), is_shared=True)
    trained = _classes(members.get(SPLIT), is_shared=False)
    return {role: _table(experiment, shared, trained) for role, experiment in members.items()}


def _classes(experiment: Experiment | None, *, is_shared: bool) -> frozenset[int]:
    """Return the classes that an experiment's clients share, or all that they train on."""
    if experiment is None:
        return frozenset()
    run = load_run(experiment.runs[0].path)
    return compared_classes(run) if is_shared else measures.trained_classes(run)[experiment.last_round]


def _table(experiment: Experiment, shared: Collection[int], trained: Collection[int]) -> pd.DataFrame:
    rows = {}
    for seed_run in experiment.runs:
        run, last_round = load_run(seed_run.path), experiment.last_round
        rows[seed_run.seed] = {
            **evidence(run, last_round),
            **evidence_on(run, last_round, shared, trained),
            **heavy_evidence(run, last_round),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed")
