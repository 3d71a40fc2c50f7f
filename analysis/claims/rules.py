"""The decision rules: what must be seen for a claim to hold, and for it not to hold; sizes that count are fixed here.

How intervals decide is in `decisions`, the rules of claims 4 and 5 are in `mechanisms`.
"""

from dataclasses import replace
from typing import Final

from analysis.claims.aligned import RULE as ALIGNMENT_RULE
from analysis.claims.aligned import alignment_remark, is_alignment_irrelevant
from analysis.claims.decisions import (
    ERROR,
    Decision,
    Finding,
    Verdict,
    all_of,
    any_of,
    at_least,
    more,
    not_decidable,
    not_judged,
)
from analysis.claims.families import CONTROL, DENSE, SHARED, SPLIT, Family, Measured
from analysis.claims.gate import LEARNED_RULE, failed_checks, has_learned, lacks, no_examinations, not_learned
from analysis.claims.mechanisms import COLLAPSE_RULE, INTERFERENCE_RULE, interference_in, learned_in
from analysis.statistics.seeds import interval

FOLLOWS_CLASS: Final = 0.1
"""Least difference of correlations that counts, between classes or between splits."""

ONE_CIRCUIT: Final = 0.7
"""Least true correlation of circuits that may be called one: half of the variance of membership is common."""

PRESERVED: Final = -0.05
"""A circuit is preserved if the averaged weights cost it no more balanced accuracy than this."""

LOST_ACCURACY: Final = 0.1
"""Least loss of accuracy, against the matched IID control, that counts as functional collapse."""

MITIGATED: Final = 0.02
"""Least accuracy by which a loss must be smaller than the dense control's to count as mitigated."""

NOT_PAID_FOR: Final = -0.02
"""A loss that is smaller only because clients learned less is none mitigated: the global model may not be worse by
more than this."""

