"""A comparison as text of at most 100 columns, or as JSON values."""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, Final

import pandas as pd

from analysis.comparison.difference_tests import difference_table
from analysis.comparison.difference_text import against_baseline, against_dense, within_experiments
from analysis.comparison.labels import named_without, numbered, seed_list
from analysis.comparison.study import SeedStudy
from analysis.comparison.tables import (
    baseline_differences,
    interval_table,
    seed_intervals,
    sparsity_differences,
    within_differences,
)
from analysis.comparison.trends import trend_table, trend_text
from analysis.measures.by_seed import MEASURES, OVERLAP, PAIRS
from analysis.statistics.seeds import Interval
from analysis.text.table import TEXT_WIDTH, clip, lay_out, mean_and_spread, number
from analysis.text.words import ADJUSTED, CHANCE, RETEST

Intervals = Mapping[tuple[str, str], Interval]
"""Label and measure to the interval over seeds, over the second half of rounds."""

_SEEDS_PER_LINE: Final = 8

_STATE: Final = {
    "accuracy": ("accuracy", 3),
    "accuracy_trained": ("trained cl.", 3),
    "num_collapsed": ("collapsed", 1),
    "circuit_size": ("channels", 1),
    "usable_share": ("usable", 2),
}
_TRANSPLANT: Final = {
    "sufficiency_client": ("local/local", 2),
    "sufficiency_transplant": ("local/global", 2),
    "sufficiency_global": ("global/global", 2),
    "drift_gap": ("drift gap", 2),
    "false_positive_rate_transplant": ("false pos.", 2),
}
_CLOSELY: Final = {
    "same_class_phi_true": ("phi, no noise", 2),
    "stability": ("agreement", 2),
    "faithfulness": ("faithfulness", 2),
    "cpr": ("CPR", 2),
}
_LOST: Final = {
    "ladder_readout": ("readout", 3),
    "ladder_body": ("body", 3),
    "ladder_negatives": ("negatives", 3),
    "patch_gain_excess": ("patching", 3),
}
"""Measures to their titles and decimals."""

_HOW_TO_READ: Final = """\
How to read: the unit is the seed, one whole run, with its mean over the second half of rounds, as
in verdicts. ± = standard deviation over seeds; [ ] = 95 % t-interval of the mean over seeds, of
differences paired by seed, * where it excludes 0. It is about these test images, which all seeds
share; verdicts have other images in their intervals, too. Intervals are not corrected for their
number: of twenty rows without any difference, one gets a * by chance. What may be said: differs =
the paired t-test survives Holm's adjustment (p < 0.05); equivalent within ±m = two one-sided
t-tests (TOST, not adjusted) put the difference inside of a margin fixed beforehand, where its 90
% interval lies; differs within ±m = both; not decided = neither, which is no sign of equality. A
test takes two seeds and some spread between them; differences.csv has the p values, signed ranks,
and intervals that draw clients and classes again too. – = undefined."""


