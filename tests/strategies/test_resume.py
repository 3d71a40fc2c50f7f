"""Runs that go on where they were stopped, against the same runs left alone."""

import errno
import fcntl
import json
import logging
import shutil
from dataclasses import replace

import pytest
from federation import InProcessGrid
from flwr.app import Message, MessageType
from interruption import Stopped, StoppingGrid, assert_same_logs
from tiny_runs import ATTRIBUTION, EXAMINED

from fedcircuits.errors import FedCircuitsError, FederationError, RunLogError, SettingsError
from fedcircuits.examination.validity import ValidityRow
from fedcircuits.federation.digest import RUN, code_digest
from fedcircuits.runlog.reader import read_info
from fedcircuits.runlog.writer import RunLog
from server_app import federation
from server_app.resumption import check_same_own_images
from strategies import examinations
from strategies.registry import STRATEGIES

NEEDED = {"fedprox": {"proximal_mu": 0.1}, "fedtrimmedavg": {"trim_fraction": 0.34}}
NO_CIRCUITS = {"circuit_every": 0, "num_checkpoints": 3}


@pytest.fixture
def stopped(federate):
    """Run a tiny federation that is stopped after some rounds; returns its directory."""

    def run(num_rounds=1, num_clients=2, when=MessageType.TRAIN, **changes):
        with pytest.raises(Stopped):
            federate(StoppingGrid(num_clients, num_rounds, when), **{**NO_CIRCUITS, **changes})
        return federate.directory

    return run


@pytest.fixture
def resume(federate):
    """Go on with a run; further arguments are settings that are given on the command line."""

    def run(directory, num_clients=2, grid=None, **changes):
        return federate(grid or InProcessGrid(num_clients), resume_from=str(directory), **{**NO_CIRCUITS, **changes})

    return run


@pytest.fixture
def stopped_in_every_round(federate, stopped, resume):
    """Run a tiny federation one round at a time; returns its directory."""

    def run(num_clients, when=MessageType.TRAIN, **changes):
        directory = stopped(1, num_clients, when, **changes)
        for _ in range(changes["num_server_rounds"] - 2):
            with pytest.raises(Stopped):
                resume(directory, grid=StoppingGrid(num_clients, 1, when), **changes)
        return resume(directory, num_clients, **changes)

    return run


# -- Exactness


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_that_is_stopped_in_every_round_is_bit_for_bit_the_run_that_is_not(
    federate, stopped_in_every_round, strategy
):
    changes = {**NO_CIRCUITS, "num_server_rounds": 3, "strategy": strategy, **NEEDED.get(strategy, {})}
    run = stopped_in_every_round(3, **changes)
    assert_same_logs(run, federate(InProcessGrid(3), **changes))
    assert [entry["round"] for entry in read_info(run)["resumed"]] == [1, 2]


def test_circuits_of_earlier_rounds_and_trained_classes_are_remembered(federate, stopped_in_every_round):
    # Two of four clients a round, so that a client's earlier circuits may be several rounds old.
    changes = {"circuit_every": 1, "fraction_train": 0.5, "retest_every": 2, "num_server_rounds": 4, "gate_steps": 2}
    changes |= {"partition": "classes", "client_classes": "0,1;1,2;2,3;3,4", "circuit_classes": "0,1,2,3"}
    run = stopped_in_every_round(4, MessageType.EVALUATE, **changes)
    assert_same_logs(run, federate(InProcessGrid(4), **NO_CIRCUITS | changes))


def test_checks_of_the_discovery_are_remembered(federate, stopped_in_every_round, monkeypatch):
    verdicts = {1: True, 3: False, 4: None}  # no check is due in round 2; one without a verdict changes nothing
    passed = ValidityRow(None, None, 0.9, 0.5, 0.1, 0.4, 0.02, 20.0, 3, True)
    rows = {
        True: passed,
        False: replace(passed, effect=0.04, z=2.0, passed=False),
        None: replace(passed, effect=None, z=None, passed=None),
    }
    monkeypatch.setattr(examinations, "check_validity", lambda *asked: [rows[verdicts[asked[3].server_round]]])
    changes = {"circuit_every": 1, "circuit_classes": "0", "gate_steps": 1, "validity_every": 2}
    changes |= {"num_server_rounds": 4}
    run = stopped_in_every_round(2, **changes)
    assert_same_logs(run, federate(InProcessGrid(2), **NO_CIRCUITS | changes))


