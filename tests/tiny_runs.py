"""Settings of runs that take a second, and their tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from federation import InProcessGrid

from fedcircuits.records import TABLES
from fedcircuits.runlog.reader import find_run, read_info, read_table
from server_app.federation import run_federation

TINY = {
    "num-server-rounds": 2,
    "train-limit": 150,
    "heldout-limit": 100,
    "channels": "4,6",
    "local-epochs": 1,
    "discovery": "gates",
    "size-rule": "penalty",
    "gate-steps": 4,
    "gate-batch": 4,
    "validity-every": 0,
    "examination-every": 0,
}
EXAMINED = {
    "validity_every": 1,
    "examination_every": 2,
    "examination_images": 6,
    "examination_draws": 4,
    "retest_every": 0,
}
"""Every examination, of little."""

ATTRIBUTION = {"discovery": "attribution", "size_rule": "sweep", "attribution_images": 16, "attribution_points": 2}

TIMINGS = ["train_seconds", "discovery_seconds", "evaluate_seconds", "seconds"]


def run_tiny(grid: InProcessGrid, folder: Path, defaults: Mapping[str, Any], **changes: Any) -> Path:
    """Run a tiny federation and return its run directory; `changes` are settings in snake case."""
    overrides = {key.replace("_", "-"): value for key, value in changes.items()}
    run_federation(grid, {**defaults, **TINY, "run-dir": str(folder), **overrides})
    return find_run(folder)


def table(run: Path, name: str) -> pd.DataFrame:
    return read_table(run, name, read_info(run)["last_round"])


def all_tables(run: Path) -> dict[str, pd.DataFrame]:
    return {name: table(run, name).drop(columns=TIMINGS, errors="ignore") for name in TABLES}
