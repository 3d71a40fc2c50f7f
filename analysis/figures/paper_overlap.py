"""The overlap figures of arXiv 2512.23043 by round and layer, under its authors' names.

Departs from the authors' plots: rounds are in numeric order, every panel is one layer, a class that several clients
hold counts once for each, circuits that say nothing about their class are left out, and chance is drawn.
"""

from dataclasses import replace
from typing import Final

from matplotlib.figure import FigureBase

from analysis import measures
from analysis.figures.layer_lines import OverlapLine, draw_layers, left_out_note, member_lines, overlap_line
from analysis.figures.style import BLUE, GREY, INK, ORANGE, RED, label_figure, themed
from analysis.text.words import RETEST
from fedcircuits.records import Comparison
from fedcircuits.runlog.run import Run

_MEAN_WIDTH: Final = 2.4


@themed
def overlap_between_classes(run: Run) -> FigureBase:
    """Draw how similar local circuits of two classes are, in one client and in two."""
    within, across = Comparison.DIFFERENT_CLASS_WITHIN_CLIENT, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS
    # Where clients make no difference the two lines coincide: the lower one is wide enough to be seen.
    lines = [
        replace(overlap_line(run, "within a client", ORANGE, within), width=4.0),
        overlap_line(run, "across clients", RED, across),
    ]
    figure = draw_layers(lines, "pairs")
    caption = (
        "Two classes' circuits are disjoint only below their chance (dashed): small circuits share little in any case. "
        "Clients differ where pairs across clients lie below those within a client, both seen from their chance; part "
        f"of that can be that two models reach different channels. {left_out_note(run, [within, across])}"
    )
    return label_figure(figure, run, "Overlap between classes", caption)


@themed
def stability_within_client(run: Run) -> FigureBase:
    """Draw how similar a client's circuit of a class is to its circuit of the round before."""
    local = measures.of_client_models(run)
    figure = _draw_with_members(overlap_line(local, "mean", INK, Comparison.ROUND_TO_ROUND), None)
    caption = (
        "A client's circuit of a class against the one found before; a class of several clients is their mean. "
        "Circuits settle where lines rise away from chance (dashed): growing circuits raise both. "
        f"{left_out_note(local, [Comparison.ROUND_TO_ROUND])}"
    )
    return label_figure(figure, run, "Stability within a client", caption)


@themed
def consistency_across_clients(run: Run) -> FigureBase:
    """Draw how similar two clients' circuits of the same class are."""
    same = Comparison.SAME_CLASS_ACROSS_CLIENTS
    lines = [overlap_line(run, "same class, two clients", BLUE, same), _retest(measures.of_client_models(run))]
    figure = draw_layers(lines, "pairs")
    caption = (
        f"One canonical circuit per class would reach the retest, {RETEST}. "
        f"Clients that merely agree in size stay at chance (dashed). {left_out_note(run, [same])}"
    )
    return label_figure(figure, run, "Consistency across clients", caption)


@themed
def local_against_global(run: Run) -> FigureBase:
    """Draw how similar a local circuit is to the global model's circuit of its class, found on the same data."""
    line = overlap_line(run, "mean", INK, Comparison.LOCAL_VS_GLOBAL)
    figure = _draw_with_members(line, _retest(run))
    caption = (
        "A client's local circuit against the global model's, found on the same data. Averaging preserves "
        "circuits where lines reach the retest and replaces them at chance (dashed, of the mean); neither says "
        f"whether they work: see cross-accuracy. {left_out_note(run, [Comparison.LOCAL_VS_GLOBAL])}"
    )
    return label_figure(figure, run, "Local against global circuits", caption)


def _draw_with_members(mean: OverlapLine, retest: OverlapLine | None) -> FigureBase:
    """Draw thin lines of classes or clients below their mean; a band where they would be too many."""
    members = member_lines(mean)
    if members:
        mean = replace(mean, width=_MEAN_WIDTH)
    lines = [*members, *([retest] if retest else []), mean]
    return draw_layers(lines, None if members else "pairs")


def _retest(run: Run) -> OverlapLine:
    return replace(overlap_line(run, "retest", GREY, Comparison.RETEST, is_reference=True), style=":")
