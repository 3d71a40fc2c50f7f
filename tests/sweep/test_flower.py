"""How a sweep learns the end of a run whose console output has ended."""

import threading

import pytest

from fedcircuits.runlog.writer import RunLog
from sweep import flower
from sweep.flower import SweepFlower
from sweep.plan import plan_jobs


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Return a function that begins a run, and one that returns its outcome after a stream that names it and ends."""
    (tmp_path / "conf").mkdir()
    config = tmp_path / "conf" / "tiny.toml"
    config.write_text("num-clients = 2\n")
    [job] = plan_jobs([config], [0], {})
    for name in ("configs", "logs"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(flower, "_SETTLE_S", 0.0)
    log = RunLog.create(tmp_path, "tiny", {"settings": dict(job.settings.config)})
    sweep = SweepFlower(tmp_path, workers=1, gpus_per_client=0)
    monkeypatch.setattr(sweep, "_lines", lambda command: iter([f"run directory: {log.path}\n"]))
    return log, lambda: sweep.run(job, lambda line: None)


def test_a_run_that_goes_on_after_its_stream_broke_off_is_waited_for(begin):
    log, outcome = begin
    threading.Timer(1.5, log.complete).start()
    assert outcome().reason is None


def test_a_run_whose_process_is_gone_is_not_waited_for(begin):
    log, outcome = begin
    log.close()
    assert outcome().reason == "it ended without a word after round 0: killed, or out of memory"


def test_the_reason_of_a_failed_run_is_its_own(begin):
    log, outcome = begin
    log.fail("no such luck")
    assert outcome().reason == "no such luck"
