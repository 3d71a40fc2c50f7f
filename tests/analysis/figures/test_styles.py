"""Figures for the screen and for a paper: sizes, texts, files, and parts of other figures."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from figure_texts import unreadable
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis import Run, load_run
from analysis.comparison.study import read_seed_study
from analysis.figures import FIGURES, PAPER_FIGURES, overlap_across_clients, save_figure, save_figures, who_holds_what
from analysis.figures.comparison import COMPARISON_FIGURES
from analysis.figures.style import BLUE, RED, NothingToDrawError
from fedcircuits.errors import FedCircuitsError
from fedcircuits.runlog.writer import RunLog

WriteRun = Callable[..., RunLog]

OF_A_RUN = FIGURES | PAPER_FIGURES


def visible_texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_figure_for_a_paper_fits_its_page_and_every_text_can_be_read(name: str, tiny_run: Run) -> None:
    try:
        figure = OF_A_RUN[name](tiny_run, style="paper")
    except NothingToDrawError:
        assert name == "paper/class-overlap"  # the tiny run has one class on the server's data
        return
    assert figure.get_figwidth() == (3.3 if name == "01-who-holds-what" else 7.0)
    assert unreadable(figure) == []
    assert max(text.get_fontsize() for text in visible_texts(figure)) <= 10
    assert figure.get_suptitle() not in {text.get_text() for text in visible_texts(figure)}


def test_figures_of_a_comparison_for_a_paper_can_be_read(write_run: WriteRun) -> None:
    paths = [write_run("tiny", seed=seed, sparsity=sparsity).path for seed in (0, 1) for sparsity in (0.0, 0.9)]
    study = read_seed_study(paths)
    assert {
        name: bad for name, draw in COMPARISON_FIGURES.items() if (bad := unreadable(draw(study, style="paper")))
    } == {}


def test_the_check_of_texts_sees_what_is_cut_and_what_overlaps() -> None:
    figure = Figure()
    figure.text(0.99, 0.5, "far too long")
    figure.text(0.3, 0.3, "one")
    figure.text(0.301, 0.301, "two")
    assert unreadable(figure) == ["cut: 'far too long'", "overlap: 'one', 'two'"]


def test_lines_for_a_paper_differ_in_their_markers_and_those_on_screen_in_colour_alone(tiny_run: Run) -> None:
    def markers(figure: Figure) -> dict[str, Any]:
        lines = [line for line in figure.axes[1].lines if line.get_linestyle() == "-"]
        return {to_hex(line.get_color()).upper(): line.get_marker() for line in lines}

    assert markers(overlap_across_clients(tiny_run)).items() >= {BLUE: "o", RED: "o"}.items()
    paper = overlap_across_clients(tiny_run, style="paper")
    assert markers(paper).items() >= {BLUE: "o", RED: "D"}.items()
    legend = paper.axes[0].get_legend()
    assert legend is not None
    assert [line.get_marker() for line in legend.get_lines()][:2] == ["o", "D"]


def test_bars_for_a_paper_are_hatched(tiny_run: Run) -> None:
    hatches = {patch.get_hatch() for patch in FIGURES["12-supports"](tiny_run, style="paper").axes[1].patches}
    assert hatches == {None, "xxx"}
    assert {patch.get_hatch() for patch in FIGURES["12-supports"](tiny_run).axes[1].patches} == {None}


@pytest.mark.parametrize("image_format", ["png", "svg", "pdf"])
def test_the_same_figure_gives_the_same_bytes_without_a_date(image_format: str, tiny_run: Run, tmp_path: Path) -> None:
    one, other = (tmp_path / f"{number}.{image_format}" for number in (1, 2))
    for path in (one, other):
        save_figure(overlap_across_clients(tiny_run), path)
    assert one.read_bytes() == other.read_bytes()
    assert not re.search(rb"CreationDate|dc:date|20\d\d-\d\d-\d\dT", one.read_bytes())


def test_text_stays_text_in_vector_graphics(tiny_run: Run, tmp_path: Path) -> None:
    figure = overlap_across_clients(tiny_run)
    svg = save_figure(figure, tmp_path / "a.svg").read_text(encoding="utf-8")
    assert ">IoU (0–1)</text>" in svg
    pdf = save_figure(figure, tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Subtype /Type3" not in pdf


def test_each_figure_is_written_in_every_format_and_captions_beside_those_for_a_paper(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.figures.FIGURES", {"01-who-holds-what": FIGURES["01-who-holds-what"]})
    saved = [one.path for one in save_figures(tiny_run, tmp_path, ["svg", "pdf"], style="paper")]
    assert saved == [tmp_path / f"01-who-holds-what.{kind}" for kind in ("svg", "pdf")] + [tmp_path / "captions.md"]
    captions = (tmp_path / "captions.md").read_text(encoding="utf-8")
    assert captions.startswith("## 01-who-holds-what\n\n**Who holds what.** Images of each class by client")
    assert captions.endswith(f"Run: {tiny_run.path.name}.\n")


@pytest.mark.parametrize("name", OF_A_RUN)
def test_every_figure_can_be_part_of_another(name: str, tiny_run: Run) -> None:
    whole = Figure(figsize=(20, 10))
    left, right = whole.subfigures(1, 2)
    try:
        assert OF_A_RUN[name](tiny_run, figure=left) is left
    except NothingToDrawError:
        assert name == "paper/class-overlap"
        return
    assert left.axes
    assert not right.axes
    assert left.get_suptitle()


def test_captions_are_as_wide_as_the_part_that_they_belong_to(tiny_run: Run) -> None:
    left, _ = Figure(figsize=(10, 5)).subfigures(1, 2)
    who_holds_what(tiny_run, figure=left)
    assert max(map(len, left.get_supxlabel().splitlines())) <= 5 * 14.8


def test_a_figure_that_is_not_empty_and_an_unknown_style_are_refused(tiny_run: Run) -> None:
    used = Figure()
    used.subplots()
    with pytest.raises(FedCircuitsError, match="figure: it has axes already"):
        who_holds_what(tiny_run, figure=used)
    with pytest.raises(FedCircuitsError, match="there is no 'poster'; there are 'screen', 'paper'"):
        who_holds_what(tiny_run, style="poster")  # type: ignore[call-overload]


def test_another_ending_is_refused(tiny_run: Run, tmp_path: Path) -> None:
    with pytest.raises(FedCircuitsError, match="written as png, svg, pdf, not as 'gif'"):
        save_figure(Figure(), tmp_path / "a.gif")


def test_a_style_ends_with_its_figure(write_run: WriteRun) -> None:
    before = dict(mpl.rcParams)
    run = load_run(write_run().path)
    who_holds_what(run, style="paper")
    assert np.isclose(who_holds_what(run).get_figwidth(), 10)
    assert dict(mpl.rcParams) == before


def test_a_users_settings_and_a_notebooks_backend_change_nothing(write_run: WriteRun, tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\nsavefig.transparent: True\n")
    path = write_run().path
    command = [sys.executable, "-m", "analysis", "figures", path, "--only", "01-who-holds-what", "--out", tmp_path]
    elsewhere = {"MPLBACKEND": "module://of_another_environment", "MATPLOTLIBRC": str(tmp_path)}
    subprocess.run(command, env=os.environ | elsewhere, check=True, capture_output=True)
    here = save_figure(who_holds_what(load_run(path)), tmp_path / "here.png")
    assert (tmp_path / "01-who-holds-what.png").read_bytes() == here.read_bytes()
