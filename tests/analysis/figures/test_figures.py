"""Every figure draws what there is, says what there is not, and never fails."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from analysis import Run, load_run
from analysis.figures import FIGURES, save_figures
from analysis.figures.style import NothingToDrawError
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]

UNDEFINED = {"iou", "adjusted_iou", "expected_iou", "sufficiency", "cancellation", "recall", "sign_conflict"}


def _texts(figure: Figure) -> str:
    """Return all that a reader can read outside of axes ticks."""
    texts = [figure.get_suptitle(), figure.get_supxlabel()]
    for panel in figure.axes:
        texts += [panel.get_title(loc="left"), panel.get_xlabel(), panel.get_ylabel()]
        legend = panel.get_legend()
        texts += [text.get_text() for text in legend.get_texts()] if legend else []
    return "\n".join(texts).replace("\n", " ")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_title_and_a_caption_that_names_the_run(name: str, tiny_run: Run) -> None:
    figure = FIGURES[name](tiny_run)
    assert figure.get_suptitle()
    assert tiny_run.path.name in figure.get_supxlabel().replace("\n", "")


def test_a_whole_run_gives_every_figure(tiny_run: Run, tmp_path: Path) -> None:
    saved = list(save_figures(tiny_run, tmp_path))
    assert [figure.name for figure in saved if figure.path] == list(FIGURES)
    assert all((tmp_path / f"{name}.png").stat().st_size > 0 for name in FIGURES)


@pytest.mark.parametrize("image_format", ["svg", "pdf"])
def test_figures_can_be_vector_graphics(image_format: str, tiny_run: Run, tmp_path: Path) -> None:
    saved = next(save_figures(tiny_run, tmp_path / "out", [image_format]))
    assert saved.path == tmp_path / "out" / f"01-who-holds-what.{image_format}"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [saved.path.name]


def test_a_single_round_gives_all_but_stability(write_run: WriteRun, tmp_path: Path) -> None:
    run = load_run(write_run(num_rounds=1).path)
    skipped = [figure for figure in save_figures(run, tmp_path) if figure.path is None]
    assert [(figure.name, figure.reason) for figure in skipped] == [
        ("05-stability", "no pairs: circuits were not found in two rounds")
    ]


def test_without_shared_classes_the_figures_say_so(write_run: WriteRun) -> None:
    run = load_run(write_run(is_shared=False).path)
    for name in ("03-overlap-across-clients", "06-class-overlap", "09-client-pairs"):
        assert "no pairs: no class is held by two clients" in _texts(FIGURES[name](run))


def test_a_panel_of_what_was_not_logged_says_so_and_the_legend_names_only_what_was(write_run: WriteRun) -> None:
    def forget(_: int, tables: Tables) -> None:
        tables["quality"] = [
            {**row, "false_positive_rate": None} for row in tables["quality"] if row["partition_id"] is not None
        ]

    figure = FIGURES["10-circuit-quality"](load_run(write_run(change=forget).path))
    said = {panel.get_title(loc="left"): [text.get_text() for text in panel.texts] for panel in figure.axes}
    assert said["false positives (low)"] == ["not logged"]
    assert said["sufficiency (high)"] == []
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "client models",
        "global model, clients' data",
        "10–90 % of client models' circuits",
    ]


def test_a_run_without_any_round_skips_every_figure_with_a_reason(write_run: WriteRun, tmp_path: Path) -> None:
    saved = list(save_figures(load_run(write_run(num_rounds=0).path), tmp_path))
    assert len(saved) == len(FIGURES)
    assert all(figure.path is None and figure.reason for figure in saved)


def test_a_run_without_usable_circuits_draws_no_overlap(write_run: WriteRun) -> None:
    def spoil(_: int, tables: Tables) -> None:
        tables["overlap"] = [{**row, "usable": False} for row in tables["overlap"]]

    run = load_run(write_run(change=spoil).path)
    with pytest.raises(NothingToDrawError, match="failed its check in rounds 1–2"):
        FIGURES["03-overlap-across-clients"](run)


def test_missing_figures_leave_gaps_but_no_failure(write_run: WriteRun, tmp_path: Path) -> None:
    def blank(_: int, tables: Tables) -> None:
        for name in ("overlap", "quality", "interference", "accuracy"):
            undefined = {
                "iou",
                "adjusted_iou",
                "expected_iou",
                "sufficiency",
                "cancellation",
                "recall",
                "sign_conflict",
            }
            tables[name] = [{key: None if key in undefined else row[key] for key in row} for row in tables[name]]

    saved = list(save_figures(load_run(write_run(change=blank).path), tmp_path))
    assert {figure.name for figure in saved if figure.path is None} <= {"02-global-accuracy", "07-transplants"}


@pytest.mark.parametrize(
    ("name", "table", "setting"),
    [
        ("15-faithfulness-curves", "curves", "examination-every"),
        ("17-validity", "validity", "validity-every"),
        ("18-alignment", "alignment", "examination-every"),
    ],
)
def test_a_figure_of_an_examination_that_was_not_taken_names_the_setting(
    name: str, table: str, setting: str, write_run: WriteRun
) -> None:
    run = load_run(write_run(change=lambda _, tables: tables.update({table: []})).path)
    with pytest.raises(NothingToDrawError, match=re.escape(f"no examination was logged ({setting} = 0)")):
        FIGURES[name](run)


@pytest.mark.parametrize("name", ["15-faithfulness-curves", "17-validity", "19-patching"])
def test_undefined_examinations_leave_gaps_but_no_failure(name: str, write_run: WriteRun) -> None:
    kept = {"round", "model", "data", "method", "layer", "circuit", "weights", "class_id", "share", "size"}

    def blank(_: int, tables: Tables) -> None:
        for table in ("curves", "scrutiny", "validity", "swaps", "patching"):
            tables[table] = [
                {key: row[key] if key in kept or key.endswith("partition_id") else None for key in row}
                for row in tables[table]
            ]

    assert FIGURES[name](load_run(write_run(change=blank).path)).get_suptitle()


def test_matched_models_without_comparable_circuits_are_a_sentence_and_not_empty_panels(write_run: WriteRun) -> None:
    run = load_run(write_run().path)
    no_layer = run.alignment.assign(phi=run.alignment["phi"].mask(run.alignment["layer"] == "conv2"))
    figure = FIGURES["18-alignment"](replace(run, alignment=no_layer))
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert titles[1:] == [
        f"by {method}: {layer}" for method in ("activations", "weights") for layer in ("conv1", "all")
    ]
    no_client = run.alignment.assign(phi=run.alignment["phi"].mask(run.alignment["b_partition_id"].notna()))
    caption = FIGURES["18-alignment"](replace(run, alignment=no_client)).get_supxlabel().replace("\n", " ")
    assert "No φ of two clients: no two have usable circuits of one class." in caption
    with pytest.raises(NothingToDrawError, match="no two have usable circuits of one class"):
        FIGURES["18-alignment"](replace(run, alignment=run.alignment.assign(phi=float("nan"))))


def test_patching_is_drawn_without_swaps_and_swaps_without_patching(write_run: WriteRun) -> None:
    run = load_run(write_run().path)
    for halved in (replace(run, swaps=run.swaps[:0]), replace(run, patching=run.patching[:0])):
        said = [text.get_text() for panel in FIGURES["19-patching"](halved).axes for text in panel.texts]
        assert "not logged" in said
    with pytest.raises(NothingToDrawError, match="examination-every = 0"):
        FIGURES["19-patching"](replace(run, swaps=run.swaps[:0], patching=run.patching[:0]))


def test_stability_needs_a_shared_class(write_run: WriteRun) -> None:
    with pytest.raises(NothingToDrawError, match="no class is held by two clients"):
        FIGURES["16-stability"](load_run(write_run(is_shared=False).path))


def test_many_classes_give_a_mean_with_its_spread_instead_of_intervals(write_run: WriteRun) -> None:
    def multiply(_: int, tables: Tables) -> None:
        for name in ("stability", "curves"):
            tables[name] = [{**row, "class_id": class_id} for row in tables[name] for class_id in range(12)]

    run = load_run(write_run(change=multiply).path)
    said = _texts(FIGURES["16-stability"](run))
    assert "mean over classes" in said
    assert "95 % interval" not in said
    curves = _texts(FIGURES["15-faithfulness-curves"](run))
    assert "one circuit" in curves
    assert "class 0" not in curves


def test_the_mean_curve_lies_between_circuits_of_different_sizes(write_run: WriteRun) -> None:
    curves: dict[int, dict[float, float]] = {0: {0: 0, 1: 1}, 1: {0: 0, 0.5: 1, 1: 1}}

    def alter(_: int, tables: Tables) -> None:
        identity = {key: tables["curves"][0][key] for key in ("round", "model", "partition_id", "data")}
        tables["curves"] = [
            {**identity, "class_id": class_id, "size": place, "share": share, "faithfulness": faithfulness}
            for class_id, curve in curves.items()
            for place, (share, faithfulness) in enumerate(curve.items())
        ]
        tables["scrutiny"] = []

    figure = FIGURES["15-faithfulness-curves"](load_run(write_run(change=alter).path))
    panel = next(panel for panel in figure.axes if panel.get_title(loc="left") == "client models: faithfulness")
    bold = max(panel.lines, key=lambda line: line.get_linewidth())
    # Half of the channels: 0.5 on the first circuit's straight line, 1 on the second's.
    assert list(bold.get_xdata()) == [0.0, 0.5, 1.0]
    assert list(bold.get_ydata()) == [0.0, 0.75, 1.0]


def test_chance_has_a_band_only_where_its_spread_was_logged(tiny_run: Run) -> None:
    def num_bands(run: Run) -> int:
        return sum(len(panel.collections) for panel in FIGURES["03-overlap-across-clients"](run).axes)

    overlap = tiny_run.overlap.drop(columns="expected_sd", errors="ignore")
    without = replace(tiny_run, overlap=overlap)
    banded = replace(tiny_run, overlap=overlap.assign(expected_sd=0.05))
    # Two lines in each of three panels.
    assert num_bands(banded) == num_bands(without) + 6
    assert "light: ± sd of one pair" in _texts(FIGURES["03-overlap-across-clients"](banded))
    assert "light" not in _texts(FIGURES["03-overlap-across-clients"](without))


def test_the_caption_counts_pairs_that_were_left_out(write_run: WriteRun) -> None:
    def spoil(_: int, tables: Tables) -> None:
        for row in tables["overlap"]:
            if row["comparison"] == "different_class_across_clients":
                row["usable"] = row["usable"] and row["a_class_id"] != 0

    run = load_run(write_run(change=spoil).path)
    assert "Left out as not usable: 4 of 8 pairs." in _texts(FIGURES["03-overlap-across-clients"](run)).replace(
        "\n", " "
    )


def test_drawing_leaves_matplotlib_as_it_was(tiny_run: Run) -> None:
    before = dict(plt.rcParams)
    FIGURES["03-overlap-across-clients"](tiny_run)
    assert dict(plt.rcParams) == before
    assert plt.get_fignums() == []
