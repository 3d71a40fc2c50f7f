"""Lays out a diagnosis as one page of plain text, in lines of at most 100 columns."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from analysis.diagnosis import Diagnosis, Section
from analysis.diagnosis.agreement import Agreement
from analysis.diagnosis.alignment import Alignment
from analysis.diagnosis.averaging import Averaging
from analysis.diagnosis.costs import Costs
from analysis.diagnosis.ladder import RUNGS, Ladder
from analysis.diagnosis.quality import CircuitQuality, Quality
from analysis.diagnosis.transfer import Transfers
from analysis.diagnosis.validity import Validity
from analysis.text.table import TEXT_WIDTH, clip, lay_out, number

_QUALITY: Final[dict[str, tuple[str, int, str]]] = {
    "num_circuits": ("circuits", 0, ""),
    "size_share": ("channels, of the reachable ones", 2, "small"),
    "recall": ("recall, circuit alone", 2, "1"),
    "false_positive_rate": ("false-positive rate, circuit alone", 2, "0"),
    "balanced_accuracy": ("balanced accuracy, circuit alone", 2, "1"),
    "faithfulness": ("faithfulness F", 2, "1"),
    "cpr": ("area under F over sizes (CPR)", 2, "1"),
    "cmd": ("area between F and 1 (CMD)", 2, "0"),
    "completeness": ("completeness K", 2, "1"),
    "stochastic_50": ("F with a random half of the rest off", 2, "1"),
    "rank_agreement": ("ranking against exact ablation (ρ)", 2, "1"),
    "sufficient_share": ("share sufficient, p < .05", 2, "1; chance .05"),
    "necessary_share": ("share necessary, p < .05", 2, "1; chance .05"),
}
"""Field to what the row is called, its decimals, and what is good."""

_BREAK: Final = "\n\n"


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as text."""
    when = "no examinations" if diagnosis.server_round is None else f"round {diagnosis.server_round}"
    header = f"Diagnosis of run {diagnosis.run}, {when}, seed {diagnosis.seed}"
    return _BREAK.join([_wrapped(header), *map(_section, diagnosis.sections)]) + "\n"


def findings_text(section: Section) -> str:
    """Return the numbers of a section as a table in plain text; empty if they were not measured."""
    return "" if section.findings is None else _LAYOUTS[section.name](section.findings)


def _section(section: Section) -> str:
    parts = [section.question, findings_text(section), _wrapped(section.meaning, "  → ")]
    return "\n".join(part for part in parts if part)


def _wrapped(text: str, lead: str = "") -> str:
    return textwrap.fill(text, TEXT_WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead))


def _validity(findings: Validity) -> str:
    titles = ["client", "circuits", "bal. acc.", "random's", "effect", "least"]
    named = [("server" if own.partition_id is None else str(own.partition_id), own) for own in findings.clients]
    rows = [
        [
            name,
            number(own.num_circuits, 0),
            number(own.balanced_accuracy, 2),
            number(own.random_balanced_accuracy, 2),
            number(own.effect, 2, is_signed=True),
            number(own.smallest_effect, 2, is_signed=True),
        ]
        for name, own in (*named, ("all", findings.pooled))
    ]
    verdict = {True: "passed", False: "FAILED", None: "undecided"}[findings.has_passed]
    said = f"  checked in round {findings.checked_in_round}: {verdict}, z {number(findings.z, 1, is_signed=True)}"
    return f"{said}\n{lay_out(titles, rows)}"


def _quality(findings: Quality) -> str:
    titles = ["mean over circuits", *(f"{own.model} models" for own in findings.models), "good is"]
    rows = [[label, *_figures(findings.models, name, digits), good] for name, (label, digits, good) in _QUALITY.items()]
    return lay_out(titles, rows)


def _figures(models: Sequence[CircuitQuality], name: str, digits: int) -> list[str]:
    return [number(getattr(own, name), digits) for own in models]


def _agreement(findings: Agreement) -> str:
    titles = ["layer", "classes", "stability Φ", "lowest", "highest", "above 0", "φ same class", "φ retest"]
    rows = []
    for own in findings.layers:
        figures = (own.stability, own.lowest, own.highest)
        phis = (own.same_class_phi, own.retest_phi)
        above = f"{own.num_above_chance}/{own.num_classes}"
        shown = [[number(figure, 2) for figure in group] for group in (figures, phis)]
        rows.append([clip(own.layer, 20), str(own.num_classes), *shown[0], above, *shown[1]])
    return lay_out(titles, rows)


