"""How anything is decided here: an interval over seeds against a threshold, and conditions into a verdict.

The unit is the seed, and a rule decides with `MIN_SEEDS` of them or not at all. A difference holds if its mean reaches
the size that counts and its interval (95 %, t, paired by seed) excludes zero; a level holds if its whole interval
reaches it; neither holds if the whole interval falls short. Anything else is not decided, which is a result too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pandas as pd

from analysis.seeds import Interval, interval

MIN_SEEDS: Final = 5

ERROR: Final = 0.05
"""Probability that an interval misses; divided by the number of experiments where any of them may decide."""


class Decision(StrEnum):
    """What a rule says."""

    HOLDS = "holds"
    DOES_NOT = "does not hold"
    UNDECIDED = "not decided"
    UNDECIDABLE = "not decidable on this data"
    "Nothing could be seen here, whatever is true: no number of seeds would help."


@dataclass(frozen=True)
class Finding:
    """One condition of a rule.

    Args:
        condition: what must be true.
        measured: what it is decided on, over seeds.
        decision: whether it is.
    """

    condition: str
    measured: Interval
    decision: Decision


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


def at_least(condition: str, by_seed: "pd.Series[float]", threshold: float) -> Finding:
    """Decide whether a number is at least a threshold: the whole interval must be."""
    measured = interval(by_seed)
    return Finding(f"{condition}: at least {threshold:g}", measured, decide(measured, threshold, threshold))


def more(condition: str, by_seed: "pd.Series[float]", threshold: float, confidence: float = 1 - ERROR) -> Finding:
    """Decide whether a difference is large enough to count and surely not zero."""
    measured = interval(by_seed, confidence)
    size = f"{threshold:g} or more" if threshold else "above 0"
    return Finding(f"{condition}: {size}", measured, decide(measured, threshold, 0.0))


def decide(measured: Interval, threshold: float, surely_above: float) -> Decision:
    """Compare an interval with a threshold.

    Args:
        measured: over seeds; too few of them decide nothing.
        threshold: what the mean must reach; if the whole interval lies below it, the condition does not hold.
        surely_above: what the whole interval must lie above for the condition to hold.
    """
    if measured.num_seeds < MIN_SEEDS:
        return Decision.UNDECIDED
    if measured.mean >= threshold and measured.low > surely_above:
        return Decision.HOLDS
    return Decision.DOES_NOT if measured.high < threshold else Decision.UNDECIDED


def all_of(*findings: Finding, remarks: tuple[str, ...] = ()) -> Verdict:
    """Return the verdict of a rule that wants every condition."""
    decisions = {finding.decision for finding in findings}
    if Decision.DOES_NOT in decisions:
        return Verdict(findings, Decision.DOES_NOT, remarks)
    return Verdict(findings, Decision.HOLDS if decisions == {Decision.HOLDS} else Decision.UNDECIDED, remarks)


def any_of(decisions: Sequence[Decision]) -> Decision:
    """Return the decision of a rule that one experiment suffices for; those where nothing can be seen do not count."""
    if Decision.HOLDS in decisions:
        return Decision.HOLDS
    seen = set(decisions) - {Decision.UNDECIDABLE}
    if decisions and not seen:
        return Decision.UNDECIDABLE
    return Decision.DOES_NOT if seen == {Decision.DOES_NOT} else Decision.UNDECIDED
