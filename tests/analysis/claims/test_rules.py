"""The rules on claims: when they hold, do not hold, come late, or cannot be decided."""

import math

import pandas as pd
import pytest
from claims_evidence import FIVE, by_seed, family, spread

from analysis.claims.decisions import Decision, Finding, Verdict, decide, more, over_horizons, without_room
from analysis.claims.families import Measured
from analysis.claims.rules import judge_iid, judge_non_iid, judge_sparsity
from analysis.statistics.image_variance import ImageVariance
from analysis.statistics.seeds import interval

# -- Deciding


@pytest.mark.parametrize(
    ("values", "decision"),
    [
        ([0.2, 0.21, 0.19, 0.2, 0.2], Decision.HOLDS),
        ([0.0, 0.01, -0.01, 0.0, 0.0], Decision.DOES_NOT),
        ([0.2, 0.21, 0.19, 0.2], Decision.UNDECIDED),  # four seeds
        ([0.9, -0.5, 0.4, -0.2, 0.2], Decision.UNDECIDED),  # large on average, but it may be zero
        ([0.05, 0.12, 0.04, 0.11, 0.06], Decision.UNDECIDED),  # surely above zero, but too small on average
    ],
)
def test_a_difference_must_be_large_enough_and_surely_not_zero(values, decision):
    assert decide(interval(values), threshold=0.1, surely_above=0.0) is decision


def test_an_absolute_level_must_be_reached_by_the_whole_interval():
    around = interval([0.65, 0.8, 0.7, 0.75, 0.68])
    assert decide(around, 0.7, 0.7) is Decision.UNDECIDED
    assert decide(around, 0.7, 0.0) is Decision.HOLDS


@pytest.mark.parametrize("value", [0.0, 0.167, 1.0])
def test_seeds_that_all_have_one_value_decide_nothing(value):
    same = interval([value] * 5)
    assert decide(same, threshold=0.1, surely_above=0.0) is Decision.UNDECIDABLE
    assert decide(interval([value] * 4), 0.1, 0.0) is Decision.UNDECIDED
    assert math.isnan(more("x", Measured(pd.Series([value] * 5)), 0.1).detectable)


def test_the_variance_of_test_images_widens_the_interval_that_decides():
    # Mean 0.1, standard error of seeds 0.00707, of images 0.05; Satterthwaite's degrees are 103.9, t(97.5 %) 1.983.
    values = pd.Series([0.08, 0.09, 0.1, 0.11, 0.12])
    alone = more("x", Measured(values), 0.05)
    assert (alone.decision, math.isnan(alone.image_error)) == (Decision.HOLDS, True)
    both = more("x", Measured(values, ImageVariance(0.05**2, 100)), 0.05)
    assert both.measured.high - 0.1 == pytest.approx(1.983 * (0.05**2 + 0.00005) ** 0.5, rel=1e-3)
    assert (both.decision, both.image_error) == (Decision.UNDECIDED, pytest.approx(0.05))


def test_a_condition_says_what_its_spread_could_have_found():
    # Five seeds find 1.682 standard deviations four times out of five.
    values = pd.Series([0.08, 0.09, 0.1, 0.11, 0.12])
    assert more("x", Measured(values), 0.05).detectable == pytest.approx(1.682 * values.std(), rel=1e-3)


def test_without_room_a_condition_is_not_decidable():
    seen = more("x", Measured(pd.Series(spread(0.1))), 0.05)
    assert without_room(seen, Decision.HOLDS).decision is Decision.HOLDS
    assert without_room(seen, Decision.UNDECIDED).decision is Decision.UNDECIDED
    assert without_room(seen, Decision.UNDECIDABLE).decision is Decision.UNDECIDABLE


def verdict_of(decision, *, is_judged=True):
    findings = (Finding("x", interval([0.0]), decision),) if is_judged else ()
    return Verdict(findings, decision)


@pytest.mark.parametrize(
    ("short", "long", "decision"),
    [
        (Decision.HOLDS, Decision.DOES_NOT, Decision.DELAY),
        (Decision.HOLDS, Decision.HOLDS, Decision.HOLDS),
        (Decision.DOES_NOT, Decision.DOES_NOT, Decision.DOES_NOT),
        (Decision.HOLDS, Decision.UNDECIDED, Decision.UNDECIDED),
        (Decision.DOES_NOT, Decision.HOLDS, Decision.UNDECIDED),
    ],
)
def test_what_holds_after_few_rounds_and_not_after_many_is_a_delay(short, long, decision):
    assert over_horizons([verdict_of(short), verdict_of(long)]) is decision


def test_a_horizon_that_was_not_judged_does_not_count():
    unjudged = verdict_of(Decision.UNDECIDED, is_judged=False)
    assert over_horizons([verdict_of(Decision.HOLDS), unjudged]) is Decision.HOLDS
    assert over_horizons([unjudged]) is Decision.UNDECIDED


# -- Claim 1


