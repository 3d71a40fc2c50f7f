"""The figures that summary and charts share, computed from a run's tables. Nothing is drawn or printed here."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

import pandas as pd

from analysis.reports import reports_on, withheld
from analysis.run import Run
from fedcircuits.records import ALL_LAYERS, COLLAPSED_RECALL, Comparison, ModelKind

OVERLAPS: Final = {
    "same_class": Comparison.SAME_CLASS_ACROSS_CLIENTS,
    "different_class": Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS,
    "local_vs_global": Comparison.LOCAL_VS_GLOBAL,
    "retest": Comparison.RETEST,
}
"""The comparisons of the summary, by the prefix of their columns."""

_CIRCUIT = ["round", "model", "partition_id", "class_id"]


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


def global_recall(run: Run) -> pd.DataFrame:
    """Return the global model's recall: one row per round, one column per class of which there are test images."""
    rows = run.accuracy[run.accuracy["model"] == ModelKind.GLOBAL]
    return rows.pivot_table(index="round", columns="class_id", values="recall")


def global_accuracy(run: Run) -> pd.DataFrame:
    """Return how well the global model does after each round.

    Returns:
        one row per round; `accuracy` over all classes, `accuracy_trained` over the trained ones, and `collapsed`,
        the sorted list of trained classes with a recall below `COLLAPSED_RECALL`; NaN and None where it is not known
        which classes were trained on.
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
        }
    columns = ["accuracy", "accuracy_trained", "collapsed"]
    return pd.DataFrame.from_dict(measured, orient="index", columns=columns).rename_axis("round")


def client_counts(run: Run) -> "dict[str, pd.Series[int]]":
    """Return, by round, how many clients were `asked`, and of how many the reply to train was `accepted`."""
    accepted = run.clients["accepted"].fillna(False).astype(int)
    return {"accepted": accepted.groupby(run.clients["round"]).sum(), "asked": run.clients.groupby("round").size()}


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


def pairs(run: Run, comparison: Comparison) -> pd.DataFrame:
    """Return the overlap rows of a comparison that may be shown: a circuit that says nothing about its class is not.

    Weight masks have no such verdict and are all kept.
    """
    rows = run.overlap[run.overlap["comparison"] == comparison]
    return rows[rows["usable"].fillna(True).astype(bool)]


def mean_rows(run: Run, comparison: Comparison) -> pd.DataFrame:
    """Return rows whose means by round and layer are a comparison's: those of `pairs`, and in rounds in which clients
    were too many for pairs one row per layer, with the means of the summary in place of a pair's figures.
    """
    rows, summary = pairs(run, comparison), summarised(run, comparison)
    if summary.empty:
        return rows
    means = summary.pivot(index=["round", "layer"], columns="figure", values="mean").reset_index()
    # The log has layers in the order of the network, which a pivot does not keep.
    order = summary[["round", "layer"]].drop_duplicates()
    means = order.merge(means, on=["round", "layer"]).assign(comparison=str(comparison), a_model=str(ModelKind.CLIENT))
    means = means.reindex(columns=rows.columns).astype(rows.dtypes)
    return means if rows.empty else pd.concat([rows, means], ignore_index=True)


def summarised(run: Run, comparison: Comparison) -> pd.DataFrame:
    """Return the summary's rows of a comparison: none where the log has pairs."""
    return run.overlap_summary[run.overlap_summary["comparison"] == comparison]


def layers_of(rows: pd.DataFrame) -> list[str]:
    """Return the layers of a table from the input to the output, then all pooled."""
    layers = [str(layer) for layer in rows["layer"].unique()]
    return sorted(layers, key=lambda layer: layer == ALL_LAYERS)


def pooled_pairs(run: Run, comparison: Comparison) -> pd.DataFrame:
    """Return the rows of `pairs` that pool all layers: one per pair and round."""
    rows = pairs(run, comparison)
    return rows[rows["layer"] == ALL_LAYERS]


def pooled_means(run: Run, comparison: Comparison) -> pd.DataFrame:
    """Return the rows of `mean_rows` that pool all layers."""
    rows = mean_rows(run, comparison)
    return rows[rows["layer"] == ALL_LAYERS]


