"""The command that repeats a run is one that Flower reads as the run's settings."""

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from flwr.common.config import parse_config_args

from analysis import Run
from analysis.report.repeat import repeat_command


def with_settings(run: Run, settings: Mapping[str, Any]) -> Run:
    return dataclasses.replace(run, info={**run.info, "settings": dict(settings)})


def test_flower_reads_every_setting_back(shared_tiny_run: Run, defaults: Mapping[str, Any]) -> None:
    settings = {**defaults, "run-name": "it's a name; $HOME `x`", "client-classes": "0,1;2,3"}
    command = repeat_command(with_settings(shared_tiny_run, settings))
    words = shlex.split(command)
    assert words[:4] == ["flwr", "run", ".", "--stream"]
    assert words[4:6] == ["--federation-config", "num-supernodes=2 client-resources-num-cpus=1"]
    assert words[6] == "--run-config"
    del settings["run-dir"]
    assert parse_config_args(words[7:]) == settings


def test_an_imported_log_has_no_command(shared_tiny_run: Run) -> None:
    assert repeat_command(with_settings(shared_tiny_run, {"imported-from": "x.json"})) is None
