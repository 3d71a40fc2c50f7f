"""Experiments gathered into families by the names of their runs, and each family seen at either of its horizons.

`digits-shared-class` is the experiment `shared-class` of the family `digits`; conf/ names them so. `digits-long-shared`
is the same with more rounds.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from analysis.claims.by_class import PairSums, accuracy_on, shared, shares_on, trained
from analysis.claims.values import RunValues, joined
from analysis.statistics.image_variance import ImageVariance, image_variance
from analysis.statistics.seeds import paired_differences

DENSE: Final = "dense"
"""The experiment that is the dense control of the sparse ones."""

SHARED: Final = "shared-class"
"""The experiment whose clients share one class."""

SPLIT: Final = "noniid-3class"
"""The experiment whose clients hold three classes each."""

CONTROL: Final = "iid-3clients"
"""The IID control of the two, with as many clients and steps."""

_LONG: Final = "long-"
_SHORT_NAMES: Final = {"3class": SPLIT, "shared": SHARED}
"""Experiments with more rounds whose name is not that of the short one."""


@dataclass(frozen=True)
class MeasuredExperiment:
    """What is known of an experiment beside its numbers.

    Args:
        settings: its settings.
        rounds: the last round that counts.
        seeds: its seeds, ascending.
        versions: of the packages that made its runs.
        code_digests: of the code that made its runs.
    """

    settings: Mapping[str, Any]
    rounds: int
    seeds: tuple[int, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    code_digests: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Measured:
    """A number of an experiment, or a difference of two.

    Args:
        by_seed: one value per seed, indexed by seed; NaN for a seed without one.
        images: the variance that the test images which all seeds share give to the mean; None where it is not known.
    """

    by_seed: "pd.Series[float]"
    images: ImageVariance | None = None


@dataclass(frozen=True, eq=False)
class Family:
    """Experiments on one dataset and in one setting, of one length or of several.

    Args:
        name: such as `digits`.
        experiments: by their role, such as `shared-class`.
        evidence: by role, one row per seed and one column per number.
        pilot: seeds that are shown but not judged, because they were seen while the rules were written.
        shares: by role and number, what the images of each original add to the number: one row per seed, columns
            (class, original). Only for accuracies of the global model, and where hits were logged.
    """

    name: str
    experiments: Mapping[str, MeasuredExperiment]
    evidence: Mapping[str, pd.DataFrame]
    pilot: Collection[int] = ()
    shares: Mapping[tuple[str, str], pd.DataFrame] = field(default_factory=dict)

    def judged(self, role: str) -> pd.DataFrame:
        """Return the evidence of an experiment that counts, indexed by seed."""
        return self._counted(self.evidence[role])

    def number(self, role: str, name: str) -> Measured:
        """Return a number of an experiment, of the seeds that count."""
        shares = self._shares(role, name)
        return Measured(self.judged(role)[name], None if shares is None else image_variance(shares))

    def minus(self, role: str, other: str, name: str) -> Measured:
        """Return a number of an experiment minus that of another, paired by seed."""
        by_seed = paired_differences(self.judged(role)[name], self.judged(other)[name])
        one, two = self._shares(role, name), self._shares(other, name)
        return Measured(by_seed, None if one is None or two is None else image_variance(one - two))

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
        one, two = self.experiments[role], self.experiments[other]
        keys = {*one.settings, *two.settings} - set(allowed)
        differing = sorted(key for key in keys if one.settings.get(key) != two.settings.get(key))
        return [*differing, *(["rounds that all seeds have"] if one.rounds != two.rounds else [])]

    def horizons(self) -> "list[Family]":
        """Return the family with the runs of usual length and, if there are any, with the long ones in their place."""
        short = {role: role for role in self.evidence if not role.startswith(_LONG)}
        long = {_short_name(role): role for role in self.evidence if role.startswith(_LONG)}
        return [self._with(roles) for roles in (short, long) if roles]

    @property
    def horizon(self) -> str:
        """How many rounds its runs have, such as `8 rounds`."""
        rounds = sorted({experiment.rounds for experiment in self.experiments.values()})
        return f"{rounds[0]} rounds" if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]} rounds"

    def _with(self, roles: Mapping[str, str]) -> "Family":
        """Return the family with some of its experiments, under the names that rules know them by."""
        return Family(
            self.name,
            {name: self.experiments[role] for name, role in roles.items()},
            {name: self.evidence[role] for name, role in roles.items()},
            self.pilot,
            {
                (name, number): table
                for name, role in roles.items()
                for (of_role, number), table in self.shares.items()
                if of_role == role
            },
        )

    def _counted(self, table: pd.DataFrame) -> pd.DataFrame:
        return table[~table.index.isin(list(self.pilot))]

    def _shares(self, role: str, name: str) -> pd.DataFrame | None:
        table = self.shares.get((role, name))
        return None if table is None else self._counted(table)


def families_of(values: Iterable[RunValues], pilot: Mapping[str, Collection[int]] | None = None) -> list[Family]:
    """Return the families that runs belong to.

    Args:
        values: of runs.
        pilot: by family, the seeds that are shown but not judged.

    Raises:
        RunLogError: if two experiments have one name.
    """
    by_family: dict[str, dict[str, list[RunValues]]] = {}
    for one in joined(values):
        by_family.setdefault(one.family, {}).setdefault(one.role, []).append(one)
    return [_family(name, members, (pilot or {}).get(name, ())) for name, members in by_family.items()]


def _short_name(role: str) -> str:
    name = role.removeprefix(_LONG)
    return _SHORT_NAMES.get(name, name)


def _family(name: str, members: Mapping[str, list[RunValues]], pilot: Collection[int]) -> Family:
    experiments, evidence, shares = {}, {}, {}
    for role, runs in members.items():
        experiments[role] = MeasuredExperiment(
            settings=runs[0].settings,
            rounds=runs[0].rounds,
            seeds=tuple(run.seed for run in runs),
            versions={package: version for run in runs for package, version in run.versions.items()},
            code_digests=frozenset(run.code_digest for run in runs),
        )
        groups = {run.seed: _groups(members, role, run) for run in runs}
        table = {run.seed: {**run.numbers, **_on_classes(run, *groups[run.seed])} for run in runs}
        evidence[role] = pd.DataFrame.from_dict(table, orient="index").rename_axis("seed")
        for number, sign in (("common_accuracy", 1), ("averaging_loss", -1), ("own_global", 1)):
            known = {run.seed: _shares(run, number, groups[run.seed][1]) for run in runs}
            found = {seed: sign * of_seed for seed, of_seed in known.items() if of_seed is not None}
            if found:
                shares[role, number] = pd.DataFrame.from_dict(found, orient="index")
    return Family(name, experiments, evidence, pilot, shares)


def _groups(members: Mapping[str, list[RunValues]], role: str, run: RunValues) -> tuple[frozenset[int], frozenset[int]]:
    """Return the classes that clients of the shared-class split share in this seed, and those that the split trains on.

    Class maps may rotate with the seed, and a control is compared with the split of its own seed and length.
    """
    is_long = role.startswith(_LONG)
    found = []
    for wanted, of_held in ((SHARED, shared), (SPLIT, trained)):
        others = [
            other
            for name in members
            if name.startswith(_LONG) == is_long and _matches(name, wanted)
            for other in members[name]
        ]
        found.append(next((of_held(other.held) for other in others if other.seed == run.seed), frozenset()))
    return found[0], found[1]


def _matches(role: str, wanted: str) -> bool:
    return role == wanted or (role.startswith(_LONG) and _short_name(role) == wanted)


def _on_classes(run: RunValues, shared_classes: Collection[int], split_classes: Collection[int]) -> dict[str, float]:
    """Return numbers over some classes only, so that splits with different classes can be compared.

    Returns:
        `shared_class` and `shared_class_common`, true correlations of circuits of the shared class; `common_accuracy`
        of the global model on the classes of the 3-class split.
    """
    sums = sum((run.pairs.get(class_id, PairSums()) for class_id in sorted(shared_classes)), PairSums())
    return {
        "shared_class": sums.true_correlation(),
        "shared_class_common": sums.true_common_correlation(),
        "common_accuracy": accuracy_on(run.recalls, split_classes),
    }


def _shares(run: RunValues, number: str, split_classes: Collection[int]) -> "pd.Series[float] | None":
    """Return what each original adds to an accuracy of the global model; None where that is not known."""
    # Clients' own models have no logged hits. They miss few images where they have learned, and images that are hard
    # for both models take from the variance of the difference: that of the global model is taken for all of it.
    groups = [split_classes] if number == "common_accuracy" else run.held
    return shares_on(run.hits, run.recalls, groups) if run.hits and any(groups) else None