def of_client_models(run: Run) -> Run:
    """Return the run without the overlaps of the global model's circuits with each other."""
    return replace(run, overlap=run.overlap[run.overlap["a_model"] == ModelKind.CLIENT])


def left_out(run: Run, comparisons: Iterable[Comparison]) -> tuple[int, int]:
    """Return how many pairs are left out as not usable, and out of how many, logged one by one or summarised."""
    chosen = list(comparisons)
    rows = run.overlap[(run.overlap["layer"] == ALL_LAYERS) & run.overlap["comparison"].isin(chosen)]
    summary = run.overlap_summary
    pooled = summary[(summary["layer"] == ALL_LAYERS) & (summary["figure"] == "iou")]
    pooled = pooled[pooled["comparison"].isin(chosen)]
    excluded = int((~rows["usable"].fillna(True).astype(bool)).sum()) + int(pooled["num_left_out"].sum())
    return excluded, len(rows) + int(pooled[["num_pairs", "num_left_out"]].sum().sum())


def check_verdicts(run: Run) -> "pd.Series[bool]":
    """Return whether the discovery passed its validity check, by round; checks that could not say are left out."""
    pooled = run.validity[run.validity["class_id"].isna()]
    verdicts = {
        int(str(server_round)): bool(beaten.all())
        for server_round, beaten in pooled.groupby("round")["beaten"]
        if beaten.notna().all()
    }
    return pd.Series(verdicts, dtype="bool")


def failed_checks(run: Run) -> dict[int, int]:
    """Return the rounds in which no circuit counts as usable because the discovery had failed its validity check.

    Returns:
        round to the round of the newest check that could say something, where that check was failed.
    """
    verdicts = check_verdicts(run)
    failed: dict[int, int] = {}
    newest: int | None = None
    for server_round in range(1, int(run.info["last_round"]) + 1):
        if server_round in verdicts:
            newest = None if verdicts[server_round] else server_round
        if newest is not None:
            failed[server_round] = newest
    return failed


def why_no_pairs(run: Run, comparison: Comparison) -> str:
    """Say why `pairs` is empty for a comparison; meaningless if it is not."""
    summary = summarised(run, comparison)
    if summary["num_pairs"].any():
        return "no pairs are listed: clients are so many that overlap across them is summarised"
    logged = run.overlap[run.overlap["comparison"] == comparison]
    if len(logged) or len(summary):
        return why_unusable(run, {*logged["round"], *summary["round"]})
    return _why_none_formed(run, comparison)


def _why_none_formed(run: Run, comparison: Comparison) -> str:
    """Say why there were no circuits to compare."""
    if not reports_on(run, comparison):
        return f"no pairs: {withheld(run)}"
    if comparison == Comparison.SAME_CLASS_ACROSS_CLIENTS and not has_shared_class(run):
        verb = "has circuits in" if holdings(run).empty else "is held by"
        return f"no pairs: no class {verb} two clients"
    num_classes = [len(classes) for classes in found_classes(run).values()]
    if comparison == Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS and len(num_classes) == 1:
        return "no pairs: there is one client"
    if comparison == Comparison.DIFFERENT_CLASS_WITHIN_CLIENT and num_classes and max(num_classes) == 1:
        return "no pairs: no client has circuits of two classes"
    if comparison == Comparison.ROUND_TO_ROUND and run.circuits["round"].nunique() < 2:
        return "no pairs: circuits were not found in two rounds"
    return "no pairs were logged"


def why_unusable(run: Run, rounds: Collection[int]) -> str:
    """Say why circuits of some rounds form no pair of usable ones."""
    checks = failed_checks(run)
    if not checks.keys() >= set(rounds):
        return "no pairs: none of two usable circuits"
    failed = ", ".join(str(check) for check in sorted({checks[server_round] for server_round in rounds}))
    return f"no pairs: discovery failed its validity check in round {failed}, no circuit counts as usable"


