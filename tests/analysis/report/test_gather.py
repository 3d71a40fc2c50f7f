"""The one file that pages are made of, which bundles carry in place of its sources."""

import json
from pathlib import Path

import pytest

from analysis.report import assets, gather
from analysis.report.assets import GATHERED, ReportError, read_assets
from analysis.report.gather import SOURCES, gathered


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that pages are made of instead of the project's; it does not exist yet."""
    monkeypatch.setattr(assets, "files", lambda package: tmp_path)
    return tmp_path / GATHERED


def test_pages_are_made_of_the_sources_as_they_are() -> None:
    if not SOURCES.is_dir():
        pytest.skip(f"there is no {SOURCES}: bundles carry what was gathered from it alone")
    is_fresh = SOURCES.with_name(GATHERED).read_bytes() == gathered(SOURCES).encode()
    assert is_fresh, f"{GATHERED} is older than its sources: run `python -m analysis.report.gather`"


def test_sources_are_gathered_by_name_a_file_per_line_and_editors_copies_are_not(tmp_path: Path) -> None:
    for name, text in {"b.js": 'let b = "ü";\n', "a.css": "", ".b.js": "old", "b.js~": "old"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert gathered(tmp_path) == '{\n"a.css": "",\n"b.js": "let b = \\"ü\\";\\n"\n}\n'


def test_a_folder_without_sources_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gather, "SOURCES", tmp_path / "static")
    assert gather.main() == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'static'} holds no template, style or script")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b'{"app.js": ', b"\xff"])
def test_a_damaged_file_is_an_error_that_says_what_makes_it_anew(packaged: Path, content: bytes) -> None:
    packaged.write_bytes(content)
    with pytest.raises(ReportError, match=r"static\.json cannot be read: .*python -m analysis\.report\.gather"):
        read_assets()


def test_a_file_that_lacks_scripts_is_an_error_that_names_them(packaged: Path) -> None:
    texts = json.loads(SOURCES.with_name(GATHERED).read_text(encoding="utf-8"))
    packaged.write_text(json.dumps({name: text for name, text in texts.items() if name not in {"dom.js", "app.js"}}))
    with pytest.raises(ReportError, match=r"static\.json lacks app\.js, dom\.js; "):
        read_assets()