@pytest.mark.long
def test_a_run_with_everything_is_bit_for_bit_the_same(federate, stopped_in_every_round):
    changes = {
        **EXAMINED,
        **ATTRIBUTION,
        "circuit_every": 2,
        "examination_every": 2,
        "retest_every": 2,
        "num_checkpoints": 1,
    }
    changes |= {"strategy": "fedadam", "sparsity_schedule": "run", "num_server_rounds": 5}
    run = stopped_in_every_round(3, **changes)
    assert_same_logs(run, federate(InProcessGrid(3), **changes))


def test_what_flowers_strategies_change_in_themselves_is_carried_over(federate, monkeypatch):
    carried = {"fedadam": {"m_t", "v_t"}, "fedyogi": {"m_t", "v_t"}, "fedavgm": {"momentum_vector"}}
    built = []

    def build(*arguments):
        strategy = build_strategy(*arguments)
        built.append((strategy, dict(vars(strategy))))
        return strategy

    build_strategy = federation.build_strategy
    monkeypatch.setattr(federation, "build_strategy", build)
    for name in STRATEGIES:
        federate(InProcessGrid(3), num_server_rounds=1, **{**NO_CIRCUITS, "strategy": name, **NEEDED.get(name, {})})
        strategy, before = built.pop()
        changed = {key for key, value in vars(strategy).items() if value is not before.get(key)}
        # `current_arrays` are the weights.
        assert {key for key in changed if key[0] != "_"} - {"current_arrays"} == carried.get(name, set()), name


def test_the_state_does_not_grow_with_the_rounds(federate):
    run = federate(InProcessGrid(2), num_server_rounds=3, num_checkpoints=3, circuit_classes="0", gate_steps=1)
    sizes = {path.name: path.stat().st_size for path in (run / "checkpoints").glob("state-*")}
    assert sizes["state-0002.safetensors"] == sizes["state-0003.safetensors"]


# -- What may lie about


def test_a_run_without_a_whole_round_starts_over_in_its_directory(federate, stopped, resume):
    run = resume(stopped(0))
    assert_same_logs(run, federate(InProcessGrid(2), **NO_CIRCUITS))
    assert [path.name for path in run.parent.iterdir()] == [run.name]


def test_parts_of_the_unfinished_round_do_no_harm(federate, stopped, resume):
    run = stopped(1)
    for folder, name in [
        ("clients", "round-0002.parquet"),
        ("accuracy", "round-0007.parquet"),
        ("masks", ".round-0002.parquet.tmp"),
        ("checkpoints", "round-0002.safetensors"),
        ("checkpoints", "state-0009.safetensors"),
        ("checkpoints", ".state-0002.safetensors.tmp"),
        (".", ".run.json.tmp"),
    ]:
        (run / folder / name).write_bytes(b"garbage")
    assert_same_logs(resume(run), federate(InProcessGrid(2), **NO_CIRCUITS))


def test_a_run_that_was_stopped_after_its_last_round_is_completed_without_a_client(federate, resume):
    run = federate(InProcessGrid(2), **NO_CIRCUITS)
    change_info(run, status="running", finished=None)
    assert resume(run, num_clients=0) == run
    assert read_info(run)["status"] == "completed"


def test_the_newest_run_of_a_folder_is_resumed(stopped, resume):
    run = stopped(1)
    shutil.copytree(run, run.with_name("00000000T000000Z-older"))
    assert resume(run.parent) == run
    assert read_info(run)["status"] == "completed"


