"""The global model after each of the newest rounds, each beside the state from which a run can go on there.

run.json holds the SHA-256 of the files of the last whole round, so that a run never goes on from damaged ones.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from fedcircuits.errors import RunLogError
from fedcircuits.runlog.state import RunState, encode_state, read_state
from fedcircuits.whole_files import write_whole

CHECKPOINTS: Final = "checkpoints"
DIGESTS: Final = "checkpoint"
"""The key in run.json: file name to SHA-256, of the last whole round's files."""


def write_checkpoint(
    run: Path, server_round: int, weights: Mapping[str, Tensor], state: RunState | None
) -> dict[str, str]:
    """Write the files of a round, each as a whole.

    Returns:
        file name to SHA-256 in hex digits.
    """
    contents = {_weights_path(run, server_round): save(dict(weights))}
    if state is not None:
        contents[_state_path(run, server_round)] = encode_state(state)
    for path, content in contents.items():
        write_whole(path, lambda temporary, content=content: temporary.write_bytes(content))  # type: ignore[misc]
    return {path.name: hashlib.sha256(content).hexdigest() for path, content in contents.items()}


def read_checkpoint(run: Path, server_round: int) -> dict[str, Tensor]:
    """Return the global weights after a round that is still kept.

    Raises:
        RunLogError: if there is no such checkpoint, or it is damaged.
    """
    path = _weights_path(run, server_round)
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunLogError(f"{path} cannot be read: {error}") from error
    return weights


def read_restart(run: Path, info: Mapping[str, Any]) -> tuple[dict[str, Tensor], RunState]:
    """Return the global weights after the last whole round, and the state to go on from.

    Args:
        run: the run directory.
        info: its run.json.

    Raises:
        RunLogError: if one of the two is missing or not what was written, or if the run is older than states are.
    """
    server_round = info["last_round"]
    digests = info.get(DIGESTS) or {}
    for path in (_weights_path(run, server_round), _state_path(run, server_round)):
        if path.name not in digests:
            raise RunLogError(
                f"{run} cannot be resumed: run.json knows no checkpoints/{path.name}; the run was written by a version "
                "of this project that kept none, or was imported"
            )
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RunLogError(f"{path} cannot be read: {error}") from error
        if hashlib.sha256(content).hexdigest() != digests[path.name]:
            raise RunLogError(f"{path} is damaged: its SHA-256 is not the one in run.json")
    return read_checkpoint(run, server_round), read_state(_state_path(run, server_round))


def keep_newest(run: Path, number: int) -> None:
    """Delete the files of all but the newest checkpoints."""
    weights = sorted((run / CHECKPOINTS).glob("round-*.safetensors"), key=round_of)
    for path in weights[:-number]:
        path.unlink()
        _state_path(run, round_of(path)).unlink(missing_ok=True)


def round_of(path: Path) -> int:
    """Return the round that a file belongs to; past 9,999 names no longer sort like numbers."""
    return int(path.stem.partition("-")[2])


def _weights_path(run: Path, server_round: int) -> Path:
    return run / CHECKPOINTS / f"round-{server_round:04d}.safetensors"


def _state_path(run: Path, server_round: int) -> Path:
    return run / CHECKPOINTS / f"state-{server_round:04d}.safetensors"
