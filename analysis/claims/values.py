"""The values of every run that verdicts are made of, as one table of text: the page is made of nothing else.

Runs are large and stay where they were made; their values are small, are kept beside the page, and make it again. Runs
of several experiments can be read one after another, each adding its values to the file.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from analysis.claims.by_class import ClassRecall, Held, Hits, PairSums, class_recalls, held_classes, hits, pair_sums
from analysis.claims.evidence import evidence
from analysis.claims.examined_evidence import examined_evidence
from analysis.runs.collection import find_runs
from analysis.runs.experiments import Experiment, group, read_seed_runs
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.run import load_run

FAMILIES: Final = {
    "digits": "the bundled digits, with this project's circuit discovery",
    "cluttered": "the bundled digits amid fragments of others, with this project's circuit discovery",
    "paper": "MNIST in the authors' setting, their circuit discovery included",
    "niid": "dense networks in the setting of NIID-Bench, without circuits",
}
"""Families of conf/ and what they are."""

_ABOUT: Final = ["family", "role", "seed", "rounds", "code_digest", "versions", "settings"]
NUMBERS: Final = [
    *("accuracy", "best_accuracy", "collapsed_share"),
    *("own_accuracy", "own_global", "averaging_loss", "learned"),
    *("updates_left", "opposition", "norm_retention", "activation_retention", "conflict_excess", "density"),
    *("usable_share", "false_positive_rate", "left_out", "preserved"),
    *("same_class", "same_class_raw", "different_class", "other_negatives", "perturbed_copy"),
    *("checks_passed", "readout", "body", "negatives", "room", "dilution", "gap_left"),
    *("patch_excess", "patch_significant"),
    *("irrelevant", "fixed_points", "fixed_points_activations", "aligned"),
]
"""The numbers of `evidence` and `examined_evidence`, in the order of the table."""

_REPEATED: Final = ["code_digest", "versions", "settings"]
"""Columns that are left empty where they say what the row before says, of the same experiment."""

_BY_CLASS: Final = ["held", "pairs", "recalls", "hits"]

_DIGITS: Final = 6
"""Significant digits of a number."""


@dataclass(frozen=True, eq=False)
class RunValues:
    """What verdicts use of one run.

    Args:
        family: the first part of its name, such as `digits`.
        role: the rest of it, such as `shared-class`.
        seed: its seed.
        rounds: the last round that counts.
        code_digest: of the code that made it.
        versions: of the packages that made it.
        settings: those that make it this experiment.
        numbers: of `evidence` and `examined_evidence`, by name; NaN where the run does not have one.
        held: the classes of each client.
        pairs: sums over same-class pairs of clients, by class.
        recalls: of the global model, by class.
        hits: of the global model, by class and original; None where that was not logged.
    """

    family: str
    role: str
    seed: int
    rounds: int
    code_digest: str
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    numbers: Mapping[str, float]
    held: Held
    pairs: Mapping[int, PairSums]
    recalls: Mapping[int, ClassRecall]
    hits: Hits | None

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells it from other runs, and its place in the table."""
        return self.family, self.role, self.seed


def read_run_values(paths: Sequence[Path]) -> tuple[list[RunValues], tuple[str, ...]]:
    """Read the runs of sweeps, one at a time, and return their values and what a reader must know.

    Args:
        paths: sweep folders, or runs.

    Raises:
        RunLogError: if there is no run, one is damaged, or two experiments have one name.
    """
    found = find_runs(paths)
    experiments, notes = group(read_seed_runs(found.runs))
    values = [one for experiment in experiments for one in _of_experiment(experiment)]
    by_name: dict[tuple[str, str], RunValues] = {}
    for one in values:
        _check_one_experiment(by_name.setdefault((one.family, one.role), one), one)
    return values, (*found.notes, *notes)


def joined(values: Iterable[RunValues]) -> list[RunValues]:
    """Return values in the order of the table; of two of one family, role and seed the later one.

    Raises:
        RunLogError: if two runs of one name are not of one experiment.
    """
    by_key = {one.key: one for one in values}
    ordered = [by_key[key] for key in sorted(by_key)]
    for one, other in pairwise(ordered):
        if (one.family, one.role) == (other.family, other.role):
            _check_one_experiment(one, other)
    return ordered


