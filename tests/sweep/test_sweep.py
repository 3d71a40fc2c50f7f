import json
import os
import threading
import tomllib
from pathlib import Path

import pytest

from fedcircuits.errors import SweepError
from fedcircuits.runlog.writer import RunLog
from sweep.__main__ import EXIT_ERROR, main
from sweep.flower import Outcome
from sweep.index import INDEX_FILE, Entry, Index
from sweep.plan import plan_jobs
from sweep.progress import ended_line, seconds_left
from sweep.runner import jobs_to_run, locked, run_jobs


@pytest.fixture
def write_config(tmp_path):
    def write(name, **changes):
        config = {"dataset": "digits", "num-clients": 2, "num-server-rounds": 4, **changes}
        path = tmp_path / "conf" / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in config.items()))
        return path

    return write


class FakeFlower:
    """Leaves a run directory like a real run; fails for the experiments named."""

    def __init__(self, folder, failing=(), on_run=lambda job: None):
        self.folder, self.failing, self.on_run = folder, failing, on_run
        self.ran = []

    def run(self, job, on_line):
        self.on_run(job)
        self.ran.append((job.experiment, job.seed))
        log = RunLog.create(self.folder, job.experiment, {"settings": dict(job.settings.config)})
        on_line("INFO: something of Flower's")
        on_line("round 1/4 | 2.0 s")
        if job.experiment in self.failing:
            log.fail("no such luck")
            return Outcome(log.path, "no such luck")
        log.complete()
        return Outcome(log.path, None)


def sweep(folder, jobs, flower, say=lambda line: None, num_parallel=1):
    index = Index.open(folder, jobs)
    left = jobs_to_run(folder, index, jobs, say)
    index.write()
    run_jobs(flower, index, left, num_parallel, say)
    return json.loads((folder / INDEX_FILE).read_text())["runs"]


# -- The plan


def test_a_plan_is_every_experiment_of_the_first_seed_first(write_config):
    paths = [write_config("a"), write_config("b")]
    jobs = plan_jobs(paths, [3, 5], {})
    assert [(job.experiment, job.seed) for job in jobs] == [("a", 3), ("b", 3), ("a", 5), ("b", 5)]
    assert jobs[0].settings.run.seed == 3
    assert jobs[0].settings.run.run_name == "a"


def test_a_folder_stands_for_all_of_its_configurations(write_config):
    folder = write_config("b").parent
    write_config("a")
    assert [job.experiment for job in plan_jobs([folder], [0], {})] == ["a", "b"]


def test_a_configuration_may_name_its_experiment(write_config):
    assert plan_jobs([write_config("a", **{"run-name": "mine"})], [0], {})[0].experiment == "mine"


def test_changes_override_the_files_and_reach_flower(write_config, tmp_path):
    (job,) = plan_jobs([write_config("a")], [1], {"num-server-rounds": 2})
    assert job.settings.run.num_server_rounds == 2
    text = job.toml(tmp_path)
    assert "num-server-rounds = 2\n" in text
    assert f'run-dir = "{tmp_path}"\n' in text
    assert "seed = 1\n" in text


def test_the_number_of_clients_follows_from_the_setting_or_the_list(write_config):
    listed = {"partition": "classes", "client-classes": "0;1;2"}
    assert plan_jobs([write_config("a")], [0], {})[0].num_clients == 2
    assert plan_jobs([write_config("b", **listed, **{"num-clients": 0})], [0], {})[0].num_clients == 3


def test_every_mistake_is_named_with_its_file_before_anything_runs(write_config, tmp_path):
    wrong = write_config("wrong", sparsity=2.0, colour="red")
    open_ended = write_config("open", **{"num-clients": 0})
    (tmp_path / "conf" / "broken.toml").write_text("sparsity = ")
    with pytest.raises(SweepError) as caught:
        plan_jobs([wrong, open_ended, tmp_path / "conf" / "broken.toml", tmp_path / "absent.toml"], [0], {})
    for words in ("wrong.toml: sparsity", "colour: unknown", "open.toml: num-clients", "broken.toml", "absent.toml"):
        assert words in str(caught.value)


def test_two_files_cannot_be_one_experiment(write_config):
    paths = [write_config("a", **{"run-name": "x"}), write_config("b", **{"run-name": "x"})]
    with pytest.raises(SweepError, match=r"b\.toml: another file has the run-name 'x'"):
        plan_jobs(paths, [0], {})