def test_a_resumption_says_what_it_does(stopped, resume, caplog):
    run = stopped(1)
    caplog.set_level(logging.INFO, "fedcircuits")
    resume(run)
    assert f"run directory: {run}" in caplog.messages
    assert "resuming after round 1 of 2" in caplog.messages
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    (entry,) = read_info(run)["resumed"]
    assert entry["code_digest"] == read_info(run)["code_digest"]
    assert (entry["round"], entry["settings"], entry["versions"]) == (1, {}, {})


# -- What is given on the command line


def test_settings_come_from_the_run_and_those_that_are_given_must_not_contradict_it(stopped, resume):
    run = stopped(1)
    before = (run / "run.json").read_bytes()
    with pytest.raises(SettingsError) as caught:
        resume(run, num_server_rounds=5, learning_rate=0.1, run_name="another", num_threads=1)
    problems = [problem.split(" = ")[0] for problem in caught.value.problems]
    assert problems == ["learning-rate", "num-server-rounds", "run-name"]
    assert "num-server-rounds = 5: the run to resume began with 2" in str(caught.value)
    assert (run / "run.json").read_bytes() == before


def test_a_default_counts_as_not_given(stopped, federate, defaults):
    run = stopped(1)
    federation.run_federation(InProcessGrid(2), {**defaults, "resume-from": str(run)})
    assert read_info(run)["last_round"] == 2


def test_settings_of_the_machine_may_be_given_anew(stopped, resume):
    run = resume(stopped(1), num_checkpoints=1, round_timeout_s=7)
    info = read_info(run)
    assert info["resumed"][0]["settings"] == {"num-checkpoints": 1, "round-timeout-s": 7}
    assert info["settings"]["round-timeout-s"] == 3600
    assert len(list((run / "checkpoints").iterdir())) == 2


def test_settings_of_the_machine_are_the_resuming_commands_also_where_it_leaves_them_out(stopped, resume):
    run = stopped(1)
    change_info(run, settings={**read_info(run)["settings"], "device": "cuda", "num-threads": 64})
    resume(run)
    assert read_info(run)["resumed"][0]["settings"] == {"device": "auto", "num-threads": 1}


@pytest.mark.parametrize(("part", "words"), [("train", "training images"), ("heldout", "held-out images")])
def test_a_run_does_not_go_on_with_other_images(stopped, resume, part, words):
    run = stopped(1)
    data = read_info(run)["data"]
    change_info(run, data={**data, part: "another"})
    with pytest.raises(RunLogError, match=f"the run began with other images: the {words} are not those under data-dir"):
        resume(run)
    assert read_info(run)["last_round"] == 1
    change_info(run, data=data)
    resume(run)


def test_a_run_does_not_go_on_with_other_images_of_a_client(stopped):
    run_log = RunLog.reopen(stopped(1))
    client = {"partition_id": 1, "label": "north", "num_images": 9, "has_own_images": True}
    run_log.note(clients=[{**client, "fingerprint": "a" * 32}])
    check_same_own_images(run_log, [{**client, "fingerprint": "a" * 32}])
    check_same_own_images(run_log, [client])  # it does not say any more
    with pytest.raises(RunLogError, match=r"other images of partition 1 \(north\)"):
        check_same_own_images(run_log, [{**client, "fingerprint": "b" * 32}])


def test_a_run_that_lacks_a_newer_setting_takes_it_from_the_command_line(federate, stopped, resume):
    run = stopped(1)
    settings = read_info(run)["settings"]
    change_info(run, settings={key: value for key, value in settings.items() if key != "resume-from"})
    assert_same_logs(resume(run), federate(InProcessGrid(2), **NO_CIRCUITS))


# -- What cannot go on


def test_a_completed_run_is_not_resumed(federate, resume):
    run = federate(InProcessGrid(2), **NO_CIRCUITS)
    before = (run / "run.json").read_bytes()
    with pytest.raises(RunLogError, match="is complete; nothing to resume"):
        resume(run)
    assert (run / "run.json").read_bytes() == before


@pytest.mark.parametrize(("place", "problem"), [("nothing", "does not exist"), (".", "no run found")])
def test_a_place_without_a_run_is_not_resumed(config, tmp_path, place, problem):
    with pytest.raises(RunLogError, match=problem):
        federation.run_federation(InProcessGrid(2), {**config, "resume-from": str(tmp_path / place)})
    assert not list(tmp_path.iterdir())


