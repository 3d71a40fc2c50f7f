"""`python -m deployment FOLDER`: a federation on this machine, a run on it, and everything stopped afterwards."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deployment.commands import CommandError
from deployment.example_data import write_example
from deployment.loopback import Loopback
from fedcircuits.settings.app_config import PROJECT, typed_setting

_SETTLE_S: Final = 30
"""How long a run may take to write its end after its console has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up, run, report, stop; the exit code is 0 only if the run completed."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    folder: Path = options.folder.resolve()
    data = options.data.resolve() if options.data else write_example(folder / "data", options.nodes)
    sites = sorted(path for path in data.iterdir() if path.is_dir() and not path.name.startswith("."))
    nodes = [{"data-path": site, "cache-path": folder / "cache", "label": site.name} for site in sites]
    try:
        with Loopback(folder, nodes, is_secure=not options.insecure) as federation:
            directory = federation.run({"share-probe": False, **dict(options.set)}, print)
            is_completed = _report(directory)
            if options.keep:
                home = federation.environment("operator")["FLWR_HOME"]
                print(
                    f"kept running; another run: FLWR_HOME={home} flwr run {PROJECT} loopback --stream; end with Ctrl-C"
                )
                signal.pause()
    except CommandError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped")
        return 130
    return 0 if is_completed else 1


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt  # leaves the federation's block, so that nothing stays behind


def _report(directory: Path | None) -> bool:
    """Say how the run ended, and tell whether it completed."""
    if directory is None:
        print("FAILED: the run did not begin")
        return False
    deadline = time.monotonic() + _SETTLE_S
    while (info := json.loads((directory / "run.json").read_text()))["status"] == "running":
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    print(f"{info['status']} after round {info['last_round']}: {directory}")
    return bool(info["status"] == "completed")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployment", description=__doc__)
    parser.add_argument("folder", type=Path, help="gets certificates, keys, logs, example data and runs")
    parser.add_argument("--nodes", type=int, default=2, help="SuperNodes with example data (default: 2)")
    parser.add_argument("--data", type=Path, help="folder with one folder of images per SuperNode, instead of examples")
    parser.add_argument(
        "--set", type=typed_setting, action="append", default=[], metavar="KEY=VALUE", help="a run's setting"
    )
    parser.add_argument("--insecure", action="store_true", help="without TLS and without keys")
    parser.add_argument("--keep", action="store_true", help="keep everything running after the run, until Ctrl-C")
    return parser


if __name__ == "__main__":
    sys.exit(main())
