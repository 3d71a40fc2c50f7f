"""Circuit graphs show the circuits of the log: their channels, their edges, and whom they share with."""

from collections.abc import Callable
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from analysis import Run, load_run
from analysis.figures.circuit_graph import circuit_graph_global, circuit_graph_local
from analysis.figures.graph_choice import global_graphs, local_graphs, mean_overlap
from analysis.figures.style import INK, ORANGE, SKY, NothingToDrawError
from fedcircuits.runlog.writer import RunLog

Row = dict[str, Any]
Tables = dict[str, list[Row]]
WriteRun = Callable[..., RunLog]


def _panels(figure: Figure) -> list[Axes]:
    return [panel for panel in figure.axes if panel.get_title(loc="left")]


def _num_edges(panel: Axes) -> list[int]:
    return [len(lines.get_segments()) for lines in panel.collections if isinstance(lines, LineCollection)]


def _caption(figure: Figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def _widen(_: int, tables: Tables) -> None:
    """Give class 1 of client 1 a channel in conv2 that client 0 and the global model lack."""
    for row in tables["circuits"]:
        if (row["model"], row["partition_id"], row["class_id"], row["layer"]) == ("client", 1, 1, "conv2"):
            row["channels"], row["num_channels"] = [0, 1, 2, 3, 7], 5


def test_a_shared_class_is_shown_for_each_client_that_holds_it(tiny_run: Run) -> None:
    assert [graph.subject for graph in local_graphs(tiny_run)] == [(0, 1), (1, 1)]
    assert [graph.subject for graph in global_graphs(tiny_run)] == [(0, 1), (1, 1)]


def test_without_a_shared_class_each_client_shows_its_first(write_run: WriteRun) -> None:
    run = load_run(write_run(is_shared=False).path)
    assert [graph.subject for graph in local_graphs(run)] == [(0, 0), (1, 2)]


def test_nodes_and_edges_are_those_of_the_log(tiny_run: Run) -> None:
    graph = local_graphs(tiny_run)[0]
    assert graph.nodes() == {"image": [0], "conv1": [0, 1, 2], "conv2": [0, 1, 2, 3, 4], "fc": [1]}
    assert graph.edges == {"conv1": [(0, 0), (0, 1)], "conv2": [(0, 0), (1, 3)], "fc": [(3, 1)]}
    panel = _panels(circuit_graph_local(tiny_run))[0]
    assert panel.get_title(loc="left") == "client 0, class 1\n3 + 5 channels, 5 edges"
    assert _num_edges(panel) == [2, 2, 1]
    assert [text.get_text() for text in panel.texts] == ["0", "0", "1", "2", "0", "1", "2", "3", "4", "1"]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["image", "conv1", "conv2", "class"]


def test_colour_tells_channels_of_several_panels_and_the_rim_those_of_the_other_model(write_run: WriteRun) -> None:
    panel = _panels(circuit_graph_local(load_run(write_run(change=_widen).path)))[1]
    boxes = {text.get_text(): text.get_bbox_patch() for text in panel.texts[4:9]}
    looks = {name: (to_hex(box.get_facecolor()), to_hex(box.get_edgecolor())) for name, box in boxes.items() if box}
    assert looks["3"] == (ORANGE.lower(), INK.lower())
    assert looks["7"] == (SKY.lower(), SKY.lower())


def test_the_caption_compares_panels_with_chance(write_run: WriteRun) -> None:
    run = load_run(write_run(change=_widen).path)
    iou, chance = mean_overlap([graph.rows for graph in local_graphs(run)])
    # conv1 {0, 1, 2} twice; conv2 {0..4} and {0, 1, 2, 3, 7}: seven shared of nine.
    assert iou == pytest.approx(7 / 9)
    assert f"Mean IoU of panels 0.78, by chance {chance:.2f}." in _caption(circuit_graph_local(run))


def test_edges_that_were_not_logged_leave_the_nodes(tiny_run: Run) -> None:
    figure = circuit_graph_global(tiny_run)
    assert "No edges were logged" in _caption(figure)
    assert [_num_edges(panel) for panel in _panels(figure)] == [[0, 0, 0]] * 2
    assert _panels(figure)[0].get_title(loc="left") == "client 0, class 1\n3 + 5 channels"


def test_large_circuits_have_dots_without_numbers(write_run: WriteRun) -> None:
    def enlarge(_: int, tables: Tables) -> None:
        for row in tables["circuits"]:
            row |= {"channels": list(range(33)), "num_channels": 33, "layer_width": 64, "reachable": list(range(64))}

    figure = circuit_graph_local(load_run(write_run(change=enlarge).path))
    panel = _panels(figure)[0]
    assert [text.get_text() for text in panel.texts] == ["0", "1"]
    assert len(panel.get_lines()) == 66
    assert "No numbers: a layer has over 32 channels." in _caption(figure)


def test_an_unusable_or_empty_circuit_says_so(write_run: WriteRun) -> None:
    def empty(_: int, tables: Tables) -> None:
        for row in tables["circuits"]:
            if (row["model"], row["partition_id"]) == ("client", 0):
                row |= {"channels": [], "num_channels": 0}
        for row in tables["quality"]:
            if (row["model"], row["partition_id"]) == ("client", 0):
                row |= {"usable": False, "reason": "empty"}
        tables["edges"] = [row for row in tables["edges"] if row["partition_id"] != 0]

    panel = _panels(circuit_graph_local(load_run(write_run(change=empty).path)))[0]
    assert panel.get_title(loc="left") == "client 0, class 1, empty\n0 + 0 channels"


def test_a_log_of_the_server_alone_shows_the_global_models_classes(write_run: WriteRun) -> None:
    def drop_clients(_: int, tables: Tables) -> None:
        tables["circuits"] = [row for row in tables["circuits"] if row["partition_id"] is None]

    run = load_run(write_run(change=drop_clients).path)
    assert [graph.subject for graph in global_graphs(run)] == [(None, 0)]
    with pytest.raises(NothingToDrawError, match="no channels of local circuits"):
        circuit_graph_local(run)


def test_a_log_without_channels_has_no_graph(write_run: WriteRun) -> None:
    def drop_channels(_: int, tables: Tables) -> None:
        for row in tables["circuits"]:
            row["channels"] = None

    run = load_run(write_run(change=drop_channels).path)
    for draw in (circuit_graph_local, circuit_graph_global):
        with pytest.raises(NothingToDrawError, match="no channels of"):
            draw(run)
