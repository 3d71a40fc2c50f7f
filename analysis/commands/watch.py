"""`watch`: a run while it goes on, and its figures for other tools."""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from analysis.commands import EXIT_INTERRUPTED, EXIT_NOT_COMPLETED, EXIT_OK, Commands, add_run, new_command
from analysis.commands.output import remark
from analysis.sinks import sink_opener
from analysis.sinks.sink import Opener, Sink
from analysis.watch.displays import Display, LineDisplay, PanelDisplay
from analysis.watch.follower import Progress, RunFollower
from analysis.watch.following import catch_up, follow, wait_for_run
from analysis.watch.panel import panel
from fedcircuits.runlog.reader import RUN_FILE
from fedcircuits.runlog.run import load_info

_WAIT_S: Final = 60.0
_LONGEST_S: Final = 1e6

_TARGETS: Final = (
    "hand the figures of every round to tensorboard[=DIR] (default: tensorboard/ in the run directory) or "
    "wandb[=online|offline] (default: as wandb is set up); may be given twice"
)


def add(commands: Commands) -> None:
    """Describe the command."""
    details = (
        "How far is it, how long will it take, is it going well? In a terminal a panel changes in place; into a file "
        "or pipe goes a line per round. It ends with the run, with the exit code of status; Ctrl-C leaves it, and the "
        "run goes on."
    )
    examples = {
        "": "the newest run in ./runs; if there is none yet, wait for it",
        "runs --next --wait 300": "the run that is about to be started, or resumed, within five minutes",
        "runs --once": "as it is now",
        "runs --to tensorboard --to wandb=offline": "and hand its figures on, also those of a run that is over",
    }
    parser = new_command(commands, "watch", "show a run while it goes on", watch, details, examples)
    add_run(parser)
    parser.add_argument("--once", action="store_true", help="show it as it is now, and end")
    parser.add_argument(
        "--interval", type=_positive, default=2.0, metavar="S", help="seconds between looks; default: 2"
    )
    parser.add_argument(
        "--wait", type=_seconds, metavar="S", help="seconds to wait for a run to appear; default: 60, with --once 0"
    )
    awaited = "wait for a run that is not there yet, or for one that is over to be resumed"
    parser.add_argument("--next", action="store_true", help=awaited)
    parser.add_argument("--to", action="append", default=[], metavar="TOOL", help=_TARGETS)


def watch(options: argparse.Namespace) -> int:
    """Show a run until it is over."""
    openers = [sink_opener(target) for target in options.to]
    try:
        progress = _watched(_awaited(options), openers, options)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return EXIT_OK if progress.status.word == "completed" else EXIT_NOT_COMPLETED


def _awaited(options: argparse.Namespace) -> Path:
    """Return the run directory, once there is one."""
    path = Path(options.run).expanduser()
    wait_s = options.wait if options.wait is not None else 0.0 if options.once else _WAIT_S
    there = {file.parent for file in (path / RUN_FILE, *path.glob(f"*/{RUN_FILE}")) if file.is_file()}
    if wait_s and (options.next or not there):
        remark(f"waiting up to {wait_s:g} s for a run in {path.resolve()}")
    pause = partial(time.sleep, min(options.interval, wait_s or options.interval))
    return wait_for_run(path, wait_s, there if options.next else (), pause, time.monotonic)


def _watched(run: Path, openers: Sequence[Opener], options: argparse.Namespace) -> Progress:
    """Follow a run, or look at it once, and close every sink whatever happens."""
    follower = RunFollower(run)
    settings = load_info(run)["settings"]
    with ExitStack() as open_sinks:
        sinks = []
        for opener in openers:
            sink = opener(run, settings)
            open_sinks.callback(_close, sink, follower)
            sinks.append(sink)
        if options.once:
            progress = catch_up(follower, sinks)
            Console(file=sys.stdout).print(panel(progress, time.time()))
            return progress
        with _display() as display:
            return follow(follower, display, sinks, partial(time.sleep, options.interval))


def _close(sink: Sink, follower: RunFollower) -> None:
    sink.close(follower.last_word)


def _display() -> Display:
    """Return a panel for terminals that can move the cursor, lines for everything else."""
    console = Console(file=sys.stdout)
    if sys.stdout.isatty() and not console.is_dumb_terminal:
        return PanelDisplay(console, time.time)
    return LineDisplay(sys.stdout, time.time)


def _seconds(text: str) -> float:
    """Read seconds, 0 or more; argparse reports what is none."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds from 0 to {_LONGEST_S:.0f}")
    return seconds


def _positive(text: str) -> float:
    """Read seconds, above 0."""
    seconds = _seconds(text)
    if seconds == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0")
    return seconds
