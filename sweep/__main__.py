"""The command line of sweeps: `python -m sweep CONFIG… --seeds 0-4 --out DIR`."""

import argparse
import math
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fedcircuits.errors import FedCircuitsError, SweepError
from fedcircuits.settings import Scalar
from fedcircuits.settings.app_config import typed_setting
from sweep.flower import SweepFlower
from sweep.index import INDEX_FILE, Index
from sweep.plan import plan_jobs
from sweep.runner import jobs_to_run, locked, run_jobs

EXIT_OK: Final = 0
EXIT_SOME_FAILED: Final = 1
EXIT_ERROR: Final = 2
EXIT_INTERRUPTED: Final = 130

_EXAMPLES: Final = """\
examples:
  python -m sweep conf/digits --seeds 0-4 --out runs/digits
  python -m sweep conf/paper/dense.toml conf/paper/sparsity-0.95.toml --set num-server-rounds=3 --out runs/mnist
  python -m sweep conf/digits --seeds 0-9 --out runs/digits     goes on: only what has not completed is run
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sweep and return its exit code.

    Args:
        arguments: the command line without the program's name; None = that of the process.
    """
    options = build_parser().parse_args(arguments)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupt)
    try:
        return _sweep(options)
    except FedCircuitsError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_ERROR
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on where this stopped\n")
        return EXIT_INTERRUPTED


def _sweep(options: argparse.Namespace) -> int:
    seeds, changes = _seeds(options.seeds), _changes(options.set)
    jobs = plan_jobs([Path(path) for path in options.configs], seeds, changes)
    folder = Path(options.out).expanduser().resolve()
    with locked(folder):
        index = Index.open(folder, jobs)
        left = jobs_to_run(folder, index, jobs, _say)
        index.write()
        _say(f"{len(jobs)} runs, {len(jobs) - len(left)} of them completed already; folder: {folder}")
        if left:
            workers = max(1, (os.cpu_count() or 1) // options.jobs)
            with SweepFlower(folder, workers, options.gpus_per_client) as flower:
                run_jobs(flower, index, left, options.jobs, _say)
    failed = [entry for entry in map(index.entry, jobs) if entry.status == "failed"]
    _say(f"{len(jobs) - len(failed)} of {len(jobs)} runs completed; index: {folder / INDEX_FILE}")
    if failed:
        _say("failed; the same command tries them again: " + ", ".join(f"{e.experiment} seed {e.seed}" for e in failed))
    _say(f"next: python -m analysis compare {folder}")
    return EXIT_SOME_FAILED if failed else EXIT_OK


_MOST_SEEDS: Final = 10_000


def _seeds(text: str) -> list[int]:
    """Read seeds such as `0-4` or `0,3,7-9`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise SweepError(f"--seeds {text}: {part!r} is neither a seed nor a range such as 0-4")
        named = range(int(first), int(last or first) + 1)
        if len(seeds) + len(named) > _MOST_SEEDS:
            raise SweepError(f"--seeds {text}: names more than {_MOST_SEEDS} seeds")
        seeds += named
    if not seeds or len(set(seeds)) != len(seeds):
        raise SweepError(f"--seeds {text}: must name one or more seeds, each once")
    return seeds


def _changes(texts: Sequence[str]) -> dict[str, Scalar]:
    try:
        return dict(typed_setting(text) for text in texts)
    except ValueError as error:
        raise SweepError(f"--set {error}") from None


def _jobs(text: str) -> int:
    """Read a number of runs; argparse reports what does not fit."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def _gpus(text: str) -> float:
    """Read how much of a GPU a client is given."""
    if not 0 <= float(text) < math.inf:
        raise ValueError
    return float(text)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  (unlike a stream's own methods, it does nothing where output is closed)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m sweep",
        description="Run configurations times seeds through Flower, on this machine. What has completed is not run "
        "again, and a failed run stops nothing.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="a TOML file, or a folder of them")
    parser.add_argument("--seeds", default="0", metavar="LIST", help="such as 0-4 or 0,3,7; default: 0")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of run directories and their index")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting for all of them")
    parser.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="runs at a time; default: 1")
    parser.add_argument("--gpus-per-client", type=_gpus, default=0.0, metavar="X", help="such as 0.25; default: 0")
    return parser


if __name__ == "__main__":
    sys.exit(main())
