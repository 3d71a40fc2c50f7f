"""The page of results: every claim with its rule, its numbers by seed and its verdict, as Markdown."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from analysis.claims.benchmark import FAMILY as BENCHMARK
from analysis.claims.benchmark import benchmark_section
from analysis.claims.decisions import ERROR, Decision, Finding, Verdict, over_horizons
from analysis.claims.examined_sections import checks_section, gaps_table
from analysis.claims.families import Family
from analysis.claims.gate import LEARNED_RULE
from analysis.claims.markdown import UNDEFINED, fill, mean_and_interval, mean_and_spread, number, table
from analysis.claims.mechanisms import PATCHING_ERROR, judge_collapse, judge_interference
from analysis.claims.rules import RULES, judge_iid, judge_non_iid, judge_sparsity
from analysis.claims.values import FAMILIES
from analysis.statistics.power import POWER, detectable_effect
from analysis.statistics.seeds import interval

_JUDGES: Final[dict[int, Callable[[Family], Verdict]]] = {
    1: judge_iid,
    2: judge_non_iid,
    3: judge_sparsity,
    4: judge_collapse,
    5: judge_interference,
}

_BESIDE: Final[dict[int, Callable[[Family], str]]] = {4: gaps_table}
"""Claim number to what is shown of a family beside its verdict."""

_NUMBERS: Final = {
    "accuracy": "accuracy, trained classes",
    "own_accuracy": "own classes, clients' models",
    "own_global": "own classes, global model",
    "learned": "learned, share of the way",
    "collapsed_share": "collapsed classes, share",
    "density": "effective density",
    "updates_left": "norm of updates left, body",
    "opposition": "1/√K minus that",
    "norm_retention": "norm of weights left, body",
    "activation_retention": "spread of activations left",
    "conflict_excess": "sign conflict minus its null",
    "usable_share": "usable circuits",
    "false_positive_rate": "their false positives",
    "left_out": "same-class pairs left out",
    "same_class_raw": "φ, same class",
    "same_class": "true φ, same class",
    "different_class": "true φ, different classes",
    "other_negatives": "true φ, one model, other negatives",
    "perturbed_copy": "true φ, a model and its perturbed copy",
    "preserved": "balanced accuracy, global − local weights",
}

_SEED_COUNTS: Final = (5, 10)
"""Numbers of seeds of which the page says what they can find."""


@dataclass(frozen=True)
class FamilyVerdict:
    """What the runs of one family say about one claim.

    Args:
        by_horizon: the verdict after few rounds and, if there are long runs, after many; each with the rounds in words.
        decision: what follows from them.
    """

    by_horizon: tuple[tuple[str, Verdict], ...]
    decision: Decision


def judge_all(families: Sequence[Family]) -> dict[int, dict[str, FamilyVerdict]]:
    """Return the verdict on each claim, by its number, in each family that has circuits."""
    judged = [family for family in families if family.name != BENCHMARK]
    return {number: {family.name: _judged(family, judge) for family in judged} for number, judge in _JUDGES.items()}


def _judged(family: Family, judge: Callable[[Family], Verdict]) -> FamilyVerdict:
    verdicts = tuple((view.horizon, judge(view)) for view in family.horizons())
    return FamilyVerdict(verdicts, over_horizons([verdict for _, verdict in verdicts]))


def results_page(families: Sequence[Family], notes: Sequence[str], command: str) -> str:
    """Return the page.

    Args:
        families: from `families_of`.
        notes: what a reader must know about the runs.
        command: the command that made the page.
    """
    judged = [family for family in families if family.name != BENCHMARK]
    verdicts = judge_all(families)
    sections = [
        _INTRODUCTION.format(command=command) + _pilot(families),
        _power(),
        checks_section(judged),
        _overview(verdicts),
        *(_claim(number, verdicts[number], judged) for number in _JUDGES),
        *(_numbers(family) for family in judged),
        benchmark_section(families),
        _runs(families, notes),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


_INTRODUCTION: Final = """\
# Results

Do the claims of *Mechanistic Analysis of Circuit Preservation in Federated Learning* (arXiv 2512.23043) hold? Each
is judged by a rule over seeds: the unit is the seed, intervals are 95 % t-intervals, differences are paired by seed,
and numbers are means over the second half of a run's rounds (alignment: its newest round). How many rounds that is
stands with each verdict; where there are long runs, a claim is judged after either length, and what holds after few
rounds and does not after many is a *delay*. *Not decidable* means that nothing could be seen, however many seeds there
were: clients had not learned, or all seeds have one value. This page is generated:

