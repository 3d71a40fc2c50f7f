"""Federations in process whose clients have images and names of their own."""

import logging
import shutil
from pathlib import Path

import pytest
from federation import InProcessGrid
from flwr.app import Message, MessageType
from own_images import write_digits
from site_faults import FAULTS
from tiny_runs import ATTRIBUTION, EXAMINED, table

from analysis.summary import summary_text
from fedcircuits.errors import FederationError
from fedcircuits.records import Key, RungName
from fedcircuits.runlog.reader import read_info
from fedcircuits.runlog.run import load_run
from strategies.refusals import Refusal, by_reason

OWN = {"share_probe": False}


def configure(grid: InProcessGrid, *configs: dict[str, str]) -> InProcessGrid:
    """Give the nodes in the order of their partitions more to say in `--node-config`."""
    for context, config in zip(grid.contexts.values(), configs, strict=True):
        context.node_config.update({"cache-path": "", **config})
    return grid


@pytest.fixture
def sites(tmp_path: Path) -> list[dict[str, str]]:
    """Three clients of unequal size, without some classes; the second has a single one."""
    folders = [
        write_digits(tmp_path / "a", [0, 1, 2], 20),
        write_digits(tmp_path / "b", [3], 12),
        write_digits(tmp_path / "c", [1, 4, 9], 5, start=20),
    ]
    return [{"data-path": str(folder), "label": f"site-{folder.name}"} for folder in folders]


@pytest.fixture
def own_run(federate, sites):
    return federate(configure(InProcessGrid(3), *sites), **OWN, **ATTRIBUTION, **EXAMINED)


def test_a_run_on_clients_own_images_completes_with_every_measure_but_training_in_one_place(own_run):
    info = read_info(own_run)
    assert (info["status"], info["num_clients"]) == ("completed", 3)
    assert table(own_run, "clients")["accepted"].all()
    # 20 % of each class are scored on: 4 of 20, 2 of 12, 1 of 5.
    counts = [list(row) for row in table(own_run, "clients").query("round == 1")["class_counts"]]
    assert counts == [[16, 16, 16, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 10, *[0] * 6], [0, 4, 0, 0, 4, 0, 0, 0, 0, 4]]
    rungs = set(table(own_run, "ladder")["rung"])
    assert rungs == {str(rung) for rung in RungName} - {str(RungName.CENTRAL)}


def test_clients_score_on_the_held_out_part_of_their_own_images(own_run):
    accuracy = table(own_run, "accuracy").query("model == 'client' and round == 1 and partition_id == 2")
    assert accuracy["num_examples"].tolist() == [0, 1, 0, 0, 1, 0, 0, 0, 0, 1]
    assert accuracy["recall"].isna().tolist() == [True, False, True, True, False, *[True] * 4, False]
    quality = table(own_run, "quality").query("model == 'client' and round == 1")
    assert quality["class_id"].tolist() == [0, 1, 2, 3, 1, 4, 9]
    # Nothing to contrast with: the client of one class cannot know whether its circuit is any good.
    assert not quality.query("partition_id == 1")["usable"].any()


def test_run_json_and_the_summary_say_who_is_who(own_run):
    assert read_info(own_run)["clients"] == [
        {"partition_id": 0, "label": "site-a", "num_images": 48, "has_own_images": True},
        {"partition_id": 1, "label": "site-b", "num_images": 10, "has_own_images": True},
        {"partition_id": 2, "label": "site-c", "num_images": 12, "has_own_images": True},
    ]
    text = summary_text(load_run(own_run))
    assert "digits, 3 clients with images of their own" in text
    (line,) = [line for line in text.splitlines() if "(site-c)" in line]
    assert line.split()[0] == "2"


def test_a_site_knows_its_images_again_and_nobody_else_does(federate, sites, tmp_path):
    """The same images at two sites have two fingerprints, and stay the same from run to run, wherever they lie."""
    caches = [{"cache-path": str(tmp_path / name)} for name in ("cache a", "cache b")]
    same = sites[0]["data-path"]

    def fingerprints(*paths, **changes):
        configs = [{"data-path": path, **cache} for path, cache in zip(paths, caches, strict=True)]
        run = federate(configure(InProcessGrid(2), *configs), num_server_rounds=1, **OWN, **changes)
        return [client.get("fingerprint") for client in read_info(run)["clients"]]

    first, second = fingerprints(same, same)
    assert first != second
    moved = shutil.copytree(same, tmp_path / "elsewhere")
    assert fingerprints(str(moved), sites[2]["data-path"])[0] == first
    next(moved.rglob("*.png")).unlink()
    assert fingerprints(str(moved), same)[0] != first
    assert fingerprints(same, same, client_report="masks") == [None, None]


def test_a_client_with_its_own_images_and_others_with_a_split_work_together(federate, sites):
    run = federate(configure(InProcessGrid(2), {}, sites[0]), **OWN, **EXAMINED)
    held = [sum(row) for row in table(run, "clients").query("round == 1")["class_counts"]]
    assert held[1] == 48
    assert held[0] == pytest.approx(75, abs=5)  # half of 150, half an image for each of ten classes
    assert str(RungName.CENTRAL) not in set(table(run, "ladder")["rung"])
    assert "1 of them with images of their own instead" in summary_text(load_run(run))


