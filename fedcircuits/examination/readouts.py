"""New readouts for a frozen network: its own one, changed as far as images that it was not fitted on bear out.

Every fit is a ridge towards the readout that the network has: mean cross-entropy + strength / 2 * the squared change.
Cross-validation chooses among several strengths, and leaving the readout as it is is one of the choices. So a new
readout is worse than the network's own by chance only; fitted freely on a few hundred images, it can be far worse. What
is compared is cross-entropy on images left out: accuracy jumps by whole images, and chooses worse.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

STRENGTHS = (1.0, 0.1, 0.01, 0.001)
"""Strengths of the ridge that are tried, on standardised inputs: from little change to much, until one is worse than
the one before. Weak ones take longest."""

NUM_FOLDS = 5
"""Parts of the images, of which each is predicted by a readout that was fitted on the others."""

CHOICE_STEPS = 30
"""Iterations of LBFGS at most for each strength; fits start from the one before and only have to be ranked."""

FINAL_STEPS = 60
"""Iterations of LBFGS at most for the fit that is used."""

GRADIENT = 1e-3
"""A fit is done when no entry of its gradient is larger."""

CONSTANT = 1e-6
"""A column whose spread is below this share of the largest one's is taken as constant."""

_RANK = 1e-7
"""Directions with less than this share of the largest one's squared length are lost in float32."""

Scores = Callable[[Float[Tensor, "coefficient fit class"]], Float[Tensor, "image fit class"]]
"""What coefficients add to class scores, several fits side by side."""


@dataclass(frozen=True)
class Readout:
    """A linear map from a network's outputs to class scores.

    Args:
        weight: `[class, column]`, float64.
        bias: `[class]`, float64.
    """

    weight: Float[Tensor, "class column"]
    bias: Float[Tensor, " class"]

    def scores(self, inputs: Float[Tensor, "image column"]) -> Float[Tensor, "image class"]:
        """Return the class scores of each image, float64."""
        return inputs.double() @ self.weight.T + self.bias

    def predict(self, inputs: Float[Tensor, "image column"]) -> Int[Tensor, " image"]:
        """Return the class of each image; the lowest of several that tie."""
        return self.scores(inputs).argmax(1)


@dataclass(frozen=True)
class _Change:
    """A linear family of changes of class scores on the images of a fit.

    Args:
        scores: what coefficients add.
        spread: `[coefficient]`, mean square of what each multiplies; steps are scaled by it.
    """

    scores: Scores
    spread: Float[Tensor, " coefficient"]


def no_readout(num_classes: int, num_columns: int) -> Readout:
    """Return the readout that knows nothing, for features that have none of their own."""
    return Readout(
        torch.zeros(num_classes, num_columns, dtype=torch.float64), torch.zeros(num_classes, dtype=torch.float64)
    )


