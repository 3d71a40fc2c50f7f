"""Steps recorded once as a CUDA graph and replayed.

A step on a small network is hundreds of kernels that take a GPU less time than it takes Python to start them; a graph
starts them with one call. It replays the same kernels on the same memory. So a step must read and write tensors that
stay where they are, of shapes that do not depend on data, and must never look at a number on the GPU from the host:
no `item`, no `nonzero`, no indexing with a boolean mask, no tensor made from Python numbers. What differs from step to
step stands in tables on the GPU, of which each step reads the next row.

Recording follows PyTorch's notes on CUDA graphs (docs.pytorch.org/docs/stable/notes/cuda.html) and costs about a step.
A graph and its memory live as long as its `Replayed`, no longer than one training, since processes share a card.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

Work = Callable[[], object]

NUM_WARM_UPS = 3
"""Steps before the recording, as PyTorch advises: libraries set themselves up, the optimiser makes its state."""

TOLERANCE = 0.05
"""Of a step's change of a tensor: how far a replay may be off. Atomic additions in another order, magnified by Adam,
make a small part of that; a replay of the wrong step is off by about 1."""

_ROUNDING = 1e-6
"""Of a tensor itself: how far a replay may be off where a step hardly changes anything."""

_log = logging.getLogger("fedcircuits")


@runtime_checkable
class Recorder(Protocol):
    """What a device offers to record work."""

    def warm_up(self, work: Work) -> None:
        """Do the work as it will be recorded."""

    def record(self, work: Work) -> Work:
        """Return a function that does what the work would do now, without doing it.

        Raises:
            RuntimeError: if the work cannot be recorded.
        """


class GraphRecorder:
    """Records CUDA graphs, on the stream that has warmed up: libraries set up their workspaces for each stream."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()

    def warm_up(self, work: Work) -> None:
        """Do the work on the stream."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream), warnings.catch_warnings():
            # Adam tells whoever makes it `capturable` to record, too, while it warms up for that.
            warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")
            work()
        torch.cuda.current_stream().wait_stream(self._stream)

    def record(self, work: Work) -> Work:
        """Return the replay of a graph."""
        graph = torch.cuda.CUDAGraph()
        # The outer context restores the stream even where a recording cannot be ended; other threads go on meanwhile.
        with (
            torch.cuda.stream(self._stream),
            torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"),
        ):
            work()
        return graph.replay


class Replayed:
    """Work that is done again and again: as it is at first, recorded then, replayed from there on.

    The first replay is checked: the same step is also taken as it is, from the same state. If the two differ, or if
    recording fails, all further steps are taken as they are.

    Args:
        work: reads and writes fixed tensors only.
        state: returns every tensor that the work changes and reads again.
        recorder: None = never record.
    """

    is_on: ClassVar[bool] = True
    """Benchmarks set this to false to see what replaying gains."""

    def __init__(self, work: Work, state: Callable[[], Sequence[Tensor]], recorder: Recorder | None) -> None:
        self._work, self._state, self._recorder = work, state, recorder
        self._replay = work
        self._num_calls = 0

    def __call__(self) -> None:
        """Do the work once."""
        self._num_calls += 1
        if self._recorder is None:
            self._work()
        elif self._num_calls <= NUM_WARM_UPS:
            self._recorder.warm_up(self._work)
        elif self._num_calls == NUM_WARM_UPS + 1:
            self._record(self._recorder)
        elif self._num_calls == NUM_WARM_UPS + 2:
            self._check()
        else:
            self._replay()

    def _record(self, recorder: Recorder) -> None:
        try:
            self._replay = recorder.record(self._work)
        except RuntimeError as error:
            self._give_up(str(error))
        self._work()

    def _check(self) -> None:
        """Take the step after the recorded one both ways, so that numbers of the recorded step would show."""
        state = self._state()
        before = _copies(state)
        self._work()
        expected = _copies(state)
        _restore(state, before)
        self._replay()
        if not all(map(_is_close, state, expected, before)):
            _restore(state, expected)
            self._give_up("a replayed step differs from the step itself")

    def _give_up(self, reason: str) -> None:
        _log.debug("steps are not replayed as a CUDA graph: %s", reason)
        self._recorder, self._replay = None, self._work


def has_fixed_shapes(device: torch.device) -> bool:
    """Tell whether steps should be written for replaying; on a CPU, what does the least work is faster."""
    return device.type == "cuda"


def is_recorded(device: torch.device) -> bool:
    """Tell whether steps on a device are recorded, for which Adam has to be `capturable`."""
    return device.type == "cuda" and Replayed.is_on


def replay_rows(
    step: Callable[..., object], tables: Sequence[Tensor], state: Callable[[], Sequence[Tensor]], device: torch.device
) -> None:
    """Take a step for each row of some tables.

    Args:
        step: takes one row of each table, on `device`; fit to be recorded.
        tables: of equal length, on any device; they move as a whole, so that nothing is copied between steps.
        state: returns every tensor that a step changes and the next one reads.
        device: where steps are taken.
    """
    here = [table.to(device) for table in tables]
    row = torch.zeros(1, dtype=torch.int64, device=device)

    def work() -> None:
        step(*(table.index_select(0, row)[0] for table in here))
        row.add_(1)

    replayed = Replayed(work, lambda: [*state(), row], GraphRecorder() if is_recorded(device) else None)
    for _ in range(len(tables[0])):
        replayed()


def optimised(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    """Return what an optimiser's steps change: its parameters, and what it remembers of them."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    remembered = [value for each in optimiser.state.values() for value in each.values() if isinstance(value, Tensor)]
    return [*parameters, *remembered]


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _restore(tensors: Sequence[Tensor], copies: Sequence[Tensor]) -> None:
    for tensor, copy in zip(tensors, copies, strict=True):
        tensor.copy_(copy)


@torch.no_grad()
def _is_close(found: Tensor, expected: Tensor, before: Tensor) -> bool:
    error, change = (each.double().norm() for each in (found - expected, expected - before))
    return bool(error <= TOLERANCE * change + _ROUNDING * expected.double().norm())
