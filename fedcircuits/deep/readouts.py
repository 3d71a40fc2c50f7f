"""New readouts for a frozen network, fitted on a few images: a linear head on its features, or rescaled logits."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from fedcircuits.data import LabelledImages

HEAD_PENALTY = 1.0
"""Linear heads: summed cross-entropy + penalty / 2 * sum of squared weights, on standardised features; scikit-learn's
default (1 / C)."""

HEAD_STEPS = 500
"""Steps of LBFGS for a linear head at most; a head that has not converged by then is good enough to compare."""

RESCALING_PENALTY = 1e-3
"""Rescaled logits: mean cross-entropy + penalty / 2 * sum of squares, on standardised logits. It only keeps the scale
of separable classes finite."""

RESCALING_STEPS = 100
"""Iterations of LBFGS for rescaled logits at most."""

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


def balanced_sample(images: LabelledImages, per_class: int, generator: torch.Generator) -> LabelledImages:
    """Draw up to `per_class` images of every class that there is, without replacement."""
    order = torch.randperm(len(images), generator=generator).to(images.device)
    labels = images.labels[order]
    chosen = [order[labels == class_id][:per_class] for class_id in labels.unique()]
    return images.select(torch.cat(chosen) if chosen else order)


def fit_head(features: Float[Tensor, "image feature"], labels: Int[Tensor, " image"]) -> Readout:
    """Fit a linear head by logistic regression; of a single class it always says that class."""
    # A second of import that a run without heavy measures need not pay.
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    class_ids = labels.unique()
    shift, scale = _standards(features)
    if len(class_ids) == 1:
        return _unfolded(class_ids, features.new_zeros(1, features.shape[1]), features.new_zeros(1), shift, scale)
    standard = ((features.double() - shift) / scale).cpu().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LogisticRegression(C=1 / HEAD_PENALTY, max_iter=HEAD_STEPS).fit(standard, labels.cpu().numpy())
    weight, bias = np.asarray(fitted.coef_), np.asarray(fitted.intercept_)
    if len(class_ids) == 2:
        # Of two classes, scikit-learn gives the scores of the second against the first.
        weight, bias = np.vstack([-weight, weight]), np.concatenate([-bias, bias])
    return _unfolded(class_ids, torch.from_numpy(weight), torch.from_numpy(bias), shift, scale)


def fit_rescaling(logits: Float[Tensor, "image class"], labels: Int[Tensor, " image"]) -> Readout:
    """Fit one scale and one bias per logit by cross-entropy; nothing is mixed between classes."""
    shift, scale = _standards(logits)
    standard = (logits.double() - shift) / scale
    factors = torch.ones_like(shift, requires_grad=True)
    offsets = torch.zeros_like(shift, requires_grad=True)
    optimiser = torch.optim.LBFGS([factors, offsets], max_iter=RESCALING_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        penalty = RESCALING_PENALTY / 2 * (factors.square().sum() + offsets.square().sum())
        value = F.cross_entropy(standard * factors + offsets, labels) + penalty
        value.backward()
        return value

    optimiser.step(loss)
    class_ids = torch.arange(logits.shape[1], device=logits.device)
    return _unfolded(class_ids, factors.detach().diag(), offsets.detach(), shift, scale)


def _standards(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return what standardises each column, float64; constant columns become 0."""
    shift = inputs.double().mean(0)
    spread = inputs.double().std(0, correction=0)
    return shift, torch.where(spread > CONSTANT * spread.max(), spread, torch.inf)


def _unfolded(class_ids: Tensor, weight: Tensor, bias: Tensor, shift: Tensor, scale: Tensor) -> Readout:
    """Return the readout of raw inputs that equals the given one of standardised inputs."""
    raw = weight.to(shift) / scale
    return Readout(class_ids, raw, bias.to(shift) - raw @ shift)
