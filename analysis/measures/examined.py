"""The tables that are filled every few rounds only: in which rounds, and why a table has nothing to show."""

from typing import Final

import pandas as pd

from analysis.measures import has_shared_class
from analysis.runs.withheld import withheld
from fedcircuits.records import ModelKind
from fedcircuits.runlog.run import Run

_EXAMINATIONS: Final = ("curves", "scrutiny", "alignment", "barriers", "swaps", "transfer", "patching", "ladder")
"""Taken in the same rounds, by the setting examination-every."""

_OF_CLIENTS_CIRCUITS: Final = ("swaps", "transfer", "patching", "stability")
"""About circuits that clients find, alone."""

_BETWEEN_CLIENTS: Final = ("stability", "transfer")
"""About classes of which several clients have a circuit."""

_OTHERS: Final = ("validity", "stability")
"""Taken by settings of their own."""


def newest_round(run: Run) -> int | None:
    """Return the newest round with examinations; without any, the newest with checks of validity or stability."""
    for tables in (_EXAMINATIONS, _OTHERS):
        rounds = pd.concat([getattr(run, table)["round"] for table in tables])
        if len(rounds):
            return int(rounds.max())
    return None


def rows_of(run: Run, table: str, server_round: int) -> pd.DataFrame:
    """Return one round of a table, by its name in `fedcircuits.records.TABLES`."""
    rows: pd.DataFrame = getattr(run, table)
    return rows[rows["round"] == server_round]


def newest_rows(run: Run, table: str, server_round: int | None = None) -> pd.DataFrame:
    """Return the newest round of a table, not after `server_round` where that is given; empty if there is none."""
    rows: pd.DataFrame = getattr(run, table)
    rounds = rows["round"] if server_round is None else rows.loc[rows["round"] <= server_round, "round"]
    newest: pd.DataFrame = rows[rows["round"] == rounds.max()]
    return newest


def why_not_measured(run: Run, table: str) -> str:
    """Say why a table has no rows, or none of the round asked for; meaningless otherwise."""
    rounds = sorted(set(getattr(run, table)["round"]))
    if rounds:
        return f"measured in other rounds only: {', '.join(str(number) for number in rounds)}"
    if not run.info["last_round"]:
        return "no round was finished"
    if "imported-from" in run.settings:
        return "not in imported logs"
    if table in _OF_CLIENTS_CIRCUITS and withheld(run):
        return withheld(run)
    if table in _BETWEEN_CLIENTS and not has_shared_class(run):
        return "no class is held by two clients"
    return _why_not_taken(run, table)


def _why_not_taken(run: Run, table: str) -> str:
    """Say why the settings have left a table empty, as far as they have."""
    if table == "stability":
        return "no stability was logged"
    setting = "validity-every" if table == "validity" else "examination-every"
    every, last = run.settings.get(setting, 0), run.info["last_round"]
    if not every:
        return f"no examination was logged ({setting} = 0)"
    first = min(every, run.settings.get("num-server-rounds", every))
    if table != "validity" and last < first:
        return f"examinations begin in round {first} ({setting} = {every}), and the log ends with round {last}"
    return f"the table {table} is empty, although {setting} = {every}"


def swap_table(swaps: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the mean of a column of the swaps: whose circuit in rows, whose weights in columns."""
    owners = [str(ModelKind.CLIENT), str(ModelKind.GLOBAL)]
    means = swaps.pivot_table(index="circuit", columns="weights", values=column, dropna=False)
    return means.reindex(index=owners, columns=owners).astype("float64")
