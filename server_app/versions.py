"""Versions of what a run's bits depend on."""

import platform
from importlib.metadata import PackageNotFoundError, version

from fedcircuits import __version__


def versions() -> dict[str, str | None]:
    """Return the version of this project, of Python and of the packages that compute; None where one is missing."""
    packages = ("flwr", "ray", "torch", "torchvision", "numpy")
    return {
        "fedcircuits": __version__,
        "python": platform.python_version(),
        **{package: _version(package) for package in packages},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
