"""Figures of overlap by round and layer, always against what chance gives for the same sizes."""

from matplotlib.figure import FigureBase

from analysis import measures
from analysis.figures.layer_lines import RETEST_NOTE, OverlapLine, draw_layers, left_out_note, overlap_line
from analysis.figures.style import BLUE, GREEN, GREY, ORANGE, RED, label_figure, themed
from fedcircuits.records import Comparison, ModelKind
from fedcircuits.runlog.run import Run


@themed
def overlap_across_clients(run: Run) -> FigureBase:
    """Draw how similar circuits of different clients are, for the same class and for different classes."""
    same, different = Comparison.SAME_CLASS_ACROSS_CLIENTS, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS
    lines = [
        overlap_line(run, "same class", BLUE, same),
        overlap_line(run, "different classes", RED, different),
        _retest(run),
    ]
    figure = draw_layers(lines, "pairs")
    caption = (
        "Clients agree on a canonical circuit where the same class lies far above its chance (dashed) and above "
        f"different classes. {RETEST_NOTE} {left_out_note(run, [same, different])}"
    )
    return label_figure(figure, run, "Overlap of circuits across clients", caption)


@themed
def local_vs_global(run: Run) -> FigureBase:
    """Draw how similar a client's circuit is to the global model's circuit of the same class on the same data."""
    lines = [overlap_line(run, "local against global", GREEN, Comparison.LOCAL_VS_GLOBAL), _retest(run)]
    figure = draw_layers(lines, "circuits")
    caption = (
        "Averaging keeps local circuits where the line reaches the retest, and replaces them where it falls to chance "
        f"(dashed). {RETEST_NOTE} {left_out_note(run, [Comparison.LOCAL_VS_GLOBAL, Comparison.RETEST])}"
    )
    return label_figure(figure, run, "Local circuits against the global model's", caption)


def _retest(run: Run) -> OverlapLine:
    return overlap_line(run, "retest", GREY, Comparison.RETEST, is_reference=True)


@themed
def stability(run: Run) -> FigureBase:
    """Draw how similar a model's circuits are to its circuits of the round before."""
    rows = measures.pairs(run, Comparison.ROUND_TO_ROUND)
    why_empty = measures.why_no_pairs(run, Comparison.ROUND_TO_ROUND)
    lines = [
        OverlapLine("client models", BLUE, rows[rows["a_model"] == ModelKind.CLIENT], why_empty),
        OverlapLine("global model", ORANGE, rows[rows["a_model"] == ModelKind.GLOBAL], why_empty),
    ]
    figure = draw_layers(lines, "circuits")
    caption = (
        "Each round against the one studied before it; chance (dashed) for the same sizes. A line that rises towards 1 "
        f"says that circuits settle. {left_out_note(run, [Comparison.ROUND_TO_ROUND])}"
    )
    return label_figure(figure, run, "Stability of circuits from round to round", caption)


@themed
def weight_masks(run: Run) -> FigureBase:
    """Draw how similar the clients' weight masks are to each other and to the average's non-zero weights."""
    lines = [
        overlap_line(run, "client against client", BLUE, Comparison.PARAMETER_MASK_ACROSS_CLIENTS),
        overlap_line(run, "client against global", ORANGE, Comparison.PARAMETER_MASK_LOCAL_VS_GLOBAL),
    ]
    figure = draw_layers(lines, "pairs")
    caption = "Which weights survive sparse training. Below 1, averaging mixes weights that some clients have pruned."
    return label_figure(figure, run, "Overlap of weight masks", caption)