def drift_gaps(run: Run, score: str = "sufficiency") -> pd.DataFrame:
    """Return what local circuits lose on the averaged weights, against circuits that are found there.

    The drift gap is that of arXiv 2512.23043: sufficiency of the global model's own circuit, found on the data of a
    client, minus the sufficiency of that client's local circuit on the global weights (the transplant). Zero means that
    averaging kept the local circuit as good as the global one, or that both fail; a positive gap means that the class
    moved to other channels.

    Args:
        run: the run.
        score: another column of the quality table to compare in the same way.

    Returns:
        one row per round, partition and class: the score of `client` (local circuit on local weights), `transplant`
        and `global`, and `drift_gap`. Rows without a transplant are left out; a missing figure is NaN.
    """
    rows = run.quality[run.quality["partition_id"].notna()]
    kinds = [str(ModelKind.CLIENT), str(ModelKind.TRANSPLANT), str(ModelKind.GLOBAL)]
    key = ["round", "partition_id", "class_id"]
    wide = rows.pivot_table(index=key, columns="model", values=score).reindex(columns=kinds)
    wide = wide.dropna(subset=[str(ModelKind.TRANSPLANT)])
    return wide.assign(drift_gap=wide[ModelKind.GLOBAL] - wide[ModelKind.TRANSPLANT]).reset_index()


def circuit_sizes(run: Run) -> pd.DataFrame:
    """Return each circuit's channels, layer by layer and in all.

    Returns:
        columns round, model, partition_id, class_id, layer (`all` = summed over layers), num_channels, layer_width.
    """
    sizes = run.circuits[[*_CIRCUIT, "layer", "num_channels", "layer_width"]]
    # The server's circuits have no partition; without dropna=False they would vanish here.
    total = sizes.groupby(_CIRCUIT, dropna=False)[["num_channels", "layer_width"]].sum().reset_index()
    return pd.concat([sizes, total.assign(layer=ALL_LAYERS)], ignore_index=True)


def client_quality(run: Run) -> pd.DataFrame:
    """Return the quality rows of circuits found in client models."""
    return run.quality[run.quality["model"] == ModelKind.CLIENT]


def usable_share(quality: pd.DataFrame) -> "pd.Series[float]":
    """Return the share of usable circuits by round; NaN where the verdict on any of them is not known."""
    verdicts = quality["usable"].astype("Float64").astype("float64")
    return verdicts.groupby(quality["round"]).mean(skipna=False)


def round_measures(run: Run) -> pd.DataFrame:
    """Return the figures of the summary, one row per round, NaN where a figure is undefined.

    Overlaps pool all layers and are means over pairs; `retest` is the mean over client models and global model.
    """
    rounds = sorted({*run.clients["round"], *run.accuracy["round"]})
    sizes = circuit_sizes(run)
    sizes = sizes[(sizes["model"] == ModelKind.CLIENT) & (sizes["layer"] == ALL_LAYERS)]
    gaps = drift_gaps(run)
    columns: dict[str, pd.Series] = {
        **client_counts(run),
        "circuit_size": by_round(sizes, "num_channels"),
        "usable_share": usable_share(client_quality(run)),
        "sufficiency_transplant": by_round(gaps, str(ModelKind.TRANSPLANT)),
        "drift_gap": by_round(gaps, "drift_gap"),
    }
    for prefix, comparison in OVERLAPS.items():
        rows = pooled_means(run, comparison)
        for figure in ("iou", "expected_iou", "adjusted_iou", "common_adjusted_iou"):
            columns[f"{prefix}_{figure}"] = by_round(rows, figure)
    table = pd.DataFrame(columns).reindex(rounds).rename_axis("round")
    return global_accuracy(run).reindex(rounds).join(table)


def by_round(rows: pd.DataFrame, column: str) -> "pd.Series[float]":
    """Return the mean of a column in each round."""
    return rows[column].astype("Float64").astype("float64").groupby(rows["round"]).mean()


def _client_circuits(run: Run) -> pd.DataFrame:
    return run.circuits[run.circuits["model"] == ModelKind.CLIENT]


def _accuracy(rows: pd.DataFrame) -> float:
    """Return the accuracy over the classes of these rows: recall weighted by test images, NaN if there are none."""
    counted = rows.dropna(subset=["recall"])
    num_examples = float(counted["num_examples"].sum())
    return float((counted["recall"] * counted["num_examples"]).sum()) / num_examples if num_examples else float("nan")
