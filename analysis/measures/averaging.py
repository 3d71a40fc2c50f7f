"""What averaging does to the classes that clients hold, and what it leaves of their weights and activations."""

import math

import pandas as pd

from analysis.measures.holdings import holdings
from fedcircuits.records import ModelKind
from fedcircuits.runlog.run import Run


def averaging_losses(run: Run) -> pd.DataFrame:
    """Return how well each client's model and the new global model recognise the classes that the client holds.

    Returns:
        columns round, partition_id, `own` (accuracy of the client's model, before averaging), `averaged` (that of the
        global model) and `learned`, how far `own` is on the way from guessing one of the client's classes (0) to
        perfect (1); NaN for a client of a single class, of which always naming it says nothing.
    """
    held = holdings(run).reset_index().melt(id_vars="partition_id", var_name="class_id", value_name="held")
    held = held[held["held"] > 0].astype({"class_id": "int64"})[["partition_id", "class_id"]]
    key = ["round", "class_id"]
    rows = run.accuracy.dropna(subset=["recall"])
    own = rows[rows["model"] == ModelKind.CLIENT].merge(held, on=["partition_id", "class_id"])
    averaged = rows.loc[rows["model"] == ModelKind.GLOBAL, [*key, "recall"]].rename(columns={"recall": "averaged"})
    both = own.merge(averaged, on=key)
    both["own_hits"] = both["recall"].astype("float64") * both["num_examples"]
    both["averaged_hits"] = both["averaged"].astype("float64") * both["num_examples"]
    sums = both.groupby(["round", "partition_id"]).agg(
        own=("own_hits", "sum"),
        averaged=("averaged_hits", "sum"),
        images=("num_examples", "sum"),
        classes=("recall", "size"),
    )
    table = pd.DataFrame({name: sums[name] / sums["images"] for name in ("own", "averaged")}).astype("float64")
    guess = (1 / sums["classes"]).where(sums["classes"] > 1)
    return table.assign(learned=(table["own"] - guess) / (1 - guess)).reset_index()


def retention(run: Run) -> pd.DataFrame:
    """Return what averaging leaves in the body, that is in all layers before the readout: means over these layers.

    Returns:
        one row per round: `round`; `updates_left`, the norm of the mean update over the mean norm of updates;
        `unrelated`, what updates that have nothing to do with each other leave of it, 1 / √clients; `norm_retention`,
        the norm of the average over the mean norm of clients; `activation_retention`, the same of the standard
        deviation of activations, NaN in rounds without an examination.
    """
    layers = run.interference["layer"].unique()
    body = run.interference[run.interference["layer"].isin(layers[:-1])]
    columns = ["norm_retention", "activation_retention"]
    table = body[["round", *columns]].assign(
        updates_left=body["cancellation"], unrelated=body["num_clients"].astype("float64").map(_inverse_root)
    )
    return table.astype(dict.fromkeys([*columns, "updates_left"], "float64")).groupby("round").mean().reset_index()


def _inverse_root(number: float) -> float:
    return 1 / math.sqrt(number)
