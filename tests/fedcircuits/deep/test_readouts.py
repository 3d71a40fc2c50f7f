"""New readouts on frozen outputs, on data whose classes are known to be separable or not."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from fedcircuits.deep.readouts import fit_head, fit_rescaling


def clusters(centres: list[list[float]], per_class: int = 20, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    """Draw points around one centre per class."""
    generator = torch.Generator().manual_seed(0)
    points = torch.tensor(centres).repeat_interleave(per_class, 0)
    labels = torch.arange(len(centres)).repeat_interleave(per_class)
    return points + noise * torch.randn(points.shape, generator=generator), labels


def test_a_head_tells_separable_classes_apart() -> None:
    features, labels = clusters([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    assert torch.equal(fit_head(features, labels).predict(features), labels)


@pytest.mark.parametrize("class_ids", [[3, 7], [7, 3]])
def test_a_head_of_two_classes_answers_with_their_ids(class_ids: list[int]) -> None:
    features, labels = clusters([[0.0], [4.0]])
    labels = torch.tensor(class_ids)[labels]
    assert torch.equal(fit_head(features, labels).predict(features), labels)


def test_a_head_that_has_seen_one_class_always_says_it() -> None:
    features, labels = clusters([[1.0, 2.0]])
    head = fit_head(features, labels + 5)
    assert head.predict(torch.randn(4, 2)).tolist() == [5, 5, 5, 5]


def test_features_that_never_vary_are_ignored_even_where_they_vary_later() -> None:
    features, labels = clusters([[0.0, 0.0], [4.0, 0.0]])
    features[:, 1] = 0.3
    head = fit_head(features, labels)
    later = features.clone()
    later[:, 1] = 1000.0
    assert torch.equal(head.predict(later), labels)


def test_features_that_are_all_constant_give_a_head_that_says_one_class() -> None:
    head = fit_head(torch.full((6, 3), 0.3), torch.tensor([0, 0, 0, 0, 1, 1]))
    assert head.predict(torch.randn(5, 3)).tolist() == [0] * 5


def test_the_unit_of_features_does_not_matter() -> None:
    features, labels = clusters([[0.0, 0.0], [1.0, 0.5], [0.5, 1.0]], noise=0.4)
    plain, scaled = fit_head(features, labels), fit_head(1e-4 * features + 3, labels)
    assert torch.equal(plain.predict(features), scaled.predict(1e-4 * features + 3))


def test_a_head_is_the_logistic_regression_of_scikit_learn() -> None:
    features, labels = clusters([[0.0, 0.0], [1.0, 0.5], [0.5, 1.0]], noise=0.8)
    standard = (features - features.mean(0)) / features.std(0, correction=0)
    theirs = LogisticRegression(tol=1e-8).fit(standard.numpy(), labels.numpy())
    expected = theirs.predict_proba(standard.numpy())
    head = fit_head(features, labels)
    ours = (features.double() @ head.weight.T + head.bias).softmax(1)
    # Both stop where the gradient is small, not where it is zero.
    torch.testing.assert_close(ours, torch.from_numpy(expected).double(), rtol=0, atol=1e-3)


def test_rescaling_undoes_scales_and_biases_of_logits() -> None:
    logits, labels = clusters([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]], noise=0.3)
    spoilt = 1e-3 * logits * torch.tensor([1.0, 5.0, 0.1]) + torch.tensor([0.0, 9.0, -3.0])
    assert set(spoilt.argmax(1).tolist()) == {1}
    assert torch.equal(fit_rescaling(spoilt, labels).predict(spoilt), labels)


def test_rescaling_cannot_exchange_classes_but_a_head_can() -> None:
    # Class 0 is told by logit 1, class 1 by logit 2 and class 2 by logit 0, of which each is the difference to come.
    logits, labels = clusters([[0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [2.0, 0.0, 0.0]])
    rescaled = fit_rescaling(logits, labels)
    assert rescaled.weight.count_nonzero() == 3
    assert torch.equal(rescaled.weight, rescaled.weight.diag().diag())
    assert torch.equal(fit_head(logits, labels).predict(logits), labels)


def test_logits_that_never_vary_can_be_rescaled() -> None:
    readout = fit_rescaling(torch.full((6, 3), 0.5), torch.tensor([0, 1, 1, 1, 2, 2]))
    assert readout.predict(torch.full((2, 3), 0.5)).tolist() == [1, 1]  # the most frequent class
