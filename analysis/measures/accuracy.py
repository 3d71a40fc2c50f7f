"""How well models recognise classes, before averaging and after."""

import pandas as pd

from analysis.measures.holdings import holdings, trained_classes
from fedcircuits.records import COLLAPSED_RECALL, DEFAULT_ANSWER_RATE, ModelKind
from fedcircuits.runlog.run import Run


def global_recall(run: Run) -> pd.DataFrame:
    """Return the global model's recall: one row per round, one column per class of which there are test images."""
    return _global_rates(run, "recall")


def global_false_positives(run: Run) -> pd.DataFrame:
    """Return what share of other classes' images the global model takes for each class; laid out as `global_recall`."""
    return _global_rates(run, "false_positive_rate").reindex(columns=global_recall(run).columns)


def _global_rates(run: Run, column: str) -> pd.DataFrame:
    rows = run.accuracy[run.accuracy["model"] == ModelKind.GLOBAL]
    return rows.pivot_table(index="round", columns="class_id", values=column)


def global_accuracy(run: Run) -> pd.DataFrame:
    """Return how well the global model does after each round.

    Returns:
        one row per round; `accuracy` over all classes, `accuracy_trained` over the trained ones, `collapsed`, the
        sorted list of trained classes with a recall below `COLLAPSED_RECALL`, and `default_answers`, that of classes
        that at least `DEFAULT_ANSWER_RATE` of other images are taken for. NaN and None where it is not known which
        classes were trained on.
    """
    trained = trained_classes(run)
    measured = {}
    for server_round, rows in run.accuracy[run.accuracy["model"] == ModelKind.GLOBAL].groupby("round"):
        known = rows[rows["class_id"].isin(trained.get(int(str(server_round)), frozenset()))]
        lost = known.loc[known["recall"] < COLLAPSED_RECALL, "class_id"]
        measured[server_round] = {
            "accuracy": _accuracy(rows),
            "accuracy_trained": _accuracy(known),
            "collapsed": sorted(int(class_id) for class_id in lost) if len(known) else None,
            "default_answers": _default_answers(rows),
        }
    columns = ["accuracy", "accuracy_trained", "collapsed", "default_answers"]
    return pd.DataFrame.from_dict(measured, orient="index", columns=columns).rename_axis("round")


def _default_answers(rows: pd.DataFrame) -> list[int]:
    rates = rows["false_positive_rate"].astype("Float64").astype("float64")
    return sorted(int(class_id) for class_id in rows.loc[rates >= DEFAULT_ANSWER_RATE, "class_id"])


def client_accuracy(run: Run) -> pd.DataFrame:
    """Return each client model's accuracy over the classes that its client holds, before averaging.

    Returns:
        columns round, partition_id, accuracy.
    """
    held = holdings(run).reset_index().melt(id_vars="partition_id", var_name="class_id", value_name="held")
    held = held[held["held"] > 0].astype({"class_id": "int64"})
    rows = run.accuracy[run.accuracy["model"] == ModelKind.CLIENT]
    own = rows.merge(held, on=["partition_id", "class_id"])
    measured = [(*key, _accuracy(classes)) for key, classes in own.groupby(["round", "partition_id"])]
    return pd.DataFrame(measured, columns=["round", "partition_id", "accuracy"])


def _accuracy(rows: pd.DataFrame) -> float:
    """Return the accuracy over the classes of these rows: recall weighted by test images, NaN if there are none."""
    counted = rows.dropna(subset=["recall"])
    num_examples = float(counted["num_examples"].sum())
    return float((counted["recall"] * counted["num_examples"]).sum()) / num_examples if num_examples else float("nan")
