"""What is shown of a run that goes on."""

import io
import json
import math

import pytest
from rich.console import Console

from analysis.watch.displays import LineDisplay
from analysis.watch.follower import RunFollower
from analysis.watch.panel import panel
from analysis.watch.words import sparkline
from fedcircuits.runlog.lock import LOCK_FILE


def shown(progress, now=0.0, width=100):
    console = Console(file=io.StringIO(), width=width)
    console.print(panel(progress, now))
    return console.file.getvalue()


def caught_up(path):
    follower = RunFollower(path)
    while (progress := follower.poll()).is_behind:
        pass
    return progress


def hostile(server_round, tables):
    tables["clients"][1] |= {"accepted": False, "reason": f"[/red][link=x]no\x1b[2J\x07 {server_round}"}


def test_bars_have_eight_heights_and_a_dot_for_what_is_undefined():
    assert sparkline([0.0, 0.124, 0.126, 0.5, 0.99, 1.0, math.nan, 2.0, -1.0], 40) == "▁▁▂▅██·█▁"
    assert sparkline([0.0, 0.5, 1.0], 2) == "▅█"


def test_the_panel_has_the_figures_of_the_run(growing_run):
    run = growing_run()
    run.grow(2)
    run.end_round_at(1, 1000.0)
    run.end_round_at(2, 1030.0)
    text = shown(caught_up(run.path), now=1040.0)
    assert "running, 2 of 4 rounds" in text
    assert "about 50 s left" in text
    assert "accuracy" in text
    # Recalls 1, 0.5, 0, 0 and 1, 1, 0.5, 0 of 10, 20, 10 and 10 images: 0.4 and 0.7.
    assert "▄▆" in text
    assert "0.700" in text
    assert "2/2 2/2" in text
    assert "0.60 (chance 0.20)" in text


def test_a_run_without_a_round_says_that_it_waits_for_one(growing_run):
    assert "waiting for the first round" in shown(caught_up(growing_run().path))


def test_other_peoples_words_are_shown_as_they_are_and_never_as_markup(growing_run):
    run = growing_run(hostile)
    run.log.note(clients=[{"partition_id": 1, "label": "[bold]x[/nothing]"}])
    run.grow(1)
    run.log.fail("disk [blue]full[/none]")
    text = shown(caught_up(run.path), width=160)
    assert "failed, 1 of 4 rounds: disk [blue]full[/none]" in text
    assert "round 1, partition 1 ([bold]x[/nothing]): [/red][link=x]no [2J 1" in text
    assert "\x1b" not in text


def test_only_the_last_rejections_are_shown(growing_run):
    def reject_both(server_round, tables):
        for row in tables["clients"]:
            row |= {"accepted": False, "reason": f"reason {server_round}"}

    run = growing_run(reject_both)
    run.grow(4)
    text = shown(caught_up(run.path))
    assert [text.count(f"reason {n}") for n in (1, 2, 3, 4)] == [0, 1, 2, 2]


def test_a_failed_check_of_the_discovery_is_said_in_both_displays(growing_run):
    run = growing_run()
    run.grow(1)
    said = "discovery failed its check in round 1"
    progress = caught_up(run.path)
    stream = io.StringIO()
    LineDisplay(stream, lambda: 0.0).show(progress)
    assert said in shown(progress)
    assert said in stream.getvalue()


def test_a_process_that_cannot_be_seen_is_said_with_the_age_of_the_log(growing_run):
    run = growing_run()
    (run.path / LOCK_FILE).unlink()
    progress = caught_up(run.path)
    assert "last written 2 min 00 s ago" in shown(progress, now=progress.written_at + 120, width=140)


def test_lines_are_one_per_round_and_per_change_of_status(growing_run):
    run = growing_run(hostile)
    stream = io.StringIO()
    display = LineDisplay(stream, lambda: 0.0)
    follower = RunFollower(run.path)
    run.grow(2)
    for _ in range(4):
        display.show(follower.poll())
    run.grow(1)
    display.show(follower.poll())
    run.log.fail("disk [red]full[/]")
    for _ in range(2):
        display.show(follower.poll())
    lines = stream.getvalue().splitlines()
    assert lines[0] == f"run directory: {run.path}"
    assert [line.split(" | ")[0] for line in lines[1:]] == [
        "round 1/4",
        "  rejected: partition 1: [/red][link=x]no [2J 1",
        "round 2/4",
        "  rejected: partition 1: [/red][link=x]no [2J 2",
        "running, 2 of 4 rounds",
        "round 3/4",
        "  rejected: partition 1: [/red][link=x]no [2J 3",
        "failed, 3 of 4 rounds: disk [red]full[/]",
    ]
    assert "clients 1/2 | accuracy 0.400 | collapsed 0 | circuits 7 of 12 channels" in lines[1]


@pytest.mark.parametrize("settings", [{}, {"num-server-rounds": "many", "examination-every": None}])
def test_settings_that_are_missing_or_odd_stop_nothing(growing_run, settings):
    run = growing_run()
    run.grow(1)
    info = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**info, "settings": settings}))
    assert "1 of ? rounds" in shown(caught_up(run.path))
