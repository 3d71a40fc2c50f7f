"""What examinations do to the verdicts: alignment, the checks of discovery, the collapse ladder, interference."""

import pandas as pd
import pytest
from claims_evidence import by_seed, family, spread
from examination_rows import drop_examination_tables, passed_check

from analysis import load_run
from analysis.claims.decisions import Decision, any_of
from analysis.claims.examined_evidence import examined_evidence
from analysis.claims.examined_sections import checks_section, gaps_table
from analysis.claims.families import families_of
from analysis.claims.mechanisms import judge_collapse, judge_interference
from analysis.claims.page import results_page
from analysis.claims.rules import judge_iid, judge_non_iid, judge_sparsity
from analysis.claims.values import read_run_values

NO_MEASURES = "Not judged: no examinations (examination-every = 0)."


def decisions(verdict):
    return [finding.decision for finding in verdict.findings]


# -- Evidence of a run


def with_reliability(server_round, tables):
    for row in tables["overlap"]:
        row |= {"reliability": 0.8}


def test_numbers_of_examinations_are_what_the_tables_say(write_run):
    numbers = examined_evidence(load_run(write_run(change=with_reliability).path), 2)
    # Rungs A0 0.5, A2 0.8, A3 0.85, A4 0.9, E 0.7 (logits, the better ensemble), R 0.6, overlap_count 0.55.
    assert (numbers["room"], numbers["body"], numbers["readout"]) == pytest.approx((0.25, 0.05, 0.3))
    assert (numbers["negatives"], numbers["dilution"], numbers["gap_left"]) == pytest.approx((0.2, 0.05, 0.15))
    # Four circuits gain 1, 2, 2 and 3 nats, random weights 0.25; those of class 0 are not significant.
    assert (numbers["patch_excess"], numbers["patch_significant"]) == pytest.approx((1.75, 0.75))
    assert numbers["checks_passed"] == 0.0
    # By weights, after matching 0.2 for one class and 0.3 for others; reliability 0.8.
    assert (numbers["irrelevant"], numbers["fixed_points"]) == pytest.approx((1.0, 0.95))
    assert (numbers["fixed_points_activations"], numbers["aligned"]) == pytest.approx((0.4, -0.1 / 0.8))


def test_the_ladder_counts_in_the_second_half_and_alignment_in_its_newest_round(write_run):
    def change(server_round, tables):
        for row in tables["alignment"]:
            row["fixed_points"] = {1: 0.1, 2: 0.5}[server_round]
        for row in tables["ladder"]:
            row["accuracy_trained"] += {1: 0.4, 2: 0.0}[server_round] * (row["rung"] == "A3")
        tables["validity"] = tables["validity"] if server_round == 1 else []

    run = load_run(write_run(change=change).path)
    numbers = examined_evidence(run, 2)
    assert (numbers["body"], numbers["fixed_points"]) == pytest.approx((0.05, 0.5))
    assert numbers["checks_passed"] == 0.0
    assert examined_evidence(run, 1)["fixed_points"] == pytest.approx(0.1)


def test_checks_count_by_their_pooled_verdicts(write_run):
    def change(server_round, tables):
        if server_round == 4:
            tables["validity"] = passed_check(tables["validity"])

    run = load_run(write_run(change=change, num_rounds=4).path)
    assert examined_evidence(run, 4)["checks_passed"] == pytest.approx(0.5)  # of rounds 3 and 4


def test_a_check_stands_until_the_next_one(write_run):
    def change(server_round, tables):
        if server_round == 1:
            tables["validity"] = passed_check(tables["validity"])
        elif server_round != 4:
            tables["validity"] = []

    run = load_run(write_run(change=change, num_rounds=4).path)
    assert examined_evidence(run, 3)["checks_passed"] == 1.0
    assert examined_evidence(run, 4)["checks_passed"] == pytest.approx(0.5)


def test_a_gap_left_needs_intact_models_ahead_of_the_average_too(write_run):
    def change(server_round, tables):
        for row in tables["ladder"]:
            row["accuracy_trained"] = {"A0": 0.68, "overlap_count": 0.4}.get(row["rung"], row["accuracy_trained"])

    numbers = examined_evidence(load_run(write_run(change=change).path), 2)
    assert (numbers["gap_left"], numbers["dilution"]) == pytest.approx((0.02, -0.28))


