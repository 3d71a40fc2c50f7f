"""Runs whose clients did not report everything: every command says what is missing and goes on."""

from pathlib import Path
from typing import Any

import pytest

from analysis import load_run
from analysis.diagnosis import diagnose
from analysis.diagnosis.text import diagnosis_text
from analysis.figures import FIGURES, save_drawings
from analysis.measures import client_accuracy, global_accuracy, trained_classes, why_no_pairs
from analysis.summary import summary_data, summary_text
from fedcircuits.records import Comparison
from fedcircuits.runlog.run import Run

Row = dict[str, Any]
Tables = dict[str, list[Row]]

OF_MASKS = {"parameter_mask_across_clients", "parameter_mask_local_vs_global"}


def withhold(_: int, tables: Tables) -> None:
    """Leave what the server finds out by itself, and the masks."""

    def is_servers(row: Row) -> bool:
        return row.get("partition_id") is None

    for name in ("accuracy", "circuits", "edges", "quality", "curves", "scrutiny"):
        tables[name] = [row for row in tables[name] if is_servers(row)]
    for name in ("swaps", "patching", "stability", "circuit_interference"):
        tables[name] = []
    tables["overlap"] = [row for row in tables["overlap"] if row["comparison"] in OF_MASKS]
    tables["clients"] = [row | {"class_counts": None, "train_loss": None} for row in tables["clients"]]
    tables["ladder"] = [row | {"accuracy_trained": None} for row in tables["ladder"]]


@pytest.fixture
def closed_run(write_run: Any) -> Run:
    noise = {"mask_flip_probability": 0.25, "dp": "server-fixed-clipping", "dp_clipping_norm": 0.5}
    log = write_run(change=withhold, client_report="masks", examination_every=1, dp_noise_multiplier=1.0, **noise)
    log.complete()
    return load_run(log.path)


def test_the_summary_says_what_is_missing_and_what_is_noisy(closed_run: Run) -> None:
    text = summary_text(closed_run)
    assert 'reports   clients report nothing by class (client-report = "masks")' in text
    assert "missing   who holds what, circuits of clients, which classes collapsed" in text
    assert "masks     bits flipped with probability 0.25 (epsilon 1.10 a bit and round), overlaps estimated" in text
    assert "average   server-fixed-clipping at 0.5, noise multiplier 1.0" in text
    assert "the global model's alone" in text
    assert "seen" not in text  # accuracy over trained classes, which are not known
    assert "Who holds what: " not in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_an_open_run_says_nothing_of_reports(tiny_run: Run) -> None:
    text = summary_text(tiny_run)
    assert not any(word in text for word in ("reports  ", "missing  ", "masks  ", "average  "))


def test_what_is_not_known_is_missing_and_not_zero(closed_run: Run) -> None:
    assert set(trained_classes(closed_run).values()) == {frozenset()}
    accuracy = global_accuracy(closed_run)
    assert accuracy["accuracy"].notna().all()
    assert accuracy["accuracy_trained"].isna().all()
    assert accuracy["collapsed"].isna().all()
    assert client_accuracy(closed_run).empty
    assert [row["collapsed"] for row in summary_data(closed_run)["rounds"]] == [None, None]
    assert summary_data(closed_run)["holdings"] == {}


def test_pairs_that_clients_did_not_report_are_missing_for_that_reason(closed_run: Run, tiny_run: Run) -> None:
    reason = 'no pairs: clients report nothing by class (client-report = "masks")'
    assert why_no_pairs(closed_run, Comparison.SAME_CLASS_ACROSS_CLIENTS) == reason
    assert why_no_pairs(closed_run, Comparison.PARAMETER_MASK_ACROSS_CLIENTS) != reason
    assert why_no_pairs(tiny_run, Comparison.ROUND_TO_ROUND) != reason


def test_the_diagnosis_answers_what_it_can(closed_run: Run) -> None:
    sections = {section.name: section for section in diagnose(closed_run).sections}
    assert "trained classes are not known" in sections["ladder"].meaning
    assert [rung.name for rung in sections["ladder"].findings.rungs]
    assert sections["costs"].findings is not None
    assert diagnosis_text(diagnose(closed_run))


def test_figures_are_drawn_or_skipped_with_a_reason(closed_run: Run, tmp_path: Path) -> None:
    names = ("01-who-holds-what", "02-global-accuracy", "13-weight-masks", "14-ladder", "19-patching")
    drawings = {name: FIGURES[name] for name in names}
    saved = {figure.name: figure for figure in save_drawings(drawings, closed_run, tmp_path, ["png"])}
    assert saved["02-global-accuracy"].path is not None
    assert "which classes clients trained on" in saved["14-ladder"].reason
    assert "client-report" in saved["19-patching"].reason
