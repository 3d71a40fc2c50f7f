"""Published logs of arXiv 2512.23043: what is read from them, and where a file that is not of this form is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedcircuits.errors import LogImportError
from fedcircuits.published.fedmi_logs import FedMILog, LoggedCircuit, read_fedmi_log

CHANNELS = (2, 4)
Change = Callable[[dict[str, Any]], Any]


def entry(conv1: list[int], conv2: list[int], **metrics: float | None) -> dict[str, Any]:
    edges = {"conv1": {}, "conv2": {}, "fc": {}}
    return {"active_nodes": {"conv1": conv1, "conv2": conv2}, "connectivity": edges, "metrics": metrics}


def two_clients() -> dict[str, Any]:
    """One round of the newer form: client 0 has class 3, client 1 has classes 0 and 3."""
    local = {"accuracy": 50.0, "necessity": 25}
    on_global = {**local, "local_mask_on_global_weights_acc": 75.0}
    return {
        "clients_local_model": {
            "client_0": {"3 - three": entry([1, 0], [3], **local)},
            "client_1": {"3 - three": entry([0], [1, 2], **local), "0 - zero": entry([1], [0], **local)},
        },
        "clients_global_model": {
            "client_0": {"3 - three": entry([1], [], **on_global)},
            "client_1": {"3 - three": entry([0], [2], **on_global), "0 - zero": entry([1], [0], **on_global)},
        },
    }


def read(tmp_path: Path, content: Any) -> FedMILog:
    path = tmp_path / "log.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_fedmi_log(path, CHANNELS)


def problem(tmp_path: Path, content: Any) -> str:
    with pytest.raises(LogImportError) as refused:
        read(tmp_path, content)
    return str(refused.value)


def test_the_newer_form_gives_channels_in_order_and_percentages_as_fractions(tmp_path: Path) -> None:
    log = read(tmp_path, {"round_1": two_clients()})
    client = log.rounds[0][0]
    no_edges: dict[str, tuple[tuple[int, int], ...]] = {"conv1": (), "conv2": ()}
    assert client.local == (LoggedCircuit(3, {"conv1": (0, 1), "conv2": (3,)}, no_edges, 0.5, 0.25, None),)
    assert client.on_global == (LoggedCircuit(3, {"conv1": (1,), "conv2": ()}, no_edges, 0.5, 0.25, 0.75),)
    assert log.layers == {"conv1": 2, "conv2": 4}


def test_the_older_form_holds_the_layers_without_rates(tmp_path: Path) -> None:
    log = read(tmp_path, {"round_1": {"clients_local_model": {"client_4": {"7": {"conv2": [2], "conv1": []}}}}})
    (client,) = log.rounds[0]
    assert (client.partition_id, client.on_global) == (4, None)
    assert client.local == (LoggedCircuit(7, {"conv1": (), "conv2": (2,)}, {}, None, None, None),)


def test_edges_are_pairs_of_source_and_target_without_those_of_the_linear_layer(tmp_path: Path) -> None:
    content = two_clients()
    edges = {"conv1": {"1": [0], "0": [0]}, "conv2": {"3": [1, 0]}, "fc": {"3": [77]}}
    content["clients_local_model"]["client_0"]["3 - three"]["connectivity"] = edges
    circuit = read(tmp_path, {"round_1": content}).rounds[0][0].local[0]
    assert circuit.edges == {"conv1": ((0, 0), (0, 1)), "conv2": ((0, 3), (1, 3))}


def test_a_layer_without_connectivity_has_no_edges_rather_than_none_counted(tmp_path: Path) -> None:
    content = two_clients()
    content["clients_local_model"]["client_0"]["3 - three"]["connectivity"] = {"conv1": {"1": [0]}}
    circuit = read(tmp_path, {"round_1": content}).rounds[0][0].local[0]
    assert circuit.edges == {"conv1": ((0, 1),)}


def test_what_stands_beside_the_known_keys_is_passed_over(tmp_path: Path) -> None:
    content = two_clients()
    three = content["clients_local_model"]["client_0"]["3 - three"]
    three["remark"] = "x"
    three["metrics"]["loss"] = 7000
    assert read(tmp_path, {"round_1": content}).rounds[0][0].local[0].sufficiency == 0.5


def test_rounds_clients_and_classes_are_ordered_by_number_not_as_text(tmp_path: Path) -> None:
    def one_round(number: int) -> dict[str, Any]:
        classes = {"10 - ten": {"conv1": [], "conv2": []}, "9 - nine": {"conv1": [number % 2], "conv2": []}}
        return {"clients_local_model": {"client_10": classes, "client_9": classes}}

    log = read(tmp_path, {f"round_{number}": one_round(number) for number in (10, 1, 2, 3, 4, 5, 6, 7, 8, 9)})
    assert [clients[0].local[0].channels["conv1"] for clients in log.rounds] == [(1,), (0,)] * 5
    assert [client.partition_id for client in log.rounds[0]] == [9, 10]
    assert [circuit.class_id for circuit in log.rounds[0][0].local] == [9, 10]


def test_missing_rates_are_missing(tmp_path: Path) -> None:
    classes = {"0": entry([0], [0], necessity=None), "1": {"active_nodes": {"conv1": [], "conv2": []}}}
    first, second = read(tmp_path, {"round_1": {"clients_local_model": {"client_0": classes}}}).rounds[0][0].local
    assert (first.sufficiency, first.necessity, second.sufficiency) == (None, None, None)


def test_a_client_may_have_no_circuits(tmp_path: Path) -> None:
    assert read(tmp_path, {"round_1": {"clients_local_model": {"client_0": {}}}}).rounds[0][0].local == ()


def test_the_default_channels_are_those_of_the_authors_network(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    classes = {"0": {"conv1": [31], "conv2": [63], "conv3": [127]}}
    path.write_text(json.dumps({"round_1": {"clients_local_model": {"client_0": classes}}}), encoding="utf-8")
    assert read_fedmi_log(path).layers == {"conv1": 32, "conv2": 64, "conv3": 128}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "log.json cannot be read as JSON: Expecting property name"),
        ("[" * 100_000, "log.json cannot be read as JSON: "),
        ('{"round_1": {}, "round_1": {}}', "the key 'round_1' stands twice in one object"),
        ([], "log.json: a list, expected an object"),
        ({}, "log.json: no rounds"),
        ({"epoch_1": {}}, "log.json: unknown key 'epoch_1'; expected round_1, round_2, …"),
        ({"round_0": {}}, "log.json: unknown key 'round_0'"),
        ({"round_01": {}}, "log.json: unknown key 'round_01'"),
        ({"round_2": {}}, "log.json: round_1 is missing"),
        ({"round_1": {}, "round_3": {}}, "log.json: round_2 is missing; rounds must run from 1"),
        ({"round_1": {}}, "log.json: round_1: clients_local_model is missing"),
        ({"round_1": {"clients_local_model": {}}}, "log.json: round_1 / clients_local_model: no clients"),
        ({"round_1": {"server": {}}}, "round_1: unknown key 'server'; allowed are clients_local_model, clients_global"),
    ],
)
def test_a_file_without_sound_rounds_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    assert message in problem(tmp_path, content)


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogImportError, match="cannot be read"):
        read_fedmi_log(tmp_path / "none.json")


LOCAL = "log.json: round_2 / clients_local_model"
THREE = f"{LOCAL} / client_0 / 3 - three"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda three: three["active_nodes"].update(conv2=[4]),
            "active_nodes / conv2: 4 is not a channel of conv2 (0 ",
        ),
        (lambda three: three["active_nodes"].update(conv1=[-1]), "active_nodes / conv1: -1 is not a channel of conv1"),
        (lambda three: three["active_nodes"].update(conv1=[0.0]), "active_nodes / conv1: 0.0 is not a channel"),
        (lambda three: three["active_nodes"].update(conv1=[True]), "active_nodes / conv1: true is not a channel"),
        (lambda three: three["active_nodes"].update(conv1=["0"]), 'active_nodes / conv1: "0" is not a channel'),
        (lambda three: three["active_nodes"].update(conv1=[1, 1]), "active_nodes / conv1: channel 1 stands twice"),
        (lambda three: three["active_nodes"].update(conv1=None), "active_nodes / conv1: null, expected a list of ch"),
        (
            lambda three: three["active_nodes"].update(conv3=[]),
            "active_nodes: unknown key 'conv3'; allowed are conv1, ",
        ),
        (lambda three: three["active_nodes"].pop("conv2"), "active_nodes: conv2 is missing"),
        (lambda three: three.pop("active_nodes"), "active_nodes is missing"),
        (lambda three: three["connectivity"].update(conv2={"1": [0]}), "conv2 / 1: 1 is not among the circuit's chann"),
        (lambda three: three["connectivity"].update(conv2={"x": [0]}), "connectivity / conv2: unknown key 'x'"),
        (lambda three: three["connectivity"].update(conv2={"3": [2]}), "conv2 / 3: 2 is not among the circuit's chan"),
        (lambda three: three["connectivity"].update(conv2={"3": 2}), "conv2 / 3: a number, expected a list"),
        (lambda three: three["connectivity"].update(conv1={"0": [3]}), "conv1 / 0: 3 is not among the circuit's chan"),
        (lambda three: three["connectivity"].update(conv3={}), "connectivity: unknown key 'conv3'"),
        (lambda three: three.update(metrics=[]), "metrics: a list, expected an object"),
        (lambda three: three["metrics"].update(accuracy=100.1), "metrics / accuracy: 100.1 is not a percentage"),
        (lambda three: three["metrics"].update(accuracy=-1), "metrics / accuracy: -1 is not a percentage (0 to 100)"),
        (lambda three: three["metrics"].update(necessity="5"), 'metrics / necessity: "5" is not a percentage'),
        (lambda three: three["metrics"].update(necessity=True), "metrics / necessity: true is not a percentage"),
        (lambda three: three["metrics"].update(accuracy=float("nan")), "metrics / accuracy: NaN is not a percentage"),
        (
            lambda three: three["metrics"].update(accuracy=["x" * 99]),
            'accuracy: ["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… ',
        ),
    ],
)
def test_a_circuit_that_is_not_sound_is_refused_with_its_path(tmp_path: Path, change: Change, message: str) -> None:
    second = two_clients()
    change(second["clients_local_model"]["client_0"]["3 - three"])
    text = problem(tmp_path, {"round_1": two_clients(), "round_2": second})
    assert text.startswith(THREE)
    assert message in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda side: side.update(node_2={}), ": unknown key 'node_2'; expected client_0, client_1, …"),
        (lambda side: side.update(client_0=3), " / client_0: a number, expected an object"),
        (lambda side: side["client_0"].update(three={}), " / client_0: unknown key 'three'; expected a class such as"),
        (
            lambda side: side["client_0"].update({"3 - drei": {}}),
            " / client_0: '3 - three' and '3 - drei' have the same number",
        ),
    ],
)
def test_clients_and_classes_need_numbers(tmp_path: Path, change: Change, message: str) -> None:
    second = two_clients()
    change(second["clients_local_model"])
    assert problem(tmp_path, {"round_1": two_clients(), "round_2": second}).startswith(LOCAL + message)


def test_both_sides_of_a_round_must_have_the_same_clients_and_classes(tmp_path: Path) -> None:
    fewer_clients, fewer_classes = two_clients(), two_clients()
    del fewer_clients["clients_global_model"]["client_1"]
    del fewer_classes["clients_global_model"]["client_1"]["0 - zero"]
    where = "log.json: round_1 / clients_global_model"
    expected = "but clients_local_model of this round has"
    assert problem(tmp_path, {"round_1": fewer_clients}) == f"{where}: clients 0, {expected} 0, 1"
    assert problem(tmp_path, {"round_1": fewer_classes}) == f"{where} / client_1: classes 3, {expected} 0, 3"
