"""The command that repeats a run."""

import json
import shlex
from typing import Any, Final

from fedcircuits.runlog.run import Run

_OF_THE_PLACE: Final = frozenset({"run-dir"})
"""Settings that say where a run lies, not what it does."""


def repeat_command(run: Run) -> str | None:
    """Return the shell command that repeats a run with all of its settings; None for an imported log.

    Flower takes settings as `key=value` pairs, with text in quotes.
    """
    num_clients = run.info.get("num_clients")
    if "imported-from" in run.settings or num_clients is None:
        return None
    settings = {key: value for key, value in run.settings.items() if key not in _OF_THE_PLACE}
    pairs = " ".join(f"{key}={_toml(value)}" for key, value in settings.items())
    federation = f"num-supernodes={num_clients} client-resources-num-cpus=1"
    return f"flwr run . --stream --federation-config {shlex.quote(federation)} --run-config {shlex.quote(pairs)}"


def _toml(value: Any) -> str:
    """Return a value as TOML: of numbers, truth values and strings, JSON's notation is TOML's too."""
    return json.dumps(value, ensure_ascii=False)
