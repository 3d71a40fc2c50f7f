"""The command that goes on with a run that has ended early."""

import json
import shlex
from typing import Final

from fedcircuits.runlog.run import Run

USUAL: Final = {
    "device": "auto",
    "num-threads": 1,
    "data-dir": "data",
    "num-checkpoints": 2,
    "node-timeout-s": 120,
    "round-timeout-s": 3600,
}
"""Defaults of the settings that a resumed run does not take from its log, but from the command that resumes it."""


def resume_command(run: Run) -> str:
    """Return what resumes a run. A simulation must be given as many clients again; a federation is where it was."""
    parts = ["flwr", "run", ".", "--stream"]
    if run.info.get("is_simulation"):
        num_clients = run.info.get("num_clients")
        size = f"num-supernodes={num_clients} " if num_clients else ""
        parts += ["--federation-config", f"{size}client-resources-num-cpus=1"]
    else:
        parts.insert(3, "CONNECTION")
    given = {"resume-from": str(run.path.resolve())}
    given |= {key: run.settings[key] for key in USUAL if run.settings.get(key, USUAL[key]) != USUAL[key]}
    # A value in JSON is the same value in TOML, which Flower reads.
    return shlex.join(
        [
            *parts,
            "--run-config",
            " ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items()),
        ]
    )


def can_resume(status: str, last_round: int) -> bool:
    """Tell whether there is anything to go on with: a run that was cut off, or that failed after a whole round."""
    return status == "interrupted" or (status == "failed" and last_round > 0)
