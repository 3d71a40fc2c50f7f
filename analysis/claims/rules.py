"""The decision rules: what must be seen for a claim to hold, and for it not to hold; sizes that count are fixed here.

How intervals decide is in `decisions`, the rules of claims 4 and 5 are in `mechanisms`.
"""

from dataclasses import replace
from typing import Final

from analysis.claims.aligned import RULE as ALIGNMENT_RULE
from analysis.claims.aligned import alignment_remark, is_alignment_irrelevant
from analysis.claims.decisions import ERROR, Finding, Verdict, all_of, any_of, at_least, decide, more, not_judged
from analysis.claims.families import CONTROL, DENSE, SHARED, SPLIT, Family
from analysis.claims.gate import failed_checks, lacks, no_heavy_measures
from analysis.claims.mechanisms import COLLAPSE_RULE, INTERFERENCE_RULE, interference_in
from analysis.seeds import interval, paired_interval

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

RULES: Final = {
    1: (
        "IID: averaging preserves one circuit per class across clients",
        "holds if (a) the true correlation (phi over all layers, retest noise taken out) of same-class circuits across "
        f"clients exceeds that of different classes, on average by {FOLLOWS_CLASS} or more and surely by more than 0, "
        f"(b) it is surely {ONE_CIRCUIT} or more, and (c) usable local circuits surely keep their balanced accuracy on "
        f"the averaged weights to within {-PRESERVED}. In (a) and (b), {ALIGNMENT_RULE}",
    ),
    2: (
        "Non-IID: circuits of clients diverge structurally and collapse when averaged",
        "holds if (a) the true correlation of the shared class's circuits is lower than in the IID control with as "
        f"many clients and steps, on average by {FOLLOWS_CLASS} or more and surely by more than 0, (b) also within the "
        "channels that both models reach, and (c) the global model's accuracy under the 3-class split is lower than "
        f"the control's on the same classes, on average by {LOST_ACCURACY} or more and surely by more than 0. In (a), "
        f"{ALIGNMENT_RULE}",
    ),
    3: (
        "Higher weight sparsity mitigates destructive interference",
        "holds if at some sparsity (a) accuracy over trained classes is above the dense control's, on average by "
        f"{GAINED_ACCURACY} or more and surely by more than 0, and (b) sign conflict is surely below it; does not hold "
        "if at every sparsity (a) or (b) surely fails. Intervals are widened for the number of sparsities (Bonferroni)."
        " Whether interference is destructive at all is claim 5",
    ),
    4: ("Averaging destroys circuits, the mechanism behind claim 2", COLLAPSE_RULE),
    5: ("Interference is destructive, the premise of claim 3", INTERFERENCE_RULE),
}
"""Claim number to its text and its rule in words."""

_OF_A_SPLIT: Final = frozenset({"partition", "client-classes", "rotate-classes", "circuit-classes", "train-limit"})
"""Settings in which a split and its control may differ."""


def judge_iid(family: Family) -> Verdict:
    """Apply the rule of claim 1."""
    if "iid" not in family.evidence:
        return not_judged("the experiment iid is missing")
    if reason := _why_circuits_are_not_judged(family, ["iid"]):
        return not_judged(reason)
    iid = family.judged("iid")
    preserved = at_least("balanced accuracy on global minus on local weights", iid["preserved"], PRESERVED)
    remark = alignment_remark(family, ["iid"])
    if not is_alignment_irrelevant(family, ["iid"]):
        title = "same class minus different classes, after matching"
        after = (more(title, iid["aligned"], FOLLOWS_CLASS), at_least(title, iid["aligned"], ONE_CIRCUIT))
        return all_of(*after, preserved, remarks=(remark,))
    verdict = all_of(
        more("same class minus different classes", iid["same_class"] - iid["different_class"], FOLLOWS_CLASS),
        at_least("same class across clients", iid["same_class"], ONE_CIRCUIT),
        preserved,
        remarks=(remark,),
    )
    return replace(verdict, remarks=(remark, _NO_RETESTS)) if iid["same_class"].isna().all() else verdict


_NO_RETESTS: Final = (
    "Without retests, or usable circuits, the noise of discovery is not known, and true correlations neither."
)


def _why_circuits_are_not_judged(family: Family, roles: list[str]) -> str:
    """Say why circuits of these experiments are not to be judged; empty if they are."""
    without = lacks(family, roles, "irrelevant")
    return no_heavy_measures(family, without) if without else failed_checks(family, roles)


def judge_non_iid(family: Family) -> Verdict:
    """Apply the rule of claim 2."""
    missing = [role for role in (CONTROL, SHARED, SPLIT) if role not in family.evidence]
    if missing:
        return not_judged(f"the experiments {', '.join(missing)} are missing")
    unlike = {key for role in (SHARED, SPLIT) for key in family.differences(CONTROL, role, _OF_A_SPLIT)}
    if unlike:
        return not_judged(f"the control differs from the splits in {', '.join(sorted(unlike))}")
    if reason := _why_circuits_are_not_judged(family, [CONTROL, SHARED]):
        return not_judged(reason)
    control, shared, split = (family.judged(role) for role in (CONTROL, SHARED, SPLIT))
    return all_of(
        _divergence(family),
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
            alignment_remark(family, [CONTROL, SHARED]),
            "(b) has no aligned form and is judged as it is. (c) is a symptom: whether averaging destroyed circuits, "
            "or the head and missing negatives did it, is claim 4.",
            *_in_the_long_run(family),
        ),
    )


def _divergence(family: Family) -> Finding:
    """Compare the similarity of circuits under the split with that of the control, aligned where that matters."""
    control, shared = family.judged(CONTROL), family.judged(SHARED)
    title = "IID control minus shared-class split"
    if is_alignment_irrelevant(family, [CONTROL, SHARED]):
        return more(f"{title}, the shared class", control["shared_class"] - shared["shared_class"], FOLLOWS_CLASS)
    # Alignment is logged over all classes that two models share: all of the control's, the shared one of the split.
    title += ", classes that clients share, beyond different classes, after matching"
    return more(title, control["aligned"] - shared["aligned"], FOLLOWS_CLASS)


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
        return not_judged("there is no dense control, or nothing that differs from it in sparsity alone")
    dense = family.judged(DENSE)
    confidence = 1 - ERROR / len(levels)
    findings: list[Finding] = []
    decisions = []
    for role, sparsity in levels.items():
        level, sparse = f"sparsity {sparsity:g}", family.judged(role)
        gain = paired_interval(sparse["accuracy"], dense["accuracy"], confidence)
        relief = paired_interval(dense["sign_conflict"], sparse["sign_conflict"], confidence)
        own = (
            Finding(f"{level}: accuracy gained: {GAINED_ACCURACY:g} or more", gain, decide(gain, GAINED_ACCURACY, 0)),
            Finding(f"{level}: sign conflict taken away: above 0", relief, decide(relief, 0, 0)),
        )
        findings += own
        decisions.append(all_of(*own).decision)
    return Verdict(tuple(findings), any_of(decisions), (_premise(family, 1 + len(levels)),))


def _premise(family: Family, num_levels: int) -> str:
    """Say whether there is destructive interference to mitigate, by the rule of claim 5."""
    compared = "Sign conflict is compared with the dense control's. That it destroys anything there, so that there is"
    if lacks(family, [DENSE], "gap_left"):
        return f"{compared} something to mitigate, is claim 5, not judged: {no_heavy_measures(family, [DENSE])}."
    decision = interference_in(family, DENSE, "dense", num_levels).decision
    return f"{compared} something to mitigate, is claim 5, which says of the dense control: {decision}."
