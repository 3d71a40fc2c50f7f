"""Pages of tiny runs in a real browser: headless Chromium, where there is one."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from analysis import Run
from analysis.report.page import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Watched:
    """A page that is open, and what went on in it.

    Args:
        page: Playwright's page.
        requests: addresses that it asked for, its own file aside.
        errors: errors and warnings on its console, and uncaught exceptions.
        dialogs: texts of dialogs that it opened.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def settle(self) -> "Watched":
        """Fail if the page said or asked anything that it should not have."""
        assert (self.errors, self.requests, self.dialogs) == ([], [], [])
        return self


OpenPage = Callable[..., Watched]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    named = os.environ.get("FEDCIRCUITS_CHROMIUM")
    found = named or next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip(f"no Chromium was found: none of {', '.join(BROWSERS)}, and FEDCIRCUITS_CHROMIUM is not set")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=found)
        yield launched
        launched.close()


@pytest.fixture
def open_file(browser: Any) -> Iterator[OpenPage]:
    """Return a function that opens a page; other arguments are those of a browser context."""
    contexts = []

    def open_path(path: Path, **options: Any) -> Watched:
        context = browser.new_context(**options)
        context.set_default_timeout(5000)
        contexts.append(context)
        watched = _watch(context.new_page(), path.as_uri())
        watched.page.goto(path.as_uri())
        return watched.settle()

    yield open_path
    for context in contexts:
        context.close()


@pytest.fixture
def open_page(open_file: OpenPage, tmp_path: Path) -> OpenPage:
    """Return a function that writes the page of a run, or of several, and opens it."""

    def open_runs(runs: Run | Sequence[Run]) -> Watched:
        path = tmp_path / "report.html"
        write_report([runs] if isinstance(runs, Run) else runs, path)
        return open_file(path)

    return open_runs


@pytest.fixture(scope="session")
def tiny_file(shared_tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report([shared_tiny_run], path)
    return path


@pytest.fixture
def open_tiny(open_file: OpenPage, tiny_file: Path) -> OpenPage:
    """Return a function that opens the page of `shared_tiny_run`."""
    return lambda **options: open_file(tiny_file, **options)


def _watch(page: Any, own: str) -> Watched:
    watched = Watched(page)
    page.on("request", lambda request: watched.requests.append(request.url) if _is_foreign(request.url, own) else None)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("console", lambda message: watched.errors.append(message.text) if message.type != "log" else None)

    def note_dialog(dialog: Any) -> None:
        watched.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note_dialog)
    return watched


def _is_foreign(url: str, own: str) -> bool:
    return url != own and not url.startswith("data:")