def comparison_text(study: SeedStudy) -> str:
    """Return every table of a comparison as text, with what to look for."""
    intervals = seed_intervals(study)
    state = "Global model and circuits of client models, second half of rounds: mean ± sd over seeds"
    recall = "Recall of circuits alone (circuit/weights), second half of rounds: mean ± sd over seeds"
    closely = "Circuits of client models, looked at closely, second half of rounds: mean ± sd over seeds"
    lost = "Where accuracy is lost, and patching minus random, second half of rounds: mean ± sd over seeds"
    sections = [
        _experiments(study, intervals),
        _notes(study),
        _by_measure(study, intervals, state, _STATE),
        _every_seed(study),
        _overlaps(study, intervals),
        within_experiments(study),
        _by_measure(study, intervals, recall, _TRANSPLANT),
        _if_known(study, intervals, closely, _CLOSELY),
        _if_known(study, intervals, lost, _LOST),
        trend_text(study),
        against_dense(study),
        against_baseline(study),
        _HOW_TO_READ,
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def comparison_data(study: SeedStudy) -> dict[str, Any]:
    """Return a comparison as plain JSON values; undefined figures are None."""
    experiments = [
        {
            "label": experiment.label,
            "settings": dict(experiment.settings),
            "last_round": experiment.last_round,
            "runs": {str(run.seed): run.path.name for run in experiment.runs},
        }
        for experiment in study.experiments
    ]
    tables = {
        "seed_values": study.tidy_late(),
        "seed_means": interval_table(seed_intervals(study)),
        "baseline_differences": difference_table(study, baseline_differences(study)),
        "sparsity_differences": difference_table(study, sparsity_differences(study)),
        "within_differences": difference_table(study, within_differences(study)),
        "trends": trend_table(study),
    }
    return {
        "experiments": experiments,
        "baseline": study.baseline.label,
        "notes": list(study.notes),
        **{name: _records(table) for name, table in tables.items()},
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = table.to_dict("records")
    return [{str(key): None if pd.isna(value) else value for key, value in row.items()} for row in rows]


def _experiments(study: SeedStudy, intervals: Intervals) -> str:
    rows = []
    for experiment in study.experiments:
        own, label = experiment.settings, experiment.label
        facts = [str(own.get(key)) for key in ("partition", "num-clients", "sparsity")]
        densities = [number(intervals[label, measure].mean, 4) for measure in ("density", "density_global")]
        shown = [numbered(study, label), seed_list(experiment.seeds), str(experiment.last_round)]
        rows.append([*shown, *facts, *densities])
    titles = ["", "seeds", "rounds", "split", "clients", "sparsity", "density", "global"]
    note = "  sparsity: nominal; density: of the clients' weights; global: of the average's weights"
    shortened = [label for label in study.labels if "…" in numbered(study, label)]
    names = [_wrapped(f"{study.labels.index(label) + 1} = {label}") for label in shortened]
    return "\n".join([f"Comparison of {study.size}", lay_out(titles, rows, 2), note, *names])


def _notes(study: SeedStudy) -> str:
    return "\n".join(["Note", *(_wrapped(note) for note in study.notes)]) if study.notes else ""


def _wrapped(text: str) -> str:
    return textwrap.fill(
        text, TEXT_WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False, break_long_words=True
    )


def _by_measure(study: SeedStudy, intervals: Intervals, title: str, columns: Mapping[str, tuple[str, int]]) -> str:
    """Lay out one row per experiment, one column per measure."""
    rows = [
        [numbered(study, label), *(mean_and_spread(intervals[label, name], columns[name][1]) for name in columns)]
        for label in study.labels
    ]
    table = lay_out(["", *(column for column, _ in columns.values())], rows)
    return "\n".join([title, table, *_incomplete(study, intervals, columns)])


def _if_known(study: SeedStudy, intervals: Intervals, title: str, columns: Mapping[str, tuple[str, int]]) -> str:
    """Lay out measures of which some run has a value; empty if none has."""
    is_known = any(intervals[label, name].num_seeds for label in study.labels for name in columns)
    return _by_measure(study, intervals, title, columns) if is_known else ""


def _every_seed(study: SeedStudy) -> str:
    """Lay out the accuracy of every seed, so many seeds to a line."""
    values = study.late_means("accuracy")
    seeds = sorted({seed for one in values.values() for seed in one.index})
    parts = []
    for start in range(0, len(seeds), _SEEDS_PER_LINE):
        shown = seeds[start : start + _SEEDS_PER_LINE]
        rows = [
            [numbered(study, label), *(number(one.get(seed), 3) for seed in shown)] for label, one in values.items()
        ]
        parts.append(lay_out(["seed", *(str(seed) for seed in shown)], rows))
    return "\n".join(["Accuracy over all classes, second half of rounds, every seed", *parts])


def _overlaps(study: SeedStudy, intervals: Intervals) -> str:
    """Lay out one row per experiment and kind of pair that it has."""
    rows = []
    for label in study.labels:
        for pair, kind in PAIRS.items():
            iou, chance, *adjusted = (intervals[label, f"{pair}_{figure}"] for figure in OVERLAP)
            if iou.num_seeds:
                cells = [
                    mean_and_spread(iou, 2),
                    number(chance.mean, 2),
                    *(mean_and_spread(one, 2) for one in adjusted),
                ]
                rows.append([numbered(study, label), kind, *cells])
    if not rows:
        return ""
    title = "Overlap of circuits, second half of rounds, layers pooled: mean ± sd over seeds"
    how = _wrapped(
        f"chance: {CHANCE}; adjusted: {ADJUSTED}; common: within the channels that both models reach; distinct "
        f"classes: held by one client each, beside shared ones; retest: {RETEST}"
    )
    table = lay_out(["", "pairs", "IoU", "chance", "adjusted", "common"], rows, 2)
    known = {label for label, measure in intervals if measure.endswith("_iou") and intervals[label, measure].num_seeds}
    without = named_without(study, known, "pairs of usable circuits")
    partly = _incomplete(study, intervals, [f"{pair}_iou" for pair in PAIRS])
    return "\n".join([title, table, how, *partly, *without])


def _incomplete(study: SeedStudy, intervals: Intervals, measures: Iterable[str]) -> list[str]:
    """List what some seeds have a value of and others have not."""
    lines = []
    for label in study.labels:
        for measure in measures:
            known, missing = intervals[label, measure].num_seeds, intervals[label, measure].num_missing
            if known and missing:
                where = clip(f"{numbered(study, label)}, {MEASURES[measure]}", 62)
                lines.append(f"  {where}: {known} of {known + missing} seeds have a value")
    return lines
