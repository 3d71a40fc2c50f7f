"""Tools that figures of rounds are handed to, by the names that `watch --to` knows them by."""

from typing import Final

from analysis.sinks import tensorboard_events, wandb_runs
from analysis.sinks.sink import Opener
from fedcircuits.errors import ExportError

_KINDS: Final = {"tensorboard": tensorboard_events.opener, "wandb": wandb_runs.opener}


def sink_opener(target: str) -> Opener:
    """Return what opens a sink; whether it can be is known at once, before hours are watched.

    Args:
        target: `KIND` or `KIND=ARGUMENT`.

    Raises:
        ExportError: if there is no such kind, its argument is wrong, or its package is missing.
    """
    kind, _, argument = target.partition("=")
    if kind not in _KINDS:
        raise ExportError(f"--to {target}: allowed are {', '.join(_KINDS)}")
    return _KINDS[kind](argument)
