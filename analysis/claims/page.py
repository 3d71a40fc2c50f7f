"""The page of results: every claim with its rule, its numbers by seed and its verdict, as Markdown."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import pandas as pd

from analysis.claims.benchmark import FAMILY as BENCHMARK
from analysis.claims.benchmark import benchmark_section
from analysis.claims.decisions import Decision, Finding, Verdict
from analysis.claims.families import Family
from analysis.claims.heavy_sections import checks_section, gaps_table
from analysis.claims.markdown import UNDEFINED, fill, mean_and_interval, mean_and_spread, table
from analysis.claims.mechanisms import judge_collapse, judge_interference
from analysis.claims.rules import RULES, judge_iid, judge_non_iid, judge_sparsity
from analysis.seeds import interval

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
    "own_accuracy": "clients' own, before averaging",
    "collapsed_share": "collapsed classes, share",
    "density": "effective density",
    "sign_conflict": "sign conflict",
    "conflict_excess": "the same minus its null",
    "usable_share": "usable circuits",
    "false_positive_rate": "their false positives",
    "left_out": "same-class pairs left out",
    "same_class_raw": "φ, same class",
    "same_class": "true φ, same class",
    "different_class": "true φ, different classes",
    "preserved": "balanced accuracy, global − local weights",
}


def judge_all(families: Sequence[Family]) -> dict[int, dict[str, Verdict]]:
    """Return the verdict on each claim, by its number, in each family that has circuits."""
    judged = [family for family in families if family.name != BENCHMARK]
    return {number: {family.name: judge(family) for family in judged} for number, judge in _JUDGES.items()}


def results_page(families: Sequence[Family], notes: Sequence[str], command: str) -> str:
    """Return the page.

    Args:
        families: from `read_families`.
        notes: what a reader must know about the runs.
        command: the command that made the page.
    """
    judged = [family for family in families if family.name != BENCHMARK]
    verdicts = judge_all(families)
    sections = [
        _INTRODUCTION.format(command=command) + _pilot(families),
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
and numbers are means over the second half of a run's rounds (alignment: its newest round). This
page is generated:

```bash
{command}
```"""


_FAMILIES: Final = {
    "digits": "the bundled digits, with this project's circuit discovery",
    "cluttered": "the bundled digits among clutter, with this project's circuit discovery",
    "paper": "MNIST in the authors' setting, their circuit discovery included",
    "niid": "dense networks in the setting of NIID-Bench, without circuits",
}
"""Families of conf/ and what they are."""


def _pilot(families: Sequence[Family]) -> str:
    """Say which seeds do not count, and why."""
    listed = [f"{family.name} {', '.join(map(str, family.pilot))}" for family in families if family.pilot]
    if not listed:
        return ""
    text = (
        f"Seeds seen while the rules were written: {'; '.join(listed)}. They are shown, but no verdict rests on them."
    )
    return f"\n\n{fill(text)}"


def _overview(verdicts: dict[int, dict[str, Verdict]]) -> str:
    rows = []
    for number, by_family in verdicts.items():
        for family, verdict in by_family.items():
            title = f"{number}. {RULES[number][0]}"
            rows.append([title, family, f"**{verdict.decision}**", _tally(verdict)])
    return "## In short\n\n" + table(["claim", "family", "verdict", "its conditions"], rows)


def _tally(verdict: Verdict) -> str:
    """Count the conditions of a rule by what was decided on them."""
    if not verdict.findings:
        return " ".join(verdict.remarks)
    counts = Counter(finding.decision for finding in verdict.findings)
    return ", ".join(f"{counts[decision]} {decision}" for decision in Decision if counts[decision])


def _claim(number: int, by_family: dict[str, Verdict], families: Sequence[Family]) -> str:
    title, rule = RULES[number]
    parts = [f"## Claim {number}. {title}", fill(f"Rule: {rule}.")]
    for family in families:
        verdict = by_family[family.name]
        parts.append(f"**{family.name}: {verdict.decision}**")
        if verdict.findings:
            rows = [_finding(finding) for finding in verdict.findings]
            parts.append(table(["condition", "measured", "seeds", "seeds without a value", "decision"], rows))
        parts += map(fill, verdict.remarks)
        if number in _BESIDE:
            parts.append(_BESIDE[number](family))
    return "\n\n".join(part for part in parts if part)


def _finding(finding: Finding) -> list[str]:
    measured = finding.measured
    seeds = [str(measured.num_seeds), str(measured.num_missing)]
    return [finding.condition, mean_and_interval(measured), *seeds, str(finding.decision)]


def _numbers(family: Family) -> str:
    """Return every number of every experiment, over seeds and seed by seed."""
    spread, every = [], []
    for role, numbers in family.evidence.items():
        measured = {column: interval(numbers[column]) for column in _NUMBERS}
        spread.append([role, str(len(numbers)), *(mean_and_spread(one) for one in measured.values())])
        every += [[role, str(seed), *(_seed(row[column]) for column in _NUMBERS)] for seed, row in numbers.iterrows()]
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
            size = f"{experiment.last_round} rounds × {settings.get('local-epochs')} epochs"
            rows.append(
                [f"{family.name}-{role}", str(settings.get("num-clients")), size, str(settings.get("sparsity")), seeds]
            )
    listing = table(["experiment", "clients", "size", "nominal sparsity", "seeds"], rows)
    listed = "\n".join(f"- {note}" for note in notes)
    about = [f"Family `{family.name}`: {_FAMILIES.get(family.name, 'named by its runs')}." for family in families]
    sizes = "The files in conf/ say how long each is meant to run; fewer rounds say less."
    parts = ["## What was run", fill(" ".join([*about, sizes])), listing, fill(_made_with(families)), listed]
    return "\n\n".join(part for part in parts if part)


def _made_with(families: Sequence[Family]) -> str:
    """Name the software of the runs."""
    experiments = [experiment for family in families for experiment in family.experiments.values()]
    infos = [run.info for experiment in experiments for run in experiment.runs]
    codes = sorted({str(info.get("code_digest"))[:12] for info in infos})
    versions = {package: version for info in infos for package, version in info.get("versions", {}).items() if version}
    listed = ", ".join(f"{package} {version}" for package, version in versions.items())
    return f"Made with {listed}; code digest {', '.join(codes)}." if listed else ""


def _seed(value: float) -> str:
    return UNDEFINED if pd.isna(value) else f"{value:.3f}"
