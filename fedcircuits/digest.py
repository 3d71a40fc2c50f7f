"""A fingerprint of the code that clients and server run, so that a federation of different versions is refused.

Simulated clients import from the folder in which Flower's background process was first started before they look into
the app they were sent, so another copy of this project, or another app, could answer silently.
"""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("client_app", "fedcircuits")


@cache
def code_digest() -> str:
    """Return the SHA-256 of all sources that a client runs, as this process imports them; 64 hex digits."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for name, path in _sources(package):
            digest.update(f"{package}/{name}\n".encode())
            digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _sources(package: str) -> list[tuple[str, Path]]:
    """Return the path of each source within the package and on disk."""
    spec = find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    return sorted(
        (path.relative_to(folder).as_posix(), path) for folder in folders for path in Path(folder).rglob("*.py")
    )
