"""What every tool that takes figures of rounds has in common. Each is an extra: imported where it is asked for."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from fedcircuits.errors import ExportError


class Sink(Protocol):
    """Takes the rounds of one run, each once and in order.

    A sink begins anew: what it was given of the same run before is replaced, so that nothing is there twice.
    """

    def write(self, server_round: int, ended_at: float, scalars: Mapping[str, float]) -> None:
        """Take a round.

        Args:
            server_round: the round, 1-based.
            ended_at: when it ended, seconds since 1970.
            scalars: name to figure; figures that are undefined are left out.

        Raises:
            ExportError: if it cannot be taken.
        """

    def close(self, status: str) -> None:
        """Make sure that everything has arrived.

        Args:
            status: how the run stood when it was last looked at.

        Raises:
            ExportError: if it has not.
        """


Opener = Callable[[Path, Mapping[str, Any]], Sink]
"""Opens a sink for a run, given its directory and its settings."""


def needed(module: str, package: str, requirement: str) -> Any:
    """Import a module of an extra.

    Raises:
        ExportError: if it cannot be imported; says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        problem = f"--to {package} needs the package {package}, which cannot be imported ({error})"
        raise ExportError(f'{problem}; install it with: pip install "{requirement}"') from error
