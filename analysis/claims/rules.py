"""The decision rules: what must be seen for a claim to hold, and for it not to hold.

The unit is the seed, and a rule decides with `MIN_SEEDS` of them or not at all. A difference holds if its mean reaches
the size that counts and its interval (95 %, t, paired by seed) excludes zero; a level holds if its whole interval
reaches it; neither holds if the whole interval falls short. Anything else is not decided, which is a result too.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import pandas as pd

from analysis.claims.families import CONTROL, DENSE, SHARED, SPLIT, Family
from analysis.seeds import Interval, interval, paired_interval

MIN_SEEDS: Final = 5

FOLLOWS_CLASS: Final = 0.1
"""Least difference of correlations that counts, between classes or between splits."""

ONE_CIRCUIT: Final = 0.7
"""Least true correlation of circuits that may be called one: half of the variance of membership is common."""

PRESERVED: Final = -0.05
"""A circuit is preserved if the averaged weights cost it no more balanced accuracy than this."""

LOST_ACCURACY: Final = 0.1
"""Least loss of accuracy, against the matched IID control, that counts as functional collapse."""

GAINED_ACCURACY: Final = 0.02
"""Least gain of accuracy over the dense control that counts as mitigation."""


class Decision(StrEnum):
    """What a rule says."""

    HOLDS = "holds"
    DOES_NOT = "does not hold"
    UNDECIDED = "not decided"


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


RULES: Final = {
    1: (
        "IID: averaging preserves one circuit per class across clients",
        "holds if (a) the true correlation (phi over all layers, retest noise taken out) of same-class circuits across "
        f"clients exceeds that of different classes, on average by {FOLLOWS_CLASS} or more and surely by more than 0, "
        f"(b) it is surely {ONE_CIRCUIT} or more, and (c) usable local circuits surely keep their balanced accuracy on "
        f"the averaged weights to within {-PRESERVED}",
    ),
    2: (
        "Non-IID: circuits of clients diverge structurally and collapse when averaged",
        "holds if (a) the true correlation of the shared class's circuits is lower than in the IID control with as "
        f"many clients and steps, on average by {FOLLOWS_CLASS} or more and surely by more than 0, (b) also within the "
        "channels that both models reach, and (c) the global model's accuracy under the 3-class split is lower than "
        f"the control's on the same classes, on average by {LOST_ACCURACY} or more and surely by more than 0",
    ),
    3: (
        "Higher weight sparsity mitigates destructive interference",
        "holds if at some sparsity (a) accuracy over trained classes is above the dense control's, on average by "
        f"{GAINED_ACCURACY} or more and surely by more than 0, and (b) sign conflict is surely below it; does not hold "
        "if at every sparsity (a) or (b) surely fails. Intervals of gains are widened for their number (Bonferroni)",
    ),
}
"""Claim number to its text and its rule in words."""

_OF_A_SPLIT: Final = frozenset({"partition", "client-classes", "circuit-classes", "train-limit"})
"""Settings in which a split and its control may differ."""


def judge_iid(family: Family) -> Verdict:
    """Apply the rule of claim 1."""
    if "iid" not in family.evidence:
        return _not_judged("the experiment iid is missing")
    iid = family.judged("iid")
    verdict = _all_of(
        more("same class minus different classes", iid["same_class"] - iid["different_class"], FOLLOWS_CLASS),
        at_least("same class across clients", iid["same_class"], ONE_CIRCUIT),
        at_least("balanced accuracy on global minus on local weights", iid["preserved"], PRESERVED),
    )
    if iid["same_class"].isna().all():
        remark = (
            "Without retests, or usable circuits, the noise of discovery is not known, and true correlations neither."
        )
        return replace(verdict, remarks=(remark,))
    return verdict


def judge_non_iid(family: Family) -> Verdict:
    """Apply the rule of claim 2."""
    missing = [role for role in (CONTROL, SHARED, SPLIT) if role not in family.evidence]
    if missing:
        return _not_judged(f"the experiments {', '.join(missing)} are missing")
    unlike = {key for role in (SHARED, SPLIT) for key in family.differences(CONTROL, role, _OF_A_SPLIT)}
    if unlike:
        return _not_judged(f"the control differs from the splits in {', '.join(sorted(unlike))}")
    control, shared, split = (family.judged(role) for role in (CONTROL, SHARED, SPLIT))
    return _all_of(
        more(
            "IID control minus shared-class split, the shared class",
            control["shared_class"] - shared["shared_class"],
            FOLLOWS_CLASS,
        ),
        more(
            "the same within channels that both models reach",
            control["shared_class_common"] - shared["shared_class_common"],
            FOLLOWS_CLASS,
        ),
        more(
            "accuracy on the split's classes, IID control minus 3-class split",
            control["common_accuracy"] - split["common_accuracy"],
            LOST_ACCURACY,
        ),
        remarks=(
            "Circuits were not aligned before they were compared: all clients start a round from the same weights, but "
            "that channels of two clients do the same job under different numbers is not excluded.",
            "(c) is a symptom. Whether averaging destroyed circuits, or the last layer and missing negatives did it, "
            "takes the client models' features, which this page does not have.",
            *_in_the_long_run(family),
        ),
    )


def _in_the_long_run(family: Family) -> list[str]:
    """Say what became of the splits in runs of more rounds, which the rule does not look at."""
    remarks = []
    for role, number, what in (
        ("long-3class", "common_accuracy", "accuracy on the 3-class split's classes"),
        ("long-shared", "shared_class", "the true correlation of the shared class's circuits"),
    ):
        if role in family.evidence:
            measured = interval(family.judged(role)[number])
            rounds = family.experiments[role].last_round
            remarks.append(
                f"Over the second half of {rounds} rounds, {what} is {measured.mean:.3f} ± {measured.sd:.3f}."
            )
    return remarks


def judge_sparsity(family: Family) -> Verdict:
    """Apply the rule of claim 3."""
    levels = family.sparsities()
    if not levels:
        return _not_judged("there is no dense control, or nothing that differs from it in sparsity alone")
    dense = family.judged(DENSE)
    confidence = 1 - 0.05 / len(levels)
    findings: list[Finding] = []
    decisions = []
    for role, sparsity in levels.items():
        level, sparse = f"sparsity {sparsity:g}", family.judged(role)
        gain = paired_interval(sparse["accuracy"], dense["accuracy"], confidence)
        relief = paired_interval(dense["sign_conflict"], sparse["sign_conflict"])
        own = (
            Finding(f"{level}: accuracy gained: {GAINED_ACCURACY:g} or more", gain, decide(gain, GAINED_ACCURACY, 0)),
            Finding(f"{level}: sign conflict taken away: above 0", relief, decide(relief, 0, 0)),
        )
        findings += own
        decisions.append(_all_of(*own).decision)
    remark = "Sign conflict is compared with the dense control's, not with a null of shuffled signs."
    return Verdict(tuple(findings), _any_of(decisions), (remark,))


def _not_judged(reason: str) -> Verdict:
    return Verdict((), Decision.UNDECIDED, (f"Not judged: {reason}.",))


def at_least(condition: str, by_seed: "pd.Series[float]", threshold: float) -> Finding:
    """Decide whether a number is at least a threshold: the whole interval must be."""
    measured = interval(by_seed)
    return Finding(f"{condition}: at least {threshold:g}", measured, decide(measured, threshold, threshold))


def more(condition: str, by_seed: "pd.Series[float]", threshold: float) -> Finding:
    """Decide whether a difference is large enough to count and surely not zero."""
    measured = interval(by_seed)
    return Finding(f"{condition}: {threshold:g} or more", measured, decide(measured, threshold, 0.0))


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


def _all_of(*findings: Finding, remarks: tuple[str, ...] = ()) -> Verdict:
    decisions = {finding.decision for finding in findings}
    if Decision.DOES_NOT in decisions:
        return Verdict(findings, Decision.DOES_NOT, remarks)
    return Verdict(findings, Decision.HOLDS if decisions == {Decision.HOLDS} else Decision.UNDECIDED, remarks)


def _any_of(decisions: list[Decision]) -> Decision:
    if Decision.HOLDS in decisions:
        return Decision.HOLDS
    return Decision.DOES_NOT if set(decisions) == {Decision.DOES_NOT} else Decision.UNDECIDED
