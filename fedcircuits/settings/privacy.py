"""What clients say of themselves, and how much noise covers it: the settings, and which of them go together.

docs/privacy.md says what each of them hides, and from whom.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fedcircuits.settings.config_values import Between

Report = Literal["full", "masks", "weights"]

_OPENNESS: dict[str, int] = {"weights": 0, "masks": 1, "full": 2}
"""The kinds of report, each of which holds everything that those before it do."""


@dataclass(frozen=True)
class PrivacySettings:
    """What leaves a client, and the noise on it."""

    client_report: Report
    mask_flip_probability: Annotated[float, Between(0, 0.5, high_open=True)]
    dp: Literal["off", "server-fixed-clipping", "client-fixed-clipping"]
    dp_clipping_norm: Annotated[float, Between(0, low_open=True)]
    dp_noise_multiplier: Annotated[float, Between(0)]

    @property
    def reports_classes(self) -> bool:
        """Whether clients tell classes apart in what they send: circuits, accuracy, numbers of images."""
        return self.client_report == "full"

    @property
    def reports_masks(self) -> bool:
        """Whether clients send their weight masks."""
        return self.client_report != "weights"

    @property
    def sends_models(self) -> bool:
        """Whether the weights that clients send are those of the models that they trained."""
        return self.dp != "client-fixed-clipping"

    @property
    def sends_true_masks(self) -> bool:
        """Whether the masks that clients send are, bit by bit, those of the weights that they send."""
        return self.reports_masks and self.sends_models and self.mask_flip_probability == 0


OPEN = PrivacySettings("full", 0.0, "off", 1.0, 0.0)
"""Clients say everything, without noise."""


def exceeds(asked: Report, allowed: Report) -> bool:
    """Tell whether a kind of report says more than another."""
    return _OPENNESS[asked] > _OPENNESS[allowed]


def bit_epsilon(flip_probability: float) -> float:
    """Return the epsilon of local differential privacy of a mask's bit in one round; infinite without noise."""
    return math.log((1 - flip_probability) / flip_probability) if flip_probability else math.inf


def privacy_problems(values: dict[str, Any]) -> list[str]:
    """Return what is wrong with settings that are right one by one, each with what to do about it."""
    return [*_report_problems(values), *_noise_problems(values)]


def _report_problems(values: dict[str, Any]) -> list[str]:
    report, problems = values["client_report"], []
    if report == "weights" and values["mask_flip_probability"]:
        problems.append(
            f'mask-flip-probability = {values["mask_flip_probability"]}: with client-report = "weights" no mask is '
            "sent; it must be 0.0"
        )
    if report == "full" and values["dp"] == "client-fixed-clipping":
        problems.append(
            'client-report = "full": with dp = "client-fixed-clipping" the server does not get the models in which '
            'clients found their circuits; it must be masks or weights, or dp = "server-fixed-clipping"'
        )
    return problems


def _noise_problems(values: dict[str, Any]) -> list[str]:
    noise = values["dp_noise_multiplier"]
    if not noise:
        return []
    if values["dp"] == "off":
        return [f'dp-noise-multiplier = {noise}: dp = "off" adds no noise; set dp, or it must be 0.0']
    if values["weighting"] != "plain":
        return [
            f"dp-noise-multiplier = {noise}: the noise is sized for clients of equal weight; weighting must be plain"
        ]
    return []
