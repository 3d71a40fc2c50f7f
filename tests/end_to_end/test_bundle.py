"""True runs of what others get: an installed bundle, and a clone from Flower's Hub in an environment of its own."""

import json
import shutil
import subprocess
import sysconfig
import venv
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from bundles import copy_hub_files, names_in
from flwr.cli.utils import collect_files
from true_runs import QUICK

from fedcircuits import __version__
from fedcircuits.runlog.reader import read_info

pytestmark = pytest.mark.long

PROJECT = Path(__file__).parents[2]
TINY = {**QUICK, "num-server-rounds": 1}
OTHER_VERSION = "0.0.0+bundle"


def completed_run(flower, folder):
    """Run what is tiny, typed in a folder; return the run's description."""
    run = flower.wait(flower.start(TINY, num_clients=2, folder=folder))
    assert run.status == "finished:completed", run.output
    assert run.directory.parent == folder / "runs"
    return read_info(run.directory)


def make_environment(folder):
    """Make an environment that borrows this one's packages, but not the project, and return its folder of commands.

    An editable installation is a line in a .pth file, and such files count in an environment's own folder only.
    """
    venv.create(folder, with_pip=True)
    paths = sysconfig.get_paths("venv", vars={"base": str(folder), "platbase": str(folder)})
    borrowed = sysconfig.get_paths()
    Path(paths["purelib"], "borrowed.pth").write_text(f"{borrowed['purelib']}\n{borrowed['platlib']}\n")
    scripts = Path(paths["scripts"])
    for entry in entry_points(group="console_scripts"):
        if entry.module.startswith("flwr."):
            lines = (f"#!{scripts / 'python'}", f"from {entry.module} import {entry.attr}", f"{entry.attr}()")
            (scripts / entry.name).write_text("\n".join(lines))
            (scripts / entry.name).chmod(0o755)
    return scripts


def type_in(flower, *arguments, folder=None):
    """Run Python in a Flower's environment, in a folder or that of the app."""
    command = [shutil.which("python", path=flower.environment["PATH"]), *arguments]
    options = {"cwd": folder or flower.app, "env": flower.environment, "capture_output": True, "text": True}
    return subprocess.run(command, **options, timeout=120, check=False)


@pytest.fixture
def clone(make_flower, tmp_path):
    """A clone from the Hub and its Flower, in an environment into which it was installed as the README says."""
    app = copy_hub_files(collect_files(PROJECT), tmp_path / "fedcircuits")
    flower = make_flower(app=app, scripts=make_environment(tmp_path / "environment"))
    installed = type_in(flower, "-m", "pip", "install", "--no-deps", "--ignore-installed", "-e", ".")
    if "No matching distribution found for hatchling" in installed.stderr:
        pytest.skip("no package index can be reached, and pip needs hatchling from one")
    assert installed.returncode == 0, installed.stderr
    return flower


def test_an_installed_bundle_runs_in_an_empty_folder(broken_flower, tmp_path):
    broken_flower.edit("fedcircuits/__init__.py", f'"{__version__}"', f'"{OTHER_VERSION}"')
    broken_flower.command("build")
    (bundle,) = broken_flower.app.glob("fedcircuits.fedcircuits.*.fab")
    broken_flower.command("install", str(bundle))
    shutil.rmtree(broken_flower.app)
    (broken_flower.app,) = (broken_flower.home / "flwr" / "apps").iterdir()
    installed = names_in(broken_flower.app)
    empty = tmp_path / "empty"
    empty.mkdir()

    info = completed_run(broken_flower, empty)

    assert (info["last_round"], info["num_clients"]) == (1, 2)
    assert info["versions"]["fedcircuits"] == OTHER_VERSION  # so it was this bundle's code
    assert names_in(broken_flower.app) == installed


def test_a_clone_from_the_hub_is_installed_runs_and_is_reported_on(clone, tmp_path):
    found = type_in(clone, "-c", "import fedcircuits; print(fedcircuits.__file__)", folder=tmp_path)
    assert found.stdout.strip() == str(clone.app / "fedcircuits" / "__init__.py"), found.stderr

    info = completed_run(clone, clone.app)

    assert (info["last_round"], info["num_clients"]) == (1, 2)
    summary = type_in(clone, "-m", "analysis", "summary")
    assert "completed; 1 of 1 rounds" in summary.stdout, summary.stderr
    report = type_in(clone, "-m", "analysis", "report")
    assert report.returncode == 0, report.stderr
    page = (clone.app / report.stdout.strip()).read_text(encoding="utf-8")
    assert "Content-Security-Policy" in page
    assert json.loads((clone.app / "analysis" / "report" / "static.json").read_text())["app.js"] in page
