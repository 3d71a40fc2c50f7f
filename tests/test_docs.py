"""The documentation reads as one site: pages can be found, links lead somewhere, commands can be typed."""

import re
import shlex
from pathlib import Path

import pytest
from documentation import anchors, commands, dead_links, links, pages

from analysis.__main__ import main
from sweep.__main__ import build_parser

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"
SITE = [page for page in pages(PROJECT) if page.parent == DOCS and page.name != "README.md"]


def test_every_link_leads_somewhere() -> None:
    assert dead_links(PROJECT, is_picture=False) == []


def test_every_picture_exists_and_is_shown() -> None:
    if not (DOCS / "images").is_dir() and not (PROJECT / ".git").exists():
        pytest.skip("there is no docs/images: Flower's Hub carries no pictures")
    assert dead_links(PROJECT, is_picture=True) == []
    shown = {
        (page.parent / link.target).resolve() for page in pages(PROJECT) for link in links(page) if link.is_picture
    }
    assert [path.name for path in sorted((DOCS / "images").iterdir()) if path not in shown] == []


def test_every_picture_says_what_it_shows() -> None:
    texts = [link.text for page in pages(PROJECT) for link in links(page) if link.is_picture]
    assert len(texts) > 3
    assert [text for text in texts if len(text) < 20] == []


def test_the_table_of_contents_has_every_page() -> None:
    listed = {link.target for link in links(DOCS / "README.md")}
    assert [page.name for page in SITE if page.name not in listed] == []


@pytest.mark.parametrize("page", SITE, ids=lambda page: page.stem)
def test_every_page_leads_back_to_the_contents(page: Path) -> None:
    first = page.read_text(encoding="utf-8").splitlines()[0]
    assert first == "[FedCircuits](../README.md) › [Documentation](README.md)"


def test_every_file_of_settings_that_is_named_exists() -> None:
    texts = [page.read_text(encoding="utf-8") for page in pages(PROJECT)]
    named = {name for text in texts for name in re.findall(r"\bconf/[\w./-]+\.toml", text)}
    assert len(named) > 3
    assert [name for name in sorted(named) if not (PROJECT / name).is_file()] == []


def test_the_page_of_results_follows_from_the_values_beside_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    command = next(line for line in page.splitlines() if line.startswith("python -m analysis verdicts"))
    arguments = shlex.split(command)[3:]
    assert "docs/results.csv" in arguments
    monkeypatch.chdir(PROJECT)
    out = tmp_path / "results.md"
    assert main([*arguments[:-1], str(out)]) == 0
    made = out.read_text(encoding="utf-8").replace(str(out), "docs/results.md")
    assert made.strip() in page
    assert (DOCS / "results.csv").stat().st_size < 1_000_000


def test_every_sweep_can_be_typed() -> None:
    lines = [
        line
        for block in commands(PROJECT)
        for line in re.findall(r"\bpython -m sweep (.*?)(?= &&| *$)", block, flags=re.MULTILINE)
    ]
    assert len(lines) > 9
    for line in lines:
        build_parser().parse_args(shlex.split(line))


def test_anchors_are_those_of_github(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# The paper's *own*\n## A `b_c` (d)\n## Again\n```\n# none\n```\n## Again\n", encoding="utf-8")
    assert anchors(page) == {"the-papers-own", "a-b_c-d", "again", "again-1"}


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("[here](docs/page.md#part)", []),
        ("[here](docs/page.md#parts)", ["README.md: docs/page.md#parts"]),
        ("[here](#nowhere)", ["README.md: #nowhere"]),
        ("[gone](docs/gone.md)", ["README.md: docs/gone.md"]),
        ("[plain](http://example.org)", ["README.md: http://example.org"]),
        ("```\n[code](docs/gone.md)\n```", []),
    ],
)
def test_a_dead_link_is_found(tmp_path: Path, text: str, dead: list[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(f"{text}\n", encoding="utf-8")
    (tmp_path / "docs" / "page.md").write_text("# Page\n## Part\n", encoding="utf-8")
    assert dead_links(tmp_path, is_picture=False) == dead
