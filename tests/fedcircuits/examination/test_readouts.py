"""New readouts on frozen outputs, on data whose classes are known to be separable or not."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from fedcircuits.examination.readouts import Readout, fit_readout, fit_rescaling, no_readout, stratified_folds


def clusters(
    centres: list[list[float]], per_class: int = 20, noise: float = 0.1, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Draw points around one centre per class."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.tensor(centres).repeat_interleave(per_class, 0)
    labels = torch.arange(len(centres)).repeat_interleave(per_class)
    return points + noise * torch.randn(points.shape, generator=generator), labels


def fit_freely(features: Tensor, labels: Tensor) -> Readout:
    """Fit a readout to features that have no readout."""
    return fit_readout(features, labels, no_readout(int(labels.max()) + 1, features.shape[1]))


def accuracy(readout: Readout, inputs: Tensor, labels: Tensor) -> float:
    return float((readout.predict(inputs) == labels).double().mean())


def noisy_problem(seed: int, per_class: int) -> tuple[Tensor, Tensor]:
    """Draw images of ten classes with 300 features, of which the first ten tell classes and the others nothing."""
    features, labels = clusters((2.5 * torch.eye(10, 300)).tolist(), per_class, noise=1.0, seed=seed)
    return features, labels


BEST = Readout(torch.eye(10, 300, dtype=torch.float64), torch.zeros(10, dtype=torch.float64))
"""The readout of `noisy_problem` that no other can be better than."""


@pytest.mark.parametrize("per_class", [20, 100])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_readout_that_is_the_best_already_stays_as_good(seed: int, per_class: int) -> None:
    known, asked = noisy_problem(seed, per_class), noisy_problem(99, 500)
    before, after = accuracy(BEST, *asked), accuracy(fit_readout(*known, BEST), *asked)
    # Two standard deviations of an accuracy of .8 over 5,000 images: 2 * sqrt(.8 * .2 / 5000) = .011.
    assert after >= before - 0.01


def test_a_readout_that_is_fitted_freely_on_few_images_is_far_worse_than_the_best() -> None:
    known, asked = noisy_problem(1, 20), noisy_problem(99, 500)
    assert accuracy(fit_freely(*known), *asked) < accuracy(BEST, *asked) - 0.1


@pytest.mark.parametrize("spoilt", [BEST.weight.roll(1, 0), torch.zeros_like(BEST.weight)])
def test_a_readout_whose_rows_are_permuted_or_lost_is_fitted_anew(spoilt: Tensor) -> None:
    known, asked = noisy_problem(1, 100), noisy_problem(99, 500)
    own = Readout(spoilt, BEST.bias)
    assert accuracy(own, *asked) <= 0.1
    # As much as 1,000 images teach about 300 features without any readout to start from, and not less.
    assert accuracy(fit_readout(*known, own), *asked) == pytest.approx(accuracy(fit_freely(*known), *asked), abs=0.01)
    assert accuracy(fit_freely(*known), *asked) > 0.5


def test_a_readout_is_left_as_it_is_where_no_change_does_better_on_images_left_out() -> None:
    features, labels = noisy_problem(1, 20)
    assert fit_readout(features, labels, BEST) is BEST


def test_a_stronger_ridge_leaves_the_readout_closer_to_the_networks_own() -> None:
    features, labels = noisy_problem(1, 50)
    own = Readout(BEST.weight.roll(1, 0), BEST.bias)
    far = [
        float((fit_readout(features, labels, own, strengths=(strength,)).weight - own.weight).norm())
        for strength in (1.0, 0.01)
    ]
    assert 0 < far[0] < far[1]


def test_images_of_one_group_are_left_out_together() -> None:
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    groups = torch.tensor([7, 7, 3, 3, 5, 9, 5, 9])
    folds = stratified_folds(labels, groups, 2)
    assert folds.tolist() == [1, 1, 0, 0, 0, 1, 0, 1]  # groups 3, 7 of class 0 and 5, 9 of class 1, dealt in turn


def test_folds_hold_as_many_images_of_each_class() -> None:
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2])
    folds = stratified_folds(labels, None, 4)
    assert [sorted(labels[folds == fold].tolist()) for fold in range(4)] == [[0, 1, 2]] * 4


def test_copies_that_are_kept_together_do_not_make_a_memory_of_them_look_good() -> None:
    # Every image is there five times with labels that mean nothing: a fit that sees one copy knows the others.
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(40, 100, generator=generator).repeat_interleave(5, 0)
    labels = (torch.rand(40, generator=generator) < 0.2).long().repeat_interleave(5)
    groups = torch.arange(40).repeat_interleave(5)
    own = Readout(torch.zeros(2, 100, dtype=torch.float64), torch.tensor([1.0, 0.0]).double())
    assert accuracy(fit_readout(features, labels, own), features, labels) == 1.0
    assert fit_readout(features, labels, own, groups) is own


@pytest.mark.parametrize("num_images", [1, 2])
def test_of_one_image_nothing_is_learned_and_two_are_enough_to_try(num_images: int) -> None:
    features, labels = torch.tensor([[1.0, 2.0], [2.0, 1.0]])[:num_images], torch.tensor([0, 1])[:num_images]
    own = no_readout(2, 2)
    assert fit_readout(features, labels, own).weight.isfinite().all()
    assert num_images == 2 or fit_readout(features, labels, own) is own


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_outputs_that_are_not_finite_leave_readouts_as_they_are(value: float) -> None:
    features, labels = clusters([[0.0, 0.0], [4.0, 0.0]])
    features[3, 1] = value
    own = no_readout(2, 2)
    assert fit_readout(features, labels, own) is own
    assert torch.equal(fit_rescaling(features, labels).weight, torch.eye(2, dtype=torch.float64))
    diverged = Readout(torch.full((2, 2), value, dtype=torch.float64), own.bias)
    assert fit_readout(features.nan_to_num(), labels, diverged) is diverged


def test_a_readout_tells_separable_classes_apart() -> None:
    features, labels = clusters([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    assert torch.equal(fit_freely(features, labels).predict(features), labels)


@pytest.mark.parametrize("class_ids", [[3, 7], [7, 3]])
def test_a_readout_of_two_classes_answers_with_their_ids(class_ids: list[int]) -> None:
    features, labels = clusters([[0.0], [4.0]])
    labels = torch.tensor(class_ids)[labels]
    assert torch.equal(fit_freely(features, labels).predict(features), labels)


def test_a_readout_that_has_seen_one_class_always_says_it() -> None:
    features, labels = clusters([[1.0, 2.0]])
    readout = fit_freely(features, labels + 5)
    assert readout.predict(torch.randn(4, 2)).tolist() == [5, 5, 5, 5]


def test_features_that_never_vary_are_ignored_even_where_they_vary_later() -> None:
    features, labels = clusters([[0.0, 0.0], [4.0, 0.0]])
    features[:, 1] = 0.3
    readout = fit_freely(features, labels)
    later = features.clone()
    later[:, 1] = 1000.0
    assert torch.equal(readout.predict(later), labels)


def test_features_that_are_all_constant_give_a_readout_that_says_one_class() -> None:
    readout = fit_freely(torch.full((6, 3), 0.3), torch.tensor([0, 0, 0, 0, 1, 1]))
    assert readout.predict(torch.randn(5, 3)).tolist() == [0] * 5


def test_the_unit_of_features_does_not_matter() -> None:
    features, labels = clusters([[0.0, 0.0], [1.0, 0.5], [0.5, 1.0]], noise=0.4)
    features = features.double()  # in which the shift costs no digits that the scale needs
    plain, scaled = fit_freely(features, labels), fit_freely(1e-4 * features + 3, labels)
    assert torch.equal(plain.predict(features), scaled.predict(1e-4 * features + 3))


@pytest.mark.parametrize("num_noise", [0, 150])
def test_a_readout_without_an_own_one_is_the_logistic_regression_of_scikit_learn(num_noise: int) -> None:
    points, labels = clusters([[0.0, 0.0], [1.0, 0.5], [0.5, 1.0]], noise=0.5)
    noise = torch.randn(len(points), num_noise, generator=torch.Generator().manual_seed(1))
    features = torch.cat([points, noise], dim=1)  # more features than images in one of the two cases
    standard = (features - features.mean(0)) / features.std(0, correction=0)
    extended = torch.cat([standard, torch.ones(len(standard), 1)], dim=1).numpy()  # the ridge is on the bias, too
    theirs = LogisticRegression(C=1 / (0.1 * len(labels)), fit_intercept=False, tol=1e-8).fit(extended, labels.numpy())
    readout = fit_readout(features, labels, no_readout(3, features.shape[1]), strengths=(0.1,))
    expected = torch.from_numpy(theirs.predict_proba(extended)).double()
    # Both stop where the gradient is small, not where it is zero.
    torch.testing.assert_close(readout.scores(features).softmax(1), expected, rtol=0, atol=5e-3)


def test_rescaling_undoes_scales_and_biases_of_logits() -> None:
    logits, labels = clusters([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]], noise=0.3)
    spoilt = 1e-3 * logits * torch.tensor([1.0, 5.0, 0.1]) + torch.tensor([0.0, 9.0, -3.0])
    assert set(spoilt.argmax(1).tolist()) == {1}
    assert torch.equal(fit_rescaling(spoilt, labels).predict(spoilt), labels)


def test_rescaling_cannot_exchange_classes_but_a_readout_can() -> None:
    # Class 0 is told by logit 1, class 1 by logit 2 and class 2 by logit 0, of which each is the difference to come.
    logits, labels = clusters([[0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [2.0, 0.0, 0.0]])
    rescaled = fit_rescaling(logits, labels)
    assert rescaled.weight.count_nonzero() == 3
    assert torch.equal(rescaled.weight, rescaled.weight.diag().diag())
    assert torch.equal(fit_freely(logits, labels).predict(logits), labels)


def test_logits_that_never_vary_can_be_rescaled() -> None:
    readout = fit_rescaling(torch.full((60, 3), 0.5), torch.tensor([0] * 10 + [1] * 30 + [2] * 20))
    assert readout.predict(torch.full((2, 3), 0.5)).tolist() == [1, 1]  # the most frequent class
