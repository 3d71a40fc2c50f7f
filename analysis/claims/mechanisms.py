"""The rules for what the paper takes to be behind its claims: collapse of circuits by averaging, and interference.

The weights of a collapsed model say little by themselves: accuracy is also lost in the head, and for negatives that
clients never saw. The collapse ladder tells these apart, and patching whether a circuit's weights are what is missing.
"""

from typing import Final

from analysis.claims.decisions import ERROR, Decision, Finding, Verdict, all_of, any_of, at_least, more, not_judged
from analysis.claims.families import DENSE, Family
from analysis.claims.gate import failed_checks, lacks, no_heavy_measures

LOST_IN_BODY: Final = 0.02
"""Least A3 - A2 that counts: accuracy that averaging the layers before the head cost."""

ROOM: Final = 0.1
"""Least A3 - R: where a head on untrained features comes closer, a loss of circuits cannot be seen in accuracy."""

PATCHING_ERROR: Final = 0.01
"""Probability that the interval of what patching gains over random weights misses."""

LEFT: Final = 0.02
"""Least accuracy by which intact models must stay ahead of averages for a gap to count as not closed."""

COLLAPSE_RULE: Final = (
    f"holds if in some experiment (a) A3 − A2 of the collapse ladder is {LOST_IN_BODY:g} or more on average and surely "
    "above 0, and (b) putting a circuit's weights back into the average gains surely more than random weights do (log-"
    f"odds in nats; 99 % interval, p < {PATCHING_ERROR:g}), both only where there is room to see it, A3 − R surely "
    f"{ROOM:g} or more; does not hold if in every experiment with room (a) or (b) surely fails; is not decidable if "
    "every experiment surely lacks room. Intervals of (a) and (b) are widened for the number of experiments that may "
    "have room (Bonferroni)"
)

INTERFERENCE_RULE: Final = (
    "holds if in the dense control or at some sparsity (a) sign conflict is surely above its null of shuffled signs, "
    "and (b) the overlap-count mean does not close the gap: intact client models (the better ensemble E) stay ahead of "
    f"the better one of the average A0 and the overlap-count mean, on average by {LEFT:g} or more and surely by more "
    "than 0; does not hold if in all of them (a) or (b) surely fails. Intervals are widened for the number of "
    "experiments (Bonferroni)"
)


def judge_collapse(family: Family) -> Verdict:
    """Apply the rule of claim 4, experiment by experiment."""
    without = lacks(family, list(family.evidence), "body")
    measured = [role for role in family.evidence if role not in without]
    if not measured:
        return not_judged(no_heavy_measures(family, without))
    failed = [role for role in measured if failed_checks(family, [role])]
    rooms = {role: _room(family, role) for role in measured if role not in failed}
    num_open = sum(room.decision is not Decision.UNDECIDABLE for room in rooms.values())
    verdicts = [_collapse_in(family, role, room, num_open) for role, room in rooms.items()]
    remarks = [f"Not judged: {failed_checks(family, failed)}."] if failed else []
    if without:
        remarks.append(f"Not judged in {', '.join(without)}: {no_heavy_measures(family, without)}.")
    findings = tuple(finding for verdict in verdicts for finding in verdict.findings)
    return Verdict(findings, any_of([verdict.decision for verdict in verdicts]), tuple(remarks))


def _room(family: Family, role: str) -> Finding:
    """Tell whether bodies that were not averaged are far enough above an untrained one."""
    room = at_least(f"{role}: room, A3 − R", family.judged(role)["room"], ROOM)
    if room.decision is Decision.DOES_NOT:
        return Finding(room.condition, room.measured, Decision.UNDECIDABLE)
    return room


def _collapse_in(family: Family, role: str, room: Finding, num_open: int) -> Verdict:
    """Judge one experiment: nothing is said of one that surely lacks room."""
    if room.decision is Decision.UNDECIDABLE:
        return Verdict((room,), Decision.UNDECIDABLE)
    table = family.judged(role)
    verdict = all_of(
        more(f"{role}: lost in the body, A3 − A2", table["body"], LOST_IN_BODY, 1 - ERROR / num_open),
        more(f"{role}: patching gain over random weights", table["patch_excess"], 0.0, 1 - PATCHING_ERROR / num_open),
    )
    decision = verdict.decision if room.decision is Decision.HOLDS else Decision.UNDECIDED
    return Verdict((room, *verdict.findings), decision)


def judge_interference(family: Family) -> Verdict:
    """Apply the rule of claim 5 to the dense control and the experiments that differ from it in sparsity alone."""
    if DENSE not in family.evidence:
        return not_judged("there is no dense control")
    levels = {DENSE: "dense"} | {role: f"sparsity {level:g}" for role, level in family.sparsities().items()}
    without = lacks(family, list(levels), "gap_left")
    if len(without) == len(levels):
        return not_judged(no_heavy_measures(family, without))
    verdicts = [interference_in(family, role, title, len(levels)) for role, title in levels.items()]
    findings = tuple(finding for verdict in verdicts for finding in verdict.findings)
    return Verdict(findings, any_of([verdict.decision for verdict in verdicts]), (_ON_THE_NULL,))


def interference_in(family: Family, role: str, title: str, num_levels: int) -> Verdict:
    """Judge one experiment.

    Args:
        family: its family.
        role: the experiment.
        title: what conditions call it.
        num_levels: experiments of which any may decide.
    """
    table = family.judged(role)
    return all_of(
        more(f"{title}: sign conflict minus its null", table["conflict_excess"], 0.0, 1 - ERROR / num_levels),
        more(f"{title}: gap left, E − better of averages", table["gap_left"], LEFT, 1 - ERROR / num_levels),
    )


_ON_THE_NULL: Final = (
    "The null's mean stands, but its spread within a run is too small, since the weights of a filter move together: "
    "the seeds decide. What the overlap-count mean gains on A0 is told under claim 4; a gap not left may have been "
    "closed by it, or never been there."
)
