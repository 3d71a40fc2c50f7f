"""Rungs and gaps of the collapse ladder, and its figure."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from analysis import Run, load_run
from analysis.figures.ladder import ladder
from analysis.figures.style import NothingToDrawError
from analysis.measures.ladder import ladder_gaps, ladder_rungs
from fedcircuits.records import RungName
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]


def test_rungs_have_a_row_per_round_and_leave_out_single_clients(tiny_run: Run) -> None:
    rungs = ladder_rungs(tiny_run)
    assert list(rungs.index) == [1, 2]
    assert list(rungs.columns) == list(RungName)
    assert rungs.loc[1, "A3"] == 0.85
    assert ladder_rungs(tiny_run, "accuracy").loc[1, "A3"] == 0.75


def test_gaps_are_differences_of_rungs_with_the_better_ensemble(tiny_run: Run) -> None:
    gaps = ladder_gaps(ladder_rungs(tiny_run))
    assert gaps.loc[2].to_dict() == pytest.approx({"readout": 0.3, "body": 0.05, "negatives": 0.2, "room": 0.25})


def without(*names: str) -> Callable[[int, Tables], None]:
    def change(_: int, tables: Tables) -> None:
        tables["ladder"] = [row for row in tables["ladder"] if row["rung"] not in names]

    return change


def test_a_rung_that_was_not_climbed_leaves_its_gap_open(write_run: WriteRun) -> None:
    run = load_run(write_run(change=without("A4")).path)
    gaps = ladder_gaps(ladder_rungs(run))
    assert gaps["negatives"].isna().all()
    assert gaps["body"].notna().all()
    legend = ladder(run).axes[0].get_legend()
    assert legend is not None
    assert not any("A4" in text.get_text() for text in legend.get_texts())


def test_a_run_without_a_ladder_says_why_there_is_no_figure(write_run: WriteRun) -> None:
    run = load_run(write_run(change=without(*RungName)).path)
    assert ladder_rungs(run).empty
    with pytest.raises(NothingToDrawError, match="examination-every"):
        ladder(run)


def test_a_ladder_without_any_accuracy_is_no_ladder(write_run: WriteRun) -> None:
    def blank(_: int, tables: Tables) -> None:
        tables["ladder"] = [{**row, "accuracy_trained": None} for row in tables["ladder"]]

    with pytest.raises(NothingToDrawError):
        ladder(load_run(write_run(change=blank).path))


def test_a_negative_gap_is_hatched_below_the_rung_that_it_starts_from(write_run: WriteRun) -> None:
    def sink(_: int, tables: Tables) -> None:
        tables["ladder"] = [
            {**row, "accuracy_trained": 0.6} if row["rung"] == "A3" else row for row in tables["ladder"]
        ]

    figure = ladder(load_run(write_run(change=sink, num_rounds=1).path))
    hatched = [patch for patch in figure.axes[1].patches if patch.get_hatch()]
    assert [(round(bar.get_y(), 6), round(bar.get_height(), 6)) for bar in hatched] == [(0.6, 0.2)]


def test_many_rounds_share_their_labels(tiny_run: Run) -> None:
    rows = pd.concat([tiny_run.ladder.assign(round=i) for i in range(1, 41)])
    figure = ladder(Run(**{**vars(tiny_run), "ladder": rows}))
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == [str(i) for i in range(1, 41, 4)]
