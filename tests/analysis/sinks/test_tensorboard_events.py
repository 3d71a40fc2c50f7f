"""Rounds as event files, read back with TensorBoard's own reader."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import load_run
from analysis.__main__ import main
from analysis.measures.by_seed import seed_measures
from analysis.sinks import sink_opener
from fedcircuits.errors import ExportError
from fedcircuits.runlog.reader import part_path
from fedcircuits.runlog.writer import RunLog

pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """TensorBoard's reader logs what it discards, and knows by their names which of several files is the newest."""
    from tensorboard.summary.writer import event_file_writer

    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return step and value of every scalar that TensorBoard finds."""
    found = events(folder)
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def test_tensorboard_reads_the_figures_of_every_round(write_run: Callable[..., RunLog]) -> None:
    log = write_run()
    log.complete()
    assert main(["watch", str(log.path), "--to", "tensorboard"]) == 0
    found = scalars(log.path / "tensorboard")
    expected = seed_measures(load_run(log.path))
    for tag, measure in (("accuracy/accuracy", "accuracy"), ("overlap/same_class_iou", "same_class_iou")):
        assert found[tag] == [(1, pytest.approx(expected[measure][1])), (2, pytest.approx(expected[measure][2]))]
    assert found["recall/class_1"] == [(1, 0.5), (2, 1.0)]
    assert found["interference/cancellation/conv2"] == [(1, pytest.approx(0.8)), (2, pytest.approx(0.8))]


def test_steps_have_the_times_at_which_rounds_ended(write_run: Callable[..., RunLog]) -> None:
    log = write_run()
    main(["watch", str(log.path), "--once", "--to", "tensorboard"])
    times = [event.wall_time for event in events(log.path / "tensorboard").Scalars("accuracy/accuracy")]
    assert times == [part_path(log.path, "costs", server_round).stat().st_mtime for server_round in (1, 2)]


def test_a_second_watch_replaces_what_the_first_has_written(write_run: Callable[..., RunLog], tmp_path: Path) -> None:
    log = write_run()
    for _ in range(2):
        main(["watch", str(log.path), "--once", "--to", f"tensorboard={tmp_path / 'board'}"])
    assert scalars(tmp_path / "board" / log.path.name)["recall/class_1"] == [(1, 0.5), (2, 1.0)]


def test_a_tensorboard_that_is_open_forgets_what_is_written_anew(tmp_path: Path) -> None:
    opener = sink_opener(f"tensorboard={tmp_path}")
    first = opener(Path("run"), {})
    first.write(1, 0.0, {"x": 1.0})
    first.write(2, 0.0, {"x": 2.0})
    reader = events(tmp_path / "run")
    second = opener(Path("run"), {})
    second.write(1, 0.0, {"x": 3.0})
    reader.Reload()
    assert [(event.step, event.value) for event in reader.Scalars("x")] == [(1, 3.0)]
    for sink in (first, second):
        sink.close("completed")


def test_a_round_can_be_read_before_the_run_is_over(tmp_path: Path) -> None:
    sink = sink_opener(f"tensorboard={tmp_path}")(Path("run"), {})
    sink.write(1, 0.0, {"x": 0.25})
    assert scalars(tmp_path / "run") == {"x": [(1, 0.25)]}
    sink.close("running")


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"--to tensorboard: .* cannot be written"):
        sink_opener(f"tensorboard={tmp_path / 'file'}")(Path("run"), {})
