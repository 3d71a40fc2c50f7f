"""Digests by which images are known again."""

import torch

from fedcircuits.data.datasets import LabelledImages, load_dataset
from fedcircuits.data.fingerprints import fingerprint


def images(*, moved: bool = False) -> LabelledImages:
    pixels = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
    if moved:
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    return LabelledImages(pixels, torch.tensor([1, 0]))


def test_the_same_images_have_one_however_they_lie_in_memory() -> None:
    assert fingerprint(images()) == fingerprint(images(moved=True))
    assert len(fingerprint(images())) == 32


def test_every_pixel_label_and_the_order_count() -> None:
    known = fingerprint(images())
    changed = images()
    changed.images[1, 2, 3, 4] += 1
    other_label = LabelledImages(images().images, torch.tensor([1, 1]))
    reordered = images().select(torch.tensor([1, 0]))
    empty = images().select(torch.tensor([], dtype=torch.int64))
    assert len({known, *map(fingerprint, (changed, other_label, reordered, empty))}) == 5


def test_a_secret_hides_whose_images_they_are() -> None:
    assert fingerprint(images(), salt=b"one") != fingerprint(images(), salt=b"other")


def test_a_datasets_are_those_before_limits(make_settings) -> None:
    def of(**changes) -> dict[str, str]:
        settings = make_settings({key.replace("_", "-"): value for key, value in changes.items()})
        return dict(load_dataset(settings.data, changes.get("seed", 0), is_identified=True).fingerprints)

    assert set(of()) == {"train", "heldout"}
    assert of() == of(train_limit=50, heldout_limit=40, seed=3)
    assert of() != of(dataset="cluttered-digits")
    assert load_dataset(make_settings({}).data, 0).fingerprints == {}
