"""The paper's figures draw the numbers of the log, in the order of rounds, and say what is missing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from analysis import Run, load_run
from analysis.figures import FIGURES, PAPER_FIGURES, save_figures
from analysis.figures.style import NothingToDrawError
from fedcircuits.runlog.writer import RunLog

Row = dict[str, Any]
Tables = dict[str, list[Row]]
WriteRun = Callable[..., RunLog]


def _copies(rows: list[Row], **changes: Any) -> list[Row]:
    return [{**row, **changes} for row in rows]


def _of(rows: list[Row], **values: Any) -> list[Row]:
    return [row for row in rows if all(row.get(key) == value for key, value in values.items())]


def complete(server_round: int, tables: Tables) -> None:
    """Add what the tiny run lacks: two classes in one client (IoU 0.4), and class 1 on the server's data."""
    local = _of(tables["overlap"], comparison="retest", a_partition_id=0, a_class_id=0)
    within = {"comparison": "different_class_within_client", "b_class_id": 1, "iou": 0.4}
    tables["overlap"] += _copies(local, **within)
    on_client = _of(tables["circuits"], model="global", partition_id=0, class_id=1)
    tables["circuits"] += _copies(on_client, partition_id=None, data="server")
    tables["quality"] += _copies(_of(tables["quality"], model="global", partition_id=None), class_id=1)


@pytest.fixture
def run(write_run: WriteRun) -> Run:
    return load_run(write_run(change=complete).path)


def _line(panel: Axes, number: int) -> tuple[list[float], list[float]]:
    """Return rounds and values of one line of a panel, the latter without the noise of floats."""
    line = panel.get_lines()[number]
    return [float(x) for x in np.asarray(line.get_xdata())], [round(float(y), 9) for y in np.asarray(line.get_ydata())]


def _panels(figure: Figure) -> list[Axes]:
    return [panel for panel in figure.axes if panel.get_title(loc="left")]


def _labels(figure: Figure) -> list[str]:
    legend = figure.axes[0].get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


