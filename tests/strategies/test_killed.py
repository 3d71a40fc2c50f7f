"""Runs whose process is killed at some moment, resumed until they are complete, against the same run left alone.

Processes are forked from one that has loaded everything, since loading takes longer than these runs do.
"""

import logging
import multiprocessing
import os
import random
import shutil
import signal
import stat
import time

import pytest
from federation import InProcessGrid
from interruption import assert_same_logs
from tiny_runs import run_tiny

from fedcircuits import whole_files
from fedcircuits.records import TABLES
from fedcircuits.runlog.reader import RUN_FILE, read_info

SETTINGS = {"num_server_rounds": 3, "circuit_every": 0, "strategy": "fedadam"}

FILES_BEFORE_A_ROUND = 3
"""run.json at the start, and each time that something is noted in it."""

FILES_OF_A_ROUND = len(TABLES) + 3
"""A part of every table, weights, state, run.json."""


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    # The last two are loaded by torch's first optimiser and with the data, and cost more than a run.
    context.set_forkserver_preload(["server_app.federation", "client_app.app", "torch._dynamo", "sklearn.datasets"])
    loading = context.Process(target=int)
    loading.start()
    loading.join()
    return context


@pytest.fixture
def uninterrupted(tmp_path, config):
    return run_tiny(InProcessGrid(2), tmp_path / "uninterrupted", config, **SETTINGS)


@pytest.fixture
def start(processes, tmp_path, config):
    """Start or resume the run in a process of its own, which kills itself at its nth file if told so."""

    def run(nth_file=0):
        process = processes.Process(target=run_and_die, args=(tmp_path / "killed", config, nth_file))
        process.start()
        return process

    return run


def run_and_die(folder, config, nth_file):
    logging.disable()
    dying, left = os.fsync, [nth_file]

    def flush_or_die(descriptor):
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return dying(descriptor)  # a folder, which has nothing that could be written by half
        left[0] -= 1
        if left[0] == 0:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        return dying(descriptor)

    whole_files.os.fsync = flush_or_die
    resumed = {"resume_from": str(folder)} if list(folder.glob(f"*/{RUN_FILE}")) else {}
    run_tiny(InProcessGrid(2), folder, config, **SETTINGS, **resumed)


def killed_run(tmp_path):
    """Return the one run directory; a process that is killed at once leaves a folder that is none yet."""
    (path,) = (tmp_path / "killed").glob(f"*/{RUN_FILE}")
    return path.parent


def die_at(start, nth_file):
    process = start(nth_file)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def finish(start):
    process = start()
    process.join(60)
    assert process.exitcode == 0


def test_a_process_that_dies_over_weights_state_or_run_json_leaves_a_run_that_goes_on(start, tmp_path, uninterrupted):
    before = FILES_BEFORE_A_ROUND + len(TABLES)
    for nth_file, last_round in [(FILES_OF_A_ROUND + before + 1, 1), (before + 2, 1), (before + 3, 1)]:
        die_at(start, nth_file)
        info = read_info(killed_run(tmp_path))
        assert (info["status"], info["last_round"]) == ("running", last_round)
        assert list(killed_run(tmp_path).rglob(".*.tmp"))
    finish(start)
    assert_same_logs(killed_run(tmp_path), uninterrupted)


def kill_at_random(start, tmp_path, num_kills, most_s):
    """Kill processes at random moments until so many have died before their run was complete; return the rounds."""
    moments, rounds = random.Random(0), []
    while len(rounds) < num_kills:
        process = start()
        time.sleep(moments.uniform(0, most_s))
        process.kill()
        process.join()
        runs = list((tmp_path / "killed").glob(f"*/{RUN_FILE}"))
        if runs and read_info(runs[0].parent)["status"] == "completed":
            shutil.rmtree(tmp_path / "killed")  # too late to kill
        elif runs:
            rounds.append(read_info(runs[0].parent)["last_round"])
    return rounds


@pytest.mark.parametrize("num_kills", [3, pytest.param(25, marks=pytest.mark.long)])
def test_a_run_that_is_killed_at_random_moments_goes_on(start, tmp_path, uninterrupted, num_kills):
    started = time.monotonic()
    finish(start)
    most_s = time.monotonic() - started
    shutil.rmtree(tmp_path / "killed")
    rounds = kill_at_random(start, tmp_path, num_kills, most_s)
    assert num_kills < 10 or max(rounds) > 0  # some died after a whole round
    finish(start)
    assert_same_logs(killed_run(tmp_path), uninterrupted)


@pytest.mark.long
def test_a_run_goes_on_whichever_file_its_process_dies_over(start, tmp_path, uninterrupted):
    second_round = FILES_BEFORE_A_ROUND + FILES_OF_A_ROUND
    for nth_file in [
        *range(1, FILES_BEFORE_A_ROUND + 1),
        *range(second_round + 1, second_round + FILES_OF_A_ROUND + 1),
    ]:
        die_at(start, nth_file)
        finish(start)
        assert_same_logs(killed_run(tmp_path), uninterrupted)
        shutil.rmtree(tmp_path / "killed")
