"""A strategy that goes on where another process left off.

Flower counts the rounds of a process from 1. Everything else counts the rounds of the run: seeds, schedules, the bias
correction of moments, the round that clients are told.
"""

from collections.abc import Iterable

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from fedcircuits.runlog.state import Part, RunState
from strategies.moments import restore_moments
from strategies.observed import CircuitObserver


class ResumableObserver(CircuitObserver):
    """A `CircuitObserver` whose rounds may begin after those of an earlier process; arguments as there."""

    _rounds_before = 0

    def resume(self, rounds_before: int, state: RunState) -> None:
        """Go on after a round, from the state that it ended in."""
        self._rounds_before = rounds_before
        restore_moments(self, state[Part.STRATEGY], list(self._spec.state_shapes))
        self._observer.restore(state)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Configure a round of the run, given its number in this process; so do the others."""
        return super().configure_train(self._rounds_before + server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """See `configure_train`."""
        return super().aggregate_train(self._rounds_before + server_round, replies)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """See `configure_train`."""
        return super().configure_evaluate(self._rounds_before + server_round, arrays, config, grid)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """See `configure_train`."""
        return super().aggregate_evaluate(self._rounds_before + server_round, replies)


def observed(base: type[FedAvg]) -> type[ResumableObserver]:
    """Return `base` with the observer around it."""
    return type(f"Observed{base.__name__}", (ResumableObserver, base), {})
