"""The command that goes on with a run that has ended early."""

import json
import shlex

from analysis.run import Run


def resume_command(run: Run) -> str:
    """Return what resumes a run. A simulation must be given as many clients again; a federation is where it was."""
    parts = ["flwr", "run", ".", "--stream"]
    if run.info.get("is_simulation"):
        num_clients = run.info.get("num_clients")
        size = f"num-supernodes={num_clients} " if num_clients else ""
        parts += ["--federation-config", f"{size}client-resources-num-cpus=1"]
    else:
        parts.insert(3, "CONNECTION")
    # A string in JSON is the same string in TOML, which Flower reads.
    return shlex.join(
        [*parts, "--run-config", f"resume-from={json.dumps(str(run.path.resolve()), ensure_ascii=False)}"]
    )


def can_resume(status: str, last_round: int) -> bool:
    """Tell whether there is anything to go on with: a run that was cut off, or that failed after a whole round."""
    return status == "interrupted" or (status == "failed" and last_round > 0)
