import torch
from hypothesis import given
from hypothesis import strategies as st

from fedcircuits.circuits.discovery.images import Negatives, discovery_images, draw_contrast_set
from fedcircuits.data.datasets import LabelledImages


def pool_of(counts: dict[int, int]) -> LabelledImages:
    labels = torch.tensor([class_id for class_id, count in counts.items() for _ in range(count)])
    return LabelledImages(torch.zeros(len(labels), 1, 4, 4), labels)


def drawn_labels(counts, wanted, per_class, seed=0):
    """Labels drawn for each class, own ones and others."""
    images = discovery_images(pool_of(counts), None, wanted, "contrast")
    chosen = draw_contrast_set(images, per_class, torch.Generator().manual_seed(seed))
    assert len(set(zip(chosen.samples.indices.tolist(), chosen.samples.group.tolist(), strict=True))) == len(chosen)
    labels = images.pool.labels[chosen.samples.indices]
    rows = [chosen.samples.group == row for row in range(len(images.class_ids))]
    return [(labels[row & chosen.is_positive].tolist(), labels[row & ~chosen.is_positive].tolist()) for row in rows]


def test_half_of_the_images_are_of_the_class_and_the_others_give_alike():
    ((own, others),) = drawn_labels({0: 20, 1: 20, 4: 20}, (1,), 16)
    assert own == [1] * 8
    assert sorted(others) == [0] * 4 + [4] * 4


def test_a_class_of_few_images_gives_all_of_them_and_others_fill_its_place():
    (own, others), _ = drawn_labels({0: 3, 1: 20, 2: 1}, (0, 1), 16)
    assert own == [0, 0, 0]
    assert sorted(others) == [1] * 7 + [2]


def test_an_uneven_rest_does_not_always_fall_to_the_same_class():
    rests = {tuple(sorted(drawn_labels({0: 9, 1: 9, 2: 9}, (0,), 2, seed)[0][1])) for seed in range(20)}
    assert rests == {(1,), (2,)}


@given(st.integers(0, 2**20), st.integers(1, 12).map(lambda half: 2 * half))
def test_shares_make_means_of_own_and_of_other_images(seed, per_class):
    images = discovery_images(pool_of({0: 5, 1: 9, 2: 2}), None, (0, 1, 2), "contrast")
    chosen = draw_contrast_set(images, per_class, torch.Generator().manual_seed(seed))
    for row in range(3):
        for kind in (True, False):
            share = chosen.share[(chosen.samples.group == row) & (chosen.is_positive == kind)]
            torch.testing.assert_close(share, torch.full_like(share, 1 / len(share)))


def test_without_other_classes_all_images_are_of_the_class():
    images = discovery_images(pool_of({3: 9}), None, (3,), "contrast")
    assert images.negatives is Negatives.NONE
    chosen = draw_contrast_set(images, 8, torch.Generator())
    assert len(chosen) == 8
    assert chosen.is_positive.all()


def test_a_model_that_knows_some_classes_is_sized_on_these():
    images = discovery_images(pool_of({0: 5, 1: 9, 2: 2, 3: 4}), None, (1,), "contrast")
    known = images.of_trained([0, 1])
    assert known.pool.labels.unique().tolist() == [0, 1]
    assert (known.class_ids, known.negatives) == ((1,), Negatives.OWN)


def test_a_model_that_knows_nothing_else_is_sized_on_all_images():
    images = discovery_images(pool_of({0: 5, 1: 9}), None, (1,), "contrast")
    assert images.of_trained([1]) is images
    assert images.of_trained([7]) is images
