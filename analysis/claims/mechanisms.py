"""The rules for what the paper takes to be behind its claims: collapse of circuits by averaging, and interference.

The weights of a collapsed model say little by themselves: accuracy is also lost in the readout, and for negatives that
clients never saw. The collapse ladder tells these apart, and patching whether a circuit's weights are what is missing.
Updates that have nothing to do with each other leave 1/√K of their norm when K of them are averaged: that is dilution.
Interference is what takes more than that, in the layers before the readout, and costs what clients had learned.
"""

from typing import Final

from analysis.claims.decisions import (
    ERROR,
    Decision,
    Finding,
    Verdict,
    all_of,
    any_of,
    at_least,
    more,
    not_judged,
    without_room,
)
from analysis.claims.families import DENSE, Family
from analysis.claims.gate import LEARNED, LEARNED_RULE, failed_checks, has_learned, lacks, no_examinations

LOST_IN_BODY: Final = 0.02
"""Least A3 - A2 that counts: accuracy that averaging the layers before the readout cost."""

ROOM: Final = 0.1
"""Least A3 - R: where a readout on untrained features comes closer, a loss of circuits cannot be seen in accuracy."""

PATCHING_ERROR: Final = 0.01
"""Probability that the interval of what patching gains over random weights misses."""

LOST: Final = 0.02
"""Least accuracy on clients' own classes that averaging must cost to count as a loss."""

LEFT: Final = 0.02
"""Least accuracy by which intact models must stay ahead of averages for a gap to count as not closed."""

COLLAPSE_RULE: Final = (
    f"holds if in some experiment (a) A3 − A2 of the collapse ladder is {LOST_IN_BODY:g} or more on average and surely "
    "above 0, and (b) putting a circuit's weights back into the average gains surely more than random weights do (log-"
    f"odds in nats; 99 % interval, p < {PATCHING_ERROR:g}), both only where clients have learned and where there is "
    f"room to see it, A3 − R surely {ROOM:g} or more; does not hold if in every experiment with room (a) or (b) surely "
    "fails; is not decidable if every experiment surely lacks room, or has clients that did not learn. Intervals of "
    "(a) and (b) are widened for the number of experiments that may have room (Bonferroni)"
)

INTERFERENCE_RULE: Final = (
    "holds if in the dense control or at some sparsity at which clients have learned, (a) averaging costs what they "
    "learned: on their own classes, the global model's accuracy is below that of their own models, on average by "
    f"{LOST:g} or more and surely by more than 0; (b) updates oppose each other: in the layers before the readout, "
    "surely less of their norm is left in the mean than the 1/√K that unrelated updates of K clients leave; (c) it is "
    "not dilution, which the overlap-count mean takes away, nor the lack of negatives, which intact models share: "
    "these (the better ensemble E) stay ahead of the better one of the average A0 and the overlap-count mean, on "
    f"average by {LEFT:g} or more and surely by more than 0; and (d) it is not the readout: A3 − A2 is "
    f"{LOST_IN_BODY:g} or more on average and surely above 0, judged only where there is room to see it, A3 − R surely "
    f"{ROOM:g} or more. Does not hold if in all of them one of these surely fails; is not decidable where clients did "
    "not learn. Intervals are widened for the number of experiments (Bonferroni)"
)


def judge_collapse(family: Family) -> Verdict:
    """Apply the rule of claim 4, experiment by experiment."""
    without = lacks(family, list(family.evidence), "body")
    measured = [role for role in family.evidence if role not in without]
    if not measured:
        return not_judged(no_examinations(family, without))
    failed = [role for role in measured if failed_checks(family, [role])]
    seen = {role: _is_seen(family, role) for role in measured if role not in failed}
    num_open = sum(found.decision is not Decision.UNDECIDABLE for found in seen.values())
    verdicts = [_collapse_in(family, role, found, num_open) for role, found in seen.items()]
    remarks = [f"Not judged: {failed_checks(family, failed)}."] if failed else []
    if without:
        remarks.append(f"Not judged in {', '.join(without)}: {no_examinations(family, without)}.")
    findings = tuple(finding for verdict in verdicts for finding in verdict.findings)
    return Verdict(findings, any_of([verdict.decision for verdict in verdicts]), tuple(remarks))


