"""The summary as text and as JSON values."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from examination_rows import passed_check

from analysis import Run, load_run
from analysis.summary import summary_data, summary_text
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]


def _row(text: str, server_round: int) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [str(server_round)])


def test_each_round_is_a_row_of_rounded_figures(tiny_run: Run) -> None:
    expected = "1 0.400 0.500 2 2/2 7 1.00 0.60 0.20 0.50 0.20 0.20 0.40 0.90 0.60 0.10"
    assert _row(summary_text(tiny_run), 1) == expected.split()


def test_accuracy_over_trained_classes_shows_only_where_it_differs(tiny_run: Run, write_run: WriteRun) -> None:
    everything_held = load_run(write_run("all", is_shared=False).path)
    assert "seen" in summary_text(tiny_run)
    assert "seen" not in summary_text(everything_held)


def test_every_line_fits_a_hundred_columns(tiny_run: Run) -> None:
    assert max(len(line) for line in summary_text(tiny_run).splitlines()) <= 100


def test_the_header_names_the_run_its_state_and_what_matters(tiny_run: Run) -> None:
    header = summary_text(tiny_run).split("\n\n")[0]
    assert tiny_run.path.name in header
    assert "completed; 2 of 2 rounds" in header
    assert "seed 7" in header
    assert "density of client models 0.2000" in header


def test_the_header_names_the_discovery_and_what_shapes_it(tiny_run: Run) -> None:
    def header(**settings: str) -> str:
        return summary_text(replace(tiny_run, info={**tiny_run.info, "settings": {**tiny_run.settings, **settings}}))

    assert "circuits  attribution, sweep," in header(**{"discovery": "attribution", "size-rule": "sweep"})
    assert "circuits  gates, objective kl," in header(discovery="gates", objective="kl")


def test_the_header_says_where_no_circuits_were_looked_for(tiny_run: Run) -> None:
    assert "circuits  unknown, objective" in summary_text(tiny_run)
    settings = {**tiny_run.settings, "circuit-every": 0}
    without = replace(tiny_run, info={**tiny_run.info, "settings": settings})
    assert "circuits  not looked for (circuit-every 0)" in summary_text(without)


def test_a_failed_run_says_why(write_run: WriteRun) -> None:
    log = write_run(num_rounds=1)
    log.fail("node lost")
    assert "failed: node lost; 1 of 2 rounds" in summary_text(load_run(log.path))


def test_undefined_figures_are_dashes_in_text_and_null_in_json(write_run: WriteRun) -> None:
    run = load_run(write_run(is_shared=False).path)
    assert _row(summary_text(run), 1)[6:9] == ["–", "–", "–"]
    assert summary_data(run)["rounds"][0]["same_class_iou"] is None
    json.dumps(summary_data(run), allow_nan=False)


def test_rejected_replies_are_listed_with_their_reasons(write_run: WriteRun) -> None:
    def reject(server_round: int, tables: Tables) -> None:
        if server_round == 2:
            tables["clients"][1] |= {"accepted": False, "reason": "NaN in conv1"}

    text = summary_text(load_run(write_run(change=reject).path))
    assert "round 2, partition 1: NaN in conv1" in text
    assert _row(text, 2)[4] == "1/2"


def test_who_holds_what_names_classes_that_nobody_holds(tiny_run: Run) -> None:
    text = summary_text(tiny_run)
    assert ["0", "30", "30", ".", ".", "60"] in [line.split() for line in text.splitlines()]
    assert "Held by nobody: class 3" in text


def test_classes_that_rotate_are_told_beside_the_split(write_run: WriteRun) -> None:
    split = {"partition": "classes", "client_classes": "0,1;2"}
    assert "split classes (client-classes 0,1;2) over" in summary_text(load_run(write_run(**split).path))
    rotated = summary_text(load_run(write_run(rotate_classes=True, **split).path))
    assert "split classes (client-classes 0,1;2, plus the seed) over" in rotated


def test_many_clients_are_counted_instead_of_listed(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.summary.holders._NUM_HELD_CLIENTS", 1)
    text = summary_text(tiny_run)
    assert "… and 1 more (class_counts in the table clients)" in text
    assert ["0", "30", "30", ".", ".", "60"] in [line.split() for line in text.splitlines()]


def test_classes_that_have_names_are_told(write_run: WriteRun) -> None:
    text = summary_text(load_run(write_run(dataset="folder", class_names="healthy,very ill").path))
    assert "classes   0 = healthy, 1 = very ill" in text
    assert "classes  " not in summary_text(load_run(write_run(class_names="").path)).split("round")[0]


def test_what_a_run_does_not_say_is_unknown(write_run: WriteRun) -> None:
    def forget(_: int, tables: Tables) -> None:
        for row in tables["clients"]:
            row["class_counts"] = None

    run = load_run(write_run(change=forget).path)
    run.info["settings"] = {"imported-from": "log.json", "imported-sha256": "0123456789abcdef"}
    text = summary_text(run)
    assert "imported from log.json, SHA-256 0123456789ab…" in text
    assert "unknown, split unknown over 2 clients" in text
    assert "None" not in text
    assert "Classes with circuits, by client (numbers of images unknown)\n  partition 0: 0, 1\n" in text


def test_pairs_that_were_left_out_are_counted(write_run: WriteRun) -> None:
    def spoil(_: int, tables: Tables) -> None:
        for row in tables["overlap"]:
            if row["comparison"] == "retest":
                row["usable"] = False

    assert "retest 8 of 8" in summary_text(load_run(write_run(change=spoil).path))


def test_failed_checks_of_the_discovery_are_named_with_the_rounds_that_they_reach(write_run: WriteRun) -> None:
    def check_once(server_round: int, tables: Tables) -> None:
        tables["validity"] = tables["validity"] if server_round == 1 else []

    def pass_all(_: int, tables: Tables) -> None:
        tables["validity"] = passed_check(tables["validity"])

    run = load_run(write_run(change=check_once).path)
    said = (
        "discovery failed its check in round 1: circuits beat random ones of their sizes by only 0.04 balanced "
        "accuracy (needed 0.10; z 2.0, needed 3.0), so no circuit of rounds 1–2 counts as usable"
    )
    assert said in " ".join(summary_text(run).split())
    assert summary_data(run)["failed_validity_checks"] == [1]
    assert "failed its check" not in summary_text(load_run(write_run("good", change=pass_all).path))


def test_many_collapsed_classes_are_counted_instead_of_listed(write_run: WriteRun) -> None:
    def collapse(server_round: int, tables: Tables) -> None:
        many = {"round": server_round, "partition_id": 0, "accepted": True, "class_counts": [5] * 12}
        tables["clients"] = [many]
        zeros = {"round": server_round, "model": "global", "recall": 0.0, "num_examples": 10}
        tables["accuracy"] = [{**zeros, "class_id": class_id} for class_id in range(12)]

    assert "12 lost" in summary_text(load_run(write_run(change=collapse).path))


def test_a_run_without_any_round_says_so(write_run: WriteRun) -> None:
    assert "No whole round yet." in summary_text(load_run(write_run(num_rounds=0).path))
