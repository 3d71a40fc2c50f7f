"""Nothing that comes from a client or from a file is ever run, or says where a file goes."""

import ast
from pathlib import Path
from typing import Any

import pytest
from federation import InProcessGrid
from flwr.app import Error, Message, MessageType, RecordDict
from tiny_runs import run_tiny, table

from fedcircuits.records import TABLES, Key
from fedcircuits.runlog.checkpoints import CHECKPOINTS

PROJECT = Path(__file__).parents[1]
PACKAGES = ("analysis", "client_app", "fedcircuits", "server_app", "strategies", "sweep")

RUNS_WHAT_IT_LOADS = frozenset(
    {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "yaml", "jsonpickle"}
)
LOADERS = frozenset({"torch.load", "torch.jit.load", "np.load", "numpy.load", "pd.read_pickle", "pandas.read_pickle"})
BUILT_IN = frozenset({"eval", "exec", "__import__", "compile"})


def dangers(source: str) -> list[str]:
    """Return what in some source could run bytes that it loads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in RUNS_WHAT_IT_LOADS]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name for name in names if name.split(".")[0] in RUNS_WHAT_IT_LOADS or name in LOADERS]
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in LOADERS:
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Name) and node.id in BUILT_IN:
            found.append(node.id)
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found.append("allow_pickle")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, joblib.memory",
        "from pickle import loads",
        "from torch import load",
        "def read(path):\n    return torch.load(path)",
        "read = np.load",
        "f(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "yaml = __import__('yaml')",
        "import yaml",
    ],
)
def test_the_search_finds_what_could_run_bytes(source: str) -> None:
    assert dangers(source)


def test_the_search_leaves_harmless_code_alone() -> None:
    assert not dangers("import json\nfrom safetensors.torch import load_file\nre.compile(x)\nmodel.eval()\nload(path)")


def test_no_module_loads_what_could_be_run() -> None:
    modules = [path for package in PACKAGES for path in sorted((PROJECT / package).rglob("*.py"))]
    assert len(modules) > 100
    found = {str(path.relative_to(PROJECT)): dangers(path.read_text(encoding="utf-8")) for path in modules}
    assert {path: what for path, what in found.items() if what} == {}


EVIL = "../../evil/\x00..\\evil\n/etc/passwd"


def test_what_clients_say_names_no_file(config: dict[str, Any], tmp_path: Path) -> None:
    """A client's error and a client's labels are text in the log and nothing else."""

    def tamper(reply: Message, partition_id: int) -> Message:
        if reply.metadata.message_type == MessageType.TRAIN and partition_id == 0:
            question = Message(RecordDict(), dst_node_id=reply.metadata.src_node_id, message_type=MessageType.TRAIN)
            question.metadata._message_id = reply.metadata.reply_to_message_id
            return Message(Error(code=2, reason=EVIL), reply_to=question)
        if reply.metadata.message_type == MessageType.TRAIN and partition_id == 1:
            reply.content[Key.NEGATIVES][Key.NEGATIVES] = EVIL
        return reply

    folder = tmp_path / "inside"
    folder.mkdir()
    run = run_tiny(InProcessGrid(4, tamper), folder, config, num_server_rounds=1, run_name="../evil", gate_steps=1)
    reasons = table(run, "clients").query("not accepted")["reason"].tolist()
    assert "../../evil/" in reasons[0]
    assert reasons[1].startswith("negatives: '../../evil/")
    assert run.parent == folder
    written = {path.relative_to(run).parts[0] for path in run.rglob("*")}
    assert written == {*TABLES, CHECKPOINTS, "run.json", "run.lock"}
    assert not [path for path in tmp_path.rglob("*evil*") if path != run]
    assert [path.name for path in folder.iterdir()] == [run.name]
