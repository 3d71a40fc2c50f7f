"""How anything is decided here: an interval over seeds against a threshold, and conditions into a verdict.

The unit is the seed, and a rule decides with `MIN_SEEDS` of them or not at all. A difference holds if its mean reaches
the size that counts and its interval (95 %, t, paired by seed, test images included where they are known) excludes
zero; a level holds if its whole interval reaches it; neither holds if the whole interval falls short. Anything else is
not decided, which is a result too. Seeds that all have the same value decide nothing: an interval without a width is
no certainty, but a sign that nothing happened.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from analysis.claims.families import Measured
from analysis.statistics.image_variance import standard_error
from analysis.statistics.power import detectable_errors
from analysis.statistics.seeds import Interval, error_of_mean, interval

MIN_SEEDS: Final = 5

ERROR: Final = 0.05
"""Probability that an interval misses; divided by the number of experiments where any of them may decide."""

_NO_SPREAD: Final = 1e-9
"""Seeds whose standard deviation is smaller than this have the same value."""


class Decision(StrEnum):
    """What a rule says."""

    HOLDS = "holds"
    DOES_NOT = "does not hold"
    DELAY = "delay"
    "It holds after few rounds and does not after many: it comes late, or goes away."
    UNDECIDED = "not decided"
    UNDECIDABLE = "not decidable"
    "Nothing could be seen here, whatever is true: no number of seeds would help."


@dataclass(frozen=True)
class Finding:
    """One condition of a rule.

    Args:
        condition: what must be true.
        measured: what it is decided on, over seeds.
        decision: whether it is.
        image_error: standard error that test images alone give to the mean; NaN where it is not known.
        detectable: the smallest distance from what it is compared with that this spread, with as many seeds, could
            have found four times out of five; NaN without a spread.
    """

    condition: str
    measured: Interval
    decision: Decision
    image_error: float = math.nan
    detectable: float = math.nan


@dataclass(frozen=True)
class Verdict:
    """What the runs of one family say about one claim.

    Args:
        findings: the rule's conditions, one by one; none if the runs cannot be judged.
        decision: what follows from them.
        remarks: what a reader must know beside it; why there is nothing to judge, if so.
    """

    findings: tuple[Finding, ...]
    decision: Decision
    remarks: tuple[str, ...] = ()


def not_judged(reason: str) -> Verdict:
    """Return the verdict on runs that a rule cannot be applied to."""
    return Verdict((), Decision.UNDECIDED, (f"Not judged: {reason}.",))


def not_decidable(reason: str) -> Verdict:
    """Return the verdict on runs in which nothing could be seen, whatever is true."""
    return Verdict((), Decision.UNDECIDABLE, (f"Not decidable: {reason}.",))


def at_least(condition: str, measured: Measured, threshold: float, confidence: float = 1 - ERROR) -> Finding:
    """Decide whether a number is at least a threshold: the whole interval must be."""
    return _finding(f"{condition}: at least {threshold:g}", measured, (threshold, threshold), confidence)


def more(condition: str, measured: Measured, threshold: float, confidence: float = 1 - ERROR) -> Finding:
    """Decide whether a difference is large enough to count and surely not zero."""
    size = f"{threshold:g} or more" if threshold else "above 0"
    return _finding(f"{condition}: {size}", measured, (threshold, 0.0), confidence)


def without_room(finding: Finding, room: Decision) -> Finding:
    """Return a condition that could only be seen where there is room: not decidable, or not decided, without.

    Args:
        finding: the condition.
        room: whether there is room.
    """
    if room is Decision.HOLDS or finding.decision is Decision.UNDECIDABLE:
        return finding
    return replace(finding, decision=Decision.UNDECIDABLE if room is Decision.UNDECIDABLE else Decision.UNDECIDED)


def decide(measured: Interval, threshold: float, surely_above: float) -> Decision:
    """Compare an interval with a threshold.

    Args:
        measured: over seeds; too few of them decide nothing, and nor do seeds without any spread.
        threshold: what the mean must reach; if the whole interval lies below it, the condition does not hold.
        surely_above: what the whole interval must lie above for the condition to hold.
    """
    if measured.num_seeds < MIN_SEEDS:
        return Decision.UNDECIDED
    if measured.sd < _NO_SPREAD:
        return Decision.UNDECIDABLE
    if measured.mean >= threshold and measured.low > surely_above:
        return Decision.HOLDS
    return Decision.DOES_NOT if measured.high < threshold else Decision.UNDECIDED


def all_of(*findings: Finding, remarks: tuple[str, ...] = ()) -> Verdict:
    """Return the verdict of a rule that wants every condition."""
    decisions = {finding.decision for finding in findings}
    for decisive in (Decision.DOES_NOT, Decision.UNDECIDABLE):
        if decisive in decisions:
            return Verdict(findings, decisive, remarks)
    return Verdict(findings, Decision.HOLDS if decisions == {Decision.HOLDS} else Decision.UNDECIDED, remarks)


def any_of(decisions: Sequence[Decision]) -> Decision:
    """Return the decision of a rule that one experiment suffices for; those where nothing can be seen do not count."""
    if Decision.HOLDS in decisions:
        return Decision.HOLDS
    seen = set(decisions) - {Decision.UNDECIDABLE}
    if decisions and not seen:
        return Decision.UNDECIDABLE
    return Decision.DOES_NOT if seen == {Decision.DOES_NOT} else Decision.UNDECIDED


def over_horizons(verdicts: Sequence[Verdict]) -> Decision:
    """Return what follows from the verdicts on one claim after few rounds and, if there is one, after many.

    Args:
        verdicts: the shorter horizon first; one that was not judged does not count beside one that was.
    """
    judged = [verdict.decision for verdict in verdicts if verdict.findings or verdict.decision is Decision.UNDECIDABLE]
    decisions = judged or [verdict.decision for verdict in verdicts]
    if len(set(decisions)) == 1:
        return decisions[0]
    return Decision.DELAY if decisions == [Decision.HOLDS, Decision.DOES_NOT] else Decision.UNDECIDED


def _finding(condition: str, measured: Measured, bounds: tuple[float, float], confidence: float) -> Finding:
    found = interval(measured.by_seed, confidence, measured.images)
    detectable = math.nan
    if found.num_seeds > 1 and found.sd >= _NO_SPREAD:
        error, degrees = error_of_mean(found.sd, found.num_seeds, measured.images)
        detectable = error * detectable_errors(degrees, confidence)
    return Finding(condition, found, decide(found, *bounds), standard_error(measured.images), detectable)