def values_text(values: Iterable[RunValues]) -> str:
    """Return values as CSV, one row per run."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [*_ABOUT, *NUMBERS, *_BY_CLASS], lineterminator="\n")
    writer.writeheader()
    before: dict[str, str] = {}
    for one in joined(values):
        cells = _cells(one)
        is_same = all(before.get(name) == cells[name] for name in ("family", "role"))
        writer.writerow(cells | {name: "" for name in _REPEATED if is_same and before[name] == cells[name]})
        before = cells
    return out.getvalue()


def parse_values(text: str, source: str) -> list[RunValues]:
    """Read what `values_text` returned.

    Args:
        text: the CSV.
        source: where it is from, for messages.

    Raises:
        RunLogError: if it is not that.
    """
    reader = csv.DictReader(io.StringIO(text))
    lacking = [name for name in (*_ABOUT, *NUMBERS, *_BY_CLASS) if name not in (reader.fieldnames or ())]
    if lacking:
        raise RunLogError(f"{source} is no file of values, or an old one: it lacks {', '.join(lacking)}")
    values: list[RunValues] = []
    before: dict[str, str] = {}
    for row in reader:
        filled = {name: cell or (before.get(name, "") if name in _REPEATED else "") for name, cell in row.items()}
        try:
            values.append(_parsed(filled))
        except (ValueError, KeyError, TypeError) as error:
            raise RunLogError(f"{source}, line {reader.line_num}: {error}") from error
        before = filled
    return values


def _of_experiment(experiment: Experiment) -> list[RunValues]:
    """Read the runs of an experiment; they count under each of their names."""
    names = sorted({str(run.info.get("name")) for run in experiment.runs})
    read = []
    for seed_run in experiment.runs:
        run, rounds = load_run(seed_run.path), experiment.last_round
        versions = {package: str(version) for package, version in run.info.get("versions", {}).items() if version}
        values = RunValues(
            family="",
            role="",
            seed=seed_run.seed,
            rounds=rounds,
            code_digest=str(run.info.get("code_digest"))[:12],
            versions=versions,
            settings=experiment.settings,
            numbers={**evidence(run, rounds), **examined_evidence(run, rounds)},
            held=held_classes(run),
            pairs=pair_sums(run, rounds),
            recalls=class_recalls(run, rounds),
            hits=hits(run, rounds),
        )
        for name in names:
            family, role = _family_and_role(name)
            read.append(replace(values, family=family, role=role))
    return read


def _family_and_role(name: str) -> tuple[str, str]:
    """Split the name of a run: a family of conf/, or else the first word, and the rest."""
    known = [family for family in FAMILIES if name == family or name.startswith(f"{family}-")]
    family = max(known, key=len, default=name.partition("-")[0])
    return family, name.removeprefix(family).removeprefix("-") or family


def _check_one_experiment(one: RunValues, other: RunValues) -> None:
    name = f"{one.family}-{one.role}"
    differing = [key for key in {**one.settings, **other.settings} if one.settings.get(key) != other.settings.get(key)]
    if differing:
        told = ", ".join(f"{key} {one.settings.get(key)} and {other.settings.get(key)}" for key in sorted(differing))
        raise RunLogError(f"two experiments are called {name} but have different settings: {told}")
    if one.rounds != other.rounds:
        raise RunLogError(
            f"the values of {name} are of {one.rounds} rounds for seed {one.seed} and of {other.rounds} for seed "
            f"{other.seed}: read its runs together"
        )


def _cells(one: RunValues) -> dict[str, str]:
    return {
        "family": one.family,
        "role": one.role,
        "seed": str(one.seed),
        "rounds": str(one.rounds),
        "code_digest": one.code_digest,
        "versions": _json(one.versions),
        "settings": _json(one.settings),
        **{name: _number(one.numbers[name]) for name in NUMBERS},
        "held": _json(one.held),
        "pairs": _json({c: [_rounded(value) for value in sums.values()] for c, sums in one.pairs.items()}),
        "recalls": _json({c: [_rounded(known.recall), known.num_images] for c, known in one.recalls.items()}),
        "hits": one.hits.to_text() if one.hits else "",
    }


def _parsed(row: Mapping[str, str]) -> RunValues:
    pairs, recalls = json.loads(row["pairs"]), json.loads(row["recalls"])
    return RunValues(
        family=row["family"],
        role=row["role"],
        seed=int(row["seed"]),
        rounds=int(row["rounds"]),
        code_digest=row["code_digest"],
        versions=json.loads(row["versions"]),
        settings=json.loads(row["settings"]),
        numbers={name: float(row[name] or "nan") for name in NUMBERS},
        held=tuple(tuple(classes) for classes in json.loads(row["held"])),
        pairs={int(class_id): PairSums(*sums) for class_id, sums in pairs.items()},
        recalls={int(class_id): ClassRecall(*known) for class_id, known in recalls.items()},
        hits=Hits.from_text(row["hits"]) if row["hits"] else None,
    )


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.{_DIGITS}g}"


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
