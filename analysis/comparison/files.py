"""Writes the tables of a comparison as CSV files."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from analysis.comparison.difference_tests import difference_table
from analysis.comparison.study import SeedStudy
from analysis.comparison.tables import (
    baseline_differences,
    interval_table,
    seed_intervals,
    sparsity_differences,
    within_differences,
)
from analysis.comparison.trends import trend_table
from fedcircuits.errors import RunLogError
from fedcircuits.whole_files import write_whole


def write_tables(study: SeedStudy, folder: Path) -> Iterator[Path]:
    """Write the values of every seed, means over seeds, paired differences and trends, and yield the path of each file.

    Args:
        study: the experiments.
        folder: where to; made if missing.

    Raises:
        RunLogError: if the folder cannot be written.
    """
    differences = {
        "baseline": baseline_differences(study),
        "dense": sparsity_differences(study),
        "within": within_differences(study),
    }
    against = [difference_table(study, rows).assign(against=name) for name, rows in differences.items() if rows]
    tables = {
        "seed-values": study.tidy(),
        "seed-means": interval_table(seed_intervals(study)),
        "differences": pd.concat(against, ignore_index=True)
        if against
        else difference_table(study, []).assign(against=""),
        "trends": trend_table(study),
    }
    for name, table in tables.items():
        try:
            yield _write(table, folder / f"{name}.csv")
        except OSError as error:
            raise RunLogError(f"cannot write tables to {folder}: {error}") from error


def _write(table: pd.DataFrame, path: Path) -> Path:
    """Write a table, in a folder that is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda temporary: table.to_csv(temporary, index=False))
    return path
