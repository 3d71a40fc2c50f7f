"""Numbers and sentences of a diagnosis, against the hand-made rows of `examination_rows`."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from examination_rows import EXAMINATION_TABLES, passed_check

from analysis import Run, load_run
from analysis.diagnosis import diagnose, diagnosis_data
from analysis.diagnosis.agreement import examine_agreement
from analysis.diagnosis.alignment import examine_alignment
from analysis.diagnosis.averaging import examine_averaging
from analysis.diagnosis.costs import examine_costs
from analysis.diagnosis.findings import NotMeasuredError, points
from analysis.diagnosis.ladder import examine_ladder
from analysis.diagnosis.quality import examine_quality
from analysis.diagnosis.text import diagnosis_text
from analysis.diagnosis.transfer import examine_transfer
from analysis.diagnosis.validity import examine_validity
from analysis.report.caveats import caveats
from analysis.summary import summary_text
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.writer import RunLog

Row = dict[str, Any]
Tables = dict[str, list[Row]]
WriteRun = Callable[..., RunLog]


def _changed(write_run: WriteRun, table: str, change: Callable[[Row], Row | None]) -> Run:
    """Return a run whose rows of a table were changed, or left out where the change gives none."""

    def alter(_: int, tables: Tables) -> None:
        tables[table] = [new for row in tables[table] if (new := change(row)) is not None]

    return load_run(write_run(change=alter).path)


def _without(write_run: WriteRun, *names: str, **settings: Any) -> Run:
    def forget(_: int, tables: Tables) -> None:
        for name in names:
            tables[name] = []

    return load_run(write_run(change=forget, **settings).path)


def test_circuits_that_are_hardly_better_than_random_ones_make_the_discovery_invalid(tiny_run: Run) -> None:
    found = examine_validity(tiny_run, 2)
    assert (found.has_passed, found.z, found.pooled.num_circuits) == (False, 2.0, 6)
    assert [(own.partition_id, own.num_circuits) for own in found.clients] == [(0, 3), (1, 3)]
    assert found.clients[0].effect == pytest.approx(0.04)  # 0.02, 0.04 and 0.06
    assert found.clients[0].smallest_effect == pytest.approx(0.02)
    assert found.meaning == (
        "Discovery failed its check in round 2: circuits beat random ones of their sizes by only 0.04 balanced "
        "accuracy (needed 0.10; z 2.0, needed 3.0), so no circuit of round 2 counts as usable, and nothing below "
        "should be read as a mechanism (one run, one seed)."
    )
    assert "FAILED" in diagnosis_text(diagnose(tiny_run))


def test_a_discovery_that_beats_random_circuits_is_valid(write_run: WriteRun) -> None:
    run = _changed(write_run, "validity", lambda row: passed_check([row])[0])
    assert examine_validity(run, 2).meaning.startswith("Circuits beat random ones of their sizes by 0.40 balanced")


def test_without_a_pooled_verdict_validity_is_undecided(write_run: WriteRun) -> None:
    run = _changed(write_run, "validity", lambda row: {**row, "passed": None})
    found = examine_validity(run, 2)
    assert found.has_passed is None
    assert found.meaning.startswith("Nothing could be scored")
    assert "undecided" in diagnosis_text(diagnose(run))


def test_validity_is_that_of_the_newest_check_and_never_of_a_later_one(write_run: WriteRun) -> None:
    run = _changed(write_run, "validity", lambda row: row if row["round"] == 1 else None)
    assert examine_validity(run, 2).checked_in_round == 1
    late = _changed(write_run, "validity", lambda row: row if row["round"] == 2 else None)
    with pytest.raises(NotMeasuredError, match="measured in other rounds only: 2"):
        examine_validity(late, 1)


def test_quality_is_a_mean_over_the_circuits_of_each_kind_of_model(tiny_run: Run) -> None:
    client, average = examine_quality(tiny_run, 2).models
    assert (client.model, client.num_circuits, average.model, average.num_circuits) == ("client", 4, "global", 4)
    # Sizes 6, 8, 8 and 6 of 12; ranks 0.5, 0.6, 0.6 and 0.7; class 0 is not sufficient.
    assert client.size_share == pytest.approx(7 / 12)
    assert client.rank_agreement == pytest.approx(0.6)
    assert client.sufficient_share == pytest.approx(0.75)
    assert client.necessary_share == pytest.approx(1.0)
    # Recall and rates come from the quality table, matched circuit by circuit.
    assert (client.recall, average.recall) == pytest.approx((1.0, 0.9))
    assert client.balanced_accuracy == pytest.approx(0.95)


def test_quality_speaks_of_the_model_its_complement_and_chance(tiny_run: Run, write_run: WriteRun) -> None:
    assert examine_quality(tiny_run, 2).meaning == (
        "Circuits of client models stand in for the whole model (F 0.90); the rest cannot do the task (K 0.85); "
        "75% beat random sets of their sizes, against 5% by chance (4 circuits, one seed)."
    )
    only_global = _changed(write_run, "scrutiny", lambda row: row if row["model"] == "global" else None)
    said = examine_quality(only_global, 2).meaning
    assert said.startswith("Circuits of global models do only part of the model's work (F 0.60)")
    undefined = _changed(write_run, "scrutiny", lambda row: {**row, "completeness": None, "p_sufficiency": None})
    assert examine_quality(undefined, 2).meaning.endswith("model (F 0.90) (4 circuits, one seed).")


def test_agreement_stands_beside_its_ceiling(tiny_run: Run) -> None:
    found = examine_agreement(tiny_run, 2)
    assert [own.layer for own in found.layers] == ["conv1", "conv2", "all"]
    pooled = found.layers[-1]
    # One shared class; its pairs have (0.6 − 0.2) / 0.8, its retests (0.92 − 0.2) / 0.8.
    figures = (pooled.stability, pooled.same_class_phi, pooled.retest_phi)
    assert (pooled.num_classes, *figures) == pytest.approx((1, 0.5, 0.5, 0.9))
    assert [own.num_above_chance for own in found.layers] == [1, 0, 1]
    assert "Clients agree fairly" in found.meaning
    assert "where two discoveries on one model reach φ 0.90 (1 shared class, one seed)" in found.meaning


@pytest.mark.parametrize(
    ("stability", "retest", "words"),
    [
        (0.39, 0.9, "agree poorly"),
        (0.40, 0.9, "agree fairly"),
        (0.76, 0.9, "agree excellently"),
        (0.9, 0.8, "as much as two discoveries on one model do"),
        (0.1, 0.2, "discovery hardly repeats itself"),
        (0.5, None, "discovery was not repeated"),
        (None, 0.9, "Stability is undefined"),
    ],
)
def test_agreement_is_judged_by_documented_bounds(
    write_run: WriteRun, stability: float | None, retest: float | None, words: str
) -> None:
    def alter(_: int, tables: Tables) -> None:
        tables["stability"] = [{**row, "stability": stability} for row in tables["stability"]]
        tables["overlap"] = [{**row, "phi": retest} for row in tables["overlap"]]

    assert words in examine_agreement(load_run(write_run(change=alter).path), 2).meaning


def test_a_gain_beyond_another_class_is_relabelling(tiny_run: Run) -> None:
    found = examine_alignment(tiny_run, 2)
    assert [(own.partner, own.method, own.num_pairs) for own in found.matchings] == [
        ("client", "activations", 1),
        ("client", "weights", 1),
        ("global", "activations", 2),
        ("global", "weights", 2),
    ]
    by_activation, by_weights = found.matchings[:2]
    assert by_activation.verdicts == {"relabelling": 1}
    assert by_activation.reading.endswith("so part of the difference is relabelling")
    assert by_weights.reading == "95% of channels match themselves, so there is nothing to relabel"


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"matched_phi": 0.29}, "so circuits are no relabelling of each other"),
        ({"other_class_phi": 0.45}, "so the gain is not the class's"),
        ({"other_class_phi": None, "random_phi": None}, "without controls to compare with"),
        ({"matched_phi": None}, "no circuits of one class can be compared"),
    ],
)
def test_other_outcomes_of_matching_are_no_relabelling(write_run: WriteRun, figures: Row, words: str) -> None:
    run = _changed(write_run, "alignment", lambda row: {**row, **figures})
    assert words in examine_alignment(run, 2).matchings[0].reading


def test_averaging_is_seen_from_three_sides(tiny_run: Run) -> None:
    found = examine_averaging(tiny_run, 2)
    assert found.patching is not None
    assert found.barriers is not None
    # Gains 1, 2, 2 and 3 nats; class 0 is not significant. Separation falls from 8 to 2 on the global weights.
    assert (found.patching.gain, found.patching.significant_share) == pytest.approx((2.0, 0.75))
    assert found.preservation == pytest.approx(0.25)
    assert [(own.circuit, own.weights, own.balanced_accuracy) for own in found.swaps] == [
        ("client", "client", pytest.approx(0.95)),
        ("client", "global", pytest.approx(0.7)),
        ("global", "client", pytest.approx(0.8)),
        ("global", "global", pytest.approx(0.9)),
    ]
    assert (found.barriers.between_clients, found.barriers.to_average) == pytest.approx((0.5, 0.15))
    assert found.meaning == (
        "The averaged weights do not preserve local circuits, P 0.25; putting a circuit's own weights back restores "
        "more than random weights do, p < 0.01 for 75% of 4 circuits; clients lie in different basins of the loss "
        "(one run, one seed)."
    )


def test_averaging_says_what_was_measured_of_it(write_run: WriteRun) -> None:
    run = _without(write_run, "patching", "barriers")
    assert examine_averaging(run, 2).meaning == (
        "The averaged weights do not preserve local circuits, P 0.25 (one run, one seed)."
    )
    only_barriers = _without(write_run, "patching", "swaps")
    said = examine_averaging(only_barriers, 2).meaning
    assert said == "Clients lie in different basins of the loss (one run, one seed)."
    assert "preservation" not in diagnosis_text(diagnose(only_barriers))


def test_transfer_stands_beside_the_correlation_and_its_controls(write_run: WriteRun) -> None:
    run = _changed(write_run, "overlap", lambda row: {**row, "phi": 0.15, "phi_swapped": 0.25, "reliability": 0.8})
    found = examine_transfer(run, 2)
    (own,) = found.classes
    assert (own.class_id, own.num_pairs, own.verdict) == (1, 2, "interchangeable")
    figures = (own.phi_true, own.transfer, own.random_transfer, own.other_class_transfer)
    assert figures == pytest.approx((0.25, 0.8, 0.3, 0.1))
    assert (found.pooled.num_pairs, found.pooled.transfer) == (2, pytest.approx(0.8))
    assert found.meaning == (
        "Clients' circuits of a class differ in their channels, but work in each other's weights (φ 0.25, T 0.80) "
        "(2 ordered pairs, one seed)."
    )


@pytest.mark.parametrize(
    ("phi", "transfer", "words"),
    [
        (0.5, 0.5, "Clients have one circuit of a class"),
        (0.49, 0.5, "differ in their channels, but work"),
        (0.49, 0.49, "Clients have different mechanisms"),
        (0.5, 0.49, "the same channels for a class, but not in the same way"),
        (0.9, 0.39, "the same channels"),
        (None, 0.9, "is not known (φ undefined, T 0.90)"),
        (0.9, None, "is not known (φ 0.90, T undefined)"),
    ],
)
def test_transfer_is_judged_by_documented_bounds(
    write_run: WriteRun, phi: float | None, transfer: float | None, words: str
) -> None:
    def alter(_: int, tables: Tables) -> None:
        tables["overlap"] = [{**row, "phi": phi, "phi_swapped": phi, "reliability": 1.0} for row in tables["overlap"]]
        tables["transfer"] = [{**row, "transfer": transfer} for row in tables["transfer"]]

    found = examine_transfer(load_run(write_run(change=alter).path), 2)
    assert words in found.meaning
    assert "random circuits" not in found.meaning


def test_a_transfer_that_random_circuits_have_too_says_little(write_run: WriteRun) -> None:
    run = _changed(write_run, "transfer", lambda row: {**row, "random_transfer": 0.75})
    assert "random circuits of their sizes do as well (T 0.75), so T says little" in examine_transfer(run, 2).meaning


def test_where_a_copy_with_noise_has_other_circuits_transfer_is_what_counts(write_run: WriteRun) -> None:
    def alter(_: int, tables: Tables) -> None:
        same = [row for row in tables["overlap"] if row["comparison"] == "same_class_across_clients"]
        known = {"phi": 0.3, "phi_swapped": 0.3, "reliability": 0.6}
        tables["overlap"] += [{**row, **known, "comparison": "perturbed_copy"} for row in same]

    run = load_run(write_run(change=alter).path)
    limit = "circuits are not identifiable here: those of a copy with 1 % of noise on its weights agree"
    assert limit in examine_transfer(run, 2).meaning
    assert limit in summary_text(run).replace("\n  ", " ")
    assert any(limit in note.replace("Circuits", "circuits") for note in caveats(run))
    assert "identifiable" not in examine_transfer(load_run(write_run().path), 2).meaning


def test_the_ladder_splits_the_gap_on_trained_classes(tiny_run: Run) -> None:
    found = examine_ladder(tiny_run, 2)
    gaps = (found.readout_gap, found.body_gap, found.negatives_gap, found.room)
    assert gaps == pytest.approx((0.3, 0.05, 0.2, 0.25))
    # A client's own rung is not the mean over clients.
    assert next(rung for rung in found.rungs if rung.name == "A3").accuracy_trained == pytest.approx(0.85)
    assert "the averaged features have lost something" in found.meaning


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        ({"A2": 0.84}, "no damage to the body, so accuracy says nothing for a collapse of circuits"),
        ({"A2": 0.84, "R": 0.80}, "no damage to the body could be seen"),
        ({"A3": None}, "whether the body was damaged is not known"),
        ({"A0": None, "A2": None, "A4": None}, "No gap is defined"),
    ],
)
def test_the_ladder_calls_a_collapse_only_what_could_be_one(
    write_run: WriteRun, accuracy: dict[str, float | None], words: str
) -> None:
    def alter(row: Row) -> Row:
        return {**row, "accuracy_trained": accuracy.get(row["rung"], row["accuracy_trained"])}

    assert words in examine_ladder(_changed(write_run, "ladder", alter), 2).meaning


def test_costs_name_the_costliest_measure(tiny_run: Run) -> None:
    found = examine_costs(tiny_run, 2)
    assert found.total == pytest.approx(8.0)
    assert found.meaning == "2 examinations took 8 s in this round; scrutiny took 75% of that."


def test_the_page_is_of_the_newest_round_with_examinations(write_run: WriteRun) -> None:
    def only_first(server_round: int, tables: Tables) -> None:
        for name in EXAMINATION_TABLES if server_round == 2 else ():
            tables[name] = []

    run = load_run(write_run(change=only_first).path)
    assert diagnose(run).server_round == 1
    later = diagnose(run, 2)
    assert [section.findings is None for section in later.sections] == [False, *[True] * 7]
    assert later.sections[1].meaning == "Not measured: measured in other rounds only: 1."


def test_a_round_that_the_run_does_not_have_is_refused(tiny_run: Run) -> None:
    for number in (0, 3):
        with pytest.raises(RunLogError, match=f"has no round {number}: its last whole round is 2"):
            diagnose(tiny_run, number)


def test_without_examinations_every_section_says_why(write_run: WriteRun) -> None:
    diagnosis = diagnose(_without(write_run, *EXAMINATION_TABLES))
    assert diagnosis.server_round is None
    assert all(section.findings is None for section in diagnosis.sections)
    meanings = {section.name: section.meaning for section in diagnosis.sections}
    assert meanings["validity"] == "Not measured: no examination was logged (validity-every = 0)."
    assert meanings["quality"] == "Not measured: no examination was logged (examination-every = 0)."
    assert meanings["agreement"] == "Not measured: no stability was logged."
    assert "no examinations" in diagnosis_text(diagnosis).splitlines()[0]


def test_a_table_that_stayed_empty_although_it_was_asked_for_is_named(write_run: WriteRun) -> None:
    run = _without(write_run, "ladder", examination_every=1)
    assert (
        diagnose(run).sections[6].meaning == "Not measured: the table ladder is empty, although examination-every = 1."
    )


def test_without_a_shared_class_there_is_no_agreement_but_the_rest(write_run: WriteRun) -> None:
    diagnosis = diagnose(load_run(write_run(is_shared=False).path))
    missing = [section for section in diagnosis.sections if section.findings is None]
    assert [section.name for section in missing] == ["agreement", "transfer"]
    assert {section.meaning for section in missing} == {"Not measured: no class is held by two clients."}


def test_one_client_with_one_class_gives_a_page(write_run: WriteRun) -> None:
    def shrink(_: int, tables: Tables) -> None:
        tables["stability"] = tables["alignment"] = tables["transfer"] = []
        tables["barriers"] = [row for row in tables["barriers"] if row["b_partition_id"] is None][:1]
        for name in ("scrutiny", "swaps", "patching"):
            tables[name] = [row for row in tables[name] if (row["partition_id"], row["class_id"]) == (0, 0)]

    diagnosis = diagnose(load_run(write_run(change=shrink).path))
    text = diagnosis_text(diagnosis)
    assert "(1 circuit, one seed)" in text
    assert "– between clients (0), 0.200 to the average (1)" in text


def test_every_line_of_the_page_fits_a_hundred_columns(tiny_run: Run) -> None:
    text = diagnosis_text(diagnose(tiny_run))
    assert max(len(line) for line in text.splitlines()) <= 100
    assert text.count("  → ") == len(diagnose(tiny_run).sections) == 8


def test_the_page_as_json_has_the_same_sections_and_sentences(tiny_run: Run) -> None:
    diagnosis = diagnose(tiny_run)
    data = json.loads(json.dumps(diagnosis_data(diagnosis), allow_nan=False))
    assert (data["round"], data["seed"]) == (2, 7)
    assert {name: section["meaning"] for name, section in data["sections"].items()} == {
        section.name: section.meaning for section in diagnosis.sections
    }
    assert data["sections"]["ladder"]["findings"]["readout_gap"] == pytest.approx(0.3)
    assert data["sections"]["averaging"]["findings"]["patching"]["num_circuits"] == 4


def test_undefined_figures_are_dashes_in_text_and_null_in_json(write_run: WriteRun) -> None:
    run = _changed(write_run, "scrutiny", lambda row: {**row, "faithfulness": None})
    diagnosis = diagnose(run)
    row = next(line for line in diagnosis_text(diagnosis).splitlines() if line.startswith("  faithfulness F"))
    assert row.split() == ["faithfulness", "F", "–", "–", "1"]
    assert diagnosis_data(diagnosis)["sections"]["quality"]["findings"]["models"][0]["faithfulness"] is None


@pytest.mark.parametrize(
    ("fraction", "text"), [(-0.003, "+0"), (-0.0, "+0"), (0.004, "+0"), (-0.006, "-1"), (0.25, "+25"), (math.nan, "?")]
)
def test_a_loss_too_small_to_show_is_not_minus_zero(fraction: float, text: str) -> None:
    assert points(fraction) == text


def test_what_averaging_does_within_circuits_stands_beside_all_weights(write_run: WriteRun) -> None:
    def add(server_round: int, tables: dict[str, Any]) -> None:
        row = {"round": server_round, "partition_id": 0, "layer": "conv1", "sign_conflict": 0.5}
        tables["circuit_interference"] = [
            {**row, "class_id": class_id, "cancellation": kept} for class_id, kept in ((0, 0.25), (1, 0.75))
        ]

    run = load_run(write_run(change=add).path)
    (conv1,) = examine_averaging(run, 2).updates
    logged = run.interference.query("round == 2 and layer == 'conv1'").iloc[0]
    assert (conv1.layer, conv1.kept_by_circuits, conv1.conflict_in_circuits) == ("conv1", 0.5, 0.5)
    assert (conv1.kept, conv1.conflict) == (logged["cancellation"], logged["sign_conflict"])
    assert "in circuits" in diagnosis_text(diagnose(run))
