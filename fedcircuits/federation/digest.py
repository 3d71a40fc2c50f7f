"""Fingerprints of code: clients and server must agree on what a client runs, and a run says what has run it.

Simulated clients import from the folder in which Flower's background process was first started before they look into
the app they were sent, so another copy of this project, or another app, could answer silently.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_CORE_OF_CLIENTS: Final = (
    *("circuits", "data", "errors", "federation", "networks", "overlap", "records", "seeding", "settings", "training"),
    "whole_files",
)

CLIENT_SIDE: Final = ("client_app", *(f"fedcircuits.{name}" for name in _CORE_OF_CLIENTS))
"""All that a client can import of this project; what only the server runs may change while clients stay as they are."""

RUN: Final = ("client_app", "fedcircuits", "server_app", "strategies")
"""All that takes part in a run."""


@cache
def code_digest(packages: Sequence[str]) -> str:
    """Return the SHA-256 of all sources of some packages or modules, as this process imports them; 64 hex digits.

    Args:
        packages: `CLIENT_SIDE` or `RUN`.
    """
    digest = hashlib.sha256()
    for package in packages:
        for name, path in _sources(package):
            digest.update(f"{package}/{name}\n".encode())
            digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _sources(package: str) -> list[tuple[str, Path]]:
    """Return the path of each source within the package and on disk; of a module that is none, its file alone."""
    spec = find_spec(package)
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [("", Path(str(spec.origin)))]
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    return sorted((path.relative_to(folder).as_posix(), path) for folder in folders for path in folder.rglob("*.py"))