def test_iid_holds_when_circuits_follow_the_class_are_one_and_survive():
    iid = by_seed(same_class=0.9, different_class=0.1, preserved=0.0)
    verdict = judge_iid(family(iid=iid))
    assert verdict.decision is Decision.HOLDS
    assert verdict.findings[0].measured.mean == pytest.approx(0.8, abs=0.004)


def test_iid_does_not_hold_when_circuits_are_similar_but_not_one():
    iid = by_seed(same_class=0.5, different_class=0.1, preserved=0.0)
    verdict = judge_iid(family(iid=iid))
    assert [finding.decision for finding in verdict.findings] == [Decision.HOLDS, Decision.DOES_NOT, Decision.HOLDS]
    assert verdict.decision is Decision.DOES_NOT


@pytest.mark.parametrize(
    ("judge", "words"), [(judge_iid, "iid is missing"), (judge_non_iid, "iid-3clients"), (judge_sparsity, "dense")]
)
def test_a_family_without_the_experiments_is_not_judged_and_the_reason_is_given(judge, words):
    verdict = judge(family(other=by_seed(accuracy=0.5)))
    assert (verdict.findings, verdict.decision) == ((), Decision.UNDECIDED)
    assert words in verdict.remarks[0]


def test_pilot_seeds_do_not_count():
    iid = by_seed(same_class=0.9, different_class=0.1, preserved=0.0)
    iid.loc[0, "same_class"] = -1.0
    assert judge_iid(family(iid=iid)).decision is Decision.UNDECIDED
    iid.loc[5] = iid.loc[1]
    assert judge_iid(family(iid=iid, pilot=(0,))).decision is Decision.HOLDS


def test_clients_that_did_not_learn_decide_nothing():
    iid = by_seed(same_class=0.9, different_class=0.1, preserved=0.0).assign(learned=0.3)
    verdict = judge_iid(family(iid=iid))
    assert (verdict.findings, verdict.decision) == ((), Decision.UNDECIDABLE)
    assert verdict.remarks[0].endswith("in iid (30 % of the way).")
    unknown = judge_iid(family(iid=iid.assign(learned=None)))
    assert unknown.decision is Decision.UNDECIDABLE
    assert unknown.remarks[0] == "Not decidable: it cannot be told whether clients learned their own classes in iid."


# -- Claim 2


def non_iid(shared, common, accuracy, settings=None, rounds=None):
    control = by_seed(common_accuracy=0.95, shared_class=0.8, shared_class_common=0.8)
    split = by_seed(accuracy=0.0, shared_class=shared, shared_class_common=common, common_accuracy=accuracy)
    return family(
        settings, rounds=rounds, **{"iid_3clients": control, "shared_class": split, "noniid_3class": split.copy()}
    )


def test_non_iid_holds_only_with_divergence_beyond_masks_and_loss_of_accuracy():
    assert judge_non_iid(non_iid(0.4, 0.4, 0.5)).decision is Decision.HOLDS
    assert judge_non_iid(non_iid(0.79, 0.79, 0.5)).decision is Decision.DOES_NOT
    assert judge_non_iid(non_iid(0.4, 0.79, 0.5)).decision is Decision.DOES_NOT
    assert judge_non_iid(non_iid(0.4, 0.4, 0.94)).decision is Decision.DOES_NOT


def test_a_control_of_other_length_is_no_control():
    settings = {"iid-3clients": {"local-epochs": 5, "partition": "iid"}, "shared-class": {"local-epochs": 5}}
    verdict = judge_non_iid(non_iid(0.4, 0.4, 0.5, {**settings, "noniid-3class": {"local-epochs": 1}}))
    assert verdict.remarks == ("Not judged: the control differs from the splits in local-epochs.",)


def test_a_control_that_stopped_earlier_is_no_control():
    judged = non_iid(0.4, 0.4, 0.5, rounds={"iid-3clients": 7})
    assert judge_non_iid(judged).remarks == (
        "Not judged: the control differs from the splits in rounds that all seeds have.",
    )


def test_a_split_whose_clients_did_not_learn_is_not_decidable():
    judged = non_iid(0.4, 0.4, 0.5)
    judged.evidence["noniid-3class"]["learned"] = 0.1
    verdict = judge_non_iid(judged)
    assert verdict.decision is Decision.UNDECIDABLE
    assert "in noniid-3class (10 % of the way)" in verdict.remarks[0]


def test_how_much_the_question_alone_changes_is_told_beside_the_divergence():
    judged = non_iid(0.4, 0.4, 0.5)
    assert len(judge_non_iid(judged).remarks) == 2
    judged.evidence["shared-class"]["other_negatives"] = 0.69
    judged.evidence["iid-3clients"]["perturbed_copy"] = 0.95
    remark = judge_non_iid(judged).remarks[-1]
    assert (
        "other negatives, one model's circuits of a class have a true correlation of 0.690 ± 0.000 in shared" in remark
    )
    assert "some noise on the weights have a true correlation of 0.950 ± 0.000 in iid-3clients" in remark


