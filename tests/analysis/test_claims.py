from pathlib import Path

import pandas as pd
import pytest
from claims_evidence import FIVE, by_seed, family

from analysis import load_run
from analysis.__main__ import main
from analysis.claims.benchmark import benchmark_section
from analysis.claims.decisions import Decision, decide
from analysis.claims.evidence import correlations, evidence, evidence_on
from analysis.claims.families import read_families
from analysis.claims.page import results_page
from analysis.claims.rules import judge_iid, judge_non_iid, judge_sparsity
from analysis.experiments import Experiment, SeedRun
from analysis.seeds import interval
from fedcircuits.errors import RunLogError
from fedcircuits.records import Comparison

SAME = str(Comparison.SAME_CLASS_ACROSS_CLIENTS)


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


# -- Claim 1


def test_iid_holds_when_circuits_follow_the_class_are_one_and_survive():
    iid = by_seed(same_class=0.9, different_class=0.1, preserved=0.0)
    verdict = judge_iid(family(iid=iid))
    assert verdict.decision is Decision.HOLDS
    assert verdict.findings[0].measured.mean == pytest.approx(0.8)


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


def test_differences_are_paired_by_seed_whatever_the_order():
    dense = pd.DataFrame({"accuracy": [0.1, 0.5, 0.9, 0.3, 0.7], "sign_conflict": 0.1}, index=list(FIVE))
    sparse = (dense + 0.05).assign(sign_conflict=[0.05, 0.04, 0.05, 0.04, 0.05]).iloc[::-1]
    settings = {"dense": {"sparsity": 0.0}, "a": {"sparsity": 0.9}}
    verdict = judge_sparsity(family(settings, dense=dense, a=sparse))
    assert verdict.findings[0].measured.sd == pytest.approx(0.0, abs=1e-12)
    assert verdict.decision is Decision.HOLDS


# -- Claim 2


def non_iid(shared, common, accuracy, settings=None):
    control = by_seed(common_accuracy=0.95, shared_class=0.8, shared_class_common=0.8)
    split = by_seed(shared_class=shared, shared_class_common=common, common_accuracy=accuracy)
    return family(settings, **{"iid_3clients": control, "shared_class": split, "noniid_3class": split})


def test_non_iid_holds_only_with_divergence_beyond_masks_and_loss_of_accuracy():
    assert judge_non_iid(non_iid(0.4, 0.4, 0.5)).decision is Decision.HOLDS
    assert judge_non_iid(non_iid(0.8, 0.8, 0.5)).decision is Decision.DOES_NOT
    assert judge_non_iid(non_iid(0.4, 0.8, 0.5)).decision is Decision.DOES_NOT
    assert judge_non_iid(non_iid(0.4, 0.4, 0.94)).decision is Decision.DOES_NOT


def test_longer_runs_of_the_split_are_told_beside_the_verdict():
    judged = non_iid(0.4, 0.4, 0.5)
    judged.evidence["long-3class"] = by_seed(common_accuracy=0.9)
    judged.experiments["long-3class"] = Experiment("digits-long-3class", {}, (SeedRun(Path(), {"last_round": 50}),))
    remark = judge_non_iid(judged).remarks[-1]
    assert remark.startswith("Over the second half of 50 rounds, accuracy on the 3-class split's classes is 0.90")


def test_a_control_of_other_length_is_no_control():
    settings = {"iid-3clients": {"local-epochs": 5, "partition": "iid"}, "shared-class": {"local-epochs": 5}}
    verdict = judge_non_iid(non_iid(0.4, 0.4, 0.5, {**settings, "noniid-3class": {"local-epochs": 1}}))
    assert verdict.remarks == ("Not judged: the control differs from the splits in local-epochs.",)


# -- Claim 3


def sparsity_family(**levels):
    settings = {"dense": {"sparsity": 0.0, "batch-size": 32}}
    evidence = {"dense": by_seed(accuracy=0.5, sign_conflict=0.1)}
    for role, (sparsity, accuracy, conflict) in levels.items():
        settings[role] = {"sparsity": sparsity, "batch-size": 32}
        evidence[role] = by_seed(accuracy=accuracy, sign_conflict=conflict)
        evidence[role].loc[0, ["accuracy", "sign_conflict"]] += 0.003
    return family(settings, **evidence)


