"""The summary of a run: one row of figures per round, as text of at most 100 columns or as JSON."""

from collections.abc import Iterable
from typing import Any, Final

import pandas as pd

from analysis.measures import OVERLAPS, failed_checks, found_classes, holdings, left_out, round_measures
from analysis.reports import average_noise, mask_noise, withheld
from analysis.run import Run

UNDEFINED: Final = "–"

_NUM_HELD_CLASSES: Final = 16
"""Above this many classes the table of who holds what gives way to lists of classes."""

_NUM_HELD_CLIENTS: Final = 30
"""Clients that the summary lists at most: a federation may have thousands."""

_COLUMNS: Final = {
    "round": ("", "round", 5),
    "accuracy": ("acc.", "all", 5),
    "seen": ("", "seen", 5),
    "collapsed": ("collapsed", "classes", 9),
    "clients": ("cli-", "ents", 5),
    "size": ("circuits", "size", 4),
    "usable": ("", "usable", 6),
    "same": ("same class", "IoU", 4),
    "same_chance": ("", "chance", 6),
    "same_adjusted": ("", "adj.", 5),
    "different": ("diff. class", "IoU", 4),
    "different_chance": ("", "chance", 6),
    "local_vs_global": ("local/", "global", 6),
    "retest": ("re-", "test", 5),
    "transplant": ("trans", "plant", 5),
    "drift_gap": ("drift", "gap", 5),
}
"""Two header lines and the width of each column; a first line reaches over the columns after it that have none."""

_HOW_TO_READ: Final = """\
How to read: circuits are compared as sets of channels, pooled over layers. chance = IoU of random
circuits of the same sizes. adj., local/global and retest are adjusted for it: 1 = identical,
0 = chance; retest, the same model searched twice, is their ceiling. transplant = recall of local
circuits on global weights; drift gap = what the global model's own circuits reach beyond that
(0 also where both fail). – = undefined."""


def summary_text(run: Run) -> str:
    """Return the summary as text; every line fits 100 columns, except long reasons."""
    sections = [_header(run), _rounds(run), _failed_checks(run), _left_out(run), _rejected(run), _holdings(run)]
    sections.append(_HOW_TO_READ)
    return "\n\n".join(section for section in sections if section) + "\n"


def summary_data(run: Run) -> dict[str, Any]:
    """Return the summary as plain JSON values; undefined figures are None."""
    measures = round_measures(run).reset_index()
    excluded, total = left_out(run, OVERLAPS.values())
    return {
        "run": run.path.name,
        "status": run.info.get("status"),
        "reason": run.info.get("reason"),
        "settings": run.settings,
        "effective_density": _json_value(_density(run)),
        "rounds": [{str(k): _json_value(v) for k, v in row.items()} for row in measures.to_dict("records")],
        "failed_validity_checks": sorted(set(failed_checks(run).values())),
        "pairs_left_out": {"left_out": excluded, "of": total},
        "rejected": [{"round": r, "partition_id": p, "reason": why} for r, p, why in rejections(run)],
        "clients": run.info.get("clients", []),
        "holdings": {str(partition): counts for partition, counts in holdings(run).T.to_dict("list").items()},
    }


def run_facts(run: Run) -> dict[str, str]:
    """Return what the head of a summary says of a run, by its labels: how it ended, data, settings."""

    def get(key: str) -> Any:
        return run.settings.get(key, "unknown")

    reason = f": {run.info['reason']}" if run.info.get("reason") else ""
    planned = run.settings.get("num-server-rounds", "?")
    source = f"imported from {get('imported-from')}, SHA-256 {str(get('imported-sha256'))[:12]}…"
    training = f"{get('strategy')}, weighting {get('weighting')}, local epochs {get('local-epochs')}"
    data = f"found on {get('discovery-data')} data" if not withheld(run) else "the global model's alone"
    circuits = f"{_search(run.settings)}, {get('ablation')} ablation, {data}"
    return {
        "status": f"{run.info.get('status')}{reason}; {run.info['last_round']} of {planned} rounds",
        **({"source": source} if "imported-from" in run.settings else {}),
        "data": f"{get('dataset')}, {_who_holds_what(run)}",
        "sparsity": f"{get('sparsity')} nominal; mean effective density of client models {_number(_density(run), 4)}",
        "strategy": f"{training}, seed {get('seed')}",
        "circuits": circuits if get("circuit-every") != 0 else "not looked for (circuit-every 0)",
        **_privacy(run),
    }


