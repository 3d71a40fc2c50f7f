"""Figures of data and models: who holds what, and how well the global model does."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from analysis import measures
from analysis.figures.panels import band_handle, draw_by_round, fraction_axis, heat_map, line_handle, round_axis
from analysis.figures.style import BLUE, GREEN, ORANGE, NothingToDrawError, label_figure, themed
from analysis.figures.styles import new_figure, points
from fedcircuits.records import COLLAPSED_RECALL, DEFAULT_ANSWER_RATE
from fedcircuits.runlog.run import Run


@themed
def who_holds_what(run: Run) -> FigureBase:
    """Draw how many images each client holds of each class."""
    held = measures.holdings(run)
    if held.empty:
        raise NothingToDrawError("no client has said how many images it holds")
    figure = new_figure(height=float(np.clip(1.8 + 0.4 * len(held), 2.6, 8)), is_panel=True)
    panel = figure.subplots()
    heat_map(panel, held.where(held > 0), "images", digits=0, cmap="crest", vmin=0)
    panel.set(xlabel="class", ylabel="client (partition)")
    caption = (
        "Images of each class by client; grey: none. Circuits of a class can be compared across clients that share it."
    )
    return label_figure(figure, run, "Who holds what", caption)


@themed
def global_accuracy(run: Run) -> FigureBase:
    """Draw the global model's accuracy by round, overall and by class."""
    recall = measures.global_recall(run)
    if recall.empty:
        raise NothingToDrawError("no accuracy of the global model was logged")
    figure = new_figure(height=4.6)
    lines, by_class, alarms = figure.subplots(1, 3, width_ratios=[1.15, 1, 1])
    _draw_accuracy(lines, run)
    _draw_recall(by_class, run, recall)
    _draw_false_positives(alarms, run)
    caption = (
        "Left: a global model below its clients has lost something to averaging. Middle and right: a class is "
        "recognised where recall is high and false positives are few; × = collapsed, a class that clients train on but "
        f"of which less than {COLLAPSED_RECALL:.0%} is recognised; ! = the answer to at least "
        f"{DEFAULT_ANSWER_RATE:.0%} of other classes' images, so that its recall says nothing; * = held by nobody."
    )
    return label_figure(figure, run, "Accuracy of the global model", caption)


def _draw_accuracy(panel: Axes, run: Run) -> None:
    overall = measures.global_accuracy(run).reset_index()
    handles: list[Artist] = [line_handle("global model, all classes", ORANGE)]
    trained = overall["accuracy_trained"].dropna()
    if (overall.loc[trained.index, "accuracy"] != trained).any():
        draw_by_round(panel, overall, "accuracy_trained", BLUE, has_spread=False)
        handles.append(line_handle("global model, trained classes", BLUE))
    draw_by_round(panel, overall, "accuracy", ORANGE, has_spread=False)
    clients = measures.client_accuracy(run)
    if len(clients):
        draw_by_round(panel, clients, "accuracy", GREEN, style=":")
        handles += [line_handle("client models, own classes", GREEN, ":"), band_handle("clients")]
    round_axis(panel, list(overall["round"]))
    fraction_axis(panel, "accuracy on the test set (0–1)")
    panel.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=points(8))


def _draw_recall(panel: Axes, run: Run, recall: pd.DataFrame) -> None:
    trained = measures.trained_classes(run)
    is_trained = pd.DataFrame(
        [[class_id in trained.get(int(str(number)), ()) for class_id in recall.columns] for number in recall.index],
        index=recall.index,
        columns=recall.columns,
    )
    marks = (is_trained & (recall < COLLAPSED_RECALL)).replace({True: "×", False: ""})
    _draw_by_class(panel, run, recall, marks, "recall (0–1)", "viridis")


def _draw_false_positives(panel: Axes, run: Run) -> None:
    rates = measures.global_false_positives(run)
    marks = (rates >= DEFAULT_ANSWER_RATE).replace({True: "!", False: ""})
    _draw_by_class(panel, run, rates, marks, "false-positive rate (0–1)", "rocket_r")


def _draw_by_class(
    panel: Axes, run: Run, rates: pd.DataFrame, marks: pd.DataFrame, bar_label: str, colours: str
) -> None:
    held = measures.holdings(run).sum()
    nobodys = [] if held.empty else [class_id for class_id in rates.columns if not held.get(class_id, 0)]
    shown = rates.rename(columns=lambda class_id: f"{class_id}{'*' if class_id in nobodys else ''}")
    options: dict[str, Any] = {"annot": marks.T.to_numpy(), "fmt": "", "annot_kws": {"size": points(10)}}
    heat_map(panel, shown.T, bar_label, cmap=colours, vmin=0, vmax=1, **options)
    panel.set(xlabel="round", ylabel="class")