def test_sparsity_holds_when_one_level_gains_accuracy_and_takes_conflict_away():
    verdict = judge_sparsity(sparsity_family(a=(0.9, 0.6, 0.05), b=(0.99, 0.2, 0.05)))
    assert verdict.decision is Decision.HOLDS
    assert len(verdict.findings) == 4
    assert verdict.findings[0].condition.startswith("sparsity 0.9:")


def test_sparsity_does_not_hold_when_no_level_gains():
    assert judge_sparsity(sparsity_family(a=(0.9, 0.5, 0.05), b=(0.99, 0.2, 0.05))).decision is Decision.DOES_NOT


def test_less_conflict_without_accuracy_is_no_mitigation_and_neither_is_the_reverse():
    assert judge_sparsity(sparsity_family(a=(0.9, 0.6, 0.2))).decision is Decision.DOES_NOT


def test_only_experiments_that_differ_in_sparsity_alone_are_levels():
    judged = sparsity_family(a=(0.9, 0.6, 0.05), b=(0.95, 0.6, 0.05))
    judged.experiments["b"].settings["batch-size"] = 64
    assert judged.sparsities() == {"a": 0.9}


# -- Evidence of a run


def with_phi(same, reliability, *, is_measurable=True):
    """Give pairs of one class this correlation in each round, and, where it is known, this reliability."""

    def change(server_round, tables):
        for row in tables["overlap"]:
            if row["comparison"] == SAME:
                phi = same[server_round]
                true = phi / reliability if reliability and is_measurable else None
                row |= {"phi": phi, "common_phi": phi, "reliability": reliability, "phi_true": true}

    return change


def test_retest_noise_is_taken_out_and_only_the_second_half_counts(write_run):
    log = write_run(change=with_phi({1: 0.0, 2: 0.6}, 0.6))
    run = load_run(log.path)
    pairs = correlations(run, Comparison.SAME_CLASS_ACROSS_CLIENTS, last_round=2)
    assert list(pairs["round"]) == [2]
    assert pairs["true_phi"].item() == pytest.approx(1.0)
    assert pairs["true_common_phi"].item() == pytest.approx(1.0)
    numbers = evidence(run, last_round=2)
    assert (numbers["same_class"], numbers["same_class_raw"]) == pytest.approx((1.0, 0.6))


def test_rounds_that_other_seeds_lack_do_not_count(write_run):
    run = load_run(write_run(change=with_phi({1: 0.3, 2: 0.6}, 1.0)).path)
    assert evidence(run, last_round=1)["same_class"] == pytest.approx(0.3)
    # Round 1: recalls 1, 0.5, 0 of 10, 20 and 10 images of the trained classes.
    assert evidence(run, last_round=1)["accuracy"] == pytest.approx(0.5)


def test_a_circuit_that_a_retest_does_not_find_again_is_not_measurable(write_run):
    run = load_run(write_run(change=with_phi({1: 0.0, 2: 0.6}, 0.4, is_measurable=False)).path)
    pairs = correlations(run, Comparison.SAME_CLASS_ACROSS_CLIENTS, last_round=2)
    assert pairs[["true_phi", "true_common_phi"]].isna().all(axis=None)
    assert pd.isna(evidence(run, 2)["same_class"])


def test_without_retests_there_are_no_true_correlations(write_run):
    numbers = evidence(load_run(write_run(change=with_phi({1: 0.0, 2: 0.6}, None)).path), 2)
    assert numbers["same_class_raw"] == pytest.approx(0.6)
    assert pd.isna(numbers["same_class"])


def test_circuits_that_say_nothing_neither_keep_nor_lose_anything(write_run):
    def change(server_round, tables):
        for row in tables["quality"]:
            is_lost = row["partition_id"] == 1
            row["balanced_accuracy"] = {"client": 0.9, "transplant": 0.9 if is_lost else 0.6}.get(row["model"])
            row["usable"] = row["usable"] and not (is_lost and row["model"] == "client")

    numbers = evidence(load_run(write_run(change=change).path), 2)
    assert numbers["preserved"] == pytest.approx(-0.3)
    assert numbers["usable_share"] == pytest.approx(0.5)


