"""Finds texts of a figure that a reader cannot read: cut off at its edge, or over each other."""

from itertools import combinations

from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

SLACK = 1.0
"""Pixels that the boxes of two texts may share: boxes are larger than what is drawn in them."""


def unreadable(figure: Figure) -> list[str]:
    """Return what is wrong with each text that is cut off, or each pair that overlaps."""
    FigureCanvasAgg(figure).draw()
    texts = [text for text in figure.findobj(Text) if _is_drawn(text) and text not in _hidden_ticks(figure)]
    boxes = {text: text.get_window_extent() for text in texts}
    cut = [
        f"cut: {text.get_text()!r}"
        for text, box in boxes.items()
        if box.x0 < -SLACK or box.y0 < -SLACK or box.x1 > figure.bbox.x1 + SLACK or box.y1 > figure.bbox.y1 + SLACK
    ]
    overlapping = [
        f"overlap: {one.get_text()!r}, {other.get_text()!r}"
        for (one, a), (other, b) in combinations(boxes.items(), 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > SLACK and min(a.y1, b.y1) - max(a.y0, b.y0) > SLACK
    ]
    return cut + overlapping


def _is_drawn(text: Text) -> bool:
    return bool(text.get_visible() and text.get_text().strip() and text.get_alpha() != 0)


def _hidden_ticks(figure: Figure) -> set[Text]:
    """Return the labels of ticks that lie outside of their axes, and of axes that are not drawn."""
    hidden: set[Text] = set()
    for axes in figure.findobj(Axis):
        drawn = axes._update_ticks() if axes.axes.axison and axes.get_visible() else []
        for tick in [*axes.majorTicks, *axes.minorTicks]:
            if tick not in drawn:
                hidden |= {tick.label1, tick.label2}
    return hidden
