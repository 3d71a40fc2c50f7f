"""Runs with so many clients that the log has summaries of their overlap instead of pairs."""

from collections.abc import Callable
from typing import Any

import pytest

from analysis import Run, load_run, measures
from analysis.claims.evidence import evidence
from analysis.figures.layer_lines import left_out_note
from analysis.figures.overlap import overlap_across_clients, weight_masks
from analysis.figures.pairs import class_overlap
from analysis.figures.paper_maps import pairwise_heat_map
from analysis.figures.style import NothingToDrawError
from analysis.follows.regression import regress_overlap
from analysis.measures.by_seed import seed_measures
from analysis.measures.unit_rows import unit_rows
from analysis.summary import summary_data, summary_text
from fedcircuits.errors import RunLogError
from fedcircuits.records import ALL_LAYERS, Comparison

Row = dict[str, Any]
Tables = dict[str, list[Row]]

SAME, DIFFERENT = Comparison.SAME_CLASS_ACROSS_CLIENTS, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS
MASKS = Comparison.PARAMETER_MASK_ACROSS_CLIENTS
MEANS = {
    "iou": 0.6,
    "expected_iou": 0.2,
    "adjusted_iou": 0.5,
    "phi": 0.4,
    "common_adjusted_iou": 0.3,
    "common_phi": 0.1,
}


def summary_rows(server_round: int, comparison: Comparison, num_left_out: int = 2) -> list[Row]:
    identity = {"round": server_round, "comparison": str(comparison), "num_pairs": 10, "num_left_out": num_left_out}
    return [
        {**identity, "layer": layer, "figure": figure, "mean": value, "sd": 0.1}
        for layer in ("conv1", "conv2", ALL_LAYERS)
        for figure, value in MEANS.items()
    ]


def summarise(server_round: int, tables: Tables) -> None:
    """Put summaries in the place of the pairs across clients."""
    across = {str(SAME), str(DIFFERENT), str(MASKS)}
    tables["overlap"] = [row for row in tables["overlap"] if row["comparison"] not in across]
    tables["overlap_summary"] = [
        row for comparison in (SAME, DIFFERENT) for row in summary_rows(server_round, comparison)
    ] + summary_rows(server_round, MASKS, num_left_out=0)


@pytest.fixture
def summarised(write_run: Callable[..., Any]) -> Run:
    return load_run(write_run(change=summarise).path)


def test_the_summary_and_a_comparison_take_the_means_of_the_log(summarised: Run) -> None:
    table = measures.round_measures(summarised)
    assert table["same_class_iou"].tolist() == [0.6, 0.6]
    assert table["different_class_common_adjusted_iou"].tolist() == [0.3, 0.3]
    assert table["local_vs_global_iou"].tolist() == pytest.approx([0.52, 0.52])  # pairs, as ever
    assert seed_measures(summarised)["same_class_phi"].tolist() == [0.4, 0.4]
    assert "0.60" in summary_text(summarised)


def test_pairs_that_were_left_out_are_counted_also_where_they_were_summarised(summarised: Run) -> None:
    assert measures.left_out(summarised, [SAME]) == (4, 24)
    assert summary_data(summarised)["pairs_left_out"]["left_out"] == 8
    note = left_out_note(summarised, [SAME])
    assert note.startswith("Left out as not usable: 4 of 24 pairs.")
    assert "bands do not show pairs" in note
    assert "bands" not in left_out_note(summarised, [Comparison.RETEST])


def test_a_round_of_pairs_and_a_round_of_summaries_go_together(write_run: Callable[..., Any]) -> None:
    def change(server_round: int, tables: Tables) -> None:
        if server_round == 2:
            summarise(server_round, tables)

    run = load_run(write_run(change=change).path)
    rows = measures.mean_rows(run, DIFFERENT)
    assert rows.groupby("round").size().to_dict() == {1: 3 * 3, 2: 3}
    assert list(rows.columns) == list(run.overlap.columns)
    assert measures.layers_of(measures.mean_rows(run, SAME)) == ["conv1", "conv2", ALL_LAYERS]


@pytest.mark.filterwarnings("error")
def test_figures_of_overlap_by_round_draw_the_means(summarised: Run) -> None:
    for draw in (overlap_across_clients, weight_masks):
        assert draw(summarised).axes


@pytest.mark.parametrize("draw", [class_overlap, pairwise_heat_map])
def test_maps_of_pairs_say_that_there_are_none(summarised: Run, draw: Callable[[Run], Any]) -> None:
    with pytest.raises(NothingToDrawError, match="overlap across them is summarised"):
        draw(summarised)


def test_a_summary_without_a_usable_pair_says_why(write_run: Callable[..., Any]) -> None:
    def change(server_round: int, tables: Tables) -> None:
        summarise(server_round, tables)
        for row in tables["overlap_summary"]:
            row |= {"num_pairs": 0, "mean": None}

    run = load_run(write_run(change=change).path)
    assert measures.why_no_pairs(run, SAME).endswith("no circuit counts as usable")


def test_means_of_a_summary_are_no_units_to_draw_from(summarised: Run) -> None:
    found = set(unit_rows(summarised, 2)["measure"])
    assert not {measure for measure in found if measure.startswith(("same_class", "different_class"))}
    assert "local_vs_global_adjusted_iou" in found


def test_claims_and_diagnosis_take_the_means_without_the_noise_of_discovery(summarised: Run) -> None:
    numbers = evidence(summarised, 2)
    assert numbers["same_class_raw"] == pytest.approx(0.4)
    assert numbers["same_class"] != numbers["same_class"]  # NaN: pairs have retests, summaries do not
    assert numbers["left_out"] == pytest.approx(2 / 12)


def test_what_overlap_follows_needs_every_pair_of_a_round(summarised: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.follows.regression._MOST_OF_A_ROUND", 3)
    with pytest.raises(RunLogError, match="round 2 has 4 usable circuits of clients; every pair"):
        regress_overlap(summarised)
    monkeypatch.setattr("analysis.follows.regression._MOST_OF_A_ROUND", 4)
    assert regress_overlap(summarised, num_permutations=10).num_circuits == 8
