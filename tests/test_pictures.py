"""The scripts that draw the pictures of README and docs work on other runs than those that they were written for."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from federation import InProcessGrid
from PIL import Image
from tiny_runs import run_tiny

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def runs(defaults: Any, tmp_path: Path) -> Path:
    """Return a folder of tiny runs under the names of the first figure's experiments."""
    folder = tmp_path / "runs"
    for name in ("digits-iid-3clients", "digits-shared-class"):
        grid = InProcessGrid(2, seed=0)
        run_tiny(grid, folder, defaults, run_name=name, num_server_rounds=2, circuit_every=1, circuit_classes="all")
    return folder


def test_the_first_figure_can_be_drawn(runs: Path, tmp_path: Path) -> None:
    main = runpy.run_path(str(DOCS / "first_figure.py"))["main"]
    main(runs, tmp_path / "figure.png")
    assert Image.open(tmp_path / "figure.png").size == (1500, 1080)


def test_the_pictures_of_the_tour_can_be_taken(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not (os.environ.get("FEDCIRCUITS_CHROMIUM") or shutil.which("chromium")):
        pytest.skip("no chromium was found, and FEDCIRCUITS_CHROMIUM is not set")
    # A process of its own: a worker in which other tests have a browser open cannot start Playwright again.
    command = [sys.executable, str(DOCS / "tour_images.py"), str(runs), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    pictures = {path.name: Image.open(path) for path in tmp_path.iterdir() if path.is_file()}
    assert {"circuits.gif", "tour-clients.png", "tour-overview.png", "tour-rounds.png"} == set(pictures)
    assert pictures["circuits.gif"].n_frames == 2