def test_the_shared_class_is_looked_at_alone(write_run):
    run = load_run(write_run(change=with_phi({1: 0.0, 2: 0.6}, 1.0)).path)
    assert evidence_on(run, 2, shared={1}, trained=())["shared_class"] == pytest.approx(0.6)
    assert pd.isna(evidence_on(run, 2, shared={0}, trained=())["shared_class"])


def test_accuracy_on_some_classes_weighs_them_by_their_images(write_run):
    run = load_run(write_run().path)
    # Round 2: recalls 1 and 0.5 of 20 and 10 images.
    assert evidence_on(run, 2, shared=(), trained={1, 2})["common_accuracy"] == pytest.approx(25 / 30)


def test_evidence_of_the_tiny_run_is_what_its_tables_say(tiny_run):
    numbers = evidence(tiny_run, 2)
    # Round 2: recalls 1, 1, 0.5 of 10, 20 and 10 images of the trained classes.
    assert numbers["accuracy"] == pytest.approx(35 / 40)
    assert numbers["collapsed_share"] == 0.0
    assert numbers["sign_conflict"] == pytest.approx(0.1)
    assert numbers["density"] == pytest.approx(0.2)
    assert numbers["usable_share"] == 1.0
    assert numbers["false_positive_rate"] == pytest.approx(0.1)


# -- The page


def test_the_page_names_every_claim_experiment_and_seed(write_run, tmp_path):
    for name, sparsity in (("digits-iid", 0.9), ("digits-dense", 0.0)):
        log = write_run(name)
        log.note(settings={**load_run(log.path).settings, "sparsity": sparsity})
        log.complete()
    families, notes = read_families([tmp_path / "runs"])
    assert [(one.name, sorted(one.experiments)) for one in families] == [("digits", ["dense", "iid"])]
    page = results_page(families, notes, "python -m analysis verdicts runs")
    for words in ("# Results", "## Claim 1", "not decided", "| digits-iid |", "| iid | 7 |", "verdicts runs"):
        assert words in page
    assert "nan" not in page
    assert "Not judged: the experiments iid-3clients, shared-class, noniid-3class are missing." in page


def test_two_experiments_of_one_name_are_refused(write_run, tmp_path):
    for sparsity in (0.9, 0.0):
        log = write_run("digits-iid")
        log.note(settings={**load_run(log.path).settings, "sparsity": sparsity})
        log.complete()
    with pytest.raises(RunLogError, match="two experiments are called digits-iid"):
        read_families([tmp_path / "runs"])


def test_runs_of_equal_settings_count_under_each_of_their_names(write_run, tmp_path):
    for seed, name in enumerate(("digits-iid", "mine-iid")):
        log = write_run(name)
        log.note(settings={**load_run(log.path).settings, "seed": seed})
        log.complete()
    families, _ = read_families([tmp_path / "runs"])
    assert sorted(one.name for one in families) == ["digits", "mine"]


def test_the_benchmark_is_decided_at_full_length_only(write_run, tmp_path):
    write_run("niid-mnist-2class").complete()
    families, _ = read_families([tmp_path / "runs"])
    section = benchmark_section(families)
    # Best of both rounds: recalls 1, 1, 0.5, 0 of 10, 20, 10, 10 images.
    assert "| mnist-2class | 2 | 0.7000 | 0.9686 | not decided: 2 of 50 rounds |" in section


def test_no_benchmark_no_section(tmp_path: Path):
    assert benchmark_section([family(iid=by_seed(accuracy=1.0))]) == ""


def test_the_command_writes_the_page_and_names_what_is_not_judged(write_run, tmp_path, capsys):
    write_run("digits-iid").complete()
    out = tmp_path / "results.md"
    assert main(["verdicts", str(tmp_path / "runs"), "--pilot", "digits:7", "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert "--pilot digits:7" in page
    assert "Seeds seen while the rules were written: digits 7." in page
    assert capsys.readouterr().out.strip() == str(out)


def test_a_page_that_cannot_be_written_is_named(write_run, tmp_path, capsys):
    write_run("digits-iid").complete()
    assert main(["verdicts", str(tmp_path / "runs"), "--out", str(tmp_path / "absent" / "results.md")]) == 2
    assert "cannot write" in capsys.readouterr().err
