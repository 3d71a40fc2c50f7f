"""Runs in which overlap was made to follow one thing only."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.follows import regression as overlap_regression
from analysis.follows.regression import (
    LABEL_OVERLAP,
    SAME_CIRCUIT,
    SAME_CLASS,
    SAME_CLIENT,
    SAME_ROUND,
    regress_overlap,
)
from analysis.follows.text import regression_text
from fedcircuits.errors import RunLogError

NUM_CLIENTS, NUM_ROUNDS, WIDTHS = 5, 3, {"conv1": 30, "conv2": 30}


@pytest.fixture
def planted(tiny_run):
    """Return a function that makes a run whose circuits are, for the most part, those of the label that they follow."""

    def make(follow, *, held=None, seed=0, noise=0.15):
        generator, templates = np.random.default_rng(seed), {}
        held = held or {client: range(4) for client in range(NUM_CLIENTS)}
        rows = []
        for server_round in range(1, NUM_ROUNDS + 1):
            for client, classes in held.items():
                for class_id in classes:
                    identity = {"round": server_round, "partition_id": client, "class_id": class_id}
                    label = follow(**identity)
                    identity["data"] = "client"
                    template = templates.setdefault(label, generator.random(60) < 0.4)
                    member = np.where(generator.random(60) < noise, generator.random(60) < 0.4, template)
                    rows += circuit_rows(identity, member if label is not None else generator.random(60) < 0.4)
        num_classes = 1 + max(class_id for classes in held.values() for class_id in classes)
        counts = [[10 * (class_id in classes) for class_id in range(num_classes)] for classes in held.values()]
        clients = pd.DataFrame({"round": 1, "partition_id": list(held), "class_counts": counts})
        circuits = pd.DataFrame(rows)
        quality = circuits[["round", "model", "partition_id", "data", "class_id"]].drop_duplicates()
        quality = quality.assign(usable=True, reason=None)
        return replace(tiny_run, circuits=circuits, clients=clients, edges=circuits.iloc[:0], quality=quality)

    return make


def circuit_rows(identity, member):
    rows = []
    for layer, part in zip(WIDTHS, np.split(member, [WIDTHS["conv1"]]), strict=True):
        channels = np.flatnonzero(part).tolist()
        sizes = {"num_channels": len(channels), "layer_width": len(part)}
        reachable = list(range(len(part)))
        rows.append(
            {**identity, "model": "client", "layer": layer, **sizes, "channels": channels, "reachable": reachable}
        )
    return rows


def terms_of(result):
    return {term.name: term for term in result.terms}


def test_overlap_that_follows_class_is_said_to_follow_class_alone(planted):
    result = regress_overlap(planted(lambda class_id, **_: class_id), num_permutations=200)
    terms = terms_of(result)
    # Two noisy copies of a template agree where neither was drawn anew: 0.85 squared.
    assert terms[SAME_CLASS].coefficient == pytest.approx(0.72, abs=0.06)
    assert terms[SAME_CLASS].p_value == pytest.approx(1 / 201)
    assert terms[SAME_CLIENT].p_value > 0.05
    assert abs(terms[SAME_CLIENT].coefficient) < 0.05
    assert (result.num_circuits, result.num_pairs, result.rounds) == (60, 60 * 59 // 2, (1, 3))


def test_overlap_that_follows_client_is_said_to_follow_client_alone(planted):
    terms = terms_of(regress_overlap(planted(lambda partition_id, **_: partition_id), num_permutations=200))
    assert terms[SAME_CLIENT].coefficient == pytest.approx(0.72, abs=0.06)
    assert terms[SAME_CLIENT].p_value == pytest.approx(1 / 201)
    assert terms[SAME_CLASS].p_value > 0.05


def test_overlap_that_follows_nothing_is_said_to_follow_nothing(planted):
    p_values = []
    for seed in range(6):
        result = regress_overlap(planted(lambda **_: None, seed=seed), num_permutations=49)
        p_values += [term.p_value for term in result.terms if term.p_value is not None]
    # Uniform over 12 values: below 0.05 in every other test on average, above the median about half of the time.
    assert np.mean(np.array(p_values) <= 0.05) < 0.2
    assert 0.15 < np.mean(np.array(p_values) > 0.5) < 0.85


def test_a_circuit_that_lives_on_through_the_rounds_is_neither_class_nor_client(planted):
    run = planted(lambda partition_id, class_id, **_: (partition_id, class_id))
    terms = terms_of(regress_overlap(run, num_permutations=200))
    assert terms[SAME_CIRCUIT].coefficient == pytest.approx(0.72, abs=0.06)
    assert terms[SAME_CIRCUIT].p_value is None
    assert terms[SAME_CLASS].p_value > 0.05
    assert terms[SAME_CLIENT].p_value > 0.05


def test_overlap_that_follows_the_round_is_found_in_the_term_of_the_round(planted):
    terms = terms_of(regress_overlap(planted(lambda round, **_: round), num_permutations=50))
    assert terms[SAME_ROUND].coefficient == pytest.approx(0.72, abs=0.06)
    assert terms[SAME_ROUND].p_value is None


def test_the_coefficients_are_those_of_least_squares_over_the_pairs(planted):
    held = {0: [0, 1], 1: [1, 2], 2: [0, 1, 2], 3: [3]}
    run = planted(lambda class_id, **_: class_id, held=held)
    result = regress_overlap(run, num_permutations=10)
    circuits = list(run.circuits.groupby(["round", "partition_id", "class_id"]))
    members = [np.concatenate([np.isin(np.arange(30), c) for c in rows["channels"]]) for _, rows in circuits]
    design, phi = [], []
    for j, ((u, q, d), _) in enumerate(circuits):
        for i, ((t, p, c), _) in enumerate(circuits[:j]):
            union, shared = set(held[p]) | set(held[q]), set(held[p]) & set(held[q])
            same = (p, c) == (q, d)
            design.append([1, same, c == d, p == q, len(shared) / len(union), t == u])
            phi.append(pooled_phi(members[i], members[j]))
    expected = np.linalg.lstsq(np.array(design, dtype=float), np.array(phi), rcond=None)[0]
    assert [term.name for term in result.terms] == [SAME_CIRCUIT, SAME_CLASS, SAME_CLIENT, LABEL_OVERLAP, SAME_ROUND]
    assert [result.intercept, *(term.coefficient for term in result.terms)] == pytest.approx(expected.tolist())


def pooled_phi(one, other):
    """Return covariance over spread, within layers and then added up."""
    sums = np.zeros(3)
    for a, b in zip(np.split(one, 2), np.split(other, 2), strict=True):
        sums += np.mean(a & b) - a.mean() * b.mean(), a.mean() * (1 - a.mean()), b.mean() * (1 - b.mean())
    return sums[0] / np.sqrt(sums[1] * sums[2])


def test_label_overlap_that_never_varies_is_left_out_by_name(planted):
    result = regress_overlap(planted(lambda class_id, **_: class_id), num_permutations=10)
    assert result.left_out == {LABEL_OVERLAP: "it is the same for all pairs"}


def test_classes_that_no_two_clients_share_cannot_be_told_from_the_circuit_itself(planted):
    run = planted(lambda class_id, **_: class_id, held={0: [0, 1], 1: [2, 3]})
    left_out = regress_overlap(run, num_permutations=10).left_out
    assert left_out[SAME_CLASS] == f"it cannot be told from {SAME_CIRCUIT}"
    assert left_out[LABEL_OVERLAP].startswith("it cannot be told from")


def test_terms_that_nearly_are_one_are_not_told_apart(planted):
    # Two clients of five share one class of many: the overlap of labels is all but whether clients are the same.
    held = {client: range(6 * client, 6 * client + 6 + (client == 3)) for client in range(5)}
    result = regress_overlap(planted(lambda partition_id, **_: partition_id, held=held), num_permutations=10)
    assert result.left_out[LABEL_OVERLAP] == f"it cannot be told from {SAME_CIRCUIT}, {SAME_CLASS}, {SAME_CLIENT}"
    assert all(abs(term.coefficient) <= 1 for term in result.terms)
    assert terms_of(result)[SAME_CLIENT].coefficient == pytest.approx(0.72, abs=0.06)


def test_clients_that_did_not_say_what_they_hold_have_no_label_overlap(planted):
    run = planted(lambda class_id, **_: class_id)
    run = replace(run, clients=run.clients.assign(class_counts=None))
    assert regress_overlap(run, num_permutations=10).left_out == {
        LABEL_OVERLAP: "which classes clients hold is not known"
    }


def test_the_same_seed_gives_the_same_p_values(planted):
    run = planted(lambda **_: None)
    one, same, other = (regress_overlap(run, num_permutations=99, seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_of_too_many_circuits_the_last_rounds_are_taken(planted, monkeypatch):
    monkeypatch.setattr(overlap_regression, "MAX_CIRCUITS", 45)
    result = regress_overlap(planted(lambda class_id, **_: class_id), num_permutations=10)
    assert (result.num_circuits, result.rounds) == (40, (2, 3))


def test_unusable_circuits_do_not_count(planted):
    run = planted(lambda class_id, **_: class_id)
    run.quality.loc[run.quality["partition_id"] == 0, "usable"] = False
    assert regress_overlap(run, num_permutations=10).num_circuits == 48


def test_a_single_layer_can_be_looked_at(planted):
    run = planted(lambda class_id, **_: class_id)
    assert terms_of(regress_overlap(run, "conv2", 20))[SAME_CLASS].coefficient > 0.5
    with pytest.raises(RunLogError, match="layer 'conv9': must be one of conv1, conv2, all"):
        regress_overlap(run, "conv9")


def test_a_run_with_hardly_a_circuit_says_so(planted):
    run = planted(lambda class_id, **_: class_id, held={0: [1]})
    with pytest.raises(RunLogError, match="3 usable circuits of clients are too few"):
        regress_overlap(run)


def test_the_text_has_the_table_and_a_sentence_for_every_term(planted):
    text = regression_text(regress_overlap(planted(lambda class_id, **_: class_id), num_permutations=200))
    assert "same class" in text
    assert "0.0050" in text
    assert "Circuits of one class overlap more than others, by 0.7" in text
    assert "Circuits of one client overlap neither more nor less than others" in text
    assert "Label overlap is left out: it is the same for all pairs." in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_command_prints_the_regression_of_a_run(write_run, capsys):
    assert main(["follows", str(write_run().path), "--permutations", "20"]) == 0
    assert "20 permutations" in capsys.readouterr().out
