"""Sends the messages of a phase a few at a time, because Flower's simulation engine gets slow where many wait.

The engine looks for work node by node, and for every node it goes through all messages that are still unanswered: a
phase of n clients costs n² steps a look, ten looks a second, in the process that also feeds the workers. With a
window, a look costs n times the window. In deployment nodes fetch their own messages, all at once, and there is no
such cost; a window would make clients wait for each other.
"""

import os
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from flwr.app import Message
from flwr.serverapp import Grid

_POLL_S = 0.05

_MOST_THREADS = 32
"""The engine talks to its workers from a ThreadPoolExecutor of Python's default size: min(32, CPUs + 4) threads."""

_STEPS_PER_LOOK = 20_000
"""Nodes times messages that a look may go through: some 30 ms."""


def eased(grid: Grid) -> Grid:
    """Return the grid of a simulation with a window around it, and any other as it is.

    The window holds at least two messages for each worker that the engine can keep busy at a time.
    """
    if not is_simulated(grid):
        return grid
    return WindowedGrid(grid, 2 * min(_MOST_THREADS, (os.cpu_count() or 1) + 4))


def is_simulated(grid: Grid) -> bool:
    """Tell whether Flower's simulation engine runs the clients."""
    # By name: the class is no part of Flower's public interface, and a run must not hang on where it is kept.
    return type(grid).__name__ == "InMemoryGrid"


class WindowedGrid(Grid):
    """A grid with a limited number of messages unanswered at a time.

    Args:
        grid: sends and receives.
        least: messages that may be unanswered however many nodes there are, at least 1.
    """

    def __init__(self, grid: Grid, least: int) -> None:
        self._grid = grid
        self._least = least

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Send messages and return the replies to them, those that came before `timeout` seconds were over."""
        waiting = deque(messages)
        window = max(self._least, _STEPS_PER_LOOK // max(1, len(list(self.get_node_ids()))))
        unanswered: set[str] = set()
        replies: list[Message] = []
        deadline = None if timeout is None else time.monotonic() + timeout
        while deadline is None or time.monotonic() < deadline:
            batch = [waiting.popleft() for _ in range(min(len(waiting), window - len(unanswered)))]
            unanswered.update(self._grid.push_messages(batch))
            found = list(self._grid.pull_messages(unanswered))
            replies += found
            unanswered.difference_update(reply.metadata.reply_to_message_id for reply in found)
            if not waiting and not unanswered:
                break
            time.sleep(_POLL_S)
        return replies

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes that are there."""
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages, all at once."""
        return self._grid.push_messages(messages)

    def pull_messages(self, *args: Any, **kwargs: Any) -> Iterable[Message]:
        """Return the replies that there are to some messages, in the words of whichever Flower it is.

        Flower 1.42 calls the messages `message_ids`; 1.43 will call them `reply_to_message_ids`.
        """
        return self._grid.pull_messages(*args, **kwargs)

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        """Return a new message."""
        return self._grid.create_message(*args, **kwargs)

    def set_run(self, run: Any) -> None:
        """Say which run this is."""
        self._grid.set_run(run)

    @property
    def run(self) -> Any:
        """The run that messages belong to."""
        return self._grid.run
