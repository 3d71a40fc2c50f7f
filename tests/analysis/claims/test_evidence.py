"""What a run says about the claims: numbers of one run, by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from examination_rows import first_hits

from analysis import load_run
from analysis.claims.by_class import Hits, hits, pair_sums, shared, trained
from analysis.claims.evidence import evidence
from analysis.claims.families import families_of
from analysis.claims.values import read_run_values
from fedcircuits.records import Comparison

SAME = str(Comparison.SAME_CLASS_ACROSS_CLIENTS)


def with_phi(same, reliability, **columns):
    """Give pairs of one class this correlation in each round, and, where it is known, this reliability."""

    def change(server_round, tables):
        for row in tables["overlap"]:
            if row["comparison"] == SAME:
                phi = same[server_round]
                row |= {"phi": phi, "common_phi": phi, "reliability": reliability, **columns}

    return change


def test_retest_noise_is_taken_out_and_only_the_second_half_counts(write_run):
    run = load_run(write_run(change=with_phi({1: 0.0, 2: 0.6}, 0.6)).path)
    numbers = evidence(run, last_round=2)
    assert (numbers["same_class"], numbers["same_class_raw"]) == pytest.approx((1.0, 0.6))


def test_rounds_that_other_seeds_lack_do_not_count(write_run):
    run = load_run(write_run(change=with_phi({1: 0.3, 2: 0.6}, 1.0)).path)
    assert evidence(run, last_round=1)["same_class"] == pytest.approx(0.3)
    # Round 1: recalls 1, 0.5, 0 of 10, 20 and 10 images of the trained classes.
    assert evidence(run, last_round=1)["accuracy"] == pytest.approx(0.5)


def test_circuits_that_a_retest_hardly_finds_again_are_not_measurable(write_run):
    run = load_run(write_run(change=with_phi({1: 0.0, 2: 0.6}, 0.29)).path)
    assert pd.isna(evidence(run, 2)["same_class"])


def test_without_retests_there_are_no_true_correlations(write_run):
    numbers = evidence(load_run(write_run(change=with_phi({1: 0.0, 2: 0.6}, None)).path), 2)
    assert numbers["same_class_raw"] == pytest.approx(0.6)
    assert pd.isna(numbers["same_class"])


@pytest.mark.parametrize("same_question", [False, None])
def test_pairs_that_were_asked_different_questions_do_not_enter(write_run, same_question):
    run = load_run(write_run(change=with_phi({1: 0.6, 2: 0.6}, 0.8, same_question=same_question)).path)
    assert pd.isna(evidence(run, 2)["same_class"])
    assert pd.isna(evidence(run, 2)["same_class_raw"])
    assert pair_sums(run, 2) == {}


def test_another_question_and_a_perturbed_copy_are_told_apart_from_pairs_of_clients(write_run):
    def change(server_round, tables):
        row = next(row for row in tables["overlap"] if row["comparison"] == SAME and row["layer"] == "all")
        for name, phi in (("other_negatives", 0.6), ("perturbed_copy", 0.72)):
            figures = {"phi": phi, "phi_swapped": phi, "reliability": 0.8, "same_question": name == "perturbed_copy"}
            tables["overlap"].append({**row, "comparison": name, **figures})

    numbers = evidence(load_run(write_run(change=change).path), 2)
    assert (numbers["other_negatives"], numbers["perturbed_copy"]) == pytest.approx((0.75, 0.9))


def test_circuits_that_say_nothing_neither_keep_nor_lose_anything(write_run):
    def change(server_round, tables):
        for row in tables["quality"]:
            is_lost = row["partition_id"] == 1
            row["balanced_accuracy"] = {"client": 0.9, "transplant": 0.9 if is_lost else 0.6}.get(row["model"])
            row["usable"] = row["usable"] and not (is_lost and row["model"] == "client")

    numbers = evidence(load_run(write_run(change=change).path), 2)
    assert numbers["preserved"] == pytest.approx(-0.3)
    assert numbers["usable_share"] == pytest.approx(0.5)


def test_evidence_of_the_tiny_run_is_what_its_tables_say(tiny_run):
    numbers = evidence(tiny_run, 2)
    # Round 2: recalls 1, 1, 0.5 of 10, 20 and 10 images of the trained classes.
    assert numbers["accuracy"] == pytest.approx(35 / 40)
    assert numbers["best_accuracy"] == pytest.approx(35 / 50)
    assert numbers["collapsed_share"] == 0.0
    assert numbers["conflict_excess"] == pytest.approx(-0.05)
    assert numbers["density"] == pytest.approx(0.2)
    assert numbers["usable_share"] == 1.0
    assert numbers["false_positive_rate"] == pytest.approx(0.1)


def test_a_loss_by_averaging_is_on_the_classes_of_each_client(tiny_run):
    numbers = evidence(tiny_run, 2)
    # Clients' models recognise 1, 0.5, 0.5 of 10, 20 and 10 images; client 0 holds classes 0 and 1, client 1 1 and 2.
    own = (20 / 30 + 15 / 30) / 2
    averaged = (30 / 30 + 25 / 30) / 2
    assert numbers["own_accuracy"] == pytest.approx(own)
    assert numbers["own_global"] == pytest.approx(averaged)
    assert numbers["averaging_loss"] == pytest.approx(own - averaged)
    # Guessing one of two classes is 0.5.
    assert numbers["learned"] == pytest.approx((own - 0.5) / 0.5)


def test_a_client_of_one_class_cannot_be_seen_to_have_learned(write_run):
    def change(server_round, tables):
        for row in tables["clients"]:
            row["class_counts"] = [30 if class_id == row["partition_id"] else 0 for class_id in range(4)]

    assert math.isnan(evidence(load_run(write_run(change=change).path), 2)["learned"])


def test_what_is_left_after_averaging_is_of_the_layers_before_the_readout(write_run):
    def change(server_round, tables):
        for row in tables["interference"]:
            if row["layer"] == "fc":
                row |= {"cancellation": 0.0, "norm_retention": 0.0}

    numbers = evidence(load_run(write_run(change=change).path), 2)
    assert (numbers["updates_left"], numbers["norm_retention"]) == pytest.approx((0.8, 0.9))
    # Two clients whose updates have nothing to do with each other leave 1/√2 of their norm.
    assert numbers["opposition"] == pytest.approx(2**-0.5 - 0.8)


# -- By class


def test_classes_are_read_from_what_clients_hold():
    held = ((0, 1, 2), (0, 3), (0, 4))
    assert trained(held) == {0, 1, 2, 3, 4}
    assert shared(held) == {0}


def test_images_of_one_original_are_counted_together(write_run):
    def change(server_round, tables):
        for row in tables["accuracy"]:
            if row["model"] == "global" and row["class_id"] == 0:
                row["hits"] = first_hits({1: 1.0, 2: 0.7, 3: 0.7, 4: 0.3}[server_round], 10)

    log = write_run(change=change, num_rounds=4)
    # Ten images of class 0 were made of four originals.
    counts = hits(load_run(log.path), 4)
    assert counts.num_rounds == 2
    assert counts.by_class[0].tolist() == [2, 2, 2, 1, 1, 1, 1, 0, 0, 0]
    originals = [[0, 0, 0, 1, 1, 1, 2, 2, 3, 3], list(range(20)), list(range(10)), list(range(10))]
    log.note(test_origins=originals)
    assert hits(load_run(log.path), 4).by_class[0].tolist() == [6, 3, 1, 0]


def test_hits_can_be_written_as_text_and_read_again():
    found = Hits(3, (np.array([3, 0, 300]), np.array([], dtype=np.int64), np.array([1])))
    again = Hits.from_text(found.to_text())
    assert again.num_rounds == 3
    assert [counts.tolist() for counts in again.by_class] == [[3, 0, 300], [], [1]]
    with pytest.raises(ValueError, match="do not fit"):
        Hits.from_text(found.to_text().replace(";3,", ";2,"))


def test_a_control_is_compared_on_the_classes_that_the_split_has_in_the_same_seed(write_run, tmp_path):
    """The split of seed 1 holds classes 0, 1 and 2, and shares 1; that of seed 2 holds 1, 2 and 3, and shares 2."""

    def rotate(server_round, tables):
        for row in tables["clients"]:
            row["class_counts"] = [0, *row["class_counts"][:3]]

    def control(server_round, tables):
        for row in tables["clients"]:
            row["class_counts"] = [30] * 4
        pairs = [row for row in tables["overlap"] if row["comparison"] == SAME]
        for class_id, phi in ((1, 0.4), (2, 0.64)):
            ends = {"a_class_id": class_id, "b_class_id": class_id, "phi": phi, "reliability": 0.8}
            tables["overlap"] += [{**row, **ends, "round": server_round} for row in pairs]
        for row in pairs:
            tables["overlap"].remove(row)

    for seed, change in ((1, lambda server_round, tables: None), (2, rotate)):
        for name in ("digits-noniid-3class", "digits-shared-class"):
            write_run(name, change=change, seed=seed, client_classes=name).complete()
        write_run("digits-iid-3clients", change=control, seed=seed, partition="iid").complete()
    values, _ = read_run_values([tmp_path / "runs"])
    (judged,) = families_of(values)
    table = judged.judged("iid-3clients")
    # Round 2: recalls 1, 1, 0.5 and 0 of 10, 20, 10 and 10 images.
    assert table["common_accuracy"].to_dict() == pytest.approx({1: 35 / 40, 2: 25 / 40})
    assert table["shared_class"].to_dict() == pytest.approx({1: 0.5, 2: 0.8})


def test_shares_of_originals_sum_to_the_accuracies(write_run, tmp_path):
    for name in ("digits-noniid-3class", "digits-iid-3clients"):
        write_run(name, partition=name).complete()
    (judged,) = families_of(read_run_values([tmp_path / "runs"])[0])
    row = judged.judged("noniid-3class").loc[7]
    shares = judged.shares["noniid-3class", "common_accuracy"].loc[7]
    assert shares.sum() == pytest.approx(row["common_accuracy"]) == pytest.approx(35 / 40)
    assert judged.shares["noniid-3class", "own_global"].loc[7].sum() == pytest.approx(row["own_global"])
    assert judged.shares["noniid-3class", "averaging_loss"].loc[7].sum() == pytest.approx(-row["own_global"])
    same = judged.minus("iid-3clients", "noniid-3class", "common_accuracy")
    assert (same.by_seed.item(), same.images) == (0.0, None)