def _header(run: Run) -> str:
    return "\n".join([f"Run {run.path.name}", *(f"  {name:<9} {fact}" for name, fact in run_facts(run).items())])


def _privacy(run: Run) -> dict[str, str]:
    """Say what clients kept to themselves, and what noise there is; nothing if there is nothing to say."""
    facts = {
        "reports": withheld(run),
        "missing": "who holds what, circuits of clients, which classes collapsed" if withheld(run) else "",
        "masks": mask_noise(run),
        "average": average_noise(run),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _search(settings: dict[str, Any]) -> str:
    """Name the discovery together with what shapes it: gates are learned for an objective."""
    if settings.get("discovery") == "attribution":
        return f"attribution, {settings.get('size-rule')}"
    return f"{settings.get('discovery', 'unknown')}, objective {settings.get('objective', 'unknown')}"


def _who_holds_what(run: Run) -> str:
    """Say how images came to the clients: from a split of the dataset, or with them."""
    num_clients = run.info.get("num_clients", "?")
    num_own = sum(client["has_own_images"] for client in run.info.get("clients", []))
    if num_own and num_own == num_clients:
        return f"{num_clients} clients with images of their own"
    mixed = f", {num_own} of them with images of their own instead" if num_own else ""
    return f"split {_split(run.settings)} over {num_clients} clients{mixed}"


def _split(settings: dict[str, Any]) -> str:
    """Name the partition together with the setting that shapes it."""
    partition = settings.get("partition", "unknown")
    shapes = {"dirichlet": "dirichlet-alpha", "pathological": "classes-per-client", "classes": "client-classes"}
    key = shapes.get(str(partition))
    return f"{partition} ({key} {settings.get(key)})" if key else str(partition)


def _density(run: Run) -> float:
    return float(run.clients["density"].mean())


def _rounds(run: Run) -> str:
    measures = round_measures(run)
    if measures.empty:
        return "No whole round yet."
    rows = [_cells(int(str(server_round)), row) for server_round, row in measures.iterrows()]
    is_seen_shown = any(row["seen"] not in {row["accuracy"], UNDEFINED} for row in rows)
    shown = [name for name in _COLUMNS if name != "seen" or is_seen_shown]
    widths = {name: _COLUMNS[name][2] for name in shown}
    lines = [_groups(widths), " ".join(f"{_COLUMNS[name][1]:>{width}}" for name, width in widths.items())]
    lines += [" ".join(f"{row[name]:>{width}}" for name, width in widths.items()) for row in rows]
    note = "seen: accuracy over the classes that clients have trained on." if "seen" in shown else ""
    return "\n".join([*lines, note]).rstrip()


def _groups(widths: dict[str, int]) -> str:
    """Lay out the first header line: a lone title to the right like its column, one over several to the left."""
    line, start = "", 0
    for name, width in widths.items():
        title = _COLUMNS[name][0]
        line = (line.ljust(start) + title.rjust(width if len(title) <= width else 0)) if title else line
        start += width + 1
    return line


def _cells(server_round: int, row: "pd.Series[Any]") -> dict[str, str]:
    return {
        "round": str(server_round),
        "accuracy": _number(row["accuracy"], 3),
        "seen": _number(row["accuracy_trained"], 3),
        "collapsed": _collapsed(row["collapsed"]),
        "clients": UNDEFINED if pd.isna(row["asked"]) else f"{row['accepted']:.0f}/{row['asked']:.0f}",
        "size": _number(row["circuit_size"], 0),
        "usable": _number(row["usable_share"], 2),
        "same": _number(row["same_class_iou"], 2),
        "same_chance": _number(row["same_class_expected_iou"], 2),
        "same_adjusted": _number(row["same_class_adjusted_iou"], 2),
        "different": _number(row["different_class_iou"], 2),
        "different_chance": _number(row["different_class_expected_iou"], 2),
        "local_vs_global": _number(row["local_vs_global_adjusted_iou"], 2),
        "retest": _number(row["retest_adjusted_iou"], 2),
        "transplant": _number(row["sufficiency_transplant"], 2),
        "drift_gap": _number(row["drift_gap"], 2),
    }


def _collapsed(classes: Any) -> str:
    """List the collapsed classes, or count them where the list does not fit."""
    if not isinstance(classes, list):
        return UNDEFINED
    listed = ",".join(str(class_id) for class_id in classes)
    return (listed if len(listed) <= 9 else f"{len(classes)} lost") or "none"


def failed_check_notes(run: Run) -> list[str]:
    """Say of each failed validity check which circuits it takes with it."""
    checks = failed_checks(run)
    notes = []
    for check in sorted(set(checks.values())):
        rounds = [server_round for server_round, governing in checks.items() if governing == check]
        reach = f"of rounds {rounds[0]} to {rounds[-1]}" if len(rounds) > 1 else f"of round {check}"
        notes.append(f"discovery failed its validity check in round {check}: no circuit {reach} counts as usable")
    return notes


def _failed_checks(run: Run) -> str:
    lines = [f"  {note}" for note in failed_check_notes(run)]
    return "\n".join(["Failed checks (see `analysis diagnose`)", *lines]) if lines else ""


def _left_out(run: Run) -> str:
    counts = {name.replace("_", " "): left_out(run, [comparison]) for name, comparison in OVERLAPS.items()}
    if not sum(total for _, total in counts.values()):
        return ""
    listed = ", ".join(f"{name} {excluded} of {total}" for name, (excluded, total) in counts.items())
    return f"Left out of the overlaps, because a circuit of the pair is not usable:\n  {listed}"


def rejections(run: Run) -> list[tuple[int, int, str]]:
    """Return round, partition and reason of each reply that was set aside, also of replies to evaluate."""
    rows = run.clients.dropna(subset=["reason"])
    columns = (rows["round"], rows["partition_id"], rows["reason"])
    return [(int(r), int(p), str(why)) for r, p, why in zip(*columns, strict=True)]


def _rejected(run: Run) -> str:
    labels = _labels(run)
    lines = [f"  round {r}, partition {p}{labels.get(p, '')}: {why}" for r, p, why in rejections(run)]
    return "\n".join(["Rejected replies", *lines]) if lines else ""


def _holdings(run: Run) -> str:
    held = holdings(run)
    if held.empty:
        found = [f"  partition {partition}: {_listed(classes)}" for partition, classes in found_classes(run).items()]
        return "\n".join(["Classes with circuits, by client (numbers of images unknown)", *found]) if found else ""
    shown, num_more = held.head(_NUM_HELD_CLIENTS), len(held) - _NUM_HELD_CLIENTS
    more = [f"  … and {num_more} more (class_counts in the table clients)"] if num_more > 0 else []
    if held.shape[1] > _NUM_HELD_CLASSES:
        labels = _labels(run)
        lines = [
            _held_classes(int(str(partition)), counts) + labels.get(int(str(partition)), "")
            for partition, counts in shown.iterrows()
        ]
        return "\n".join(["Who holds what: classes (images)", *lines, *more])
    titles = "".join(f"{class_id:>5}" for class_id in held.columns)
    lines = [f"  {'partition':>9} {titles}  {'total':>6}"]
    labels = _labels(run)
    for partition, counts in shown.iterrows():
        lines.append(f"  {partition!s:>9} {_counts(counts)}  {counts.sum():>6}{labels.get(int(str(partition)), '')}")
    lines += more
    nobody = held.columns[held.sum() == 0]
    note = [f"  Held by nobody: class {_listed(nobody)}"] if len(nobody) else []
    return "\n".join(["Who holds what: images of each class", *lines, *note])


def _labels(run: Run) -> dict[int, str]:
    """Return ` (label)` of each client that has one; run.json of older runs has none."""
    return {
        client["partition_id"]: f" ({client['label']})" for client in run.info.get("clients", []) if client["label"]
    }


def _counts(values: Any) -> str:
    """Lay out the images of each class; a dot stands for none."""
    return "".join(f"{value:>5}" if value else "    ." for value in values)


def _held_classes(partition: int, counts: "pd.Series[int]") -> str:
    text = f"  partition {partition}: {_listed(counts.index[counts > 0])} ({counts.sum()})"
    return text if len(text) <= 100 else f"  partition {partition}: {int((counts > 0).sum())} classes ({counts.sum()})"


def _listed(class_ids: Iterable[Any]) -> str:
    return ", ".join(str(class_id) for class_id in class_ids)


def _number(value: Any, digits: int) -> str:
    """Round a figure; adding zero turns -0.00 into 0.00."""
    return UNDEFINED if pd.isna(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"


def _json_value(value: Any) -> Any:
    """Pass a figure on, with None for NaN, which JSON does not have."""
    return None if not isinstance(value, list) and pd.isna(value) else value
