"""Tab completion by argcomplete, where it is installed: commands, options, their values, and run directories."""

import argparse
from pathlib import Path
from typing import Any, Final

from fedcircuits.runlog.reader import RUN_FILE

_DEFAULT_FOLDER: Final = "runs"


def offer_completion(parser: argparse.ArgumentParser) -> None:
    """Answer the shell and exit, if it is the shell that asks what the user could type."""
    try:
        import argcomplete  # noqa: PLC0415
    except ImportError:
        return
    set_completers(parser)
    argcomplete.autocomplete(parser)


def set_completers(parser: argparse.ArgumentParser) -> None:
    """Let every argument RUN of every command be completed by `run_paths`, and --only by `figure_names`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in set(action.choices.values()):
                set_completers(command)
        elif action.metavar == "RUN":
            vars(action)["completer"] = run_paths
        elif action.dest == "only":
            vars(action)["completer"] = figure_names


def figure_names(prefix: str, **_: Any) -> list[str]:
    """Return the names of a run's figures that begin with what was typed; _ is what argcomplete passes besides."""
    # Drawing libraries take a second to load; only this completion waits for them.
    from analysis.figures import FIGURES, PAPER_FIGURES  # noqa: PLC0415

    return [name for name in FIGURES | PAPER_FIGURES if name.startswith(prefix)]


def run_paths(prefix: str, **_: Any) -> list[str]:
    """Return the paths to which what was typed can go on: run directories, and folders with a slash at their end.

    Args:
        prefix: what was typed. Nothing stands for the folder `runs` too, in which runs are looked for by default.
        _: what argcomplete passes besides.
    """
    folder, slash, _name = prefix.rpartition("/")
    paths = _paths_in(folder + slash)
    if not slash and Path(_DEFAULT_FOLDER).is_dir():
        paths += _paths_in(f"{_DEFAULT_FOLDER}/")
    return [path for path in paths if path.startswith(prefix)]


def _paths_in(folder: str) -> list[str]:
    """Return the directories in a folder, as typed, without those inside of a run."""
    place = Path(folder).expanduser()
    if not place.is_dir() or (place / RUN_FILE).is_file():
        return []
    names = sorted(path.name for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [f"{folder}{name}{'' if (place / name / RUN_FILE).is_file() else '/'}" for name in names]
