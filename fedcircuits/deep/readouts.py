"""New readouts for a frozen network, fitted on a few images: a linear head on its features, or rescaled logits."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

HEAD_PENALTY = 1.0
"""Linear heads: summed cross-entropy + penalty / 2 * sum of squared weights, on standardised features. It is 1 / C of
scikit-learn's logistic regression, at its default."""

RESCALING_PENALTY = 1e-3
"""Rescaled logits: mean cross-entropy + penalty / 2 * sum of squares, on standardised logits. It only keeps the scale
of separable classes finite."""

MOST_STEPS = 200
"""Iterations of LBFGS at most; a fit that has not converged by then is good enough to compare."""

CONSTANT = 1e-6
"""A column whose spread is below this share of the largest one's is taken as constant."""


@dataclass(frozen=True)
class Readout:
    """A map from a network's outputs to class scores.

    Args:
        class_ids: `[row]`, the class that each row of scores is for.
        weight: `[row, column]`, float64.
        bias: `[row]`, float64.
    """

    class_ids: Int[Tensor, " row"]
    weight: Float[Tensor, "row column"]
    bias: Float[Tensor, " row"]

    def predict(self, inputs: Float[Tensor, "image column"]) -> Int[Tensor, " image"]:
        """Return the class of each image; the lowest of several that tie."""
        return self.class_ids[(inputs.double() @ self.weight.T + self.bias).argmax(1)]


def fit_head(features: Float[Tensor, "image feature"], labels: Int[Tensor, " image"]) -> Readout:
    """Fit a linear head by logistic regression on the classes that there are; of a single one it always says that."""
    class_ids, rows = labels.unique(return_inverse=True)
    shift, scale = _standards(features)
    standard = (features.double() - shift) / scale
    weight = standard.new_zeros(len(class_ids), standard.shape[1])
    bias = standard.new_zeros(len(class_ids))

    def loss() -> Tensor:
        penalty = HEAD_PENALTY / 2 * weight.square().sum() / len(rows)
        return F.cross_entropy(standard @ weight.T + bias, rows) + penalty

    _minimise(loss, [weight, bias])
    return _unfolded(class_ids, weight, bias, shift, scale)


def fit_rescaling(logits: Float[Tensor, "image class"], labels: Int[Tensor, " image"]) -> Readout:
    """Fit one scale and one bias per logit by cross-entropy; nothing is mixed between classes."""
    shift, scale = _standards(logits)
    standard = (logits.double() - shift) / scale
    factors, offsets = torch.ones_like(shift), torch.zeros_like(shift)

    def loss() -> Tensor:
        penalty = RESCALING_PENALTY / 2 * (factors.square().sum() + offsets.square().sum())
        return F.cross_entropy(standard * factors + offsets, labels) + penalty

    _minimise(loss, [factors, offsets])
    class_ids = torch.arange(logits.shape[1], device=logits.device)
    return _unfolded(class_ids, factors.diag(), offsets, shift, scale)


@torch.enable_grad()
def _minimise(loss: Callable[[], Tensor], parameters: list[Tensor]) -> None:
    """Change the parameters in place so that the loss, which is convex in them, is least."""
    for parameter in parameters:
        parameter.requires_grad_()
    optimiser = torch.optim.LBFGS(parameters, max_iter=MOST_STEPS, line_search_fn="strong_wolfe")

    def evaluate() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(evaluate)
    for parameter in parameters:
        parameter.requires_grad_(False)


def _standards(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return what standardises each column, float64; constant columns become 0."""
    shift = inputs.double().mean(0)
    spread = inputs.double().std(0, correction=0)
    return shift, torch.where(spread > CONSTANT * spread.max(), spread, torch.inf)


def _unfolded(class_ids: Tensor, weight: Tensor, bias: Tensor, shift: Tensor, scale: Tensor) -> Readout:
    """Return the readout of raw inputs that equals the given one of standardised inputs."""
    raw = weight / scale
    return Readout(class_ids, raw, bias - raw @ shift)
