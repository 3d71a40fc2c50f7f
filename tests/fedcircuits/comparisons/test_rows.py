import torch

from fedcircuits.circuits.circuit import unpack_bits
from fedcircuits.comparisons.rows import hits_of_class, origins_by_class
from fedcircuits.data.datasets import LabelledImages


def labelled(labels: list[int], origins: list[int] | None = None) -> LabelledImages:
    tensor = None if origins is None else torch.tensor(origins)
    return LabelledImages(torch.zeros(len(labels), 1, 2, 2), torch.tensor(labels), tensor)


def test_hits_tell_image_by_image_what_is_recognised_of_a_class() -> None:
    labels, predicted = torch.tensor([0, 1, 0, 0, 1]), torch.tensor([0, 0, 1, 0, 1])
    assert unpack_bits(hits_of_class(predicted, labels, 0), (3,), "hits").tolist() == [True, False, True]
    assert unpack_bits(hits_of_class(predicted, labels, 1), (2,), "hits").tolist() == [False, True]
    assert hits_of_class(predicted, labels, 2) == b""


def test_originals_are_numbered_within_each_class_in_the_order_of_the_test_set() -> None:
    test = labelled([0, 1, 0, 1, 0, 0], origins=[7, 40, 3, 40, 7, 3])
    assert origins_by_class(test, 3) == [[0, 1, 0, 1], [0, 0], []]
    assert origins_by_class(labelled([0, 1]), 2) is None
