"""What it costs to start: importing the two apps and loading the data, each in a process of its own.

    python benchmarks/startup.py --data-dir data

A process of every kind takes its turn, and medians are printed. Below them stands where the time of an import goes, by
the top-level package that spends it (`-X importtime`, which makes everything slower).
"""

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from images import add_image_options, mnist_folder
from product import PROJECT, paper_settings
from timing import Seconds, Timing, describe_machine

CLOCKS = "import time; wall, cpu = time.perf_counter(), time.process_time()"
REPORT = "import json; print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))"
IMPORTS = {"client": "import client_app.app", "server": "import server_app.app"}
LOADING = "from fedcircuits.data.datasets import load_dataset; from fedcircuits.settings import Settings"


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--top", type=int, default=12, help="packages that are listed")
    add_image_options(parser)
    arguments = parser.parse_args()
    print(describe_machine())
    with mnist_folder(arguments.data_dir) as folder:
        starts = {code: ("pass", code) for code in IMPORTS.values()}
        starts["load digits, client's imports done"] = loading(folder, "digits")
        starts["load MNIST, client's imports done"] = loading(folder, "mnist")
        turns = [{name: seconds_of(*code) for name, code in starts.items()} for _ in range(arguments.repetitions)]
    print("\n| start | wall s | CPU s |\n| --- | ---: | ---: |")
    for name in starts:
        wall, cpu = Timing(name, [turn[name] for turn in turns]).median
        print(f"| {name} | {wall:.2f} | {cpu:.2f} |")
    for name, code in IMPORTS.items():
        print(f"\n{name}, seconds by package: {import_times(code, arguments.top)}")


def loading(folder: Path, dataset: str) -> tuple[str, str]:
    """Return what comes before the clocks start, and what is measured."""
    config = json.dumps(dict(paper_settings(folder).config) | {"dataset": dataset})
    before = f"{IMPORTS['client']}; {LOADING}; import json; settings = Settings.from_config(json.loads({config!r}))"
    return before, "load_dataset(settings.data, 0)"


def seconds_of(before: str, measured: str) -> Seconds:
    """Run code in a new process and return the seconds that the second part took."""
    code = "; ".join((before, CLOCKS, measured, REPORT))
    return Seconds(*json.loads(_python("-c", code).stdout.splitlines()[-1]))


def import_times(code: str, top: int) -> str:
    """Return the packages that an import spends most time in, their own modules only."""
    lines = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)", _python("-X", "importtime", "-c", code).stderr)
    by_package: Counter[str] = Counter()
    for microseconds, module in lines:
        by_package[module.partition(".")[0]] += int(microseconds)
    listed = ", ".join(f"{package} {microseconds / 1e6:.2f}" for package, microseconds in by_package.most_common(top))
    return f"{sum(by_package.values()) / 1e6:.2f} in all; {listed}"


def _python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], cwd=PROJECT, capture_output=True, text=True, check=True)


if __name__ == "__main__":
    main()
