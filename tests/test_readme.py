"""What the README and the named experiments say must be true of the settings."""

import re
import tomllib
from pathlib import Path

import pytest

from analysis.figures import PAPER_FIGURES

PROJECT = Path(__file__).parents[1]


def test_the_settings_table_shows_the_true_defaults(defaults):
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| `(.*?)` \|", readme, flags=re.MULTILINE)
    assert len(rows) > 10
    for key, shown in rows:
        assert tomllib.loads(f"value = {shown}")["value"] == defaults[key], key


def test_every_setting_is_explained_beside_its_default(defaults):
    lines = (PROJECT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    for key in defaults:
        line = next(line for line in lines if line.startswith(f"{key} = "))
        assert re.search(r"  *# \S", line), key


def test_the_readme_has_the_head_and_the_sections_of_flowers_baselines():
    _, head, text = (PROJECT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    assert {"title", "url", "labels", "dataset"} <= fields.keys()
    assert fields["url"] == "https://arxiv.org/abs/2512.23043"
    assert 4 <= fields["labels"].count(",") + 1 <= 10
    sections = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    wanted = ["About this baseline", "Experimental setup", "Running the experiments", "Expected results"]
    assert [section for section in sections if section in wanted] == wanted


def test_every_figure_of_the_paper_is_one_command_of_the_readme():
    expected = (PROJECT / "README.md").read_text(encoding="utf-8").split("## Expected results")[1].split("\n## ")[0]
    assert set(re.findall(r"paper/[a-z-]+", expected)) == set(PAPER_FIGURES)


@pytest.mark.parametrize("path", sorted((PROJECT / "conf").rglob("*.toml")), ids=lambda path: path.stem)
def test_every_named_experiment_has_sound_settings(make_settings, path):
    make_settings(tomllib.loads(path.read_text(encoding="utf-8")))
