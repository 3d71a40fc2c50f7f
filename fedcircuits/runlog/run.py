"""One run as analysis sees it: run.json and one table per kind of row."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fedcircuits.errors import RunLogError
from fedcircuits.records import TABLES
from fedcircuits.runlog.reader import RUN_FILE, find_run, read_info, read_table


@dataclass(frozen=True, eq=False)
class Run:
    """The whole rounds of one run. The tables' columns are those of `fedcircuits.records.TABLES`.

    Args:
        path: the run directory.
        info: what run.json says: status, reason, versions, settings and more.
        clients: one row per round and client.
        accuracy: one row per round, model and class.
        circuits: one row per round, model, class and layer.
        edges: one row per round, model, class and layer in which the edges end.
        quality: one row per round, model and class.
        overlap: one row per round, comparison, pair and layer.
        masks: one row per round and accepted client: its weight mask, one bit per weight.
        interference: one row per round and layer.
        circuit_interference: one row per round, client, class and layer.
        stability: one row per round, class and layer: agreement of all clients' circuits at once.
        curves: one row per round, circuit and size of the nested circuits cut from its ranking.
        scrutiny: one row per round and circuit that was looked at closely.
        validity: one row per round, client and class, and one per round without either: the check's verdict.
        alignment: one row per round, method, pair of models and layer.
        barriers: one row per round and pair of models.
        swaps: one row per round, client, class, circuit and weights.
        transfer: one row per round, ordered pair of clients and class that both have a circuit of.
        patching: one row per round, client and class.
        ladder: one row per round and rung, and client where the rung is one client's.
        costs: one row per round and examination.
    """

    path: Path
    info: dict[str, Any]
    clients: pd.DataFrame
    accuracy: pd.DataFrame
    circuits: pd.DataFrame
    edges: pd.DataFrame
    quality: pd.DataFrame
    overlap: pd.DataFrame
    masks: pd.DataFrame
    interference: pd.DataFrame
    circuit_interference: pd.DataFrame
    stability: pd.DataFrame
    curves: pd.DataFrame
    scrutiny: pd.DataFrame
    validity: pd.DataFrame
    alignment: pd.DataFrame
    barriers: pd.DataFrame
    swaps: pd.DataFrame
    transfer: pd.DataFrame
    patching: pd.DataFrame
    ladder: pd.DataFrame
    costs: pd.DataFrame

    @property
    def settings(self) -> dict[str, Any]:
        """The resolved settings, by their keys in the run config."""
        settings: dict[str, Any] = self.info["settings"]
        return settings


def load_run(path: str | Path, unread: Collection[str] = ()) -> Run:
    """Read a run: also one that still runs or has failed, up to its last whole round.

    Args:
        path: a run directory, or a folder of run directories, of which the newest is read.
        unread: tables to leave empty.

    Raises:
        RunLogError: if there is no run, or it is damaged.
    """
    folder = find_run(Path(path).expanduser())
    info = load_info(folder)
    return Run(path=folder, info=info, **_tables(folder, unread, 1, info["last_round"]))


def load_info(folder: Path) -> dict[str, Any]:
    """Read the run.json of a run directory.

    Raises:
        RunLogError: if it is damaged.
    """
    info = read_info(folder)
    if not isinstance(info.get("last_round"), int) or not isinstance(info.get("settings"), dict):
        raise RunLogError(f"{folder / RUN_FILE} lacks a valid last_round or settings")
    return info


def load_round(folder: Path, info: dict[str, Any], server_round: int, unread: Collection[str] = ()) -> Run:
    """Read a single whole round of a run, as a run of which nothing else is known.

    Args:
        folder: the run directory.
        info: what its run.json says.
        server_round: the round.
        unread: tables to leave empty.

    Raises:
        RunLogError: if a part is missing or damaged.
    """
    return Run(path=folder, info=info, **_tables(folder, unread, server_round, server_round))


def _tables(folder: Path, unread: Collection[str], first_round: int, last_round: int) -> dict[str, pd.DataFrame]:
    last = {name: first_round - 1 if name in unread else last_round for name in TABLES}
    return {name: read_table(folder, name, last[name], first_round).astype({"round": "int64"}) for name in TABLES}