def test_without_examinations_no_number_is_invented(write_run):
    measured = examined_evidence(load_run(write_run().path), 2)
    numbers = examined_evidence(load_run(write_run(change=drop_examination_tables).path), 2)
    assert list(numbers) == list(measured)
    assert sum(pd.notna(value) for value in measured.values()) > 5
    assert [name for name, value in numbers.items() if pd.notna(value)] == []


# -- Alignment, in claims 1 and 2


def iid(**changes):
    return family(iid=by_seed(same_class=0.9, different_class=0.1, preserved=0.0).assign(**changes))


def test_true_correlations_stand_where_channels_kept_their_places():
    verdict = judge_iid(iid(irrelevant=0.9, fixed_points=0.99, aligned=0.2))
    assert verdict.decision is Decision.HOLDS
    assert "leaves 99.0 % of channels in place (by activations 70.0 %), and 90 % of pairs" in verdict.remarks[0]
    assert "So alignment is irrelevant, and the true correlation is judged as it is" in verdict.remarks[0]


def test_circuits_that_moved_are_judged_by_matched_channels_beyond_other_classes():
    verdict = judge_iid(iid(irrelevant=0.5, aligned=spread(0.3)))
    assert decisions(verdict) == [Decision.HOLDS, Decision.DOES_NOT, Decision.HOLDS]
    assert verdict.findings[0].measured.mean == pytest.approx(0.3, abs=0.004)
    assert "after matching" in verdict.findings[1].condition
    assert "not the true correlation but" in verdict.remarks[0]


def splits(control=None, shared=None):
    same = by_seed(common_accuracy=0.95, shared_class=0.8, shared_class_common=0.8).assign(**control or {})
    own = by_seed(common_accuracy=0.5, shared_class=0.4, shared_class_common=0.4).assign(**shared or {})
    return family(**{"iid_3clients": same, "shared_class": own, "noniid_3class": own})


def test_divergence_that_matching_takes_away_is_none():
    verdict = judge_non_iid(splits({"aligned": spread(0.7)}, {"aligned": spread(0.701), "irrelevant": 0.2}))
    assert verdict.findings[0].measured.mean == pytest.approx(0.0, abs=0.004)
    assert decisions(verdict)[0] is verdict.decision is Decision.DOES_NOT
    assert judge_non_iid(splits({"aligned": 0.7}, {"aligned": 0.7})).decision is Decision.HOLDS


def test_circuits_that_were_never_aligned_are_not_judged():
    assert judge_iid(iid(irrelevant=None)).remarks == (NO_MEASURES,)
    assert judge_non_iid(splits({"irrelevant": None})).remarks == (NO_MEASURES,)


# -- Checks of discovery


def test_circuits_of_a_discovery_that_fails_its_checks_are_not_judged():
    remark = judge_iid(iid(checks_passed=0.5)).remarks[0]
    assert remark == "Not judged: discovery was not valid in more than 50 % of the rounds in iid (50 % passed)."
    verdict = judge_non_iid(splits(shared={"checks_passed": 0.0}))
    assert (verdict.findings, verdict.decision) == ((), Decision.UNDECIDED)
    assert "shared-class (0 % passed)" in verdict.remarks[0]


def test_the_checks_of_every_experiment_stand_at_the_top():
    judged = family(a=by_seed(x=1.0), b=by_seed(x=1.0).assign(checks_passed=0.2), c=by_seed(x=1.0))
    judged.evidence["c"]["checks_passed"] = None
    section = checks_section([judged])
    assert "| digits-a | 5 | 100 % | passed |" in section
    assert "| digits-b | 5 | 20 % | **failed** |" in section
    assert "| digits-c | 0 | – | not checked |" in section


# -- Claim 4: averaging destroys circuits


def ladder(room=0.3, body=0.1, patch=2.0, **changes):
    """Return evidence with a ladder; a single number gets some jitter."""
    gaps = {"readout": 0.2, "negatives": 0.3, "gap_left": 0.0, "dilution": 0.0, "patch_significant": 0.9}
    judged = {"room": room, "body": body, "patch_excess": patch}
    given = {name: spread(value, name) if isinstance(value, float) else value for name, value in judged.items()}
    return by_seed(**gaps).assign(**given, **changes)