def _cells(panel: Axes) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return the numbers of a heat map, NaN where it is grey."""
    mesh = next(artist for artist in panel.collections if isinstance(artist, QuadMesh))
    values = np.ma.filled(np.ma.asarray(mesh.get_array(), dtype=np.float64), np.nan)
    size = len(values) if values.ndim == 2 else int(len(values) ** 0.5)
    cells: np.ndarray[Any, np.dtype[np.float64]] = values.reshape(size, size)
    return cells


@pytest.mark.parametrize("name", PAPER_FIGURES)
def test_every_figure_has_a_title_and_a_caption_that_names_the_run(name: str, run: Run) -> None:
    figure = PAPER_FIGURES[name](run)
    assert figure.get_suptitle()
    assert run.path.name in figure.get_supxlabel().replace("\n", "")


def test_figures_have_the_authors_names_and_a_folder_of_their_own(run: Run, tmp_path: Path) -> None:
    saved = next(save_figures(run, tmp_path, figure_set="paper"))
    assert saved.path == tmp_path / "paper" / "overlap-between-classes.png"
    assert [path.name for path in saved.path.parent.iterdir()] == [saved.path.name]
    assert {name.removeprefix("paper/") for name in PAPER_FIGURES} == {
        "overlap-between-classes",
        "stability-within-client",
        "consistency-across-clients",
        "local-vs-global",
        "pairwise-heat-map",
        "class-overlap",
        "cross-accuracy",
        "drift-gap",
        "circuit-graph-local",
        "circuit-graph-global",
    }


def test_all_is_the_overview_and_the_paper(write_run: WriteRun, tmp_path: Path) -> None:
    empty = load_run(write_run(num_rounds=0).path)
    saved = list(save_figures(empty, tmp_path, figure_set="all"))
    assert [figure.name for figure in saved] == [*FIGURES, *PAPER_FIGURES]
    assert all(figure.path is None and figure.reason for figure in saved)


def test_one_round_has_everything_but_stability(write_run: WriteRun) -> None:
    run = load_run(write_run(num_rounds=1, change=complete).path)
    for name, draw in PAPER_FIGURES.items():
        if name == "paper/stability-within-client":
            with pytest.raises(NothingToDrawError, match="circuits were not found in two rounds"):
                draw(run)
        else:
            assert any(panel.has_data() for panel in draw(run).axes), name


def test_classes_overlap_within_and_across_clients_each_with_its_chance(run: Run) -> None:
    panel = _panels(PAPER_FIGURES["paper/overlap-between-classes"](run))[0]
    chance_within, within, chance_across, across = (_line(panel, number) for number in range(4))
    assert chance_within == chance_across == ([1, 2], [0.2, 0.2])
    assert within == ([1, 2], [0.4, 0.4])
    assert across == ([1, 2], [0.2, 0.2])


def test_one_client_alone_says_why_nothing_is_across(write_run: WriteRun) -> None:
    def keep_one(server_round: int, tables: Tables) -> None:
        complete(server_round, tables)
        for name in ("clients", "circuits"):
            tables[name] = [row for row in tables[name] if row["partition_id"] != 1]
        tables["overlap"] = [
            row for row in tables["overlap"] if 1 not in (row["a_partition_id"], row["b_partition_id"])
        ]

    figure = PAPER_FIGURES["paper/overlap-between-classes"](load_run(write_run(change=keep_one).path))
    assert "across clients – no pairs: there is one client" in _labels(figure)


def test_stability_follows_clients_only_and_rounds_in_numeric_order(write_run: WriteRun) -> None:
    def add_global(server_round: int, tables: Tables) -> None:
        local = _of(tables["overlap"], comparison="round_to_round", a_partition_id=0, a_class_id=0)
        tables["overlap"] += _copies(local, a_model="global", b_model="global", iou=0.0, usable=False)

    figure = PAPER_FIGURES["paper/stability-within-client"](load_run(write_run(num_rounds=11, change=add_global).path))
    assert _labels(figure) == ["class 0", "class 1", "class 2", "mean", "chance, same sizes"]
    rounds = list(range(2, 12))
    for number, value in enumerate([0.7, 0.7, 0.7, 0.2, 0.7]):
        assert _line(_panels(figure)[0], number) == (rounds, [value] * 10)
    assert "0 of 40 pairs" in figure.get_supxlabel().replace("\n", " ")


def test_consistency_lies_between_chance_and_the_retest_of_clients(run: Run) -> None:
    figure = PAPER_FIGURES["paper/consistency-across-clients"](run)
    lines = [_line(_panels(figure)[0], number) for number in range(3)]
    assert lines == [([1, 2], [value] * 2) for value in (0.2, 0.6, 0.92)]


def test_consistency_needs_a_shared_class(write_run: WriteRun) -> None:
    with pytest.raises(NothingToDrawError, match="no class is held by two clients"):
        PAPER_FIGURES["paper/consistency-across-clients"](load_run(write_run(is_shared=False).path))


def test_a_class_of_two_clients_is_the_mean_of_both(write_run: WriteRun) -> None:
    def differ(_: int, tables: Tables) -> None:
        for row in _of(tables["overlap"], comparison="local_vs_global", a_partition_id=1, a_class_id=1):
            row["iou"] = 0.72

    figure = PAPER_FIGURES["paper/local-vs-global"](load_run(write_run(change=differ).path))
    assert _labels(figure) == ["class 0", "class 1", "class 2", "retest", "mean", "chance, same sizes"]
    drawn = [_line(_panels(figure)[0], number)[1] for number in range(6)]
    assert drawn == [[value] * 2 for value in (0.52, 0.62, 0.52, 0.92, 0.2, 0.57)]


def test_more_classes_than_colours_give_way_to_clients(write_run: WriteRun) -> None:
    def rename(_: int, tables: Tables) -> None:
        pairs = _of(tables["overlap"], comparison="local_vs_global", a_class_id=0)
        tables["overlap"] += [{**row, "a_class_id": class_id} for row in pairs for class_id in range(3, 12)]

    figure = PAPER_FIGURES["paper/local-vs-global"](load_run(write_run(change=rename).path))
    assert _labels(figure)[:3] == ["client 0", "client 1", "retest"]


def test_the_pairwise_map_has_iou_below_chance_above_and_retests_between(run: Run) -> None:
    panel = _panels(PAPER_FIGURES["paper/pairwise-heat-map"](run))[0]
    blank = np.nan
    # Client 0 with classes 0 and 1, client 1 with classes 1 and 2, which were not compared.
    expected = [[0.92, 0.2, 0.2, 0.2], [0.4, 0.92, 0.2, 0.2], [0.2, 0.6, 0.92, blank], [0.2, 0.2, blank, 0.92]]
    np.testing.assert_allclose(_cells(panel), expected)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0", "1", "1", "2"]


def test_without_retest_the_diagonal_of_the_pairwise_map_is_blank(write_run: WriteRun) -> None:
    def drop(server_round: int, tables: Tables) -> None:
        complete(server_round, tables)
        tables["overlap"] = [row for row in tables["overlap"] if row["comparison"] != "retest"]

    panel = _panels(PAPER_FIGURES["paper/pairwise-heat-map"](load_run(write_run(change=drop).path)))[0]
    assert np.isnan(np.diag(_cells(panel))).all()


def _spoil(server_round: int, tables: Tables) -> None:
    """Make the circuit of class 1 in client 0 unusable."""
    complete(server_round, tables)
    for row in _of(tables["quality"], model="client", partition_id=0, class_id=1):
        row |= {"usable": False, "reason": "cancelled_elsewhere"}
    for row in tables["overlap"]:
        if (0, 1) in ((row["a_partition_id"], row.get("a_class_id")), (row["b_partition_id"], row.get("b_class_id"))):
            row["usable"] = False


def test_an_unusable_circuit_stays_on_the_axes_with_a_cross(write_run: WriteRun) -> None:
    figure = PAPER_FIGURES["paper/pairwise-heat-map"](load_run(write_run(change=_spoil).path))
    panel = _panels(figure)[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["0", "1×", "1", "2"]
    assert np.isnan(_cells(panel)[1]).all()
    assert np.isnan(_cells(panel)[:, 1]).all()
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "3 of 5 pairs" in caption
    assert "× = not usable (grey): 1 cancelled by the rest of the model." in caption


def test_classes_of_the_global_model_are_compared_on_the_servers_data(run: Run) -> None:
    pooled, deepest = _panels(PAPER_FIGURES["paper/class-overlap"](run))
    # conv2: {0..3} and {0..4} of 8. The shared number is 1 to 4, hypergeometric, of 9 - shared in all.
    chance = (5 * 1 / 8 + 30 * 2 / 7 + 30 * 3 / 6 + 5 * 4 / 5) / 70
    np.testing.assert_allclose(_cells(deepest), [[np.nan, round(chance, 2)], [0.8, np.nan]])
    assert _cells(pooled)[1, 0] == 0.75


def test_without_server_data_classes_are_compared_on_each_clients(write_run: WriteRun) -> None:
    def drop_server(_: int, tables: Tables) -> None:
        tables["circuits"] = [row for row in tables["circuits"] if row["partition_id"] is not None]

    figure = PAPER_FIGURES["paper/class-overlap"](load_run(write_run(change=drop_server).path))
    cells = _cells(_panels(figure)[1])
    # No client holds both class 0 and class 2.
    np.testing.assert_array_equal(np.isnan(cells), [[True, False, True], [False, True, False], [True, False, True]])
    assert cells[1, 0] == cells[2, 1] == 0.8
    assert "clients that hold both" in figure.get_supxlabel().replace("\n", " ")


def test_one_class_has_nothing_to_overlap_with(tiny_run: Run) -> None:
    with pytest.raises(NothingToDrawError, match="circuits of two classes of the global model were not found"):
        PAPER_FIGURES["paper/class-overlap"](tiny_run)


def test_cross_accuracy_draws_recall_and_false_positives_class_by_class(run: Run) -> None:
    figure = PAPER_FIGURES["paper/cross-accuracy"](run)
    panels = _panels(figure)
    assert [panel.get_title(loc="left") for panel in panels] == ["mean of all", "class 0", "class 1", "class 2"]
    for panel in panels:
        drawn = [_line(panel, number) for number in range(6)]
        assert drawn == [([1, 2], [value] * 2) for value in (1.0, 0.6, 0.9, 0.1, 0.1, 0.1)]
    assert [line.get_linestyle() for line in panels[0].get_lines()] == ["-"] * 3 + [":"] * 3


def test_cross_accuracy_counts_the_unusable_circuits_that_it_draws(write_run: WriteRun) -> None:
    figure = PAPER_FIGURES["paper/cross-accuracy"](load_run(write_run(change=_spoil).path))
    assert "Not usable, but drawn: 2 of 24 circuits" in figure.get_supxlabel().replace("\n", " ")


def test_the_drift_gap_is_global_minus_transplant_in_recall_and_in_false_positives(run: Run) -> None:
    recall, false_positives = _panels(PAPER_FIGURES["paper/drift-gap"](run))
    # The first line is zero; three classes and their mean follow.
    for number in range(1, 5):
        assert _line(recall, number) == ([1, 2], [0.3, 0.3])
        assert _line(false_positives, number) == ([1, 2], [0.0, 0.0])
    assert recall.get_ylim() == false_positives.get_ylim() == pytest.approx((-0.315, 0.315))


def test_false_positives_that_were_not_logged_are_said_to_be_missing(write_run: WriteRun) -> None:
    def drop(_: int, tables: Tables) -> None:
        for row in tables["quality"]:
            row["false_positive_rate"] = None

    run = load_run(write_run(change=drop).path)
    recall, false_positives = _panels(PAPER_FIGURES["paper/drift-gap"](run))
    assert [text.get_text() for text in false_positives.texts] == ["not logged"]
    assert _line(recall, 1) == ([1, 2], [0.3, 0.3])
    assert PAPER_FIGURES["paper/cross-accuracy"](run).get_supxlabel().startswith("False positives were not logged")


def test_without_transplants_there_is_no_accuracy_to_draw(write_run: WriteRun) -> None:
    def drop(_: int, tables: Tables) -> None:
        tables["quality"] = [row for row in tables["quality"] if row["model"] != "transplant"]

    run = load_run(write_run(change=drop).path)
    for name in ("paper/cross-accuracy", "paper/drift-gap"):
        with pytest.raises(NothingToDrawError, match="no transplant"):
            PAPER_FIGURES[name](run)


def test_without_usable_circuits_no_overlap_is_drawn(write_run: WriteRun) -> None:
    def spoil(server_round: int, tables: Tables) -> None:
        complete(server_round, tables)
        for row in (*tables["overlap"], *tables["quality"]):
            row["usable"] = False

    failed = load_run(write_run(change=spoil).path)
    unchecked = replace(failed, validity=failed.validity[:0])
    for name in list(PAPER_FIGURES)[:6]:
        with pytest.raises(NothingToDrawError, match="discovery failed its check"):
            PAPER_FIGURES[name](failed)
        with pytest.raises(NothingToDrawError, match="none of two usable circuits"):
            PAPER_FIGURES[name](unchecked)
