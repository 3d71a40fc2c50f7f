"""The digest that clients and server compare is of what a client can import, no more and no less."""

import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from fedcircuits.federation.digest import CLIENT_SIDE, RUN

PROJECT = Path(__file__).parents[3]

PRINT = (
    "from fedcircuits.federation.digest import CLIENT_SIDE, RUN, code_digest; "
    "print(code_digest(CLIENT_SIDE), code_digest(RUN))"
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for package in RUN:
        shutil.copytree(PROJECT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def digests(folder: Path) -> list[str]:
    """Return the digests of client's side and run as a process in that folder sees them."""
    said = subprocess.run([sys.executable, "-c", PRINT], cwd=folder, capture_output=True, text=True, check=True)
    return said.stdout.split()


def test_a_client_imports_all_of_its_side_and_nothing_else() -> None:
    graph = grimp.build_graph("client_app", "fedcircuits", "strategies", "server_app", "analysis", cache_dir=None)
    reached: set[str] = set()
    ahead = {module for module in graph.modules if module.split(".")[0] == "client_app"}
    while ahead:
        module = ahead.pop()
        reached.add(module)
        ahead |= graph.find_modules_directly_imported_by(module) - reached
    # Importing a module imports the packages that it is in; those of the core hold a docstring.
    places = {place for module in reached for place in CLIENT_SIDE if f"{module}.".startswith(f"{place}.")}
    outside = [module for module in reached if not any(f"{module}.".startswith(f"{place}.") for place in CLIENT_SIDE)]
    assert outside == []
    assert places == set(CLIENT_SIDE)


@pytest.mark.parametrize(
    ("path", "locks_out"),
    [
        ("fedcircuits/examination/ladder.py", False),
        ("fedcircuits/comparisons/rows.py", False),
        ("fedcircuits/runlog/writer.py", False),
        ("strategies/screening.py", False),
        ("fedcircuits/circuits/discovery/gates.py", True),
        ("fedcircuits/errors.py", True),
        ("client_app/app.py", True),
    ],
)
def test_only_a_change_on_the_clients_side_locks_clients_out(copy: Path, path: str, locks_out: bool) -> None:
    before, file = digests(copy), copy / path
    file.write_text(file.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    after = digests(copy)
    assert (after[0] != before[0]) == locks_out
    assert after[1] != before[1]