def fit_readout(
    features: Float[Tensor, "image feature"],
    labels: Int[Tensor, " image"],
    own: Readout,
    groups: Int[Tensor, " image"] | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> Readout:
    """Fit a linear readout by logistic regression, as close to the network's own as cross-validation advises.

    Args:
        features: what the readout sees, on the CPU, at least one image.
        labels: the images' classes.
        own: where the ridge leads; `no_readout` if the features have none that means anything.
        groups: images of one group are left out together; None = every image by itself.
        strengths: of the ridge, from strong to weak; the choice is between these and `own`.

    Returns:
        `own` itself if no change is better, or if features or its scores are not finite.
    """
    shift, scale = _standards(features)
    standard = ((features.double() - shift) / scale).float()
    # The bias is one more feature. A ridge does not see which way features are turned: in as many directions as there
    # are images, of which none leans on another, a fit takes a fraction of the time.
    extended = torch.cat([standard, standard.new_ones(len(standard), 1)], dim=1)
    if not extended.isfinite().all():
        return own
    turned, back = _turned(extended)
    change = _Change(lambda c: (turned @ c.flatten(1)).view(len(turned), *c.shape[1:]), turned.square().mean(0))
    found = _choose(own.scores(features).float(), change, labels, groups, strengths)
    if found is None:
        return own
    sharpness, coefficients = found
    added = (back @ coefficients).double().T
    raw = added[:, :-1] / scale
    return Readout(sharpness * own.weight + raw, sharpness * own.bias + added[:, -1] - raw @ shift)


def fit_rescaling(
    logits: Float[Tensor, "image class"],
    labels: Int[Tensor, " image"],
    groups: Int[Tensor, " image"] | None = None,
) -> Readout:
    """Fit one scale and one bias per logit, as close to 1 and 0 as cross-validation advises; classes are not mixed.

    Args:
        logits: of at least one image, on the CPU.
        labels: the images' classes.
        groups: as in `fit_readout`.

    Returns:
        a readout of logits; the identity if no change is better, or if logits are not finite.
    """
    num_classes = logits.shape[1]
    own = Readout(torch.eye(num_classes, dtype=torch.float64), torch.zeros(num_classes, dtype=torch.float64))
    shift, scale = _standards(logits)
    standard = ((logits.double() - shift) / scale).float()
    if not standard.isfinite().all():
        return own
    change = _Change(lambda c: standard[:, None] * c[0] + c[1], torch.ones(2))
    found = _choose(logits.float(), change, labels, groups, STRENGTHS)
    if found is None:
        return own
    sharpness, (factors, offsets) = found[0], found[1].double()
    raw = factors / scale
    return Readout((sharpness + raw).diag(), offsets - raw * shift)


def stratified_folds(
    labels: Int[Tensor, " image"], groups: Int[Tensor, " image"] | None, num_folds: int
) -> Int[Tensor, " image"]:
    """Deal groups out to folds, class by class; a group belongs to the class of its first image.

    Args:
        labels: the images' classes.
        groups: images of one group get the same fold; None = every image by itself.
        num_folds: at least 1.
    """
    if groups is None:
        groups = torch.arange(len(labels))
    group_ids, members = groups.unique(return_inverse=True)
    first = torch.full((len(group_ids),), len(labels)).scatter_reduce(0, members, torch.arange(len(labels)), "amin")
    dealt = torch.empty_like(first)
    dealt[labels[first].argsort(stable=True)] = torch.arange(len(first)) % num_folds
    return dealt[members]


def _choose(
    own: Tensor, change: _Change, labels: Tensor, groups: Tensor | None, strengths: Sequence[float]
) -> tuple[float, Tensor] | None:
    """Return how much to sharpen a network's own scores and, `[coefficient, class]`, what to add; None = leave them."""
    folds = stratified_folds(labels, groups, NUM_FOLDS)
    num_folds = int(folds.max()) + 1
    if num_folds == 1 or not own.isfinite().all():
        return None
    sharpness = _sharpness(own, labels)
    scores = sharpness * own
    is_held = folds[:, None] == torch.arange(num_folds)
    parts = (~is_held).float() / (~is_held).sum(0)
    coefficients = scores.new_zeros(len(change.spread), num_folds, scores.shape[1])
    # What is left as it is was not fitted to any of these images, but for one number.
    least, chosen = float(F.cross_entropy(scores, labels)), None
    for strength in strengths:
        coefficients = _fit(scores, change, labels, parts, strength, coefficients, CHOICE_STEPS)
        losses = _losses(scores, change, labels, coefficients)
        loss = float((losses * is_held).sum()) / len(labels)
        if not loss < least:
            break
        least, chosen = loss, strength
    if chosen is None:
        return None
    everything = parts.new_full((len(labels), 1), 1 / len(labels))
    start = scores.new_zeros(len(change.spread), 1, scores.shape[1])
    return sharpness, _fit(scores, change, labels, everything, chosen, start, FINAL_STEPS)[:, 0]


def _fit(
    own: Tensor, change: _Change, labels: Tensor, parts: Tensor, strength: float, start: Tensor, steps: int
) -> Tensor:
    """Fit several changes at once, each to the images that its column of `parts` weighs."""
    # Cross-entropy bends by at most half a column's mean square; in these units all directions are about as steep.
    unit = (change.spread / 2 + strength).rsqrt()[:, None, None]
    scaled = start / unit

    def loss() -> Tensor:
        coefficients = scaled * unit
        losses = _losses(own, change, labels, coefficients)
        return (losses * parts).sum() + strength / 2 * coefficients.square().sum()

    _minimise(loss, scaled, steps)
    return scaled * unit


def _losses(own: Tensor, change: _Change, labels: Tensor, coefficients: Tensor) -> Tensor:
    """Return the cross-entropy of each image after each of several changes, `[image, fit]`."""
    scores = own[:, None] + change.scores(coefficients)
    targets = labels[:, None].expand(scores.shape[:2])
    return F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)


def _sharpness(scores: Tensor, labels: Tensor) -> float:
    """Return the factor by which scores have the least cross-entropy; it changes no answer, but what a ridge costs."""
    exponent = scores.new_zeros(())
    _minimise(lambda: F.cross_entropy(scores * exponent.exp(), labels), exponent, CHOICE_STEPS)
    return float(exponent.exp())


@torch.enable_grad()
def _minimise(loss: Callable[[], Tensor], parameter: Tensor, steps: int) -> None:
    """Change the parameter in place so that the loss is least."""
    parameter.requires_grad_()
    optimiser = torch.optim.LBFGS(
        [parameter], max_iter=steps, line_search_fn="strong_wolfe", tolerance_grad=GRADIENT, tolerance_change=1e-9
    )

    def evaluate() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(evaluate)
    parameter.requires_grad_(False)


def _turned(inputs: Float[Tensor, "image column"]) -> tuple[Tensor, Tensor]:
    """Return inputs in their principal directions, `[image, direction]`, and the directions, `[column, direction]`."""
    is_wide = inputs.shape[1] > inputs.shape[0]
    products = inputs @ inputs.T if is_wide else inputs.T @ inputs
    squares, vectors = torch.linalg.eigh(products.double())
    kept = squares > _RANK * squares[-1]
    lengths, vectors = squares[kept].sqrt().float(), vectors[:, kept].float()
    if is_wide:
        return vectors * lengths, inputs.T @ (vectors / lengths)
    return inputs @ vectors, vectors


def _standards(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return what standardises each column, float64; constant columns become 0."""
    shift = inputs.double().mean(0)
    spread = inputs.double().std(0, correction=0)
    return shift, torch.where(spread > CONSTANT * spread.max(), spread, torch.inf)
