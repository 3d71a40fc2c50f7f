"""Whole federations in one process."""

from pathlib import Path

import pytest
from federation import InProcessGrid
from tiny_runs import run_tiny

from fedcircuits.runlog.reader import find_run


@pytest.fixture
def federate(config, tmp_path):
    """Run a tiny federation and return its run directory; `federate.directory` is that of a failed one, too."""

    def run(grid: InProcessGrid, **changes):
        folder = Path(changes.get("resume_from", tmp_path / f"runs{len(list(tmp_path.iterdir()))}"))
        try:
            return run_tiny(grid, folder, config, **changes)
        finally:
            run.directory = find_run(folder) if folder.exists() else None

    return run
