"""Sweeps through a real Flower: one SuperLink, real runs, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from true_runs import QUICK

pytestmark = pytest.mark.long

PROJECT = Path(__file__).parents[2]
SMALL = {**QUICK, "dataset": "digits", "num-clients": 2, "num-server-rounds": 1}


@pytest.fixture
def configs(tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    for name, changes in {"absent": {"dataset": "mnist", "data-dir": str(tmp_path / "nothing")}, "good": {}}.items():
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in {**SMALL, **changes}.items()]
        (folder / f"{name}.toml").write_text("".join(lines))
    return folder


def start(configs, out, *options):
    environment = {**os.environ, "FLWR_TELEMETRY_ENABLED": "0", "no_proxy": "*"}
    command = [sys.executable, "-m", "sweep", str(configs), "--out", str(out), *options]
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def statuses(out):
    runs = json.loads((out / "sweep.json").read_text())["runs"]
    return {(run["experiment"], run["seed"]): run["status"] for run in runs}


def left_behind(out):
    """Return the processes that work for a sweep's own Flower."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("FLWR_HOME") == str(out / ".flower") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def assert_nothing_left(out):
    deadline = time.monotonic() + 20
    while left_behind(out) and time.monotonic() < deadline:
        time.sleep(0.5)
    survivors = left_behind(out)
    for process in survivors:
        process.kill()
    assert not survivors


def test_a_sweep_goes_on_after_a_failed_run_and_tries_only_that_again(configs, tmp_path):
    out = tmp_path / "out"
    first = start(configs, out, "--jobs", "2")
    said = first.communicate(timeout=240)[0]
    assert first.returncode == 1, said
    assert statuses(out) == {("absent", 0): "failed", ("good", 0): "completed"}
    assert "absent seed 0: failed" in said
    assert "nothing" in said  # the folder that lacks the data is named
    (good,) = out.glob("*-good")
    assert json.loads((good / "run.json").read_text())["status"] == "completed"
    assert_nothing_left(out)

    again = start(configs, out)
    said = again.communicate(timeout=240)[0]
    assert again.returncode == 1
    assert "2 runs, 1 of them completed already" in said
    assert len(list(out.glob("*-good"))) == 1


def test_an_interrupted_sweep_ends_everything_and_keeps_its_index(configs, tmp_path):
    out = tmp_path / "out"
    (configs / "absent.toml").unlink()
    running = start(configs, out, "--set", "num-server-rounds=1000")
    for line in running.stdout:
        if "round 2/1000" in line:
            break
    running.send_signal(signal.SIGTERM)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 130, said
    assert "the same command goes on" in said
    assert statuses(out) == {("good", 0): "pending"}
    assert_nothing_left(out)
