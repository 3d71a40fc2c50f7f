"""Exit codes and messages of `python -m analysis`."""

import json
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from analysis import figures
from analysis.__main__ import main
from analysis.runs.resuming import USUAL
from fedcircuits.runlog.lock import LOCK_FILE
from fedcircuits.runlog.writer import RunLog

WriteRun = Callable[..., RunLog]

Output = pytest.CaptureFixture[str]


def test_status_of_a_completed_run_exits_with_zero(write_run: WriteRun, capsys: Output) -> None:
    log = write_run()
    log.complete()
    assert main(["status", str(log.path)]) == 0
    assert capsys.readouterr().out == f"{log.path.name}: completed, 2 of 2 rounds\n"


def test_status_of_a_running_run_exits_with_one(write_run: WriteRun, capsys: Output) -> None:
    log = write_run(num_rounds=1)
    assert main(["status", str(log.path)]) == 1
    assert capsys.readouterr().out == f"{log.path.name}: running, 1 of 2 rounds\nlast written 0 min ago\n"


def test_status_of_a_run_without_a_living_process_says_how_to_go_on(write_run: WriteRun, capsys: Output) -> None:
    log = write_run(num_rounds=1)
    log.note(is_simulation=True)
    log.close()
    assert main(["status", str(log.path)]) == 1
    first, _, go_on, command = capsys.readouterr().out.splitlines()
    assert first == f"{log.path.name}: interrupted, 1 of 2 rounds"
    assert go_on == "to go on after round 1, type in the project's folder:"
    assert command == (
        "flwr run . --stream --federation-config 'num-supernodes=2 client-resources-num-cpus=1' "
        f"--run-config 'resume-from=\"{log.path}\"'"
    )
    assert main(["summary", str(log.path)]) == 0


def test_status_of_an_interrupted_federation_leaves_its_connection_to_the_user(
    write_run: WriteRun, capsys: Output
) -> None:
    log = write_run(num_rounds=1)
    log.close()
    main(["status", str(log.path)])
    assert f"flwr run . CONNECTION --stream --run-config 'resume-from=\"{log.path}\"'\n" in capsys.readouterr().out


def test_what_a_resumed_run_does_not_take_from_its_log_is_in_the_command(
    write_run: WriteRun, capsys: Output, defaults: Mapping[str, Any]
) -> None:
    assert {key: defaults[key] for key in USUAL} == USUAL
    log = write_run(num_rounds=1, data_dir="/data/it's here", device="cuda")
    log.close()
    main(["status", str(log.path)])
    config = shlex.split(capsys.readouterr().out.splitlines()[-1])[-1]
    given = tomllib.loads(config.replace(" d", "\nd"))
    assert given == {"resume-from": str(log.path), "device": "cuda", "data-dir": "/data/it's here"}


def test_status_of_a_run_whose_process_cannot_be_seen_says_so(write_run: WriteRun, capsys: Output) -> None:
    log = write_run(num_rounds=1)
    (log.path / LOCK_FILE).unlink()
    assert main(["status", str(log.path)]) == 1
    said = capsys.readouterr().out
    assert "running, 1 of 2 rounds" in said
    assert "cannot be seen whether its process lives; if not, type:\nflwr run . " in said


def test_status_of_a_failed_run_exits_with_one_and_says_why(write_run: WriteRun, capsys: Output) -> None:
    log = write_run()
    log.fail("node lost")
    assert main(["status", str(log.path)]) == 1
    said = capsys.readouterr().out
    assert "node lost" in said
    assert "to go on after round 2, type" in said


def test_status_of_a_run_that_failed_at_once_does_not_tell_to_go_on(write_run: WriteRun, capsys: Output) -> None:
    log = write_run(num_rounds=0)
    log.fail("wrong settings")
    assert main(["status", str(log.path)]) == 1
    assert "flwr run" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["summary", "figures", "diagnose", "status"])