```bash
{command}
```"""


def _power() -> str:
    """Say what effects can be found at all."""
    levels = (1 - ERROR, 1 - PATCHING_ERROR)
    rows = [
        [str(seeds), *(f"{detectable_effect(seeds, confidence):.1f}" for confidence in levels)]
        for seeds in _SEED_COUNTS
    ]
    about = (
        "All seeds are scored on the same test images, so that intervals of the global model's accuracy have the "
        "variance of seeds and that of images in them (a bootstrap over images within their class, which has a closed "
        "form; images made of one original are drawn together); what images alone give stands beside each, as a "
        f"standard error, and {UNDEFINED} means that it is not known and not in the interval. Of ladders and circuits "
        f"it is not. An effect is found in {100 * POWER:g} of 100 tries if it has this size, in standard deviations of "
        "the differences between seeds:"
    )
    last = "What each condition could have found, with the spread that it has, stands in its last column."
    header = ["seeds", *(f"{100 * level:g} % interval" for level in levels)]
    return "\n\n".join(["## What could be found", fill(about), table(header, rows), fill(last)])


def _pilot(families: Sequence[Family]) -> str:
    """Say which seeds do not count, and why."""
    listed = [f"{family.name} {', '.join(map(str, family.pilot))}" for family in families if family.pilot]
    if not listed:
        return ""
    text = (
        f"Seeds seen while the rules were written: {'; '.join(listed)}. They are shown, but no verdict rests on them."
    )
    return f"\n\n{fill(text)}"


def _overview(verdicts: Mapping[int, Mapping[str, FamilyVerdict]]) -> str:
    rows = []
    for number_of_claim, by_family in verdicts.items():
        for family, verdict in by_family.items():
            title = f"{number_of_claim}. {RULES[number_of_claim][0]}"
            each = "; ".join(f"{horizon}: {one.decision} ({_tally(one)})" for horizon, one in verdict.by_horizon)
            rows.append([title, family, f"**{verdict.decision}**", each])
    return "## In short\n\n" + table(["claim", "family", "verdict", "after how many rounds, and its conditions"], rows)


def _tally(verdict: Verdict) -> str:
    """Count the conditions of a rule by what was decided on them."""
    if not verdict.findings:
        return " ".join(verdict.remarks)
    counts = Counter(finding.decision for finding in verdict.findings)
    return ", ".join(f"{counts[decision]} {decision}" for decision in Decision if counts[decision])


def _claim(number_of_claim: int, by_family: Mapping[str, FamilyVerdict], families: Sequence[Family]) -> str:
    title, rule = RULES[number_of_claim]
    parts = [f"## Claim {number_of_claim}. {title}", fill(f"Rule: {rule}.")]
    for family in families:
        judged = by_family[family.name]
        if len(judged.by_horizon) > 1:
            parts.append(f"**{family.name}: {judged.decision}**")
        for view, (horizon, verdict) in zip(family.horizons(), judged.by_horizon, strict=True):
            parts.append(f"**{family.name}, {horizon}: {verdict.decision}**")
            if verdict.findings:
                parts.append(table(_TITLES, [_finding(finding) for finding in verdict.findings]))
            parts += map(fill, verdict.remarks)
            if number_of_claim in _BESIDE:
                parts.append(_BESIDE[number_of_claim](view))
    return "\n\n".join(part for part in parts if part)


_TITLES: Final = [
    *("condition", "measured", "of that, test images", "seeds", "seeds without a value", "decision"),
    "could have found",
]


def _finding(finding: Finding) -> list[str]:
    measured = finding.measured
    images = UNDEFINED if math.isnan(finding.image_error) else f"± {finding.image_error:.3f}"
    seeds = [str(measured.num_seeds), str(measured.num_missing)]
    shown = [finding.condition, mean_and_interval(measured), images, *seeds, str(finding.decision)]
    return [*shown, number(finding.detectable)]


def _numbers(family: Family) -> str:
    """Return every number of every experiment, over seeds and seed by seed."""
    spread, every = [], []
    for role, numbers in family.evidence.items():
        measured = {column: interval(numbers[column]) for column in _NUMBERS}
        spread.append([role, str(len(numbers)), *(mean_and_spread(one) for one in measured.values())])
        every += [[role, str(seed), *(number(row[column]) for column in _NUMBERS)] for seed, row in numbers.iterrows()]
    titles = list(_NUMBERS.values())
    parts = [
        f"## Numbers: {family.name}",
        "Mean ± standard deviation over seeds.",
        table(["experiment", "seeds", *titles], spread),
        "<details><summary>Every seed</summary>",
        table(["experiment", "seed", *titles], every),
        "</details>",
    ]
    return "\n\n".join(parts)


def _runs(families: Sequence[Family], notes: Sequence[str]) -> str:
    """Say what was run, at what size."""
    rows = []
    for family in families:
        for role, experiment in family.experiments.items():
            settings = experiment.settings
            seeds = ", ".join(str(seed) for seed in experiment.seeds)
            size = f"{experiment.rounds} rounds × {settings.get('local-epochs')} epochs"
            rows.append(
                [f"{family.name}-{role}", str(settings.get("num-clients")), size, str(settings.get("sparsity")), seeds]
            )
    listing = table(["experiment", "clients", "size", "nominal sparsity", "seeds"], rows)
    listed = "\n".join(f"- {note}" for note in notes)
    about = [f"Family `{family.name}`: {FAMILIES.get(family.name, 'named by its runs')}." for family in families]
    sizes = f"The files in conf/ say how long each is meant to run; fewer rounds say less. {_sentence(LEARNED_RULE)}"
    parts = ["## What was run", fill(" ".join([*about, sizes])), listing, fill(_made_with(families)), listed]
    return "\n\n".join(part for part in parts if part)


def _made_with(families: Sequence[Family]) -> str:
    """Name the software of the runs."""
    experiments = [experiment for family in families for experiment in family.experiments.values()]
    codes = sorted({digest for experiment in experiments for digest in experiment.code_digests})
    versions = {package: version for experiment in experiments for package, version in experiment.versions.items()}
    listed = ", ".join(f"{package} {version}" for package, version in versions.items())
    return f"Made with {listed}; code digest {', '.join(codes)}." if listed else ""


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
