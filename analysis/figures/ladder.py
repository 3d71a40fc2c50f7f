"""The figure of the collapse ladder: where accuracy goes when models are averaged."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures.panels import (
    LineStyle,
    draw_by_round,
    fraction_axis,
    line_handle,
    panel_grid,
    put_legend,
    round_axis,
)
from analysis.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    NothingToDrawError,
    label_figure,
    themed,
)
from analysis.figures.styles import new_figure
from analysis.measures.ladder import best_ensemble, ladder_gaps, ladder_rungs
from fedcircuits.records import RungName
from fedcircuits.runlog.run import Run

_STEPS: Final = {
    "readout": ("readout: A2 − A0", SKY, RungName.FEDAVG, RungName.NEW_READOUT),
    "body": ("body: A3 − A2", RED, RungName.NEW_READOUT, RungName.CLIENT_READOUT),
}
"""Gap to its label, its colour, and the rungs that it lies between."""

_ENSEMBLE: Final = "E"
"""Stands for the better of the two intact ensembles."""

_MARKS: Final = {
    str(RungName.CENTRAL): ("A4 central training", "_", INK, 0.0),
    str(RungName.UNTRAINED): ("R readout on untrained features", "_", ORANGE, 0.0),
    str(RungName.RESCALED): ("A1 rescaled logits", "o", GREEN, 0.0),
    _ENSEMBLE: ("E intact ensemble (the better one)", "D", PURPLE, -0.2),
    str(RungName.OVERLAP_COUNT): ("overlap-count mean", "x", INK, 0.2),
}
"""Rung to its label, marker, colour, and place beside the middle of its bar."""

_LINES: Final[dict[str, tuple[str, str, LineStyle]]] = {
    "readout": (_STEPS["readout"][0], SKY, "-"),
    "body": (_STEPS["body"][0], RED, "-"),
    "negatives": ("negatives: A4 − E", PURPLE, "-"),
    "room": ("room: A3 − R", ORANGE, "--"),
}

_MOST_LABELS: Final = 12
"""Rounds that fit below the bars side by side."""

_PANEL_POINTS: Final = 300
"""About the width of a panel."""


@themed
def ladder(run: Run) -> FigureBase:
    """Draw the rungs as bars that stand on the average's accuracy, and the gaps between rungs by round."""
    rungs = ladder_rungs(run)
    if rungs.empty:
        raise NothingToDrawError(_why_no_ladder(run))
    gaps = ladder_gaps(rungs)
    rungs = rungs.assign(**{_ENSEMBLE: best_ensemble(rungs)})
    figure = new_figure(height=4.9)
    legend, (bars, lines) = panel_grid(figure, ["rungs", "gaps between rungs"])
    _draw_rungs(bars, rungs)
    _draw_gaps(lines, gaps)
    put_legend(legend, _handles(rungs, gaps))
    caption = (
        "Bars: a new readout on the average's features wins back the readout's part; readouts on the clients' own "
        "features also the body's, the only part that says circuits were destroyed (hatched: negative, the average's "
        "features are the better ones). It can show only as far as A3 lies above R. A4 above E: clients never saw the "
        "other classes. Accuracy is over the classes trained so far."
    )
    return label_figure(figure, run, "Where the accuracy goes: the collapse ladder", caption)


def _why_no_ladder(run: Run) -> str:
    if len(run.ladder):
        return "no ladder on trained classes: it is not known which classes clients trained on"
    return "no ladder was logged: examination-every sets in which rounds one is"


def _draw_rungs(panel: Axes, rungs: pd.DataFrame) -> None:
    """Stack the gaps on the average; rounds with a ladder stand side by side whatever lies between them."""
    places = np.arange(len(rungs))
    panel.bar(places, rungs[RungName.FEDAVG], color=BLUE, width=0.8, linewidth=0)
    for _, colour, low, high in _STEPS.values():
        for place, (start, end) in enumerate(zip(rungs[low], rungs[high], strict=True)):
            _draw_step(panel, place, start, end, colour)
    for rung, (_, marker, colour, aside) in _MARKS.items():
        # A dash spans most of its bar.
        size, edge = (_PANEL_POINTS / max(len(rungs), 4) * 0.6 if marker == "_" else 6), 2 if marker in "_x" else 0
        panel.plot(places + aside, rungs[rung], marker, color=colour, markersize=size, markeredgewidth=edge)
    every = -(-len(rungs) // _MOST_LABELS)
    panel.set_xticks(places[::every], [str(server_round) for server_round in rungs.index[::every]])
    panel.set_xlim(-0.6, len(rungs) - 0.4)
    panel.set_xlabel("round")
    panel.grid(visible=False, axis="x")
    fraction_axis(panel, "accuracy (0–1)")


def _draw_step(panel: Axes, place: int, start: float, end: float, colour: str) -> None:
    """Draw what one gap adds to a bar; what it takes away is hatched over what it is taken from."""
    if end >= start:
        panel.bar(place, end - start, bottom=start, color=colour, width=0.8, linewidth=0)
    elif end < start:
        panel.bar(place, start - end, bottom=end, color="none", edgecolor=colour, hatch="////", width=0.8, linewidth=0)


def _draw_gaps(panel: Axes, gaps: pd.DataFrame) -> None:
    panel.axhline(0, color=GREY, linewidth=0.8)
    rows = gaps.reset_index()
    for column, (_, colour, style) in _LINES.items():
        draw_by_round(panel, rows, column, colour, style=style, has_spread=False)
    round_axis(panel, list(gaps.index))
    panel.set_ylim(min(-0.1, 1.1 * float(gaps.min().min())), max(0.25, 1.1 * float(gaps.max().max())))
    panel.set_ylabel("difference in accuracy")


def _handles(rungs: pd.DataFrame, gaps: pd.DataFrame) -> list[Artist]:
    """Return the legend entries of what there is."""
    handles: list[Artist] = [Patch(color=BLUE, label="A0 average as it is")]
    handles += [Patch(color=colour, label=label) for label, colour, _, _ in _STEPS.values()]
    for rung, (label, marker, colour, _) in _MARKS.items():
        if rungs[rung].notna().any():
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle="", markersize=7, label=label))
    for column in ("negatives", "room"):
        label, colour, style = _LINES[column]
        if gaps[column].notna().any():
            handles.append(line_handle(label, colour, style, "" if style == "--" else "o"))
    return handles