def test_a_resumed_run_must_have_as_many_clients(stopped, resume):
    run = stopped(1)
    with pytest.raises(FederationError, match=r'began with 2 clients, but the federation has 3.*"num-supernodes=2"'):
        resume(run, num_clients=3)
    assert read_info(run)["status"] == "failed"
    resume(run)
    assert read_info(run)["status"] == "completed"


def test_a_client_that_is_away_is_waited_for_and_named(stopped, resume):
    with pytest.raises(FederationError, match=r"only 1 of 2 clients.*partitions \[1\] are missing"):
        resume(stopped(1), grid=InProcessGrid(1, num_missing=1), node_timeout_s=0.5)


def test_other_code_is_a_warning_and_noted(stopped, resume, caplog):
    run = stopped(1)
    change_info(run, code_digest="0" * 64, versions={**read_info(run)["versions"], "torch": "1.0"})
    resume(run)
    warning = "the run goes on with other code than it began with (torch, code_digest): bits may differ"
    assert warning in caplog.messages
    (entry,) = read_info(run)["resumed"]
    assert entry["code_digest"] == code_digest(RUN)
    assert list(entry["versions"]) == ["torch"]


@pytest.mark.parametrize("name", ["round-0001.safetensors", "state-0001.safetensors"])
@pytest.mark.parametrize("is_missing", [True, False])
def test_a_checkpoint_that_is_missing_or_damaged_is_named(stopped, resume, name, is_missing):
    run = stopped(1)
    before, path = (run / "run.json").read_bytes(), run / "checkpoints" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # one bit of the last tensor, which no format notices
    path.unlink() if is_missing else path.write_bytes(content)
    with pytest.raises(RunLogError, match=f"{name} (cannot be read|is damaged)"):
        resume(run)
    assert (run / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema_version": 1}, r"run\.json is not of schema version 3"),
        ({"checkpoint": {}}, r"run\.json knows no checkpoints/round-0001\.safetensors"),
        ({"settings": None}, r"run\.json lacks a valid last_round or settings"),
        ({"settings": {"sparsity": 2.0}}, r"sparsity = 2\.0"),
    ],
)
def test_a_log_that_cannot_be_gone_on_with_is_refused(stopped, resume, change, problem):
    run = stopped(1)
    change_info(run, **change)
    with pytest.raises(FedCircuitsError, match=problem):
        resume(run)


def test_a_log_that_lacks_a_table_is_refused(stopped, resume):
    run = stopped(1)
    shutil.rmtree(run / "ladder")
    with pytest.raises(RunLogError, match="lacks the folders ladder"):
        resume(run)


def test_a_living_run_is_not_resumed_and_does_not_notice(stopped, resume):
    run, refusals = stopped(1), []

    def try_twice(reply: Message, partition_id: int) -> Message:
        if reply.metadata.message_type == MessageType.TRAIN and not refusals:
            with pytest.raises(RunLogError, match="is being written by another process") as caught:
                resume(run)
            refusals.append(str(caught.value))
        return reply

    resume(run, grid=InProcessGrid(2, try_twice))
    assert len(refusals) == 1
    assert read_info(run)["status"] == "completed"
    assert len(read_info(run)["resumed"]) == 1


def test_where_the_file_system_knows_no_locks_a_run_says_so_and_goes_on(stopped, resume, monkeypatch, caplog):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    run = stopped(1)
    monkeypatch.setattr(fcntl, "flock", refuse)
    resume(run)
    assert read_info(run)["status"] == "completed"
    assert "the file system knows no locks: nothing keeps another process from writing this run" in caplog.messages


def test_a_refused_resumption_leaves_the_run_to_the_next(stopped, resume):
    run = stopped(1)
    with pytest.raises(SettingsError):
        resume(run, sparsity=0.1)
    RunLog.reopen(run).close()


def change_info(run, **changes):
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, **changes}))
