"""The figures of a run, against numbers worked out by hand from the tiny run of conftest."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from analysis import Run, load_run, measures
from analysis.measures.circuit_pairs import with_verdicts
from fedcircuits.circuits.check_verdict import CheckResult
from fedcircuits.records import Comparison
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]

SAME = Comparison.SAME_CLASS_ACROSS_CLIENTS


def test_accuracy_weighs_classes_by_their_test_images(tiny_run: Run) -> None:
    accuracy = measures.global_accuracy(tiny_run)
    assert accuracy["accuracy"].tolist() == pytest.approx([20 / 50, 35 / 50])


def test_accuracy_over_trained_classes_leaves_out_what_nobody_holds(tiny_run: Run) -> None:
    accuracy = measures.global_accuracy(tiny_run)
    assert accuracy["accuracy_trained"].tolist() == pytest.approx([20 / 40, 35 / 40])


def test_a_trained_class_without_recall_has_collapsed_but_an_untrained_one_has_not(tiny_run: Run) -> None:
    assert measures.global_accuracy(tiny_run)["collapsed"].tolist() == [[2], []]


def test_classes_of_a_rejected_client_are_not_trained(write_run: WriteRun) -> None:
    def reject(server_round: int, tables: Tables) -> None:
        if server_round == 1:
            tables["clients"][1] |= {"accepted": False, "reason": "too late"}

    trained = measures.trained_classes(load_run(write_run(change=reject).path))
    assert trained == {1: {0, 1}, 2: {0, 1, 2}}


def test_a_class_that_was_trained_once_stays_trained(write_run: WriteRun) -> None:
    def drop(server_round: int, tables: Tables) -> None:
        if server_round == 2:
            del tables["clients"][1]

    assert measures.trained_classes(load_run(write_run(change=drop).path))[2] == {0, 1, 2}


def test_where_images_are_unknown_the_classes_of_a_clients_circuits_are_trained(write_run: WriteRun) -> None:
    def forget(server_round: int, tables: Tables) -> None:
        tables["clients"][1] |= {"class_counts": None}
        if server_round == 1:
            tables["circuits"] = [row for row in tables["circuits"] if row["class_id"] != 2]

    run = load_run(write_run(change=forget).path)
    assert measures.trained_classes(run) == {1: {0, 1}, 2: {0, 1, 2}}
    assert measures.found_classes(run) == {0: [0, 1], 1: [1, 2]}


def test_the_usable_share_is_unknown_where_a_verdict_is(write_run: WriteRun) -> None:
    def forget(server_round: int, tables: Tables) -> None:
        if server_round == 2:
            tables["quality"][0] |= {"usable": None}

    run = load_run(write_run(change=forget).path)
    share = measures.round_measures(run)["usable_share"]
    assert share[1] == 1.0
    assert pd.isna(share[2])


def test_the_usable_share_is_that_of_circuits_with_a_verdict(write_run: WriteRun) -> None:
    def judge(server_round: int, tables: Tables) -> None:
        first, second, *_ = [row for row in tables["quality"] if row["model"] == "client"]
        first |= {"usable": None, "reason": "too_few_images"}
        second |= {"usable": False, "reason": "low_recall"}

    run = load_run(write_run(change=judge).path)
    assert measures.round_measures(run)["usable_share"].tolist() == pytest.approx([2 / 3, 2 / 3])
    last = measures.client_quality(run).query("round == 2")
    assert measures.reasons_in_words(last) == "1 with too few test images for a verdict, 1 with too low a recall"


def test_pairs_without_a_verdict_count_in_imported_logs_alone(write_run: WriteRun) -> None:
    def forget(server_round: int, tables: Tables) -> None:
        tables["overlap"] = [{**row, "usable": None} for row in tables["overlap"]]

    run = load_run(write_run(change=forget).path)
    assert len(measures.pairs(run, SAME)) == 0
    assert measures.left_out(run, [SAME]) == (2, 2)
    imported = replace(run, info={**run.info, "settings": {**run.settings, "imported-from": "log.json"}})
    assert len(measures.pooled_pairs(imported, SAME)) == 2
    assert measures.left_out(imported, [SAME]) == (0, 2)


def test_of_circuits_on_two_kinds_of_images_each_purpose_has_its_own(write_run: WriteRun) -> None:
    def twice(server_round: int, tables: Tables) -> None:
        for name, column, value in (("quality", "sufficiency", 0.3), ("circuits", "num_channels", 1)):
            own = [row for row in tables[name] if row["model"] == "client" and row["partition_id"] == 0]
            tables[name] += [{**row, "data": "server", column: value} for row in own]

    run = load_run(write_run(num_rounds=1, change=twice).path)
    local, compared = measures.client_quality(run), measures.compared_quality(run)
    assert local.groupby("partition_id")["sufficiency"].mean().to_dict() == {0: 1.0, 1: 1.0}
    assert compared.groupby("partition_id")["sufficiency"].mean().to_dict() == pytest.approx({0: 0.3, 1: 1.0})
    assert measures.drift_gaps(run)["client"].tolist() == [1.0] * 4
    sizes = measures.circuit_sizes(run).query("model == 'client' and layer == 'all'")
    assert sizes.groupby("partition_id")["num_channels"].max()[0] == 2
    assert len(sizes) == 4
    verdicts = with_verdicts(run, run.circuits)
    assert len(verdicts) == len(run.circuits)


def test_a_class_that_half_of_other_images_are_taken_for_is_a_default_answer(write_run: WriteRun) -> None:
    def answer(server_round: int, tables: Tables) -> None:
        for row in tables["accuracy"]:
            row["false_positive_rate"] = {0: 0.5, 1: 0.49}.get(row["class_id"])

    run = load_run(write_run(change=answer).path)
    assert measures.global_accuracy(run)["default_answers"].tolist() == [[0], [0]]
    assert measures.global_false_positives(run).loc[1].tolist()[:2] == [0.5, 0.49]


def test_client_accuracy_counts_only_the_classes_that_the_client_holds(tiny_run: Run) -> None:
    accuracy = measures.client_accuracy(tiny_run).query("round == 1").set_index("partition_id")["accuracy"]
    assert accuracy[0] == pytest.approx((10 + 10) / 30)
    assert accuracy[1] == pytest.approx((10 + 5) / 30)


def test_drift_gap_is_the_global_circuit_minus_the_transplant(tiny_run: Run) -> None:
    gaps = measures.drift_gaps(tiny_run)
    assert len(gaps) == 2 * 4
    assert gaps["drift_gap"].tolist() == pytest.approx([0.9 - 0.6] * 8)


def test_drift_gap_is_undefined_where_the_global_circuit_is_missing(write_run: WriteRun) -> None:
    def drop(_: int, tables: Tables) -> None:
        tables["quality"] = [
            row for row in tables["quality"] if (row["model"], row["partition_id"], row["class_id"]) != ("global", 0, 0)
        ]

    gaps = measures.drift_gaps(load_run(write_run(num_rounds=1, change=drop).path))
    assert math.isnan(gaps.query("partition_id == 0 and class_id == 0")["drift_gap"].item())
    assert gaps["drift_gap"].notna().sum() == 3


def test_transplants_without_images_do_not_count(write_run: WriteRun) -> None:
    def blank(_: int, tables: Tables) -> None:
        for row in tables["quality"]:
            if row["model"] == "transplant":
                row["sufficiency"] = None

    assert measures.drift_gaps(load_run(write_run(num_rounds=1, change=blank).path)).empty


def test_unusable_pairs_do_not_enter_the_means_and_are_counted(write_run: WriteRun) -> None:
    def spoil(server_round: int, tables: Tables) -> None:
        same = [row for row in tables["overlap"] if row["comparison"] == SAME]
        tables["overlap"] += [{**row, "iou": 0.0, "usable": False} for row in same]

    run = load_run(write_run(change=spoil).path)
    assert measures.round_measures(run)["same_class_iou"].tolist() == pytest.approx([0.6, 0.6])
    assert measures.left_out(run, [SAME]) == (2, 4)


def test_weight_masks_have_no_verdict_and_are_all_kept(tiny_run: Run) -> None:
    comparison = Comparison.PARAMETER_MASK_ACROSS_CLIENTS
    assert len(measures.pooled_pairs(tiny_run, comparison)) == 2
    assert measures.left_out(tiny_run, [comparison]) == (0, 2)


def test_undefined_overlaps_do_not_pull_the_mean(write_run: WriteRun) -> None:
    def add(server_round: int, tables: Tables) -> None:
        same = [row for row in tables["overlap"] if row["comparison"] == SAME]
        tables["overlap"] += [{**row, "iou": None, "expected_iou": None} for row in same]

    assert measures.round_measures(load_run(write_run(change=add).path))["same_class_iou"].tolist() == [0.6, 0.6]


def test_the_rows_of_the_summary_hold_the_means(tiny_run: Run) -> None:
    first = measures.round_measures(tiny_run).loc[1]
    # Half of 4 + 8 channels, and two more in each of the two circuits of class 1.
    assert first["circuit_size"] == pytest.approx((6 + 8 + 8 + 6) / 4)
    assert first["usable_share"] == 1.0
    assert (first["accepted"], first["asked"]) == (2, 2)
    assert first["same_class_adjusted_iou"] == pytest.approx(0.5)
    assert first["different_class_adjusted_iou"] == pytest.approx(0.0)
    assert first["local_vs_global_adjusted_iou"] == pytest.approx(0.4)
    assert first["retest_adjusted_iou"] == pytest.approx(0.9)
    assert first["sufficiency_transplant"] == pytest.approx(0.6)


def test_circuits_found_on_the_servers_data_keep_their_total(tiny_run: Run) -> None:
    totals = measures.circuit_sizes(tiny_run).query("layer == 'all' and partition_id.isna()")
    assert totals["num_channels"].tolist() == [6, 6]


def test_missing_pairs_are_explained(write_run: WriteRun) -> None:
    def spoil(_: int, tables: Tables) -> None:
        tables["overlap"] = [{**row, "usable": False} for row in tables["overlap"]]
        tables["validity"] = []

    disjoint = load_run(write_run("disjoint", is_shared=False).path)
    spoiled = load_run(write_run("spoiled", change=spoil).path)
    assert measures.why_no_pairs(disjoint, SAME) == "no pairs: no class is held by two clients"
    assert measures.why_no_pairs(spoiled, SAME) == "no pairs: none of two usable circuits"


def _checked(write_run: WriteRun, *verdicts: bool | None) -> Run:
    """Return a run without usable circuits, and with a check of each verdict in its rounds."""

    def change(server_round: int, tables: Tables) -> None:
        tables["overlap"] = [{**row, "usable": False} for row in tables["overlap"]]
        row = {"round": server_round, "effect": 0.02, "z": 1.0}
        verdict = verdicts[server_round - 1]
        tables["validity"] = [] if verdict is None else [{**row, "class_id": 1}, {**row, "passed": verdict}]

    return load_run(write_run(num_rounds=len(verdicts), change=change).path)


def test_a_failed_check_holds_until_another_one_says_something_else(write_run: WriteRun) -> None:
    run = _checked(write_run, True, False, None, False, True, None)
    assert measures.failed_checks(run) == {n: CheckResult(of, 0.02, 1.0) for n, of in {2: 2, 3: 2, 4: 4}.items()}


def test_a_check_without_a_verdict_changes_nothing(write_run: WriteRun) -> None:
    run = _checked(write_run, False, True)
    unknown = run.validity.assign(passed=run.validity["passed"].where(run.validity["round"] == 1))
    failed = measures.failed_checks(replace(run, validity=unknown))
    assert {n: check.server_round for n, check in failed.items()} == {1: 1, 2: 1}


def test_pairs_that_a_failed_check_took_away_are_explained_by_it(write_run: WriteRun) -> None:
    reason = "no pairs: discovery failed its check in round 1, so no circuit counts as usable"
    assert measures.why_no_pairs(_checked(write_run, False, None), SAME) == reason
    assert measures.why_no_pairs(_checked(write_run, False, True), SAME) == "no pairs: none of two usable circuits"


def test_no_word_is_said_on_who_holds_a_class_where_that_was_not_logged(write_run: WriteRun) -> None:
    def forget(_: int, tables: Tables) -> None:
        for row in tables["clients"]:
            row["class_counts"] = None

    run = load_run(write_run(is_shared=False, change=forget).path)
    assert measures.why_no_pairs(run, SAME) == "no pairs: no class has circuits in two clients"


def test_a_run_without_any_round_has_no_measures(write_run: WriteRun) -> None:
    run = load_run(write_run(num_rounds=0).path)
    assert measures.round_measures(run).empty
    assert measures.holdings(run).empty
