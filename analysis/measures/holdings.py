"""Who holds which classes, and which of them were trained on."""

import pandas as pd

from fedcircuits.records import ModelKind
from fedcircuits.runlog.run import Run


def holdings(run: Run) -> pd.DataFrame:
    """Return the images that each client holds of each class, as it last said.

    Returns:
        one row per partition, one column per class; empty if no client said.
    """
    known = run.clients.dropna(subset=["class_counts"]).drop_duplicates("partition_id", keep="last")
    known = known.sort_values("partition_id")
    counts = pd.DataFrame(
        [list(row) for row in known["class_counts"]], index=known["partition_id"].astype("int64"), dtype="int64"
    )
    return counts.rename_axis(columns="class_id")


def has_shared_class(run: Run) -> bool:
    """Tell whether any class is held by two clients."""
    return bool((holdings(run) > 0).sum().gt(1).any())


def trained_classes(run: Run) -> dict[int, frozenset[int]]:
    """Return, for each round, the classes of clients that were accepted in that round or an earlier one."""
    seen: set[int] = set()
    by_round = {}
    found = _client_circuits(run)
    for server_round, rows in run.clients.groupby("round"):
        accepted = rows[rows["accepted"].fillna(False)]
        for counts in accepted["class_counts"].dropna():
            seen |= {class_id for class_id, count in enumerate(counts) if count}
        # A client that did not say what it holds has at least the classes whose circuits it found.
        silent = accepted.loc[accepted["class_counts"].isna(), "partition_id"]
        if len(silent):
            seen |= set(found.loc[(found["round"] == server_round) & found["partition_id"].isin(silent), "class_id"])
        by_round[int(str(server_round))] = frozenset(seen)
    return by_round


def found_classes(run: Run) -> dict[int, list[int]]:
    """Return, for each partition, the classes whose circuits were found in the client's own model, ascending."""
    by_partition = _client_circuits(run).groupby("partition_id")["class_id"]
    return {int(str(partition)): sorted(set(classes)) for partition, classes in by_partition}


def _client_circuits(run: Run) -> pd.DataFrame:
    return run.circuits[run.circuits["model"] == ModelKind.CLIENT]
