"""Failures in true runs: what `flwr run` does not tell, its exit code being 0, the run log and `status` must."""

import os
import time

import psutil
import pytest
from true_runs import QUICK

from analysis.__main__ import main
from fedcircuits.runlog.checkpoints import read_checkpoint
from fedcircuits.runlog.reader import read_info, read_table

pytestmark = pytest.mark.long

SMALL = {**QUICK, "num-server-rounds": 2, "channels": "8,8", "run-dir": "runs"}
TRAIN = '''    """Train on this client's images and find the circuits of the trained model."""
'''
DIES_WITHIN_S = 60
"""Far below the hour that a round waits for replies; most of it is for a machine that is busy otherwise."""


def clients(run):
    info = read_info(run.directory)
    return read_table(run.directory, "clients", info["last_round"]).set_index(["round", "partition_id"])


def break_training(flower, when, what):
    """Let clients do something else than training; `when` may ask for `partition` and `server_round`."""
    values = (
        '    partition = context.node_config["partition-id"]\n'
        "    server_round = message.content[Key.CONFIG][Key.SERVER_ROUND]\n"
    )
    flower.edit("client_app/app.py", TRAIN, f"{TRAIN}{values}    if {when}:\n        {what}\n")


def assert_failed(run, reason, last_round):
    """Everybody who asks must hear that it failed, and what was logged before must be there."""
    assert run.status == "finished:failed", run.output
    assert "FAILED: " in run.output
    info = read_info(run.directory)
    assert (info["status"], info["last_round"]) == ("failed", last_round)
    assert reason in info["reason"]
    assert main(["status", str(run.directory)]) == 1
    if last_round:
        assert read_checkpoint(run.directory, last_round)
        assert set(clients(run).index.get_level_values("round")) == set(range(1, last_round + 1))


def test_a_client_that_raises_is_left_out_and_the_run_goes_on(broken_flower):
    break_training(broken_flower, "partition == 1", 'raise RuntimeError("\\x1b[31mboom")')
    run = broken_flower.run(SMALL, num_clients=3)
    assert run.status == "finished:completed", run.output
    rows = clients(run)
    assert not rows.xs(1, level="partition_id")["accepted"].any()
    assert rows.drop(1, level="partition_id")["accepted"].all()
    for reason in rows.xs(1, level="partition_id")["reason"]:
        assert reason.startswith("client failed: ")
        assert "boom" in reason
        assert reason.isprintable()


def test_a_run_all_of_whose_clients_fail_has_failed_and_keeps_its_last_checkpoint(broken_flower):
    break_training(broken_flower, "server_round == 2", 'raise RuntimeError("boom")')
    run = broken_flower.run(SMALL, num_clients=2)
    assert_failed(run, "round 2: only 0 of 2 replies can be used", last_round=1)


def test_a_straggler_is_not_waited_for_and_its_late_reply_is_not_taken_for_the_next_rounds(broken_flower):
    break_training(broken_flower, "partition == 1 and server_round == 1", "import time; time.sleep(25)")
    run = broken_flower.run({**SMALL, "round-timeout-s": 15}, num_clients=3)
    assert run.status == "finished:completed", run.output
    rows = clients(run)
    assert rows.loc[(1, 1), "reason"] == "no reply within 15 s (round-timeout-s)"
    assert rows["accepted"].tolist() == [True, False, True, True, True, True]


def test_a_killed_worker_ends_the_run_long_before_the_round_would_time_out(broken_flower):
    settings = {**SMALL, "num-server-rounds": 1000, "min-accepted-fraction": 0.9}
    process = broken_flower.start(settings, num_clients=4, cpus_per_client=max(1, (os.cpu_count() or 1) // 2))
    seen = ""
    for line in process.stdout:
        seen += line
        if line.startswith("round 2/"):
            break
    workers = [found for found in broken_flower.processes() if is_worker(found)]
    assert workers
    workers[0].kill()
    killed = time.monotonic()
    run = broken_flower.wait(process, seen)
    assert time.monotonic() - killed < DIES_WITHIN_S
    assert_failed(run, "replies can be used", last_round=read_info(run.directory)["last_round"])
    assert read_info(run.directory)["last_round"] >= 2


def is_worker(process: psutil.Process) -> bool:
    try:
        return "ClientAppActor" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def test_a_full_disk_ends_the_run_and_leaves_the_rounds_before_it(broken_flower):
    limit = (
        "        if server_round == 2:\n"
        "            import resource\n"
        "            resource.setrlimit(resource.RLIMIT_FSIZE, (6144, resource.RLIM_INFINITY))\n"
    )
    start = "        before = dict(self._info)\n"
    broken_flower.edit("fedcircuits/runlog/writer.py", start, start + limit)
    run = broken_flower.run(SMALL, num_clients=2)
    assert_failed(run, "round 2 cannot be written: ", last_round=1)
    assert not list(run.directory.glob("*/*0002*"))


@pytest.mark.parametrize("module", ["client_app/app.py", "fedcircuits/seeding.py"])
def test_a_superlink_that_was_started_among_other_code_of_the_same_name_is_refused(broken_flower, tmp_path, module):
    folder = tmp_path / "elsewhere"
    foreign = folder / module
    foreign.parent.mkdir(parents=True)
    (foreign.parent / "__init__.py").touch()
    foreign.write_text("from flwr.clientapp import ClientApp\n\napp = ClientApp()\n")
    settings = {**SMALL, "run-dir": str(tmp_path / "runs"), "node-timeout-s": 30}
    run = broken_flower.wait(broken_flower.start(settings, num_clients=2, folder=folder))
    assert_failed(run, "Flower's background process", last_round=0)


def test_a_superlink_that_was_started_in_another_version_of_this_project_is_refused(broken_flower, tmp_path):
    import shutil

    folder = tmp_path / "elsewhere"
    shutil.copytree(broken_flower.app, folder)
    (folder / "fedcircuits" / "seeding.py").open("a").write("\n# another version\n")
    settings = {**SMALL, "run-dir": str(tmp_path / "runs"), "node-timeout-s": 30}
    run = broken_flower.wait(broken_flower.start(settings, num_clients=2, folder=folder))
    assert_failed(run, "runs other code than the server", last_round=0)