RULES: Final = {
    1: (
        "IID: averaging preserves one circuit per class across clients",
        "holds if (a) the true correlation (phi over all layers, retest noise taken out as a ratio of means) of "
        "same-class circuits across "
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
        "holds if at some sparsity at which clients have learned, compared with the dense control, (a) averaging costs "
        "less of what clients learned (accuracy on their own classes, their own models' minus the global model's), on "
        f"average by {MITIGATED} or more and surely by more than 0; (b) that is not because clients learned less: on "
        f"these classes the global model is surely not worse by more than {-NOT_PAID_FOR}; and, in the layers before "
        "the readout, surely more is left (c) of the norm of clients' weights and (d) of the spread of their "
        "activations. Does not hold if at every such sparsity one of these surely fails; is not decidable if clients "
        f"learned at none, or not without sparsity; {LEARNED_RULE}. Intervals are widened for the number of sparsities "
        "at which clients have learned (Bonferroni). Whether interference is destructive at all is claim 5",
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
    if verdict := _without_circuits(family, ["iid"]):
        return verdict
    iid = family.judged("iid")
    preserved = at_least(
        "balanced accuracy on global minus on local weights", family.number("iid", "preserved"), PRESERVED
    )
    remark = alignment_remark(family, ["iid"])
    if not is_alignment_irrelevant(family, ["iid"]):
        title, aligned = "same class minus different classes, after matching", family.number("iid", "aligned")
        after = (more(title, aligned, FOLLOWS_CLASS), at_least(title, aligned, ONE_CIRCUIT))
        return all_of(*after, preserved, remarks=(remark,))
    follows = Measured(iid["same_class"] - iid["different_class"])
    verdict = all_of(
        more("same class minus different classes", follows, FOLLOWS_CLASS),
        at_least("same class across clients", family.number("iid", "same_class"), ONE_CIRCUIT),
        preserved,
        remarks=(remark,),
    )
    return replace(verdict, remarks=(remark, _NO_RETESTS)) if iid["same_class"].isna().all() else verdict


_NO_RETESTS: Final = (
    "Without retests, without usable circuits, or where retests hardly find circuits again, the noise of discovery is "
    "not known, and true correlations neither."
)


def _without_circuits(family: Family, roles: list[str]) -> Verdict | None:
    """Return the verdict where circuits of these experiments are not to be judged; None if they are."""
    if reason := not_learned(family, roles):
        return not_decidable(reason)
    without = lacks(family, roles, "irrelevant")
    reason = no_examinations(family, without) if without else failed_checks(family, roles)
    return not_judged(reason) if reason else None


def judge_non_iid(family: Family) -> Verdict:
    """Apply the rule of claim 2."""
    missing = [role for role in (CONTROL, SHARED, SPLIT) if role not in family.evidence]
    if missing:
        return not_judged(f"the experiments {', '.join(missing)} are missing")
    unlike = {key for role in (SHARED, SPLIT) for key in family.differences(CONTROL, role, _OF_A_SPLIT)}
    if unlike:
        return not_judged(f"the control differs from the splits in {', '.join(sorted(unlike))}")
    if reason := not_learned(family, [CONTROL, SHARED, SPLIT]):
        return not_decidable(reason)
    if verdict := _without_circuits(family, [CONTROL, SHARED]):
        return verdict
    return all_of(
        _divergence(family),
        more(
            "the same within channels that both models reach",
            family.minus(CONTROL, SHARED, "shared_class_common"),
            FOLLOWS_CLASS,
        ),
        more(
            "accuracy on the split's classes, IID control minus 3-class split",
            family.minus(CONTROL, SPLIT, "common_accuracy"),
            LOST_ACCURACY,
        ),
        remarks=(
            alignment_remark(family, [CONTROL, SHARED]),
            "(b) has no aligned form and is judged as it is. (c) is a symptom: whether averaging destroyed circuits, "
            "or the readout and missing negatives did it, is claim 4.",
            *_on_the_question(family),
        ),
    )


def _divergence(family: Family) -> Finding:
    """Compare the similarity of circuits under the split with that of the control, aligned where that matters."""
    title = "IID control minus shared-class split"
    if is_alignment_irrelevant(family, [CONTROL, SHARED]):
        return more(f"{title}, the shared class", family.minus(CONTROL, SHARED, "shared_class"), FOLLOWS_CLASS)
    # Alignment is logged over all classes that two models share: all of the control's, the shared one of the split.
    title += ", classes that clients share, beyond different classes, after matching"
    return more(title, family.minus(CONTROL, SHARED, "aligned"), FOLLOWS_CLASS)


def _on_the_question(family: Family) -> list[str]:
    """Say how far circuits of one model are from 1, by another question alone, and by a little noise on its weights."""
    remarks = []
    for number, what in (
        ("other_negatives", "asked with other negatives, one model's circuits of a class"),
        ("perturbed_copy", "those of a model and of its copy with some noise on the weights"),
    ):
        measured = {role: interval(family.judged(role)[number]) for role in (CONTROL, SHARED)}
        known = [f"{one.mean:.3f} ± {one.sd:.3f} in {role}" for role, one in measured.items() if one.num_seeds]
        if known:
            remarks.append(f"{what} have a true correlation of {', '.join(known)}")
    if not remarks:
        return []
    return [
        f"What is no difference between clients: {'; '.join(remarks)} (± over seeds; the same circuits would have 1)."
        " Only circuits that were asked the same question are compared above."
    ]


def judge_sparsity(family: Family) -> Verdict:
    """Apply the rule of claim 3."""
    levels = family.sparsities()
    if not levels:
        return not_judged("there is no dense control, or nothing that differs from it in sparsity alone")
    if reason := not_learned(family, [DENSE]):
        return not_decidable(reason)
    num_open = sum(has_learned(family, role) for role in levels)
    verdicts = [_mitigation_at(family, role, level, max(num_open, 1)) for role, level in levels.items()]
    findings = tuple(finding for verdict in verdicts for finding in verdict.findings)
    decision = any_of([verdict.decision for verdict in verdicts])
    return Verdict(findings, decision, (_premise(family, 1 + num_open),))


def _mitigation_at(family: Family, role: str, sparsity: float, num_levels: int) -> Verdict:
    """Compare one sparsity with the dense control."""
    level, confidence = f"sparsity {sparsity:g}", 1 - ERROR / num_levels
    if not has_learned(family, role):
        return Verdict((learned_in(family, role, level),), Decision.UNDECIDABLE)
    return all_of(
        more(
            f"{level}: loss by averaging, dense minus sparse",
            family.minus(DENSE, role, "averaging_loss"),
            MITIGATED,
            confidence,
        ),
        at_least(
            f"{level}: global accuracy on own classes, sparse minus dense",
            family.minus(role, DENSE, "own_global"),
            NOT_PAID_FOR,
            confidence,
        ),
        more(f"{level}: norm retention gained", family.minus(role, DENSE, "norm_retention"), 0.0, confidence),
        more(f"{level}: activations gained", family.minus(role, DENSE, "activation_retention"), 0.0, confidence),
    )


def _premise(family: Family, num_levels: int) -> str:
    """Say whether there is destructive interference to mitigate, by the rule of claim 5."""
    compared = (
        "Losses are compared with the dense control's. That interference destroys anything there, so that there is"
    )
    if lacks(family, [DENSE], "gap_left"):
        return f"{compared} something to mitigate, is claim 5, not judged: {no_examinations(family, [DENSE])}."
    decision = interference_in(family, DENSE, "dense", num_levels).decision
    return f"{compared} something to mitigate, is claim 5, which says of the dense control: {decision}."