def _is_seen(family: Family, role: str) -> Finding:
    """Tell whether a loss could be seen: clients learned, and their bodies are far enough above an untrained one."""
    return learned_in(family, role, role) if not has_learned(family, role) else room_in(family, role, role)


def learned_in(family: Family, role: str, title: str) -> Finding:
    """Return the condition that clients of an experiment learned their own classes, which nothing is decided without.

    Args:
        family: its family.
        role: the experiment.
        title: what conditions call it.
    """
    finding = at_least(f"{title}: clients learned, share of the way", family.number(role, "learned"), LEARNED)
    decision = Decision.HOLDS if has_learned(family, role) else Decision.UNDECIDABLE
    return Finding(finding.condition, finding.measured, decision)


def room_in(family: Family, role: str, title: str) -> Finding:
    """Return the condition that bodies which were not averaged are far enough above an untrained one."""
    room = at_least(f"{title}: room, A3 − R", family.number(role, "room"), ROOM)
    decision = Decision.UNDECIDABLE if room.decision is Decision.DOES_NOT else room.decision
    return Finding(room.condition, room.measured, decision, room.image_error, room.detectable)


def _collapse_in(family: Family, role: str, seen: Finding, num_open: int) -> Verdict:
    """Judge one experiment: nothing is said of one in which a loss could not be seen."""
    if seen.decision is Decision.UNDECIDABLE:
        return Verdict((seen,), Decision.UNDECIDABLE)
    body, patching = family.number(role, "body"), family.number(role, "patch_excess")
    verdict = all_of(
        more(f"{role}: lost in the body, A3 − A2", body, LOST_IN_BODY, 1 - ERROR / num_open),
        more(f"{role}: patching gain over random weights", patching, 0.0, 1 - PATCHING_ERROR / num_open),
    )
    decision = verdict.decision if seen.decision is Decision.HOLDS else Decision.UNDECIDED
    return Verdict((seen, *verdict.findings), decision)


def judge_interference(family: Family) -> Verdict:
    """Apply the rule of claim 5 to the dense control and the experiments that differ from it in sparsity alone."""
    if DENSE not in family.evidence:
        return not_judged("there is no dense control")
    levels = {DENSE: "dense"} | {role: f"sparsity {level:g}" for role, level in family.sparsities().items()}
    without = lacks(family, list(levels), "gap_left")
    if len(without) == len(levels):
        return not_judged(no_examinations(family, without))
    num_open = sum(has_learned(family, role) for role in levels)
    verdicts = [interference_in(family, role, title, max(num_open, 1)) for role, title in levels.items()]
    findings = tuple(finding for verdict in verdicts for finding in verdict.findings)
    return Verdict(findings, any_of([verdict.decision for verdict in verdicts]), (_ON_THE_PARTS,))


def interference_in(family: Family, role: str, title: str, num_levels: int) -> Verdict:
    """Judge one experiment.

    Args:
        family: its family.
        role: the experiment.
        title: what conditions call it.
        num_levels: experiments of which any may decide.
    """
    if not has_learned(family, role):
        return Verdict((learned_in(family, role, title),), Decision.UNDECIDABLE)
    confidence = 1 - ERROR / num_levels
    conditions = {
        "averaging_loss": ("own classes, own minus global accuracy", LOST),
        "opposition": ("1/√K minus the share of updates' norm left", 0.0),
        "gap_left": ("gap left, E − better of averages", LEFT),
        "body": ("lost in the body, A3 − A2", LOST_IN_BODY),
    }
    loss, opposition, gap, body = (
        more(f"{title}: {condition}", family.number(role, name), size, confidence)
        for name, (condition, size) in conditions.items()
    )
    room = room_in(family, role, title)
    seen = without_room(body, room.decision)
    verdict = all_of(loss, opposition, gap, seen)
    return Verdict((loss, opposition, gap, room, seen), verdict.decision)


_ON_THE_PARTS: Final = (
    f"Here {LEARNED_RULE}. What a new readout brings back (A2 − A0) is no loss of circuits; it stands in the table "
    "beside claim 4, with what the overlap-count mean gains on A0, the part that was dilution."
)