def test_averaging_destroys_circuits_where_bodies_lose_and_their_own_weights_bring_it_back():
    verdict = judge_collapse(family(a=ladder()))
    assert (verdict.decision, verdict.remarks) == (Decision.HOLDS, ())
    assert judge_collapse(family(a=ladder(body=0.01))).decision is Decision.DOES_NOT
    assert judge_collapse(family(a=ladder(patch=-0.1))).decision is Decision.DOES_NOT


def test_without_room_nothing_can_be_seen_and_nothing_is_said_of_bodies():
    verdict = judge_collapse(family(a=ladder(room=0.03)))
    assert decisions(verdict) == [Decision.UNDECIDABLE]
    assert verdict.decision is Decision.UNDECIDABLE


def test_one_experiment_with_room_decides_for_the_family():
    assert judge_collapse(family(a=ladder(room=0.03), b=ladder())).decision is Decision.HOLDS
    assert judge_collapse(family(a=ladder(room=0.03), b=ladder(body=0.0))).decision is Decision.DOES_NOT
    unsure = ladder(room=[0.08, 0.12, 0.09, 0.11, 0.1])
    assert judge_collapse(family(a=unsure)).decision is Decision.UNDECIDED


def test_intervals_are_widened_for_the_experiments_that_may_have_room():
    # t(4): 2.776 at 95 %, 3.495 at 97.5 %; the standard error of 0.02 … 0.06 is 0.00707.
    uneven = [0.02, 0.03, 0.04, 0.05, 0.06]
    alone = judge_collapse(family(a=ladder(body=uneven), b=ladder(room=0.03))).findings[1].measured
    both = judge_collapse(family(a=ladder(body=uneven), b=ladder())).findings[1].measured
    assert (alone.low, both.low) == pytest.approx((0.04 - 2.776 * 0.00707, 0.04 - 3.495 * 0.00707), abs=1e-4)


def test_the_gain_of_patching_must_be_sure_at_one_percent():
    # Mean 0.04, standard error 0.01304: t(4) is 2.776 at 95 %, which excludes zero, and 4.604 at 99 %, which does not.
    uneven = [0.0, 0.03, 0.04, 0.05, 0.08]
    patching = judge_collapse(family(a=ladder(patch=uneven))).findings[2]
    assert patching.measured.low == pytest.approx(0.04 - 4.604 * 0.013038, abs=1e-4)
    assert patching.decision is Decision.UNDECIDED


def test_experiments_without_a_ladder_or_a_valid_discovery_are_named_and_not_judged():
    verdict = judge_collapse(family(a=ladder(), b=ladder(checks_passed=0.1), c=by_seed(accuracy=0.5)))
    assert len(verdict.findings) == 3
    assert verdict.remarks == (
        "Not judged: discovery was not valid in more than 50 % of the rounds in b (10 % passed).",
        "Not judged in c: no examinations (examination-every = 0).",
    )
    assert judge_collapse(family(c=by_seed(accuracy=0.5))).remarks == (NO_MEASURES,)


def test_where_accuracy_went_is_told_with_intervals_for_every_experiment_with_a_ladder():
    lines = gaps_table(family(a=ladder(readout=0.25), b=by_seed(accuracy=0.5))).splitlines()
    assert next(line for line in lines if line.startswith("| a | 5 |")).split(" | ")[3] == "0.250 [0.250, 0.250]"
    assert "| 90 % |" in lines[-1]
    assert not any(line.startswith("| b") for line in lines)
    assert gaps_table(family(b=by_seed(accuracy=0.5))) == ""


# -- Claim 5: interference is destructive


PARTS = {"averaging_loss": 0.3, "opposition": 0.1, "gap_left": 0.1, "body": 0.1, "room": 0.3}
"""Of an experiment in which interference is destructive."""


def interference(dense, sparse=None):
    """Take what the dense control, and one sparsity, have otherwise than `PARTS`."""
    settings = {"dense": {"sparsity": 0.0}, "a": {"sparsity": 0.9}}
    tables = {"dense": dense} | ({} if sparse is None else {"a": sparse})
    evidence = {}
    for role, changes in tables.items():
        numbers = {name: value for name, value in (PARTS | changes).items() if isinstance(value, float)}
        others = {name: value for name, value in changes.items() if name not in numbers}
        evidence[role] = by_seed(**numbers).assign(**{"learned": 0.9} | others)
    return family(settings, **evidence)


