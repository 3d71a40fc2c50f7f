"""What a run carries from one round to the next besides its weights, as a file beside each checkpoint."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fedcircuits.errors import RunLogError

STATE_VERSION: Final = 2

_KEY: Final = "state"
"""The one key of the file's metadata; with several, their order and so the file's bytes would be left to chance."""


class Part(StrEnum):
    """Whose state it is."""

    STRATEGY = "strategy"
    """The base strategy's: moments and momentum."""
    OBSERVER = "observer"
    """The observer's: classes seen, checks of the discovery."""
    MEMORY = "memory"
    """Circuits of earlier rounds."""


@dataclass(frozen=True)
class PartState:
    """The state of one part.

    Args:
        tensors: by name.
        facts: plain JSON values, by name.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


RunState = Mapping[Part, PartState]
"""What the next round needs to know of the rounds before it."""


def encode_state(state: RunState) -> bytes:
    """Return the content of a safetensors file; its metadata holds the facts."""
    tensors = {f"{part}/{name}": tensor for part, own in state.items() for name, tensor in own.tensors.items()}
    facts = {"version": STATE_VERSION, "parts": {part: own.facts for part, own in state.items()}}
    content: bytes = save(tensors, {_KEY: json.dumps(facts)})
    return content


def read_state(path: Path) -> RunState:
    """Return the state that a file holds.

    Raises:
        RunLogError: if it cannot be read, or is of a version that this code does not know.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise RunLogError(f"{path} cannot be read: {error}") from error
    if state.get("version") != STATE_VERSION:
        raise RunLogError(f"{path} is of state version {state.get('version')}; this code reads {STATE_VERSION}")
    return {
        Part(part): PartState(
            {name.removeprefix(f"{part}/"): value for name, value in tensors.items() if name.startswith(f"{part}/")},
            facts,
        )
        for part, facts in state["parts"].items()
    }