def test_a_missing_run_is_one_line_on_stderr_and_exits_with_two(command: str, tmp_path: Path, capsys: Output) -> None:
    assert main([command, str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: no run found")
    assert captured.err.count("\n") == 1


def test_the_run_defaults_to_the_newest_in_runs(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    log = write_run()
    monkeypatch.chdir(log.path.parent.parent)
    assert main(["summary"]) == 0
    assert log.path.name in capsys.readouterr().out


def test_summary_as_json_can_be_parsed(write_run: WriteRun, capsys: Output) -> None:
    assert main(["summary", str(write_run().path), "--format", "json"]) == 0
    assert [row["round"] for row in json.loads(capsys.readouterr().out)["rounds"]] == [1, 2]


def test_a_diagnosis_is_a_page_or_json_of_the_round_asked_for(write_run: WriteRun, capsys: Output) -> None:
    path = str(write_run().path)
    assert main(["diagnose", path]) == 0
    assert "round 2" in capsys.readouterr().out.splitlines()[0]
    assert main(["diagnose", path, "--round", "1", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["round"] == 1
    assert main(["diagnose", path, "--round", "9"]) == 2
    assert capsys.readouterr().err.endswith("has no round 9: its last whole round is 2\n")


def test_wrong_usage_exits_with_two(capsys: Output) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["summarise"])
    assert stopped.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_figures_are_written_into_the_run_and_what_became_of_each_is_printed(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    names = ("01-who-holds-what", "05-stability")
    monkeypatch.setattr(figures, "FIGURES", {name: figures.FIGURES[name] for name in names})
    path = write_run(num_rounds=1).path
    assert main(["figures", str(path)]) == 0
    written = path / "figures" / "01-who-holds-what.png"
    captured = capsys.readouterr()
    assert captured.out == f"{written}\n"
    assert captured.err == "skipped 05-stability: no pairs: circuits were not found in two rounds\n"
    assert written.is_file()


def test_the_papers_figures_are_a_set_of_their_own(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    names = ("paper/stability-within-client", "paper/drift-gap")
    monkeypatch.setattr(figures, "PAPER_FIGURES", {name: figures.PAPER_FIGURES[name] for name in names})
    path = write_run(num_rounds=1).path
    assert main(["figures", str(path), "--set", "paper"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{path / 'figures' / 'paper' / 'drift-gap.png'}\n"
    assert captured.err.startswith("skipped paper/stability-within-client: no pairs")


def test_figures_can_be_asked_for_one_by_one(write_run: WriteRun, capsys: Output) -> None:
    path = write_run().path
    assert main(["figures", str(path), "--only", "paper/drift-gap", "01-who-holds-what"]) == 0
    folder = path / "figures"
    assert capsys.readouterr().out == f"{folder / 'paper' / 'drift-gap.png'}\n{folder / '01-who-holds-what.png'}\n"


def test_an_unknown_figure_is_one_line_that_names_all_there_are(write_run: WriteRun, capsys: Output) -> None:
    path = write_run().path
    assert main(["figures", str(path), "--only", "drift-gap"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: there is no figure drift-gap; there are 01-who-holds-what, ")
    assert "paper/drift-gap" in said
    assert not (path / "figures").exists()


def test_a_figure_that_was_asked_for_and_cannot_be_drawn_is_an_error(write_run: WriteRun, capsys: Output) -> None:
    path = write_run(num_rounds=1).path
    assert main(["figures", str(path), "--only", "05-stability"]) == 2
    assert capsys.readouterr().err == "skipped 05-stability: no pairs: circuits were not found in two rounds\n"


def test_a_folder_that_cannot_be_written_is_one_line_and_exits_with_two(
    write_run: WriteRun, tmp_path: Path, capsys: Output
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert main(["figures", str(write_run().path), "--out", str(blocked)]) == 2
    assert capsys.readouterr().err.startswith("error: cannot write figures to")


def test_a_published_log_is_imported_and_can_be_summarised(tmp_path: Path, capsys: Output) -> None:
    circuit = {"active_nodes": {"conv1": [0], "conv2": [1]}, "metrics": {"accuracy": 100.0}}
    side = {"client_0": {"3 - three": circuit}, "client_1": {"3 - three": circuit}}
    file = tmp_path / "published.json"
    file.write_text(json.dumps({"round_1": {"clients_local_model": side, "clients_global_model": side}}))
    assert main(["import-fedmi", str(file), str(tmp_path / "runs"), "--channels", "2,4"]) == 0
    first, *commands = capsys.readouterr().out.splitlines()
    path = first.removeprefix("imported; run directory: ")
    assert commands == [f"next: python -m analysis summary {path}", f"      python -m analysis report {path}"]
    assert main(["status", path]) == 0
    assert main(["summary", str(tmp_path / "runs")]) == 0
    assert "imported from published.json" in capsys.readouterr().out


def test_a_published_log_that_is_not_sound_is_one_line_and_leaves_no_run(tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "published.json"
    file.write_text('{"round_1": {"clients_local_model": {"client_0": {"3": {"conv1": [64], "conv2": []}}}}}')
    assert main(["import-fedmi", str(file), str(tmp_path / "runs"), "--channels", "64,64"]) == 2
    where = "round_1 / clients_local_model / client_0 / 3 / conv1"
    assert capsys.readouterr().err == f"error: published.json: {where}: 64 is not a channel of conv1 (0 to 63)\n"
    assert not (tmp_path / "runs").exists()


def test_channels_that_are_no_numbers_are_refused(tmp_path: Path, capsys: Output) -> None:
    assert main(["import-fedmi", "published.json", str(tmp_path), "--channels", "32,many"]) == 2
    assert capsys.readouterr().err == (
        "error: --channels = '32,many': must be whole numbers with commas between them\n"
    )


def test_analysis_starts_without_torch_and_flower() -> None:
    program = "import sys, analysis.__main__, analysis.figures; print({'torch', 'flwr', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