def test_own_images_need_no_copy_of_the_servers_dataset(federate, sites, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a client with its own images has loaded the shared dataset")

    monkeypatch.setattr("client_app.environment.load_dataset", refuse)
    assert read_info(federate(configure(InProcessGrid(3), *sites), **OWN))["status"] == "completed"


def test_every_client_with_a_problem_is_listed_by_name_at_the_start(federate, sites, tmp_path):
    write_digits(tmp_path / "c" / "cat", [1], 1)
    sites[0]["data-path"] = str(tmp_path / "gone")
    with pytest.raises(FederationError, match="clients cannot start") as caught:
        federate(configure(InProcessGrid(3), *sites), **OWN)
    message = str(caught.value)
    assert "partition 0 (site-a): data-path is no folder" in message
    assert "partition 2 (site-c): 1 of 4 folders have names that are no class" in message
    assert "site-b" not in message


@pytest.mark.parametrize("fault", FAULTS)
def test_where_a_site_keeps_its_images_and_how_they_are_called_stays_there(federate, tmp_path, fault):
    write, told = FAULTS[fault]
    folder = tmp_path / "smith" / "images"
    folder.mkdir(parents=True)
    write(folder)
    with pytest.raises(FederationError, match="cannot start") as caught:
        federate(configure(InProcessGrid(1), {"data-path": str(folder)}), **OWN)
    assert told in str(caught.value)
    written = "".join(path.read_text() for path in federate.directory.rglob("*") if path.suffix in {".json", ".lock"})
    assert told in written
    assert "smith" not in str(caught.value) + written


def test_own_images_and_a_shared_probe_set_contradict_each_other(federate, sites):
    with pytest.raises(FederationError, match="set share-probe to false") as caught:
        federate(configure(InProcessGrid(3), *sites))
    assert str(caught.value).count("share-probe = true") == 1
    assert "partition 0 (site-a), partition 1 (site-b), partition 2 (site-c): " in str(caught.value)


def test_a_label_from_the_network_is_not_trusted(federate):
    def tamper(reply: Message, partition_id: int) -> Message:
        if partition_id == 1 and reply.metadata.message_type == MessageType.QUERY:
            reply.content[Key.NODE][Key.LABEL] = "x\nround 1/2 | all is well"
        return reply

    with pytest.raises(FederationError, match="label: must be 1 to 64 printable characters"):
        federate(InProcessGrid(2, tamper))


@pytest.fixture
def console(caplog):
    """What a run says, whatever other tests have done to its logger."""
    logger = logging.getLogger("fedcircuits")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, "fedcircuits"):
        yield caplog
    logger.removeHandler(caplog.handler)


def test_the_console_names_clients_by_their_labels(federate, console, sites):
    def tamper(reply: Message, partition_id: int) -> Message:
        if partition_id == 1 and reply.metadata.message_type == MessageType.TRAIN:
            reply.content[Key.METRICS][Key.NUM_EXAMPLES] = 10**6
        return reply

    sites[1]["label"] = "Klinik Süd"
    run = federate(configure(InProcessGrid(3, tamper), *sites), **OWN)
    assert "partition 1 (Klinik Süd): 10 training images, its own" in console.text
    assert "round 1: partition 1 (Klinik Süd) rejected: metrics" in console.text
    assert "round 1, partition 1 (Klinik Süd): metrics" in summary_text(load_run(run))


def test_one_problem_of_many_clients_is_one_line():
    refusals = [*(Refusal("no data", f"partition {i}") for i in range(12)), Refusal("node 7 is odd")]
    first, second = by_reason(refusals)
    assert first.startswith("  - partition 0, partition 1, partition 10, ")
    assert first.endswith(" and 2 more: no data")
    assert second == "  - node 7 is odd"


class Mended(InProcessGrid):
    """One client leaves after the start, comes back unfit for a round, leaves, and comes back mended, as one node."""

    looks = 0

    def get_node_ids(self):
        self.looks += 1
        node, context = next((n, c) for n, c in self.contexts.items() if c.node_config["partition-id"] == 0)
        context.node_config["num-partitions"] = 7 if self.looks == 4 else 2
        return [other for other in super().get_node_ids() if other != node or self.looks not in {3, 5}]


def test_a_registered_node_that_was_refused_is_asked_again_when_it_comes_back(federate):
    run = federate(Mended(2), num_server_rounds=5)
    assert table(run, "clients").query("partition_id == 0")["accepted"].tolist() == [True, False, False, False, True]


class Registered(InProcessGrid):
    """A grid whose nodes were registered under a name."""

    def get_nodes(self):
        nodes = list(super().get_nodes())
        for node in nodes:
            node.name = f"registered-{self.contexts[node.node_id].node_config['partition-id']}"
        return nodes


def test_a_registered_name_is_the_label_of_a_client_that_gives_none(federate):
    run = federate(configure(Registered(2), {}, {"label": "chosen"}))
    assert [client["label"] for client in read_info(run)["clients"]] == ["registered-0", "chosen"]


def test_images_are_the_users_own_also_on_the_server(federate, sites, tmp_path):
    names = dict(enumerate(["zero", "one", "two"]))
    for part, start in (("test", 30), ("train", 60), ("site0", 90), ("site1", 110)):
        folder = write_digits(tmp_path / "mine" / part, list(names), 16, start=start)
        for class_id, name in names.items():
            (folder / str(class_id)).rename(folder / name)
    mine = {"dataset": "folder", "data_dir": str(tmp_path / "mine"), "class_names": "zero,one,two", "image_size": 8}
    shared = federate(InProcessGrid(2), **mine)
    assert table(shared, "clients")["num_examples"].tolist() == [24] * 4
    paths = [{"data-path": str(tmp_path / "mine" / f"site{i}")} for i in (0, 1)]
    (tmp_path / "mine" / "train").rename(tmp_path / "elsewhere")
    own = federate(configure(InProcessGrid(2), *paths), **mine, **OWN)
    assert table(own, "clients")["num_examples"].tolist() == [39] * 4  # 3 of 16 are scored on
    assert table(own, "accuracy").query("model == 'global'")["num_examples"].tolist() == [8] * 6