def _alignment(findings: Alignment) -> str:
    titles = ["matched by", "with", "pairs", "in place", "corr.", "matched", "φ", "matched", "other class", "random"]
    rows = [
        [own.method, own.partner, str(own.num_pairs)]
        + [number(figure, 2) for figure in (own.fixed_points, own.correlation, own.matched_correlation)]
        + [number(figure, 2) for figure in (own.phi, own.matched_phi, own.other_class_phi, own.random_phi)]
        for own in findings.matchings
    ]
    verdicts = [
        _wrapped(f"by {own.method}, {own.partner}: {_counts(own.verdicts)}", "  verdicts ")
        for own in findings.matchings
        if own.verdicts
    ]
    return "\n".join([lay_out(titles, rows, num_left=2), *verdicts])


def _counts(verdicts: dict[str, int]) -> str:
    return ", ".join(f"{verdict} ({times})" for verdict, times in verdicts.items())


def _transfer(findings: Transfers) -> str:
    titles = ["class", "verdict", "pairs", "true φ", "T", "T random", "T other class"]
    rows = [
        ["all" if own.class_id is None else str(own.class_id), own.verdict, str(own.num_pairs)]
        + [number(figure, 2) for figure in (own.phi_true, own.transfer)]
        + [number(figure, 2) for figure in (own.random_transfer, own.other_class_transfer)]
        for own in (*findings.classes, findings.pooled)
    ]
    return lay_out(titles, rows, num_left=2)


def _averaging(findings: Averaging) -> str:
    parts = []
    if findings.updates:
        titles = ["layer", "updates kept", "in circuits", "sign conflict", "in circuits", "by chance"]
        rows = [
            [own.layer, *(number(value, 3) for value in list(asdict(own).values())[1:])] for own in findings.updates
        ]
        parts.append(lay_out(titles, rows))
    if findings.patching is not None:
        own = findings.patching
        parts.append(
            f"  weights put back: gain {number(own.gain, 2, is_signed=True)} nats, random sets "
            f"{number(own.random_gain, 2, is_signed=True)}; p < .01 for {number(own.significant_share, 2)} of "
            f"{own.num_circuits} circuits"
        )
    if findings.swaps:
        titles = ["circuit", "weights", "bal. acc.", "separation (nats)"]
        rows = [
            [own.circuit, own.weights, number(own.balanced_accuracy, 2), number(own.separation, 2)]
            for own in findings.swaps
        ]
        parts += [lay_out(titles, rows, num_left=2), f"  preservation P {number(findings.preservation, 2)}"]
    if findings.barriers is not None:
        own_way = findings.barriers
        parts.append(
            f"  barrier (nats): {number(own_way.between_clients, 3)} between clients ({own_way.num_pairs}), "
            f"{number(own_way.to_average, 3)} to the average ({own_way.num_to_average})"
        )
    return "\n".join(parts)


def _ladder(findings: Ladder) -> str:
    titles = ["rung", "what", "accuracy", "trained classes"]
    rows = [
        [own.name, RUNGS[own.name], number(own.accuracy, 3), number(own.accuracy_trained, 3)] for own in findings.rungs
    ]
    gaps = {
        "readout A2−A0": findings.readout_gap,
        "body A3−A2": findings.body_gap,
        "missing negatives A4−E": findings.negatives_gap,
        "room A3−R": findings.room,
    }
    listed = ", ".join(f"{name} {number(gap, 3, is_signed=True)}" for name, gap in gaps.items())
    return f"{lay_out(titles, rows, num_left=2)}\n  gaps: {listed}"


def _costs(findings: Costs) -> str:
    return lay_out(["measure", "seconds"], [[own.measure, number(own.seconds, 1)] for own in findings.measures])


_LAYOUTS: Final[dict[str, Callable[[Any], str]]] = {
    "validity": _validity,
    "quality": _quality,
    "agreement": _agreement,
    "alignment": _alignment,
    "transfer": _transfer,
    "averaging": _averaging,
    "ladder": _ladder,
    "costs": _costs,
}