def test_a_folder_without_configurations_is_refused(tmp_path):
    with pytest.raises(SweepError, match=r"holds no \.toml"):
        plan_jobs([tmp_path], [0], {})


# -- Running


def test_a_failed_run_stops_nothing_and_the_index_says_what_became_of_each(write_config, tmp_path):
    jobs = plan_jobs([write_config("a"), write_config("b")], [0, 1], {})
    flower = FakeFlower(tmp_path, failing={"a"})
    runs = sweep(tmp_path, jobs, flower)
    assert flower.ran == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert [(run["experiment"], run["status"], run["reason"]) for run in runs] == [
        ("a", "failed", "no such luck"),
        ("b", "completed", None),
        ("a", "failed", "no such luck"),
        ("b", "completed", None),
    ]
    assert all((tmp_path / run["run"] / "run.json").is_file() for run in runs)


def test_a_second_start_runs_only_what_has_not_completed(write_config, tmp_path):
    jobs = plan_jobs([write_config("a"), write_config("b")], [0], {})
    sweep(tmp_path, jobs, FakeFlower(tmp_path, failing={"a"}))
    again = FakeFlower(tmp_path)
    runs = sweep(tmp_path, jobs, again)
    assert again.ran == [("a", 0)]
    assert {run["status"] for run in runs} == {"completed"}


def test_more_seeds_join_an_index_and_lose_nothing(write_config, tmp_path):
    path = write_config("a")
    sweep(tmp_path, plan_jobs([path], [0, 1], {}), FakeFlower(tmp_path))
    runs = sweep(tmp_path, plan_jobs([path], [2], {}), FakeFlower(tmp_path))
    assert [(run["seed"], run["status"]) for run in runs] == [(0, "completed"), (1, "completed"), (2, "completed")]


def test_an_interrupted_sweep_leaves_the_rest_pending(write_config, tmp_path):
    def interrupt(job):
        if job.seed == 1:
            raise KeyboardInterrupt

    jobs = plan_jobs([write_config("a")], [0, 1, 2], {})
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, jobs, FakeFlower(tmp_path, on_run=interrupt))
    runs = json.loads((tmp_path / INDEX_FILE).read_text())["runs"]
    assert [run["status"] for run in runs][:2] == ["completed", "pending"]


def test_a_completed_run_with_other_settings_is_not_taken_for_this_one(write_config, tmp_path):
    path = write_config("a")
    sweep(tmp_path, plan_jobs([path], [0], {}), FakeFlower(tmp_path))
    with pytest.raises(SweepError, match=r"num-server-rounds was 4, now 9"):
        sweep(tmp_path, plan_jobs([path], [0], {"num-server-rounds": 9}), FakeFlower(tmp_path))


def test_a_refused_sweep_leaves_the_index_as_it_was(write_config, tmp_path):
    path = write_config("a")
    sweep(tmp_path, plan_jobs([path], [0], {}), FakeFlower(tmp_path))
    before = (tmp_path / INDEX_FILE).read_text()
    with pytest.raises(SweepError):
        sweep(tmp_path, plan_jobs([path], [0, 1, 2], {"num-server-rounds": 9}), FakeFlower(tmp_path))
    assert (tmp_path / INDEX_FILE).read_text() == before


def test_a_run_from_before_a_setting_existed_counts_and_other_code_is_said(write_config, tmp_path):
    jobs = plan_jobs([write_config("a")], [0], {})
    (run,) = sweep(tmp_path, jobs, FakeFlower(tmp_path))
    info = json.loads((tmp_path / run["run"] / "run.json").read_text())
    del info["settings"]["padding"]
    (tmp_path / run["run"] / "run.json").write_text(json.dumps(info))
    told, again = [], FakeFlower(tmp_path)
    sweep(tmp_path, jobs, again, told.append)
    assert again.ran == []
    assert "1 runs were completed by another version of the code" in told[0]


def test_a_run_whose_folder_is_gone_is_made_anew(write_config, tmp_path):
    jobs = plan_jobs([write_config("a")], [0], {})
    (run,) = sweep(tmp_path, jobs, FakeFlower(tmp_path))
    (tmp_path / run["run"] / "run.json").unlink()
    again = FakeFlower(tmp_path)
    sweep(tmp_path, jobs, again)
    assert again.ran == [("a", 0)]


