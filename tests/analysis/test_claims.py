from pathlib import Path

import pandas as pd
import pytest

from analysis import load_run
from analysis.claims.benchmark import benchmark_section
from analysis.claims.evidence import evidence, same_class_of, true_correlations
from analysis.claims.families import Family, read_families
from analysis.claims.page import results_page
from analysis.claims.rules import Decision, decide, judge_iid, judge_non_iid, judge_sparsity
from analysis.experiments import Experiment
from analysis.seeds import interval
from fedcircuits.records import Comparison

FIVE = range(5)
SAME = str(Comparison.SAME_CLASS_ACROSS_CLIENTS)


def by_seed(**columns):
    """Return evidence of five seeds; numbers jitter a little, so that intervals have a width."""
    return pd.DataFrame({name: [value + 0.001 * seed for seed in FIVE] for name, value in columns.items()})


def family(settings=None, **evidence):
    roles = {role.replace("_", "-"): table for role, table in evidence.items()}
    given = settings or {}
    experiments = {role: Experiment(f"digits-{role}", given.get(role, {}), ()) for role in roles}
    return Family("digits", experiments, roles)


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


def test_a_family_without_the_experiments_has_no_verdict():
    assert judge_iid(family(dense=by_seed(accuracy=0.5))) is None
    assert judge_non_iid(family(iid=by_seed(accuracy=0.5))) is None
    assert judge_sparsity(family(iid=by_seed(accuracy=0.5))) is None


# -- Claim 2


def non_iid(shared, common, accuracy):
    control = by_seed(shared_class=0.8, shared_class_common=0.8, accuracy=0.95)
    split = by_seed(shared_class=shared, shared_class_common=common, accuracy=accuracy)
    return family(**{"iid_3clients": control, "shared_class": split, "noniid_3class": split})


def test_non_iid_holds_only_with_divergence_beyond_masks_and_loss_of_accuracy():
    assert judge_non_iid(non_iid(0.4, 0.4, 0.5)).decision is Decision.HOLDS
    assert judge_non_iid(non_iid(0.8, 0.8, 0.5)).decision is Decision.DOES_NOT
    assert judge_non_iid(non_iid(0.4, 0.8, 0.5)).decision is Decision.DOES_NOT
    assert judge_non_iid(non_iid(0.4, 0.4, 0.94)).decision is Decision.DOES_NOT


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


def with_phi(same, retest):
    def change(server_round, tables):
        for row in tables["overlap"]:
            if row["comparison"] == SAME:
                row |= {"phi": same[server_round], "common_phi": same[server_round]}
            elif row["comparison"] == str(Comparison.RETEST):
                row["phi"] = retest[row["a_partition_id"]]

    return change


def test_retest_noise_is_taken_out_and_only_the_second_half_counts(write_run):
    log = write_run(change=with_phi({1: 0.0, 2: 0.6}, {0: 0.9, 1: 0.4}))
    run = load_run(log.path)
    pairs = true_correlations(run, Comparison.SAME_CLASS_ACROSS_CLIENTS)
    assert list(pairs["round"]) == [2]
    assert pairs["phi"].item() == pytest.approx(0.6 / (0.9 * 0.4) ** 0.5)
    assert evidence(run)["same_class"] == pytest.approx(1.0)
    assert evidence(run)["is_corrected"] == 1.0


def test_a_circuit_that_a_retest_does_not_find_again_is_not_measurable(write_run):
    log = write_run(change=with_phi({1: 0.0, 2: 0.6}, {0: 0.9, 1: 0.2}))
    assert pd.isna(evidence(load_run(log.path))["same_class"])


def test_without_retests_correlations_stay_as_they_are(write_run):
    def change(server_round, tables):
        with_phi({1: 0.0, 2: 0.6}, {0: 0.9, 1: 0.9})(server_round, tables)
        tables["overlap"] = [row for row in tables["overlap"] if row["comparison"] != str(Comparison.RETEST)]

    numbers = evidence(load_run(write_run(change=change).path))
    assert numbers["same_class"] == pytest.approx(0.6)
    assert numbers["is_corrected"] == 0.0


def test_the_shared_class_is_looked_at_alone(write_run):
    run = load_run(write_run(change=with_phi({1: 0.0, 2: 0.6}, {0: 1.0, 1: 1.0})).path)
    assert same_class_of(run, frozenset({1})) == pytest.approx(0.6)
    assert pd.isna(same_class_of(run, frozenset({0})))


def test_evidence_of_the_tiny_run_is_what_its_tables_say(tiny_run):
    numbers = evidence(tiny_run)
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


def test_the_benchmark_is_decided_at_full_length_only(write_run, tmp_path):
    write_run("niid-mnist-2class").complete()
    families, _ = read_families([tmp_path / "runs"])
    section = benchmark_section(families)
    # Best of both rounds: recalls 1, 1, 0.5, 0 of 10, 20, 10, 10 images.
    assert "| mnist-2class | 2 | 0.7000 | 0.9686 | not decided: 2 of 50 rounds |" in section


def test_no_benchmark_no_section(tmp_path: Path):
    assert benchmark_section([family(iid=by_seed(accuracy=1.0))]) == ""
