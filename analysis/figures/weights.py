"""Figures of what averaging does to weights, layer by layer."""

from matplotlib.figure import FigureBase
from matplotlib.patches import Patch

from analysis.figures.panels import (
    LineStyle,
    draw_by_round,
    fraction_axis,
    from_zero,
    line_handle,
    panel_grid,
    put_legend,
    round_axis,
)
from analysis.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    SKY,
    NothingToDrawError,
    label_figure,
    layer_colours,
    themed,
)
from analysis.figures.styles import new_figure
from fedcircuits.runlog.run import Run

_SUPPORTS = {
    "support_agree": ("several clients, one sign", BLUE),
    "support_solo": ("one client only", SKY),
    "support_conflict": ("several clients, both signs", RED),
}
_DENSITIES = {
    "density_clients": ("density: client (mean)", BLUE),
    "density_global": ("density: global model", GREEN),
    "density_union": ("density: union of clients", ORANGE),
}


@themed
def interference(run: Run) -> FigureBase:
    """Draw cancellation, sign conflict and norm retention by layer."""
    rows = run.interference
    layers = _layers(run)
    titles = {"cancellation": "cancellation", "sign_conflict": "sign conflict", "norm_retention": "norm retention"}
    labels = {
        "cancellation": "norm of mean update (0–1)",
        "sign_conflict": "share of update mass (0–1)",
        "norm_retention": "norm of average weights",
    }
    figure = new_figure(height=4.0)
    legend, panels = panel_grid(figure, list(titles.values()))
    colours = dict(zip(layers, layer_colours(len(layers)), strict=True))
    for panel, column in zip(panels, titles, strict=True):
        for layer, colour in colours.items():
            own = rows[rows["layer"] == layer]
            draw_by_round(panel, own, column, colour, has_spread=False)
            if column == "sign_conflict":
                draw_by_round(panel, own, "sign_conflict_null", colour, style="--", has_spread=False)
        round_axis(panel, list(rows["round"]))
        fraction_axis(panel, labels[column])
    panels[1].set_ylim(*from_zero(rows[["sign_conflict", "sign_conflict_null"]].max()))
    # An adaptive server optimiser can make the new weights larger than any client's.
    panels[2].set_ylim(*from_zero(rows["norm_retention"], at_least=1.03))
    unrelated = rows.assign(unrelated=rows["num_clients"].astype("float64") ** -0.5)
    draw_by_round(panels[0], unrelated, "unrelated", GREY, style="--", has_spread=False)
    handles = [line_handle(layer, colour) for layer, colour in colours.items()]
    put_legend(legend, [*handles, line_handle("unrelated: 1/√clients; shuffled signs", GREY, "--", "")])
    caption = (
        "Cancellation: 1 = all clients pull one way, dashed = unrelated, below = they oppose each other. Sign "
        "conflict: mass on weights whose largest updates differ in sign; dashed, what shuffled signs would give in "
        "that layer: only more than this speaks of conflict. "
        "Norms are relative to the clients' mean norm; below 1 the average has shrunk."
    )
    return label_figure(figure, run, "Interference of client updates", caption)


@themed
def supports(run: Run) -> FigureBase:
    """Draw how many clients keep a weight, and how dense clients, their union and the average are."""
    rows, layers = run.interference, _layers(run)
    figure = new_figure(height=6.2)
    legend, panels = panel_grid(figure, [*layers, *[""] * len(layers)], columns=len(layers))
    for number, layer in enumerate(layers):
        own = rows[rows["layer"] == layer].set_index("round")
        split, density = panels[number], panels[len(layers) + number]
        bottom = own["support_agree"] * 0
        for column, (_, colour) in _SUPPORTS.items():
            split.bar(own.index, own[column], bottom=bottom, color=colour, width=0.85, linewidth=0)
            bottom = bottom + own[column]
        for column, (_, colour) in _DENSITIES.items():
            # The union often equals the global model: dashes let both be seen.
            style: LineStyle = "--" if column == "density_union" else "-"
            draw_by_round(density, own.reset_index(), column, colour, style=style, has_spread=False)
        for panel in (split, density):
            round_axis(panel, list(rows["round"]), is_labelled=panel is density)
        fraction_axis(split)
        density.set_ylim(*from_zero(own[list(_DENSITIES)].max()))
    panels[0].set_ylabel("share of weights that\nany client keeps (0–1)")
    panels[len(layers)].set_ylabel("density")
    handles = [Patch(color=colour, label=label) for label, colour in _SUPPORTS.values()]
    lines = [
        line_handle(label, colour, "--" if column == "density_union" else "-")
        for column, (label, colour) in _DENSITIES.items()
    ]
    put_legend(legend, [*handles, *lines])
    caption = (
        "Above: weights that only one client keeps are diluted by the average, weights with both signs cancel. Below: "
        "the further the global model lies above one client, the less sparse averaging leaves it."
    )
    return label_figure(figure, run, "Who keeps which weights", caption)


def _layers(run: Run) -> list[str]:
    if run.interference.empty:
        raise NothingToDrawError("no interference was logged")
    return [str(layer) for layer in run.interference["layer"].unique()]