# -- Claim 3


def losses(loss, own_global, norm=0.5, activations=0.5, learned=0.9):
    numbers = {"averaging_loss": loss, "own_global": own_global, "norm_retention": norm}
    return by_seed(**numbers, activation_retention=activations).assign(learned=learned)


def sparsity_family(dense=None, **levels):
    """Take the evidence of sparsities 0.9 and 0.99."""
    settings = {role: {"sparsity": level, "batch-size": 32} for role, level in zip(levels, (0.9, 0.99), strict=False)}
    settings["dense"] = {"sparsity": 0.0, "batch-size": 32}
    return family(settings, dense=losses(0.3, 0.6) if dense is None else dense, **levels)


MITIGATED = losses(0.1, 0.7, 0.6, 0.6)


def test_sparsity_mitigates_if_averaging_costs_less_where_clients_learned_and_more_is_left():
    verdict = judge_sparsity(sparsity_family(a=MITIGATED))
    assert verdict.decision is Decision.HOLDS
    assert [finding.decision for finding in verdict.findings] == [Decision.HOLDS] * 4
    assert verdict.findings[0].condition.startswith("sparsity 0.9: loss by averaging, dense minus sparse")
    assert verdict.findings[0].measured.mean == pytest.approx(0.2, abs=0.005)


@pytest.mark.parametrize(
    "sparse",
    [
        losses(0.29, 0.7, 0.6, 0.6),  # averaging costs as much
        losses(0.1, 0.5, 0.6, 0.6),  # it costs less because clients learned less: the global model is worse
        losses(0.1, 0.7, 0.4, 0.6),  # less of the weights is left
        losses(0.1, 0.7, 0.6, 0.4),  # less of the activations is left
    ],
)
def test_less_of_a_loss_for_another_reason_is_no_mitigation(sparse):
    assert judge_sparsity(sparsity_family(a=sparse)).decision is Decision.DOES_NOT


def test_a_sparsity_at_which_clients_did_not_learn_does_not_count():
    unlearned = losses(0.0, 0.17, 0.9, 0.9, learned=0.1)
    verdict = judge_sparsity(sparsity_family(a=MITIGATED, b=unlearned))
    assert verdict.decision is Decision.HOLDS
    assert [finding.decision for finding in verdict.findings[4:]] == [Decision.UNDECIDABLE]
    assert judge_sparsity(sparsity_family(a=unlearned)).decision is Decision.UNDECIDABLE
    dense = losses(0.0, 0.2, learned=0.0)
    assert judge_sparsity(sparsity_family(dense, a=MITIGATED)).decision is Decision.UNDECIDABLE


def test_differences_are_paired_by_seed_whatever_the_order():
    dense = pd.DataFrame({"averaging_loss": [0.1, 0.5, 0.9, 0.3, 0.7]}, index=list(FIVE))
    dense = dense.assign(own_global=0.1, norm_retention=0.5, activation_retention=0.5, learned=0.9)
    sparse = (dense - 0.05).iloc[::-1]
    finding = judge_sparsity(sparsity_family(dense, a=sparse.assign(learned=0.9))).findings[0]
    assert finding.measured.mean == pytest.approx(0.05)
    assert finding.measured.sd == pytest.approx(0.0, abs=1e-12)
    assert finding.decision is Decision.UNDECIDABLE


def test_only_experiments_that_differ_in_sparsity_alone_are_levels():
    judged = sparsity_family(a=MITIGATED, b=MITIGATED)
    judged.experiments["b"].settings["batch-size"] = 64
    assert judged.sparsities() == {"a": 0.9}


# -- Horizons


def test_long_runs_are_judged_by_the_same_rule_in_the_place_of_the_short_ones():
    tables = {
        **{"iid_3clients": by_seed(common_accuracy=0.95), "noniid_3class": by_seed(common_accuracy=0.8)},
        **{"long_iid_3clients": by_seed(common_accuracy=0.96), "long_3class": by_seed(common_accuracy=0.93)},
        "long_shared": by_seed(common_accuracy=0.9),
    }
    judged = family(rounds={name.replace("_", "-"): 50 for name in tables if name.startswith("long")}, **tables)
    short, long = judged.horizons()
    assert (short.horizon, sorted(short.evidence)) == ("8 rounds", ["iid-3clients", "noniid-3class"])
    assert (long.horizon, sorted(long.evidence)) == ("50 rounds", ["iid-3clients", "noniid-3class", "shared-class"])
    difference = long.minus("iid-3clients", "noniid-3class", "common_accuracy")
    assert difference.by_seed.mean() == pytest.approx(0.03, abs=0.003)


def test_a_family_without_long_runs_has_one_horizon():
    assert [view.horizon for view in family(rounds={"a": 10}, a=by_seed(x=1.0), b=by_seed(x=1.0)).horizons()] == [
        "8 to 10 rounds"
    ]