def test_as_many_runs_as_asked_for_go_on_at_a_time(write_config, tmp_path):
    both = threading.Barrier(2, timeout=10)
    jobs = plan_jobs([write_config("a"), write_config("b")], [0], {})
    runs = sweep(tmp_path, jobs, FakeFlower(tmp_path, on_run=lambda job: both.wait()), num_parallel=2)
    assert {run["status"] for run in runs} == {"completed"}


def test_rounds_and_ends_are_told_but_not_flowers_own_lines(write_config, tmp_path):
    told = []
    sweep(tmp_path, plan_jobs([write_config("a")], [0, 1], {}), FakeFlower(tmp_path), told.append)
    assert [line for line in told if "round" in line] == [f"  a seed {seed}: round 1/4 | 2.0 s" for seed in (0, 1)]
    assert sum(line.startswith(("[1/2] a seed 0: completed", "[2/2] a seed 1: completed")) for line in told) == 2
    assert not any("Flower" in line for line in told)


def test_two_sweeps_cannot_share_a_folder(tmp_path):
    with locked(tmp_path), pytest.raises(SweepError, match="another sweep is at work"), locked(tmp_path):
        pass


def test_a_damaged_index_is_named(write_config, tmp_path):
    (tmp_path / INDEX_FILE).write_text("{")
    with pytest.raises(SweepError, match=r"sweep\.json cannot be read"):
        Index.open(tmp_path, [])


# -- Progress


def test_the_time_left_follows_the_experiments_own_runs_or_else_clients_and_rounds(write_config):
    small, large = write_config("small"), write_config("large", **{"num-server-rounds": 8})
    jobs = plan_jobs([small, large], [0, 1], {})
    assert seconds_left(jobs, [], 1) is None
    # 2 clients x 4 rounds took 16 s: 2 s a client-round; the large one has 16 of them, the small one is known.
    assert seconds_left(jobs[1:], [(jobs[0], 16.0)], 1) == 32 + 16 + 32
    assert seconds_left(jobs[1:], [(jobs[0], 16.0)], 2) == 40


def test_a_failure_is_told_with_its_reason_on_one_line():
    entry = Entry("a", 0, "failed", None, 12.0, "first\n  second")
    assert ended_line(entry, 1, 2, 30.0) == "[1/2] a seed 0: failed in 12 s | about 30 s left | first second"


# -- The command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds", "x"], "neither a seed nor a range"),
        (["--seeds", "1,1"], "each once"),
        (["--seeds", "0-99999999999"], "names more than 10000 seeds"),
        (["--set", "sparsity"], "must be key=value"),
        (["--set", "sparsity=7"], "sparsity"),
        (["--set", "seed=7"], "seed: a sweep gives it; use --seeds"),
        (["--set", "run-dir=x"], "run-dir: a sweep gives it; use --out"),
        (["--set", "run-name=a/b"], "letters, digits"),
    ],
)
def test_wrong_arguments_end_in_one_error(write_config, tmp_path, capsys, arguments, words):
    code = main([str(write_config("a")), "--out", str(tmp_path / "out"), *arguments])
    assert code == EXIT_ERROR
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(write_config, tmp_path, capsys):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert main([str(write_config("a")), "--out", str(closed / "out")]) == EXIT_ERROR
    assert "cannot write to" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--jobs", "0"], ["--jobs", "x"], ["--gpus-per-client", "-1"]])
def test_numbers_out_of_range_are_refused(write_config, tmp_path, capsys, wrong):
    with pytest.raises(SystemExit):
        main([str(write_config("a")), "--out", str(tmp_path / "out"), *wrong])
    assert "invalid" in capsys.readouterr().err


def test_a_folder_name_beyond_ascii_reaches_flower_unharmed(write_config):
    (job,) = plan_jobs([write_config("a")], [0], {})
    folder = Path("/tmp/öäü 🙂")
    assert tomllib.loads(job.toml(folder))["run-dir"] == str(folder)


def test_a_file_in_the_place_of_the_folder_is_named(write_config, tmp_path: Path, capsys):
    taken = tmp_path / "taken"
    taken.write_text("")
    assert main([str(write_config("a")), "--out", str(taken)]) == EXIT_ERROR
    assert "cannot write to" in capsys.readouterr().err
