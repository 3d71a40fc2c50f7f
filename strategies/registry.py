"""The strategies that a run can name, each Flower's own with the observer around it."""

from collections.abc import Callable
from typing import Any

from flwr.serverapp.strategy import (
    FedAdam,
    FedAvg,
    FedAvgM,
    FedMedian,
    FedProx,
    FedTrimmedAvg,
    FedYogi,
    Krum,
)

from fedcircuits.networks.spec import ModelSpec
from fedcircuits.settings import Settings
from strategies.differential_privacy import differentially_private
from strategies.observer import RoundObserver
from strategies.resumable import ResumableObserver, observed
from strategies.roster import Roster

_Arguments = Callable[[Settings], dict[str, Any]]

STRATEGIES: dict[str, tuple[type[FedAvg], _Arguments]] = {
    "fedavg": (FedAvg, lambda _: {}),
    "fedprox": (FedProx, lambda s: {"proximal_mu": s.training.proximal_mu}),
    "fedadam": (FedAdam, lambda s: {"eta": s.federation.server_learning_rate}),
    "fedyogi": (FedYogi, lambda s: {"eta": s.federation.server_learning_rate}),
    "fedavgm": (FedAvgM, lambda s: {"server_momentum": s.federation.server_momentum}),
    "fedmedian": (FedMedian, lambda _: {}),
    "fedtrimmedavg": (FedTrimmedAvg, lambda s: {"beta": s.federation.trim_fraction}),
    "krum": (Krum, lambda s: {"num_malicious_nodes": s.federation.num_malicious}),
}
"""Name in the settings to Flower's class and to what the settings say to its constructor."""


def build_strategy(settings: Settings, spec: ModelSpec, roster: Roster, observer: RoundObserver) -> ResumableObserver:
    """Return the strategy that the settings name, with the observer around it."""
    base, arguments = STRATEGIES[settings.federation.strategy]
    own = arguments(settings)
    if settings.privacy.dp != "off":
        base, own = differentially_private(base), own | {"privacy": settings.privacy}
    return observed(base)(settings=settings, spec=spec, roster=roster, observer=observer, **own)
