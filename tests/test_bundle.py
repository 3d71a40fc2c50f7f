"""What `flwr build` and `flwr app publish` make of the project, by Flower's own functions."""

import ast
import importlib
import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from bundles import copy_hub_files, names_in, unpack_bundle
from documentation import dead_links
from flwr.cli.auth_plugin.oidc_cli_plugin import OidcCliPlugin
from flwr.cli.build import build_fab_from_disk, build_fab_from_files
from flwr.cli.utils import collect_files
from flwr.supercore.fab_format_version import FabFormatMetadata
from true_runs import PACKAGES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pathspec")

PROJECT = Path(__file__).parents[1]
LITTER = (
    ".flwr/config.toml",
    ".hypothesis/notes.md",
    ".venv/lib/package/module.py",
    "analysis/__pycache__/cached.py",
    "build/lib/fedcircuits/runlog/run.py",
    "comparison/table.json",
    "data/labels.json",
    "figures/captions.md",
    "report.html",
    "runs/20261122T222109Z-digits-iid/run.json",
    "runs/digits/sweep.json",
    "fedcircuits.fedcircuits.0-1-0.59b8d64d.fab",
)
"""What work in a checkout leaves behind."""


@pytest.fixture(scope="module")
def files():
    return collect_files(PROJECT)


@pytest.fixture(scope="module")
def built(files):
    """The bundle, and what Flower reads from it about versions."""
    return build_fab_from_files(files)


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    return unpack_bundle(built[0], tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def hub_clone(files, tmp_path_factory):
    return copy_hub_files(files, tmp_path_factory.mktemp("hub") / "fedcircuits")


@pytest.fixture
def upload(monkeypatch, tmp_path):
    """Return a function that publishes a folder up to the last step, and returns the names that would be uploaded."""
    publish = importlib.import_module("flwr.cli.app_cmd.publish")  # the package's name for it is the function's
    monkeypatch.setenv("FLWR_HOME", str(tmp_path / "flwr"))
    monkeypatch.setattr(OidcCliPlugin, "load_tokens", lambda self: setattr(self, "access_token", "token"))
    monkeypatch.setattr(publish, "load_cli_auth_plugin_from_connection", OidcCliPlugin)

    def names(app):
        sent = []

        def post(url, *, files, **_):
            sent.extend(name for _, (name, _, _) in files)
            return SimpleNamespace(ok=True)

        monkeypatch.setattr(publish.requests, "post", post)
        publish.publish(app)
        return set(sent)

    return names


def imported_packages(source):
    """Return the first parts of the names of all modules that a source imports."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def test_a_bundle_holds_all_modules_experiments_and_pages_and_nothing_else(unpacked):
    modules = [path for package in (*PACKAGES, "docs") for path in (PROJECT / package).rglob("*.py")]
    texts = [*(PROJECT / "conf").rglob("*.toml"), *(PROJECT / "docs").glob("*.md")]
    expected = {path.relative_to(PROJECT).as_posix() for path in (*modules, *texts)}
    expected |= {"LICENSE", "README.md", "analysis/report/static.json", "pyproject.toml"}
    assert names_in(unpacked) == expected
    assert len(modules) > 250
    assert len(texts) > 40


def test_a_bundle_imports_nothing_of_the_project_that_it_lacks(unpacked):
    own = {path.parent.name for path in PROJECT.glob("*/*.py")} | {path.stem for path in PROJECT.glob("tests/*.py")}
    imported = set().union(*(imported_packages(path.read_text(encoding="utf-8")) for path in unpacked.rglob("*.py")))
    assert {"fedcircuits", "torch"} <= imported
    assert imported & own <= set(PACKAGES)


def test_a_bundle_can_be_installed_with_pip(unpacked):
    pyproject = tomllib.loads((unpacked / "pyproject.toml").read_text(encoding="utf-8"))
    packages = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {pyproject["project"]["readme"], *(f"{package}/__init__.py" for package in packages)}
    assert needed <= names_in(unpacked)


def test_a_bundle_s_format_names_the_flower_that_it_needs(built):
    assert built[1] == FabFormatMetadata(fab_format_version=1, flwr_version_min="1.41.0", flwr_version_target="1.41.0")


@pytest.mark.parametrize("copy", ["unpacked", "hub_clone"])
def test_copies_of_the_project_build_the_same_bundle(request, built, copy):
    assert build_fab_from_disk(request.getfixturevalue(copy)) == built[0]


def test_nothing_that_work_leaves_behind_is_bundled_or_published(built, hub_clone, upload, tmp_path):
    worked_in = shutil.copytree(hub_clone, tmp_path / "fedcircuits")
    for name in LITTER:
        (worked_in / name).parent.mkdir(parents=True, exist_ok=True)
        (worked_in / name).write_text("left behind")
    assert build_fab_from_disk(worked_in) == built[0]
    assert upload(worked_in) == names_in(hub_clone)


def test_the_hub_s_limits_are_kept_and_tests_are_published(hub_clone, upload, capsys):
    published = upload(hub_clone)
    assert "Validation passed" in capsys.readouterr().out
    assert published == names_in(hub_clone)
    assert {"LICENSE", ".gitignore", "analysis/report/static.json", "tests/test_bundle.py"} <= published


@pytest.mark.parametrize("copy", ["unpacked", "hub_clone"])
def test_links_between_pages_lead_somewhere_in_a_copy_too(request, copy):
    assert dead_links(request.getfixturevalue(copy), is_picture=False) == []
