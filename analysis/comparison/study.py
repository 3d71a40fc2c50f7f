"""Experiments side by side: the value of every measure for each experiment, seed and round.

Compared are means over the second half of the rounds, as in verdicts: a single round would be noise.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd

from analysis.measures.by_seed import MEASURES, seed_measures
from analysis.measures.unit_rows import unit_rows
from analysis.runs.collection import find_runs
from analysis.runs.experiments import Experiment, group, read_seed_runs
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.run import load_run

UNREAD: Final = ("edges", "masks", "circuit_interference")
"""The tables of a run that no measure is made of; they are among the largest."""

IDENTIFIERS: Final = ["experiment", "seed", "run", "round", "is_late"]
"""The columns of `SeedStudy.values` beside the measures."""


@dataclass(frozen=True, eq=False)
class SeedStudy:
    """Experiments side by side.

    Args:
        experiments: in the order in which their runs were found.
        baseline: the one of them that the others are compared with.
        values: one row per experiment, seed and round that all seeds of the experiment have, in that order;
            `IDENTIFIERS` and one column per measure. `is_late` rounds are those of the second half.
        unit_rows: the circuits and pairs behind the values of late rounds; `experiment`, `seed` and the columns of
            `unit_rows.COLUMNS`.
        notes: what a reader must know about runs that are missing, unfinished, repeated or of different length.
    """

    experiments: tuple[Experiment, ...]
    baseline: Experiment
    values: pd.DataFrame
    unit_rows: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        """The experiments' labels."""
        return [experiment.label for experiment in self.experiments]

    @property
    def size(self) -> str:
        """Says how many experiments and seeds there are."""
        counts = [len(experiment.runs) for experiment in self.experiments]
        seeds = str(max(counts)) if min(counts) == max(counts) else f"{min(counts)}–{max(counts)}"
        noun = "experiment" if len(counts) == 1 else "experiments"
        return f"{len(counts)} {noun} × {seeds} {'seed' if max(counts) == 1 else 'seeds'}"

    @cached_property
    def late(self) -> dict[str, pd.DataFrame]:
        """The means over the second half of rounds, of those that have a value, by label; indexed by seed."""
        rows = self.values[self.values["is_late"]]
        return {
            label: own.groupby("seed")[list(MEASURES)].mean()
            for label, own in ((label, rows[rows["experiment"] == label]) for label in self.labels)
        }

    @cached_property
    def units(self) -> dict[tuple[str, str], dict[int, pd.DataFrame]]:
        """The rows of `unit_rows` by label and measure, and then by seed; nothing where there are none."""
        found: dict[tuple[str, str], dict[int, pd.DataFrame]] = {}
        for (label, measure, seed), rows in self.unit_rows.groupby(["experiment", "measure", "seed"]):
            found.setdefault((str(label), str(measure)), {})[int(str(seed))] = rows
        return found

    def of(self, label: str) -> pd.DataFrame:
        """Return the rows of one experiment."""
        return self.values[self.values["experiment"] == label]

    def late_mean(self, label: str, measure: str) -> "pd.Series[float]":
        """Return a measure of an experiment over its late rounds, indexed by seed; NaN for a seed without a value."""
        return self.late[label][measure]

    def without(self, measures: Collection[str]) -> list[str]:
        """Return the experiments that have a value of none of these measures, in any round."""
        known = set(self.values.dropna(subset=list(measures), how="all")["experiment"])
        return [label for label in self.labels if label not in known]

    def late_means(self, measure: str) -> "dict[str, pd.Series[float]]":
        """Return `late_mean` of every experiment by its label."""
        return {label: self.late_mean(label, measure) for label in self.labels}

    def tidy_late(self) -> pd.DataFrame:
        """Return `late` as one row per experiment, seed and measure, with the value in a column `value`."""
        parts = [table.reset_index().assign(experiment=label) for label, table in self.late.items()]
        names = ["experiment", "seed"]
        return pd.concat(parts).melt(id_vars=names, value_vars=list(MEASURES), var_name="measure")

    def tidy(self) -> pd.DataFrame:
        """Return `values` as one row per experiment, seed, round and measure, with the value in a column `value`."""
        return self.values.melt(id_vars=IDENTIFIERS, value_vars=list(MEASURES), var_name="measure")


def read_seed_study(paths: Sequence[Path], baseline: str | None = None) -> SeedStudy:
    """Find, group and read runs. One run's tables are in memory at a time.

    Args:
        paths: run directories and folders of them; see `collection.find_runs`.
        baseline: label of the experiment to compare with; None = the first with IID clients, or else the first.

    Raises:
        RunLogError: if there is nothing to compare, a run is damaged, or no experiment has the baseline's label.
    """
    found = find_runs(paths)
    experiments, notes = group(read_seed_runs(found.runs))
    chosen = _find_baseline(experiments, baseline)
    read = [_read(experiment) for experiment in experiments]
    values, rows = (pd.concat(tables, ignore_index=True) for tables in zip(*read, strict=True))
    return SeedStudy(experiments, chosen, values, rows, (*found.notes, *notes))


def _find_baseline(experiments: Sequence[Experiment], label: str | None) -> Experiment:
    if label is None:
        iid = [experiment for experiment in experiments if experiment.settings.get("partition") == "iid"]
        return (iid or list(experiments))[0]
    for experiment in experiments:
        if experiment.label == label:
            return experiment
    known = ", ".join(repr(experiment.label) for experiment in experiments)
    raise RunLogError(f"baseline: no experiment is called {label!r}; there are {known}")


def _read(experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the values of an experiment's runs, up to the last round that all have, and the rows of the later half."""
    values, rows = [], []
    for seed_run in experiment.runs:
        run, last_round = load_run(seed_run.path, UNREAD), experiment.last_round
        table = seed_measures(run).reset_index()
        table = table[table["round"] <= last_round]
        names: dict[str, Any] = {"experiment": experiment.label, "seed": seed_run.seed}
        table = table.assign(**names, run=seed_run.path.name, is_late=table["round"] > last_round / 2)
        values.append(table[[*IDENTIFIERS, *MEASURES]])
        rows.append(unit_rows(run, last_round).assign(**names))
    return pd.concat(values, ignore_index=True), pd.concat(rows, ignore_index=True)
