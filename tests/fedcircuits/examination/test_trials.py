"""The images that decide about one class."""

from additive_network import additive_subject, pixel_images

from fedcircuits.examination.trials import prepare_trial
from fedcircuits.networks.cnn import GateSite


def decisive(labels: list[int], class_id: int, trained: list[int]) -> list[tuple[int, float]]:
    """Return class and number of each image that a trial takes from these."""
    data = pixel_images([float(number) for number in range(len(labels))], labels)
    chosen = prepare_trial(additive_subject((1.0, 0.0, 0.0, 0.0)), data, class_id, trained, GateSite.POST).data
    return list(zip(chosen.labels.tolist(), chosen.images[:, 0, 0, 0].tolist(), strict=True))


def test_as_many_other_images_are_taken_as_there_are_own_ones() -> None:
    taken = decisive([0, 0, *[1] * 10], 0, [0, 1])
    assert [label for label, _ in taken] == [0, 0, 1, 1]
    assert len(set(taken)) == 4


def test_other_classes_have_equal_parts() -> None:
    taken = decisive([0] * 4 + [1] * 4 + [2] * 4, 1, [0, 1, 2])
    assert sorted(label for label, _ in taken) == [0, 0, 1, 1, 1, 1, 2, 2]


def test_classes_that_the_model_was_not_trained_on_do_not_count() -> None:
    assert {label for label, _ in decisive([0, 0, 1, 1, 2, 2], 0, [0, 1])} == {0, 1}


def test_all_others_are_taken_where_they_are_fewer() -> None:
    assert [label for label, _ in decisive([0, 0, 0, 1], 0, [0, 1])] == [0, 0, 0, 1]