@pytest.mark.parametrize(
    ("dense", "decision"),
    [
        ({}, Decision.HOLDS),
        ({"averaging_loss": 0.01}, Decision.DOES_NOT),  # averaging costs nothing that clients had learned
        ({"opposition": -0.1}, Decision.DOES_NOT),  # updates have nothing to do with each other, or agree
        ({"gap_left": -0.1}, Decision.DOES_NOT),  # it was dilution, or intact models do no better
        ({"body": 0.005}, Decision.DOES_NOT),  # the loss sits in the readout
        ({"room": 0.02}, Decision.UNDECIDABLE),  # untrained features do as well: no loss of the body could be seen
        ({"room": 0.02, "body": 0.005}, Decision.UNDECIDABLE),
        ({"room": 0.02, "opposition": -0.1}, Decision.DOES_NOT),  # which needs no room to be seen
        ({"opposition": [0.05, -0.04, 0.05, -0.03, 0.05]}, Decision.UNDECIDED),
        ({"learned": [0.1, 0.1, 0.2, 0.1, 0.1]}, Decision.UNDECIDABLE),
    ],
)
def test_interference_is_destructive_if_updates_oppose_each_other_and_bodies_lose_what_clients_learned(dense, decision):
    assert judge_interference(interference(dense)).decision is decision


def test_one_experiment_with_destructive_interference_decides_for_the_family():
    verdict = judge_interference(interference({"opposition": -0.1}, {}))
    assert verdict.decision is Decision.HOLDS
    assert [finding.condition.split(":")[0] for finding in verdict.findings] == [*["dense"] * 5, *["sparsity 0.9"] * 5]
    unlearned = judge_interference(interference({"opposition": -0.1}, {"learned": [0.0, 0.1, 0.0, 0.1, 0.0]}))
    assert unlearned.decision is Decision.DOES_NOT
    assert unlearned.findings[-1].condition == "sparsity 0.9: clients learned, share of the way: at least 0.4"


def test_interference_needs_a_dense_control_and_a_ladder():
    assert judge_interference(family(a=by_seed(accuracy=0.5))).remarks == ("Not judged: there is no dense control.",)
    assert judge_interference(interference({"gap_left": None})).remarks == (NO_MEASURES,)


def test_mitigation_is_told_with_whether_there_was_anything_to_mitigate():
    kept = dict.fromkeys(("own_global", "norm_retention", "activation_retention"), 0.5)
    remark = judge_sparsity(interference(kept | {"opposition": -0.1}, kept)).remarks[0]
    assert remark.endswith("is claim 5, which says of the dense control: does not hold.")
    remark = judge_sparsity(interference(kept | {"gap_left": None}, kept)).remarks[0]
    assert remark.endswith("is claim 5, not judged: no examinations (examination-every = 0).")


def test_experiments_where_nothing_can_be_seen_do_not_count():
    assert any_of([Decision.UNDECIDABLE, Decision.DOES_NOT]) is Decision.DOES_NOT
    assert any_of([Decision.UNDECIDABLE]) is Decision.UNDECIDABLE
    assert any_of([]) is Decision.UNDECIDED


# -- The page


def test_the_page_has_checks_mechanisms_and_gaps(write_run, tmp_path):
    write_run("digits-noniid-3class", examination_every=1).complete()
    values, notes = read_run_values([tmp_path / "runs"])
    page = results_page(families_of(values), notes, "python -m analysis verdicts runs")
    assert (
        page.index("## Are circuits real?") < page.index("## In short") < page.index("## Claim 4. Averaging destroys")
    )
    assert "| digits-noniid-3class | 1 | 0 % | **failed** |" in page
    assert "| noniid-3class | 1 | 0.250 | 0.300 | 0.050 | 0.200 | 0.150 | 0.050 | 1.750 | 75 % |" in page
    assert "nan" not in page


def test_rounds_with_examinations_that_were_not_reached_are_told(write_run, tmp_path):
    def change(server_round, tables):
        drop_examination_tables(server_round, tables)
        for row in tables["accuracy"]:
            row["recall"] = 1.0

    write_run("digits-iid", change=change, examination_every=8).complete()
    families = families_of(read_run_values([tmp_path / "runs"])[0])
    assert judge_iid(families[0]).remarks == ("Not judged: no examinations (examination-every = 8, 2 rounds).",)
