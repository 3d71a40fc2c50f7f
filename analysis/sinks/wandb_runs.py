"""Rounds as a run of Weights & Biases, sent to its server or kept in a folder (offline).

Its own variables hold: WANDB_MODE, WANDB_PROJECT, WANDB_ENTITY, WANDB_DIR and the rest. Sent are settings and figures:
no text that clients wrote, nothing about the machine on which the run is watched.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from analysis.sinks.sink import Opener, needed
from fedcircuits.errors import ExportError

_MODES: Final = ("online", "offline")
_PROJECT: Final = "fedcircuits"
_LONGEST_ID: Final = 64
"""Characters of a run's id that are surely accepted."""


class WandbRun:
    """A run of Weights & Biases that goes by the name of the run directory, a step per round.

    Args:
        wandb: the package.
        run: the run directory. An upload of the same one replaces what was sent before.
        settings: the settings of the run.
        mode: one of `online` and `offline`; None = as wandb is set up.

    Raises:
        ExportError: if wandb refuses, for one because nobody is logged in.
    """

    def __init__(self, wandb: Any, run: Path, settings: Mapping[str, Any], mode: str | None) -> None:
        name = run.resolve().name
        quiet = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
            x_save_requirements=False,
        )
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", _PROJECT),
                id=name[:_LONGEST_ID],
                name=name,
                mode=mode,
                config=dict(settings),
                settings=quiet,
            )
        except wandb.Error as error:
            raise ExportError(f"--to wandb: {error}") from error
        self._run.define_metric("round")
        self._run.define_metric("*", step_metric="round")

    def write(self, server_round: int, ended_at: float, scalars: Mapping[str, float]) -> None:
        """Hand a round to the process that sends it; steps have the times at which this is done."""
        self._run.log({"round": server_round, "ended_at": ended_at, **scalars}, step=server_round)

    def close(self, status: str) -> None:
        """Wait until everything is sent or stored; a run that failed or was interrupted is marked as failed."""
        self._run.summary["status"] = status
        self._run.finish(exit_code=int(status in {"failed", "interrupted"}))


def opener(argument: str) -> Opener:
    """Return what opens a run of Weights & Biases for a run.

    Args:
        argument: `online`, `offline`, or empty = as wandb is set up.

    Raises:
        ExportError: if it is anything else, or the package is missing.
    """
    if argument and argument not in _MODES:
        raise ExportError(f"--to wandb={argument}: allowed are {', '.join(_MODES)}")
    wandb = needed("wandb", "wandb", "wandb>=0.19")
    return lambda run, settings: WandbRun(wandb, run, settings, argument or None)
