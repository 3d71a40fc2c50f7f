"""Tabulate what the instrument is worth, from the logs of the runs of conf/instrument.

    python -m sweep conf/instrument --seeds 0-2 --out runs/instrument
    python benchmarks/instrument.py runs/instrument

Figures are of the last round, means over clients and classes and then over seeds, ± the standard deviation of seeds.
The whole model's rates stand beside its circuits': they are the last point of the curves, on the same test images.
"""

import argparse
from pathlib import Path

import pandas as pd

from analysis import Run, load_run
from analysis.measures.ladder import ladder_gaps, ladder_rungs
from fedcircuits.records import ALL_LAYERS, Comparison, ModelKind


def main() -> None:
    """Print one row per experiment as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder of run directories")
    folder = parser.parse_args().folder
    runs = [load_run(path.parent) for path in sorted(folder.glob("*/run.json"))]
    table = pd.DataFrame([{"experiment": run.settings["run-name"], **figures(run)} for run in runs])
    groups = table.groupby("experiment")
    cells = groups.mean().map("{:.2f}".format) + " ± " + groups.std().map("{:.2f}".format)
    for columns in (cells.columns[:9], cells.columns[9:18], cells.columns[18:]):
        print(_markdown(cells[columns]), end="\n\n")


def figures(run: Run) -> dict[str, float]:
    """Return what is tabulated of one run."""
    return {**_circuits(run), **_validity(run), **_averaging(run), **_ladder(run), **_seconds(run)}


def _circuits(run: Run) -> dict[str, float]:
    last = {name: _last(getattr(run, name)) for name in ("quality", "scrutiny", "curves", "overlap")}
    own = {name: rows[rows["model"] == ModelKind.CLIENT] for name, rows in last.items() if name != "overlap"}
    whole = own["curves"][own["curves"]["share"] == 1]
    retests = last["overlap"]
    retests = retests[(retests["comparison"] == Comparison.RETEST) & (retests["layer"] == ALL_LAYERS)]
    return {
        "recall": _mean(own["quality"]["sufficiency"]),
        "of the whole": _mean(whole["recall"]),
        "FPR": _mean(own["quality"]["false_positive_rate"]),
        "FPR of the whole": _mean(whole["false_positive_rate"]),
        "balanced accuracy": _mean(own["quality"]["balanced_accuracy"]),
        "size, share of reachable": _mean(own["scrutiny"]["num_channels"] / own["scrutiny"]["num_reachable"]),
        "rank agreement": _mean(own["scrutiny"]["rank_agreement"]),
        "retest φ": _mean(retests.loc[retests["a_model"] == ModelKind.CLIENT, "phi"]),
        "usable": _mean(own["quality"]["usable"]),
    }


def _validity(run: Run) -> dict[str, float]:
    pooled = run.validity[run.validity["passed"].notna()]
    own = _last(run.scrutiny)
    own = own[own["model"] == ModelKind.CLIENT]
    return {
        "checks passed": _mean(pooled["passed"]),
        "faithfulness F": _mean(own["faithfulness"]),
        "CPR": _mean(own["cpr"]),
        "CMD": _mean(own["cmd"]),
        "completeness K": _mean(own["completeness"]),
        "sufficient, p < .05": _mean(own["p_sufficiency"] < 0.05),
        "necessary, p < .05": _mean(own["p_necessity"] < 0.05),
    }


def _averaging(run: Run) -> dict[str, float]:
    swaps = run.swaps[run.swaps["circuit"] == ModelKind.CLIENT].groupby("weights")["separation"].mean()
    return {
        "preservation P": float(swaps[ModelKind.GLOBAL] / swaps[ModelKind.CLIENT]),
        "patching − random, nats": _mean(run.patching["gain"] - run.patching["random_gain"]),
    }


def _ladder(run: Run) -> dict[str, float]:
    rungs = ladder_rungs(run)
    gaps = ladder_gaps(rungs).iloc[-1]
    return {
        "A0": float(rungs["A0"].iloc[-1]),
        "readout A2−A0": float(gaps["readout"]),
        "body A3−A2": float(gaps["body"]),
        "negatives A4−E": float(gaps["negatives"]),
        "room A3−R": float(gaps["room"]),
    }


def _seconds(run: Run) -> dict[str, float]:
    clients = _last(run.clients)
    seconds = {f"s: {name}": _mean(rows["seconds"]) for name, rows in run.costs.groupby("measure")}
    discovery = clients["discovery_seconds"].sum() + clients["evaluate_seconds"].sum()
    return {
        "s: clients train": float(clients["train_seconds"].sum()),
        "s: clients' circuits": float(discovery),
        **seconds,
    }


def _last(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["round"] == rows["round"].max()]


def _mean(values: "pd.Series[float]") -> float:
    return float(values.astype("Float64").mean())


def _markdown(cells: pd.DataFrame) -> str:
    rows = [["experiment", *cells.columns], ["---"] * (len(cells.columns) + 1)]
    rows += [[name.removeprefix("instrument-"), *row] for name, row in zip(cells.index, cells.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


if __name__ == "__main__":
    main()
