"""Takes the pictures of the tour from a run's report, in headless Chromium (Playwright, of the extra `test`).

    flwr run . --stream --federation-config "num-supernodes=3 client-resources-num-cpus=1" \
      --run-config conf/digits/shared-class.toml
    python docs/tour_images.py runs docs/images
"""

import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from analysis import load_run
from analysis.report.page import write_report

VIEW = {"width": 1120, "height": 5000}
"""Pixels; so high that the bar of controls does not stick to the top of what is below it."""

CLASS_ID = 0
FRAME_MS = 900
"""How long the animation shows a round; the last one stays three times as long."""


def main(runs: Path, folder: Path) -> None:
    """Open the report of the newest run and take its pictures."""
    run = load_run(runs)
    report = run.path / "report.html"
    write_report([run], report)
    chromium = os.environ.get("FEDCIRCUITS_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(viewport=VIEW)
        page.goto(report.resolve().as_uri())
        for part, name in {"#overview": "overview", "#interactive #plots": "rounds", "#by-client": "clients"}.items():
            page.locator(part).screenshot(path=folder / f"tour-{name}.png")
        graph = page.locator("#graph")
        graph.get_by_role("button", name="before and after averaging").click()
        graph.get_by_label("Class", exact=True).select_option(label=f"class {CLASS_ID}")
        frames = [graph_in_round(page, number) for number in range(1, run.info["last_round"] + 1)]
        browser.close()
    save_animation(frames, folder / "circuits.gif")


def graph_in_round(page: Any, server_round: int) -> Image.Image:
    """Move the slider and return a picture of the circuit graph, from the line above it to its bottom."""
    page.locator("#round").fill(str(server_round))
    top, bottom = page.locator(".graph-summary").bounding_box(), page.locator("svg.graph").last.bounding_box()
    clip = {**bottom, "y": top["y"], "height": bottom["y"] + bottom["height"] - top["y"]}
    return Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")


def save_animation(frames: list[Image.Image], path: Path) -> None:
    """Write frames of one size, with one palette, as a GIF that repeats."""
    both = Image.new("RGB", (frames[0].width, 2 * frames[0].height))
    both.paste(frames[0])
    both.paste(frames[-1], (0, frames[0].height))
    palette = both.quantize(48)
    still = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [FRAME_MS] * (len(still) - 1) + [3 * FRAME_MS]
    still[0].save(path, save_all=True, append_images=still[1:], duration=durations, loop=0, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
