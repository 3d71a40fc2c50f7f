"""The app on a SuperLink and SuperNodes: true processes on the loopback interface, certificates, keys and losses."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
from own_images import write_digits
from site_faults import FAULTS
from tiny_runs import all_tables, table
from true_runs import QUICK

from analysis.summary import summary_text
from deployment.certificates import make_authority, make_node_key
from deployment.loopback import Loopback
from fedcircuits.runlog.checkpoints import read_checkpoint
from fedcircuits.runlog.reader import read_info
from fedcircuits.runlog.run import load_run
from fedcircuits.settings.app_config import PROJECT

pytestmark = pytest.mark.long

TINY = {**QUICK, "num-server-rounds": 2, "channels": "4,6"}
OWN = {"share-probe": False}


def left_behind(folder: Path) -> list[psutil.Process]:
    """Return the processes that have a Flower home in this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            home = process.environ().get("FLWR_HOME", "")
            if Path(home).is_relative_to(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(is_so: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.2)


def node_ids(federation: Loopback, partition_id: int) -> list[str]:
    """Return the ids under which a SuperNode has joined, one for each start."""
    return re.findall(r"SuperNode ID: (\d+)", federation.node_log(partition_id).read_text())


def has_client_app(federation: Loopback, partition_id: int) -> bool:
    """Tell whether a SuperNode is working on a message."""
    processes = left_behind(federation.folder / f"node-{partition_id}")
    return any("clientapp" in " ".join(process.cmdline()) for process in processes)


@pytest.fixture
def sites(tmp_path: Path) -> list[dict[str, object]]:
    folders = [
        write_digits(tmp_path / "data" / "north", [0, 1, 2, 3], 30),
        write_digits(tmp_path / "data" / "south", [2, 3, 4], 12, start=40),
    ]
    cache = tmp_path / "cache"
    return [{"data-path": folder, "cache-path": cache, "label": folder.name} for folder in folders]


def test_registered_nodes_train_on_their_own_images_and_strangers_stay_outside(sites, tmp_path):
    sites.append({"label": "stranger"})
    sites.append({"label": "deceived"})
    with Loopback(tmp_path / "federation", sites, num_nodes=2) as federation:
        for name in ("unregistered", "registered"):
            make_node_key(tmp_path / name)
        federation.register(tmp_path / "registered.pub", "deceived")
        (tmp_path / "other").mkdir()
        federation.start_node(2, key=tmp_path / "unregistered")
        federation.start_node(3, key=tmp_path / "registered", authority=make_authority(tmp_path / "other").certificate)
        directory = federation.run({**TINY, **OWN})
        assert not node_ids(federation, 2)
        assert not node_ids(federation, 3)
        assert "Failed to activate SuperNode" in federation.node_log(2).read_text()
        assert "CERTIFICATE_VERIFY_FAILED" in federation.node_log(3).read_text()
    assert directory is not None
    info = read_info(directory)
    assert info["status"] == "completed"
    assert [(client["label"], client["num_images"]) for client in info["clients"]] == [("north", 96), ("south", 30)]
    assert table(directory, "clients")["accepted"].tolist() == [True] * 4
    assert "(south)" in summary_text(load_run(directory))
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 2
    assert not left_behind(tmp_path)


def test_a_node_that_is_killed_in_a_round_is_logged_as_lost_and_comes_back_as_the_same(sites, tmp_path):
    with Loopback(tmp_path / "federation", sites) as federation:

        def on_line(line: str) -> None:
            # The console lags behind the run by some seconds, so this may be in round 2 or 3.
            if line.startswith("round 1/"):
                wait_until(lambda: has_client_app(federation, 1), "the second node works on a message")
                federation.stop_node(1, is_killed=True)
            elif "(south) rejected: no reply" in line:
                federation.start_node(1)

        directory = federation.run({**TINY, **OWN, "num-server-rounds": 10, "circuit-every": 0}, on_line)
        first, again = node_ids(federation, 1)
    assert first == again
    assert read_info(directory)["status"] == "completed"
    clients = table(directory, "clients").query("partition_id == 1").set_index("round")
    assert clients["accepted"][1]
    assert clients["accepted"][10]
    lost, *later = clients.index[~clients["accepted"]]
    assert clients["reason"][lost].startswith("no reply: ")
    assert "Node Unavailable" in clients["reason"][lost]
    assert set(clients["reason"][later]) <= {"no node serves this partition"}
    assert f"round {lost}, partition 1 (south): no reply" in summary_text(load_run(directory))


def test_a_site_whose_images_are_broken_is_named_at_the_start_and_its_own_log_names_the_files(sites, tmp_path):
    (tmp_path / "data" / "south" / "2" / "smith.png").write_bytes(b"no image")
    said: list[str] = []
    with Loopback(tmp_path / "federation", sites, is_secure=False) as federation:
        directory = federation.run({**TINY, **OWN}, said.append)
        assert "smith.png" in federation.node_log(1).read_text()
    info = read_info(directory)
    assert info["status"] == "failed"
    assert "partition 1 (south): 1 of 37 images cannot be used (1 cannot be decoded)" in info["reason"]
    assert "smith" not in "\n".join(said)


def in_the_centre(federation: Loopback) -> dict[Path, bytes]:
    """Return every file that the SuperLink, the ServerApp and whoever starts runs have written."""
    files = [path for path in federation.folder.rglob("*") if path.is_file()]
    return {
        path: path.read_bytes()
        for path in files
        if not path.relative_to(federation.folder).parts[0].startswith("node-")
    }


def test_no_error_about_a_sites_images_takes_its_paths_to_the_centre(tmp_path):
    sites = []
    for number, (write, _) in enumerate(FAULTS.values()):
        folder = tmp_path / f"smith-{number}" / "images"
        folder.mkdir(parents=True)
        write(folder)
        sites.append({"data-path": folder, "label": f"site-{number}"})
    console: list[str] = []
    with Loopback(tmp_path / "federation", sites, is_secure=False) as federation:
        # Ten processes that import torch take their time on two cores.
        directory = federation.run({**TINY, **OWN, "node-timeout-s": 600}, console.append)
        centre = in_the_centre(federation)
    reason = read_info(directory)["reason"]
    for number, (_, told) in enumerate(FAULTS.values()):
        assert f"(site-{number})" in reason
        assert told in reason
    assert len(centre) > 3
    assert not [path for path, content in centre.items() if b"smith" in content]
    assert "smith" not in "\n".join(console)


def test_a_site_whose_images_go_away_during_a_run_keeps_their_path_to_itself(sites, tmp_path):
    del sites[1]["cache-path"]
    (tmp_path / "data" / "south").rename(tmp_path / "smith")
    sites[1]["data-path"] = tmp_path / "smith"
    console: list[str] = []

    def on_line(line: str) -> None:
        console.append(line)
        if line.startswith("round 1/"):
            (tmp_path / "smith").rename(tmp_path / "elsewhere")

    with Loopback(tmp_path / "federation", sites, is_secure=False) as federation:
        directory = federation.run({**TINY, **OWN, "num-server-rounds": 8, "circuit-every": 0}, on_line)
        centre = in_the_centre(federation)
    clients = table(directory, "clients")
    assert "data-path is no folder" in set(clients.loc[~clients["accepted"], "reason"]).pop()
    assert not [path for path, content in centre.items() if b"smith" in content]
    assert "smith" not in "\n".join(console)


def test_deployment_and_simulation_give_the_same_bits_with_one_worker_or_two(flower, tmp_path):
    settings = {**TINY, "examination-every": 2, "examination-images": 10, "examination-draws": 3}
    with Loopback(tmp_path / "federation", [{}, {}, {}], is_secure=False) as federation:
        deployed = federation.run(settings)
    for cpus_per_client in (1, 2):
        run = flower.run(
            {**settings, "run-dir": str(tmp_path / "runs")}, num_clients=3, cpus_per_client=cpus_per_client
        )
        assert run.status == "finished:completed", run.output
        for name, frame in all_tables(deployed).items():
            pd.testing.assert_frame_equal(frame, all_tables(run.directory)[name], check_exact=True)
        one, other = read_checkpoint(deployed, 2), read_checkpoint(run.directory, 2)
        assert all(torch.equal(one[name], other[name]) for name in one)
        known = {"name", "started", "finished", "settings", "is_simulation"}
        assert {k: v for k, v in read_info(deployed).items() if k not in known} == {
            k: v for k, v in read_info(run.directory).items() if k not in known
        }


def fail_in_a_federation(folder: Path) -> None:
    with Loopback(folder, [{}], is_secure=False) as federation:
        wait_until(lambda: bool(node_ids(federation, 0)), "the node has joined")
        assert len(left_behind(folder)) >= 2
        raise ZeroDivisionError


def test_nothing_stays_behind_when_what_uses_a_federation_fails(tmp_path):
    with pytest.raises(ZeroDivisionError):
        fail_in_a_federation(tmp_path / "federation")
    assert not left_behind(tmp_path)


@pytest.mark.usefixtures("heeded_interrupts")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_the_example_stops_everything_when_it_is_interrupted(tmp_path, signal_number):
    command = [sys.executable, "-m", "deployment", str(tmp_path / "federation"), "--insecure"]
    changes = [f"--set={key}={json.dumps(value)}" for key, value in {**TINY, "num-server-rounds": 1000}.items()]
    with subprocess.Popen([*command, *changes], cwd=PROJECT, stdout=subprocess.PIPE, text=True) as example:
        for line in example.stdout:
            if line.startswith("  partition 1 (site-1)"):
                break
        assert left_behind(tmp_path)
        example.send_signal(signal_number)
        said = example.communicate(timeout=60)[0]
    assert example.returncode == 130
    assert "stopped" in said
    assert not left_behind(tmp_path)
