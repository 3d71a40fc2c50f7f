"""Central differential privacy of the average: Flower's wrappers, between a strategy and the observer around it.

Updates are clipped to a norm C, and Gaussian noise is added to what the strategy makes of them (McMahan et al. 2018,
arXiv 1710.06963). Flower's wrappers stand around a whole strategy and clip what the strategy is given; here they stand
around the base strategy alone, so that the observer outside sees what clients sent and what was released.
"""

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import (
    DifferentialPrivacyClientSideFixedClipping,
    DifferentialPrivacyServerSideFixedClipping,
    FedAvg,
)
from flwr.serverapp.strategy.strategy import Strategy

from fedcircuits.settings.privacy import PrivacySettings

_WRAPPERS = {
    "server-fixed-clipping": DifferentialPrivacyServerSideFixedClipping,
    "client-fixed-clipping": DifferentialPrivacyClientSideFixedClipping,
}


class DifferentiallyPrivate(FedAvg):
    """A mixin for every Flower strategy derived from FedAvg.

    The noise has standard deviation `dp-noise-multiplier` * C / clients that are averaged, in every weight. That fits
    a plain mean of clipped updates; of other strategies' steps it is not known how much a client can change them.

    Args:
        privacy: which wrapper, its norm and its noise.
        base: what the base strategy's constructor takes.
    """

    def __init__(self, *, privacy: PrivacySettings, **base: Any) -> None:
        super().__init__(**base)
        self._privacy = privacy

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Let the wrapper note the weights, or tell clients the norm, and the base strategy write the messages."""
        privacy = self._privacy
        # Seen through super(), the base strategy is one of its own.
        self._wrapper = _WRAPPERS[privacy.dp](
            cast(Strategy, super()),
            privacy.dp_noise_multiplier,
            privacy.dp_clipping_norm,
            len(list(grid.get_node_ids())),
        )
        return self._wrapper.configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Let the wrapper clip and add noise around the base strategy's averaging."""
        accepted = list(replies)
        # One client changes a mean of fewer by more: the noise goes by those that are averaged, not by those asked.
        self._wrapper.num_sampled_clients = len(accepted)
        draw_afresh()
        return self._wrapper.aggregate_train(server_round, accepted)


def draw_afresh() -> None:
    """Seed NumPy's global generator, which Flower draws the noise from, from the operating system.

    Noise that can be worked out from the run's seed, or from an earlier draw of anybody's, can be taken off again.
    """
    np.random.seed()


def differentially_private(base: type[FedAvg]) -> type[FedAvg]:
    """Return `base` with clipping and noise around its averaging."""
    return type(f"Private{base.__name__}", (DifferentiallyPrivate, base), {})
