"""True runs whose processes are killed, and which go on with what `status` tells to type."""

import json
import shlex
import time

import psutil
import pytest
from interruption import assert_same_logs
from true_runs import QUICK

from analysis.__main__ import main
from fedcircuits.runlog.lock import is_written
from fedcircuits.runlog.reader import RUN_FILE, read_info

pytestmark = pytest.mark.long

NUM_CLIENTS = 2
SETTINGS = {
    **QUICK,
    "num-server-rounds": 12,
    "strategy": "fedadam",
    "channels": "4,6",
    "circuit-classes": "0,1,2",
    "validity-every": 3,
}


@pytest.fixture(scope="module")
def uninterrupted(flower, tmp_path_factory):
    run = flower.run({**SETTINGS, "run-dir": str(tmp_path_factory.mktemp("uninterrupted"))}, NUM_CLIENTS)
    assert run.status == "finished:completed", run.output
    return run.directory


def start_and_wait_for_rounds(flower, folder, num_rounds):
    """Start a run, and return its directory and `flwr run` when so many rounds are whole."""
    process = flower.start({**SETTINGS, "run-dir": str(folder)}, NUM_CLIENTS)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for info in folder.glob(f"*/{RUN_FILE}"):
            if read_info(info.parent)["last_round"] >= num_rounds:
                return info.parent, process
        time.sleep(0.05)
    raise TimeoutError(f"no {num_rounds} rounds in {folder}")


def kill(flower, program):
    """Kill the processes that run a program of Flower's, and wait until they are gone."""
    found = [process for process in flower.processes() if any(program in part for part in process.cmdline()[:2])]
    assert found, f"no process runs {program}"
    for process in found:
        process.kill()
    psutil.wait_procs(found, timeout=10)


def resume_as_told(flower, run, capsys):
    """Type what `status` prints, and wait for the end of the run."""
    assert main(["status", str(run)]) == 1
    said = capsys.readouterr().out
    assert f"{run.name}: interrupted, " in said
    command = shlex.split(said.splitlines()[-1])
    assert command[:2] == ["flwr", "run"]
    resumed = flower.type(command[1:])
    assert resumed.status == "finished:completed", resumed.output
    assert "resuming after round" in resumed.output
    return resumed


def test_a_run_whose_server_app_is_killed_goes_on_to_the_same_bits(flower, uninterrupted, tmp_path, capsys):
    run, process = start_and_wait_for_rounds(flower, tmp_path, num_rounds=2)
    kill(flower, "flwr-simulation")
    process.kill()  # it goes on waiting for the run's output
    assert read_info(run)["last_round"] < SETTINGS["num-server-rounds"]
    assert resume_as_told(flower, run, capsys).directory == run
    assert_same_logs(run, uninterrupted)
    assert [path.name for path in tmp_path.iterdir()] == [run.name]


def test_a_run_that_outlives_its_superlink_is_let_be_and_goes_on_once_it_is_killed(
    flower, uninterrupted, tmp_path, capsys
):
    run, process = start_and_wait_for_rounds(flower, tmp_path, num_rounds=1)
    simulation = next(one for one in flower.processes() if any("flwr-simulation" in part for part in one.cmdline()[:2]))
    simulation.suspend()  # otherwise it might complete the run while the next SuperLink starts
    kill(flower, "flower-superlink")
    process.kill()
    assert is_written(run)
    refused = flower.run({"resume-from": str(run)}, NUM_CLIENTS)
    assert refused.status == "finished:failed"
    assert f"is being written by another process (process {simulation.pid} on " in refused.output
    kill(flower, "flwr-simulation")
    resume_as_told(flower, run, capsys)
    assert_same_logs(run, uninterrupted)
    assert len(json.loads((run / RUN_FILE).read_text())["resumed"]) == 1
