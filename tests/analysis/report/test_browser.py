"""The page in a real browser: what it draws, how it answers, and that it keeps to itself."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from federation import InProcessGrid
from large_run import large_run
from tiny_runs import ATTRIBUTION, run_tiny

from analysis import Run, load_run, measures
from analysis.report import run_data
from analysis.report.repeat import repeat_command
from fedcircuits.records import Comparison
from fedcircuits.runlog.writer import RunLog

WriteRun = Callable[..., RunLog]
OpenPage = Callable[..., Any]

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}

HOSTILE = "</script><script>alert('script')</script><img src=x onerror=alert('image')>'\"&\u2028<!--"


def choose_round(page: Any, server_round: int) -> None:
    page.locator("#round").fill(str(server_round))


def choose(page: Any, within: str, label: str, option: str) -> None:
    page.locator(within).get_by_label(label, exact=True).select_option(label=option)


def numbers(page: Any, plot: str) -> dict[str, list[str]]:
    """Return what the table below a plot says, by the name of the line: one text per round."""
    table = page.locator(f"[data-plot={plot}] details.numbers")
    if table.get_attribute("open") is None:
        table.locator("summary").click()
    table.locator("table").wait_for()
    rows = [row.locator("th, td").all_inner_texts() for row in table.locator("tr").all()]
    return {cells[0]: list(cells[1:]) for cells in zip(*rows, strict=True)}


def cells(page: Any, heat_map: str) -> list[list[str]]:
    return [row.locator("td").all_inner_texts() for row in page.locator(f"{heat_map} tbody tr").all()]


def nodes(page: Any, kind: str = "") -> dict[int, set[int]]:
    """Return the channels that the graph draws, by column."""
    drawn: dict[int, set[int]] = {}
    for mark in page.locator(f"#graph .drawing g.node{kind}:not(.is-end)").all():
        column, channel = mark.get_attribute("data-node").split(":")
        drawn.setdefault(int(column), set()).add(int(channel))
    return drawn


def members(run: Run, server_round: int, model: str, partition: int | None, class_id: int) -> dict[int, set[int]]:
    """Return the channels that the log has, by column of the graph."""
    rows = run.circuits[(run.circuits["round"] == server_round) & (run.circuits["model"] == model)]
    rows = rows[rows["class_id"] == class_id]
    rows = rows[rows["partition_id"].isna() if partition is None else (rows["partition_id"] == partition).fillna(False)]
    return {
        column: set(map(int, channels)) for column, channels in enumerate(rows["channels"], start=1) if len(channels)
    }


def test_a_page_opens_without_an_error_or_a_request_and_draws_every_plot(
    shared_tiny_run: Run, open_tiny: OpenPage
) -> None:
    page = open_tiny().page
    assert page.locator("svg.chart").count() == 5
    assert page.locator("#graph svg.graph").count() > 0
    assert page.locator("h1").first.inner_text().startswith(shared_tiny_run.path.name)


def test_plots_without_filters_show_the_figures_of_the_summary(shared_tiny_run: Run, open_tiny: OpenPage) -> None:
    page = open_tiny().page
    expected = measures.round_measures(shared_tiny_run)
    shown = numbers(page, "overlap")
    for title, prefix in (("same class, two clients", "same_class"), ("different classes", "different_class")):
        assert [float(text) for text in shown[title]] == pytest.approx(expected[f"{prefix}_iou"].tolist(), abs=5e-4)
        chance = expected[f"{prefix}_expected_iou"].tolist()
        assert [float(text) for text in shown[f"chance, {title}"]] == pytest.approx(chance, abs=5e-4)
    accuracy = [float(text) for text in numbers(page, "accuracy")["global model, all classes"]]
    assert accuracy == pytest.approx(expected["accuracy"].tolist(), abs=5e-4)
    assert numbers(page, "quality")["client's circuit, global weights"] == ["0.600", "0.600"]


def test_the_round_slider_moves_plots_maps_and_graph(write_run: WriteRun, open_page: OpenPage) -> None:
    def grow(server_round: int, tables: dict[str, list[dict[str, Any]]]) -> None:
        """In round 2 the same class overlaps less, and circuits of class 1 have one channel in conv1."""
        for row in tables["overlap"]:
            if server_round == 2 and row["comparison"] == str(Comparison.SAME_CLASS_ACROSS_CLIENTS):
                row["iou"] = 0.3
        for row in tables["circuits"]:
            if server_round == 2 and row["layer"] == "conv1" and row["class_id"] == 1:
                row["channels"] = [3]

    page = open_page(load_run(write_run(change=grow).path)).page
    assert cells(page, "#pair-map") == [["", "0.30"], ["0.30", ""]]
    assert nodes(page)[1] == {3}
    choose_round(page, 1)
    assert page.locator("#round-shown").inner_text() == "1 of 2"
    assert cells(page, "#pair-map") == [["", "0.60"], ["0.60", ""]]
    assert nodes(page)[1] == {0, 1, 2}
    assert "Round 1:" in page.locator("[data-plot=accuracy] svg.chart").get_attribute("aria-label")


def test_a_class_filter_turns_accuracy_into_that_class_s_recall(open_tiny: OpenPage) -> None:
    page = open_tiny().page
    choose(page, "#controls", "Class", "class 2")
    shown = numbers(page, "accuracy")
    assert shown["global model, class 2"] == ["0.000", "0.500"]
    assert shown["models of clients that hold it"] == ["0.500", "0.500"]
    assert shown["false positives, global model, class 2"] == ["0.250", "0.250"]
    # Class 2 is held by one client, so no two clients share it.
    assert "same class, two clients" not in numbers(page, "overlap")


def test_a_client_filter_leaves_the_chosen_clients_only(open_tiny: OpenPage) -> None:
    page = open_tiny().page
    page.locator("#clients summary").click()
    page.get_by_label("client 1", exact=True).uncheck()
    assert page.locator("#clients-shown").inner_text() == "1 of 2"
    assert page.locator("#held-map tbody th").all_inner_texts() == ["0"]
    shown = numbers(page, "overlap")
    assert "same class, two clients" not in shown
    assert shown["client and global model"] == ["0.520", "0.520"]


def test_a_layer_filter_chooses_the_layer_of_sizes(open_tiny: OpenPage) -> None:
    page = open_tiny().page
    choose(page, "[data-plot=quality]", "Figure", "channels of the circuit")
    # Classes 0 and 2 have 2 + 4 channels, class 1, which both clients hold, 3 + 5.
    assert numbers(page, "quality")["in the client's own model"] == ["7.0", "7.0"]
    choose(page, "#controls", "Layer", "conv2")
    assert numbers(page, "quality")["in the client's own model"] == ["4.5", "4.5"]


def test_the_graph_of_every_circuit_has_the_nodes_and_edges_of_the_log(
    defaults: Any, open_page: OpenPage, tmp_path: Path
) -> None:
    changes = {**ATTRIBUTION, "num_server_rounds": 1, "circuit_classes": "0,1", "discovery_data": "client"}
    run = load_run(run_tiny(InProcessGrid(2, seed=0), tmp_path, defaults, **changes, retest_every=0))
    page = open_page(run).page
    choose(page, "#graph", "B", "nothing")
    sources: list[tuple[str, int | None, str]] = [("client", 0, "client 0"), ("client", 1, "client 1")]
    sources += [("global", None, "global model after (server's images)")]
    sources += [("global", 1, "global model after (client 1's images)")]
    for model, partition, name in sources:
        choose(page, "#graph", "A", name)
        for class_id in (0, 1):
            choose(page, "#graph", "Class", f"class {class_id}")
            assert nodes(page) == members(run, 1, model, partition, class_id), (name, class_id)
            rows = run.edges[(run.edges["model"] == model) & (run.edges["class_id"] == class_id)]
            is_own = rows["partition_id"].isna() if partition is None else (rows["partition_id"] == partition)
            logged = int(rows.loc[is_own.fillna(False), "num_edges"].sum())
            assert page.locator("table.facts tbody td").nth(1).inner_text().replace(",", "") == str(logged)


def test_two_circuits_are_told_apart_and_what_averaging_lost_is_marked(
    write_run: WriteRun, open_page: OpenPage
) -> None:
    chosen = {("client", 0): [0, 1], ("client", 1): [1, 2], ("global", 0): [1], ("global", 1): [1]}

    def set_channels(server_round: int, tables: dict[str, list[dict[str, Any]]]) -> None:
        for row in tables["circuits"]:
            if row["layer"] == "conv1" and row["class_id"] == 1:
                row["channels"] = chosen[row["model"], row["partition_id"]]

    page = open_page(load_run(write_run(change=set_channels).path)).page
    assert (nodes(page, ".is-shared")[1], nodes(page, ".is-a")[1], nodes(page, ".is-b")[1]) == ({1}, {0}, {2})
    assert nodes(page, ":has(.lost-mark)") == {1: {0, 2}}
    assert (
        "6 shared, 1 only in client 0, 1 only in client 1; 2 of these 8" in page.locator(".graph-summary").inner_text()
    )
    page.get_by_role("button", name="before and after averaging").click()
    assert nodes(page, ":has(.lost-mark)") == {1: {0}}
    assert "6 kept by averaging, 1 lost in averaging, 0 only" in page.locator(".graph-summary").inner_text()
    page.get_by_label("mark channels lost in averaging").uncheck()
    assert nodes(page, ":has(.lost-mark)") == {}


def test_the_graph_can_be_walked_with_the_keyboard(open_tiny: OpenPage) -> None:
    page = open_tiny().page
    page.locator("#graph g.node[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.dataset.node")
    assert focused == "1:1"
    label = page.locator("#graph g.node:focus").get_attribute("aria-label")
    assert label.startswith("conv1, channel 1, shared")
    assert "1 edge in" in label
    assert page.locator(".tooltip").inner_text().startswith("conv1, channel 1")
    assert page.locator("#graph .highlight path").count() > 0


def test_arrow_keys_on_a_plot_choose_the_round_and_keep_the_focus(open_tiny: OpenPage) -> None:
    page = open_tiny().page
    page.locator("[data-plot=accuracy] svg.chart").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#round").input_value() == "1"
    assert page.evaluate("document.activeElement.dataset.focus") == "chart/accuracy"


def test_a_pointer_over_a_plot_shows_the_numbers_of_that_round(open_tiny: OpenPage) -> None:
    page = open_tiny().page
    chart = page.locator("[data-plot=overlap] svg.chart")
    chart.hover(position={"x": 60, "y": 60})
    shown = page.locator(".tooltip").inner_text()
    assert shown.startswith("Round 1")
    assert "same class, two clients: 0.600" in shown


def test_classes_that_no_client_holds_are_told_from_collapsed_ones(write_run: WriteRun, open_page: OpenPage) -> None:
    def withdraw(_: int, tables: dict[str, list[dict[str, Any]]]) -> None:
        for row in tables["clients"]:
            row["class_counts"] = [0, *row["class_counts"][1:]]

    run = load_run(write_run(change=withdraw).path)
    held = (measures.holdings(run) > 0).any()
    page = open_page([run]).page
    maps = page.locator("#recall-map table")
    assert maps.count() == 2
    heads = maps.first.locator("tbody th").all_inner_texts()
    assert heads[0] == "0*"
    assert heads == [
        f"{class_id}{'' if held[class_id] else '*'}" for class_id in map(int, (h.strip("*") for h in heads))
    ]


def test_a_cell_of_the_pair_map_opens_the_pair_in_the_graph(open_tiny: OpenPage) -> None:
    page = open_tiny().page
    page.locator("#kept-map tbody td").nth(1).click()
    second = page.locator("#graph").get_by_label("B", exact=True)
    assert second.input_value() == "global model after (client 0's images)"
    page.locator("#pair-map tbody td").nth(1).click()
    assert second.input_value() == "client 1"


def test_text_from_the_log_is_shown_and_never_run(write_run: WriteRun, open_page: OpenPage) -> None:
    def refuse(server_round: int, tables: dict[str, list[dict[str, Any]]]) -> None:
        tables["clients"][1] |= {"accepted": False, "reason": HOSTILE}

    log = write_run(change=refuse, dataset=HOSTILE)
    log.fail(HOSTILE)
    run = load_run(log.path)
    run.info["versions"] = {HOSTILE: HOSTILE}
    opened = open_page([run, run])
    page = opened.page
    page.wait_for_timeout(200)
    opened.settle()
    visible = HOSTILE.replace("\u2028", "").replace("\n", "")
    squeezed = re.sub(r"[\s\u2028]", "", visible)
    for place in ("#faults", "#client-table", ".caveats", ".facts-list", "#repeat"):
        assert squeezed in re.sub(r"[\s\u2028]", "", page.locator(place).first.text_content()), place


def test_the_command_to_repeat_the_run_can_be_copied(shared_tiny_run: Run, open_tiny: OpenPage) -> None:
    page = open_tiny(permissions=["clipboard-read", "clipboard-write"]).page
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == repeat_command(shared_tiny_run)


def test_light_and_dark_follow_the_system_until_they_are_chosen(open_tiny: OpenPage) -> None:
    page = open_tiny(color_scheme="dark").page
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    page.get_by_role("button", name="Light / dark").click()
    light = page.evaluate(colour)
    page.get_by_role("button", name="Light / dark").click()
    assert (page.evaluate(colour), light) == (dark, "rgb(246, 247, 249)")
    assert dark != light


def test_a_phone_shows_the_page_without_scrolling_sideways(open_tiny: OpenPage) -> None:
    page = open_tiny(**PHONE).page
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("[data-plot=accuracy] svg.chart").bounding_box()["width"] > 280


def test_paper_gets_the_figures_in_dark_ink_without_the_controls(open_tiny: OpenPage) -> None:
    page = open_tiny(color_scheme="dark").page
    page.get_by_role("button", name="Light / dark").click(click_count=2)
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator("#controls").is_visible()
    assert page.locator("[data-plot=accuracy] svg.chart").is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(26, 29, 33)"


def test_several_runs_have_a_tab_each_and_one_for_all(write_run: WriteRun, open_page: OpenPage) -> None:
    runs = [load_run(write_run(name="first").path), load_run(write_run(name="second", num_rounds=1, seed=8).path)]
    opened = open_page(runs)
    page = opened.page
    page.get_by_role("tab", name="second").click()
    assert page.locator("#round-shown").inner_text() == "1 of 1"
    assert page.locator("h1:visible").inner_text().startswith(runs[1].path.name)
    page.get_by_role("tab", name="All side by side").click()
    shown = numbers(page, "compared-same")
    assert shown[runs[0].path.name] == ["0.600", "0.600"]
    assert shown[runs[1].path.name] == ["0.600", "–"]
    page.get_by_role("tab", name="first").click()
    assert page.locator("#round-shown").inner_text() == "2 of 2"
    opened.settle()


def test_a_thinned_page_plots_the_same_means_and_cannot_filter_clients(
    shared_tiny_run: Run, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_data, "TABLE_BYTES", 0)
    page = open_page(shared_tiny_run).page
    assert "A large run" in page.locator(".caveats").inner_text()
    expected = measures.round_measures(shared_tiny_run)
    shown = numbers(page, "overlap")["client and global model"]
    assert [float(text) for text in shown] == pytest.approx(expected["local_vs_global_iou"].tolist(), abs=5e-4)
    assert numbers(page, "quality")["client's circuit, global weights"] == ["0.600", "0.600"]
    page.locator("#clients summary").click()
    page.get_by_label("client 1", exact=True).uncheck()
    assert page.locator("[data-plot=quality] .empty").is_visible()


@pytest.mark.long
def test_a_page_of_more_clients_than_can_be_read_shows_the_first_and_says_so(open_page: OpenPage) -> None:
    page = open_page(large_run(2, 70, 2, np.random.default_rng(0))).page
    assert page.locator("#held-map tbody tr").count() == 60
    assert page.locator("#client-note").inner_text().startswith("The first 60 of 70 chosen clients")
    page.locator("#clients summary").click()
    page.get_by_role("button", name="none").click()
    page.get_by_label("client 69", exact=True).check()
    assert page.locator("#held-map tbody th").all_inner_texts() == ["69"]
    assert page.locator("#client-note").inner_text() == ""


def test_a_sample_of_the_pairs_of_many_clients_is_said_to_be_one(write_run: WriteRun, open_page: OpenPage) -> None:
    def thin_out(_: int, tables: dict[str, Any]) -> None:
        """Leave one of two pairs of class 1 in two clients out; a third client has a circuit of it, too."""
        tables["quality"] += [
            {**row, "partition_id": 2} for row in tables["quality"] if row["partition_id"] == 1 and row["class_id"] == 1
        ]

    page = open_page(load_run(write_run(change=thin_out).path)).page
    assert "of one class in two clients 1 of 3 in round 2" in page.locator(".caveats").inner_text()


def drop(*names: str) -> Callable[[int, dict[str, Any]], None]:
    def change(server_round: int, tables: dict[str, Any]) -> None:
        for name in names:
            tables.pop(name, None)

    return change


EXAMINATION_TABLES = (
    "curves",
    "scrutiny",
    "alignment",
    "barriers",
    "swaps",
    "patching",
    "ladder",
    "validity",
    "stability",
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop("circuits", "edges", "quality", "overlap", *EXAMINATION_TABLES), "there is no graph to draw"),
        pytest.param(drop("edges"), "Edges of circuits: the table edges is empty", marks=pytest.mark.long),
        (drop("accuracy"), "not in this log"),
        (drop("interference", "clients"), "What averaging does to weights: the table interference is empty"),
        pytest.param(drop(*EXAMINATION_TABLES), "no examination was logged", marks=pytest.mark.long),
    ],
    ids=["no circuits", "no edges", "no accuracy", "no clients", "nothing examined"],
)
def test_a_page_of_a_log_that_lacks_tables_opens_and_says_so(
    change: Any, said: str, write_run: WriteRun, open_page: OpenPage
) -> None:
    opened = open_page(load_run(write_run(change=change).path))
    choose_round(opened.page, 1)
    opened.settle()
    assert said in opened.page.locator("main").inner_text()


def test_a_page_of_a_run_without_a_whole_round_opens_and_says_so(write_run: WriteRun, open_page: OpenPage) -> None:
    log = write_run(num_rounds=0)
    log.fail("no node came")
    page = open_page(load_run(log.path)).page
    assert not page.locator("#interactive").is_visible()
    assert "No round was finished" in page.locator(".headline").inner_text()
    assert "no node came" in page.locator(".caveats").inner_text()
    assert "held by two" not in page.locator("#checks").inner_text()
    assert page.locator("#checks").inner_text().count("Not measured: no round was finished.") == 8


def test_a_single_circuit_is_not_compared_with_itself(write_run: WriteRun, open_page: OpenPage) -> None:
    def only_the_servers(server_round: int, tables: dict[str, list[dict[str, Any]]]) -> None:
        tables["circuits"] = [row for row in tables["circuits"] if row["partition_id"] is None]

    page = open_page(load_run(write_run(num_rounds=1, change=only_the_servers).path)).page
    assert "shared" not in page.locator("#graph").inner_text()


def focused(page: Any) -> str:
    return page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.dataset.focus")


def test_a_choice_made_with_the_keyboard_keeps_the_focus(open_tiny: OpenPage) -> None:
    page = open_tiny().page
    for panel, label in (("#graph", "B"), ("#pair-controls", "Compare"), ("#kept-controls", "Figure")):
        choice = page.locator(panel).get_by_label(label, exact=True)
        before = choice.input_value()
        choice.focus()
        page.keyboard.press("ArrowDown")
        assert choice.input_value() != before
        assert focused(page) == label
    page.get_by_label("mark channels lost in averaging").focus()
    page.keyboard.press("Space")
    assert not page.get_by_label("mark channels lost in averaging").is_checked()
    assert focused(page) == "check/mark channels lost in averaging"


def test_clients_that_share_no_class_are_compared_by_what_they_have(write_run: WriteRun, open_page: OpenPage) -> None:
    page = open_page(load_run(write_run(is_shared=False).path)).page
    compared = page.locator("#pair-controls").get_by_label("Compare")
    assert compared.input_value() == "circuits of different classes"
    assert cells(page, "#pair-map") == [["", "0.20"], ["0.20", ""]]
    choose(page, "#pair-controls", "Compare", "circuits of the same class")
    assert page.locator("#pair-map .empty").inner_text().startswith("No two clients hold the same class")


def test_an_empty_box_says_which_circuit_is_not_usable_and_why(write_run: WriteRun, open_page: OpenPage) -> None:
    def fail(_: int, tables: dict[str, Any]) -> None:
        """Client 0 has no usable circuit."""
        for row in tables["quality"]:
            if row["model"] == "client" and row["partition_id"] == 0:
                row |= {"usable": False, "reason": "low_recall"}
        for row in tables["overlap"]:
            if 0 in (row["a_partition_id"], row["b_partition_id"]):
                row["usable"] = False

    page = open_page(load_run(write_run(change=fail).path)).page
    why = "Client 0, class 1, round 2, the circuit of client 0 is not usable (with too low a recall)"
    assert page.locator("#kept-map tbody tr").nth(0).locator("td").nth(1).get_attribute("aria-label") == why
    absent = "Client 1, class 0, round 2, client 1 holds no class 0"
    assert page.locator("#kept-map tbody tr").nth(1).locator("td").nth(0).get_attribute("aria-label") == absent
    choose(page, "#pair-controls", "Compare", "circuits of the same class")
    said = page.locator("#pair-map .empty").inner_text()
    assert said == "In round 2 no two clients have usable circuits to compare."
    choose(page, "#graph", "A", "client 0")
    choose(page, "#graph", "B", "client 1")
    choose(page, "#graph", "Class", "class 1")
    expected = "Their overlap is not in this page: the circuit of client 0 is not usable (with too low a recall)."
    assert expected in page.locator("#graph").inner_text()


def test_a_cell_of_what_averaging_leaves_shows_that_client_against_the_global_model(
    shared_tiny_run: Run, open_tiny: OpenPage
) -> None:
    page = open_tiny().page
    page.locator("#kept-map tbody tr").nth(1).locator("td").nth(1).click()
    assert page.locator("#graph").get_by_label("A", exact=True).input_value() == "client 1"
    assert page.locator("#graph").get_by_label("B", exact=True).input_value().startswith("global model after")


def test_an_interrupted_run_says_so_and_how_it_goes_on(write_run: WriteRun, open_page: OpenPage) -> None:
    log = write_run(num_rounds=1)
    log.close()
    page = open_page(load_run(log.path)).page
    assert page.locator("h1 .status").inner_text() == "interrupted"
    assert "interrupted after 1 of 2 rounds" in page.locator(".caveats").inner_text()
    assert f'resume-from="{log.path}"' in page.locator("#resume-0").inner_text()


def test_clients_are_called_by_the_names_that_they_chose(write_run: WriteRun, open_page: OpenPage) -> None:
    def refuse(server_round: int, tables: dict[str, list[dict[str, Any]]]) -> None:
        tables["clients"][1] |= {"accepted": False, "reason": "NaN in weights"}

    log = write_run(change=refuse)
    run = load_run(log.path)
    run.info["clients"] = [{"partition_id": 1, "label": "<b>north</b>", "has_own_images": False}]
    opened = open_page(run)
    page = opened.page
    assert page.locator("#client-table tbody th").all_inner_texts() == ["0", "1 (<b>north</b>)"]
    assert page.locator("#faults tbody td").nth(1).inner_text() == "1 (<b>north</b>)"
    assert page.locator("b").count() == 0
    opened.settle()


def test_paper_says_what_was_chosen(open_tiny: OpenPage) -> None:
    page = open_tiny().page
    choose(page, "#controls", "Class", "class 2")
    choose_round(page, 1)
    page.emulate_media(media="print")
    assert page.locator("#on-paper").inner_text() == "Round 1 of 2; class 2, all layers, all clients."


def test_chance_has_marks_of_the_shape_of_what_it_belongs_to(open_tiny: OpenPage) -> None:
    page = open_tiny().page
    hollow = page.locator("[data-plot=overlap] svg.chart path.mark.is-hollow")
    # Two rounds of chance for the same class, different classes, and client and global model: circle, triangle, square.
    shapes = [re.sub(r"[-\d. ]", "", mark.get_attribute("d")) for mark in hollow.all()]
    assert shapes == ["Maaz", "Maaz", "MLHz", "MLHz", "Mhvhz", "Mhvhz"]
