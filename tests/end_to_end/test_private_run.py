"""A true run whose clients report nothing by class, with noise on everything that can have it."""

import pytest

from analysis.__main__ import main
from fedcircuits.runlog.checkpoints import read_checkpoint
from fedcircuits.runlog.reader import read_info, read_table

PRIVATE = {
    "client-report": "masks",
    "mask-flip-probability": 0.1,
    "dp": "client-fixed-clipping",
    "dp-clipping-norm": 1.0,
    "dp-noise-multiplier": 0.01,
    "weighting": "plain",
}
SMALL = {
    "num-server-rounds": 2,
    "channels": "8,16",
    "local-epochs": 1,
    "attribution-images": 16,
    "attribution-points": 2,
}


@pytest.mark.long
def test_a_private_run_completes_and_can_be_read(flower, tmp_path, capsys):
    run = flower.run({**SMALL, **PRIVATE, "run-dir": str(tmp_path)}, num_clients=3)
    assert run.status == "finished:completed", run.output
    assert "of 10 classes, trained or not" in run.output
    assert read_info(run.directory)["last_round"] == 2
    clients = read_table(run.directory, "clients", 2)
    assert clients["accepted"].all()
    assert clients["class_counts"].isna().all()
    assert (clients["density"] > 0.9).all()  # clients clipped, which leaves something of pruned weights
    assert all(value.isfinite().all() for value in read_checkpoint(run.directory, 2).values())
    for command in (["summary"], ["diagnose"], ["status"], ["figures", "--set", "all"]):
        assert main([*command, str(run.directory)]) == 0
    assert 'client-report = "masks"' in capsys.readouterr().out
