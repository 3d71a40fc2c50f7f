"""The nodes of a round, for strategies that sample every node that they are shown."""

from collections.abc import Iterable, Sequence
from typing import cast

from flwr.serverapp import Grid


class SelectedNodes:
    """Shows Flower's strategies the chosen nodes of a round and no others."""

    def __init__(self, node_ids: Sequence[int]) -> None:
        self._node_ids = list(node_ids)

    def get_node_ids(self) -> Iterable[int]:
        """Return the chosen nodes; the one thing that strategies ask a grid for when they configure a round."""
        return list(self._node_ids)

    def as_grid(self) -> Grid:
        """Return this under the type that strategies declare."""
        return cast(Grid, self)
