"""What the README and the named experiments say must be true of the settings."""

import re
import tomllib
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("path", sorted((PROJECT / "conf").rglob("*.toml")), ids=lambda path: path.stem)
def test_every_named_experiment_has_sound_settings(make_settings, path):
    make_settings(tomllib.loads(path.read_text(encoding="utf-8")))
