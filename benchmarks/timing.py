"""Compare the speed of several ways to do the same work: interleaved, by medians, wall and CPU seconds side by side.

The ways take turns (A B A B …), so that whatever else the machine does meets all of them. CPU seconds hardly depend on
other load, wall seconds do. On a GPU the queue is emptied before the clock is read.
"""

import argparse
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

Work = Callable[[], object]


class Seconds(NamedTuple):
    """What one repetition took."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Timing:
    """The repetitions of one way, in order."""

    name: str
    repetitions: Sequence[Seconds]

    @property
    def median(self) -> Seconds:
        """Return the medians of wall and CPU seconds."""
        return Seconds(median(each.wall for each in self.repetitions), median(each.cpu for each in self.repetitions))

    def scaled(self, factor: float) -> "Timing":
        """Return what `factor` times the work takes."""
        return Timing(self.name, [Seconds(each.wall * factor, each.cpu * factor) for each in self.repetitions])


def compare(ways: Mapping[str, Work], repetitions: int, is_apart: bool = False, warms_up: bool = True) -> list[Timing]:
    """Measure every way `repetitions` times in turn.

    Args:
        ways: name to a function that does the work; the first is the baseline.
        repetitions: at least 1.
        is_apart: run each repetition in a process of its own, since a process's history of allocations can cost it
            page faults; for the CPU with one thread only.
        warms_up: do everything once first, which does not count.
    """
    measured = _measure_apart if is_apart else measure
    if warms_up and not is_apart:
        for work in ways.values():
            work()
    turns = [{name: measured(work) for name, work in ways.items()} for _ in range(repetitions)]
    return [Timing(name, [turn[name] for turn in turns]) for name in ways]


def measure(work: Work) -> Seconds:
    """Do the work once."""
    _wait_for_gpu()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    _wait_for_gpu()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def _wait_for_gpu() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _measure_apart(work: Work) -> Seconds:
    """Do the work twice in a copy of this process, and measure the second time."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        work()
        sender.send(measure(work))

    process = context.Process(target=child)
    process.start()
    sender.close()  # so that a child that dies ends the wait
    seconds: Seconds = receiver.recv()
    process.join()
    return seconds


def total(name: str, parts: Sequence[Timing]) -> Timing:
    """Add up parts, repetition by repetition."""
    turns = zip(*(part.repetitions for part in parts), strict=True)
    return Timing(name, [Seconds(sum(s.wall for s in turn), sum(s.cpu for s in turn)) for turn in turns])


def markdown(title: str, timings: Sequence[Timing]) -> str:
    """Return a table of medians, and how many times faster than the first each one is.

    In brackets stand the least and the largest ratio of two measurements of the same turn.
    """
    rows = [[title, "wall s", "CPU s", "× faster, wall", "× faster, CPU"], ["---"] + ["---:"] * 4]
    for timing in timings:
        wall, cpu = timing.median
        ratios = [_ratio(timings[0], timing, clock) for clock in ("wall", "cpu")]
        rows.append([timing.name, _seconds(wall), _seconds(cpu), *ratios])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _ratio(baseline: Timing, timing: Timing, clock: str) -> str:
    if timing is baseline:
        return "1"
    pairs = zip(baseline.repetitions, timing.repetitions, strict=True)
    each = [getattr(slow, clock) / getattr(fast, clock) for slow, fast in pairs]
    return f"{getattr(baseline.median, clock) / getattr(timing.median, clock):.2f} ({min(each):.2f}–{max(each):.2f})"


def _seconds(value: float) -> str:
    return f"{value:.4f}" if value < 1 else f"{value:.2f}"


def add_timing_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all benchmarks share."""
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--num-threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--apart", action="store_true", help="each repetition in a process of its own (CPU, 1 thread)")


def prepare_machine(arguments: argparse.Namespace) -> str:
    """Set the number of threads and return one line that describes the machine.

    Raises:
        SystemExit: if processes of their own are asked for where that cannot be done.
    """
    if arguments.apart and (arguments.device != "cpu" or arguments.num_threads != 1):
        raise SystemExit("--apart copies this process, which only works with --device cpu and --num-threads 1")
    torch.set_num_threads(arguments.num_threads)
    return describe_machine(arguments.device, arguments.num_threads)


def describe_machine(device: str = "cpu", num_threads: int = 1) -> str:
    """Return one line on the machine, how busy it is, and the software."""
    used = torch.cuda.get_device_name() if device == "cuda" else f"{num_threads} thread(s)"
    software = f"PyTorch {torch.__version__}, Python {platform.python_version()}"
    return f"{_cpu()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}; {used}; {software}"


def _cpu() -> str:
    """Return the processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
