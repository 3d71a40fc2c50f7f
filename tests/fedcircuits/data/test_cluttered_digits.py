from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fedcircuits.data import datasets as data_module
from fedcircuits.data.cluttered_digits import Clutter, place_digits
from fedcircuits.data.datasets import Dataset, LabelledImages, load_dataset
from fedcircuits.data.partitions import partition_indices
from fedcircuits.settings import Settings

MakeSettings = Callable[[dict[str, Any]], Settings]

DIGITS = np.stack([np.full((8, 8), 0.5), np.full((8, 8), 0.25), np.full((8, 8), 1.0)])
LABELS = np.array([0, 1, 1])


def load(make_settings: MakeSettings, overrides: dict[str, Any] | None = None, seed: int = 0) -> Dataset:
    return load_dataset(make_settings({"dataset": "cluttered-digits", **(overrides or {})}).data, seed)


def origins(data: LabelledImages) -> set[int]:
    assert data.origins is not None
    return set(data.origins.tolist())


def boxes(canvases: np.ndarray[Any, np.dtype[np.floating]]) -> list[tuple[int, int, int, int]]:
    """Return top, left, height and width of what is bright on each canvas."""
    found = []
    for canvas in canvases:
        rows, columns = (np.flatnonzero(canvas.any(axis)) for axis in (1, 0))
        found.append((rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1))
    return found


def test_without_fragments_a_canvas_shows_its_digit_and_nothing_else() -> None:
    canvases = place_digits(DIGITS, LABELS, Clutter(14, 0, 50), np.random.default_rng(0))
    assert canvases.shape == (150, 14, 14)
    for digit, value in enumerate((0.5, 0.25, 1.0)):
        own = canvases[digit * 50 : (digit + 1) * 50]
        assert ((own == value).sum((1, 2)) == 64).all()
        assert ((own == 0).sum((1, 2)) == 14 * 14 - 64).all()
        assert {(height, width) for _, _, height, width in boxes(own)} == {(8, 8)}


def test_digits_come_to_lie_everywhere_on_the_canvas() -> None:
    canvases = place_digits(DIGITS[:2], LABELS[:2], Clutter(10, 0, 100), np.random.default_rng(0))
    corners = {(top, left) for top, left, _, _ in boxes(canvases)}
    # 200 draws of nine places: one of them is missed with a chance of 9 (8/9)^200 < 1e-9.
    assert corners == {(top, left) for top in range(3) for left in range(3)}


def test_a_canvas_of_the_digits_size_holds_the_digit_as_it_is() -> None:
    canvases = place_digits(DIGITS, LABELS, Clutter(8, 0, 2), np.random.default_rng(0))
    assert np.array_equal(canvases, DIGITS.repeat(2, axis=0))


def test_a_fragment_is_a_square_of_another_class_and_the_brightest_pixel_shows() -> None:
    canvases = place_digits(DIGITS, LABELS, Clutter(14, 1, 200), np.random.default_rng(0))
    of_zero, dim, bright = canvases[:200], canvases[200:400], canvases[400:]
    # Over the digit of 0.5 lies a fragment of 0.25, of which only what is beside the digit shows, or one of 1.0, which
    # shows as a whole.
    has_bright = (of_zero == 1.0).any((1, 2))
    assert 60 < has_bright.sum() < 140  # either with a chance of a half
    assert ((of_zero[has_bright] == 1.0).sum((1, 2)) == 16).all()
    assert ((of_zero[~has_bright] == 0.5).sum((1, 2)) == 64).all()
    assert ((of_zero[~has_bright] == 0.25).sum((1, 2)) <= 16).all()
    # The other two are of one class, so that their only fragments are of 0.5.
    assert set(np.unique(dim)) == {0.0, 0.25, 0.5}
    assert ((dim == 0.5).sum((1, 2)) == 16).all()
    assert set(np.unique(bright)) == {0.0, 0.5, 1.0}
    assert ((bright == 1.0).sum((1, 2)) == 64).all()


def test_a_window_of_a_digit_is_taken_as_it_is() -> None:
    pixels = np.arange(1, 65).reshape(8, 8) / 64
    digits = np.stack([np.zeros((8, 8)), pixels])
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (4, 4)).reshape(-1, 4, 4)
    for canvas in place_digits(digits, np.array([3, 5]), Clutter(14, 1, 20), np.random.default_rng(0))[:20]:
        ((top, left, height, width),) = boxes(canvas[None])
        assert (height, width) == (4, 4)
        assert any(np.array_equal(canvas[top : top + 4, left : left + 4], window) for window in windows)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=12).filter(lambda ids: len(set(ids)) > 1), st.integers(0, 99))
def test_fragments_are_never_of_the_digits_own_class(labels: list[int], seed: int) -> None:
    # A digit of class c is black, and its fragments would be c + 1 bright: whatever shows is of another class.
    values = np.array(labels) + 1.0
    digits = np.broadcast_to(values[:, None, None], (len(labels), 8, 8)).copy()
    canvases = place_digits(digits, np.array(labels), Clutter(14, 2, 3), np.random.default_rng(seed))
    for image, canvas in enumerate(canvases):
        own = values[image // 3]
        shown = canvas[canvas != 0]
        assert (shown == own).sum() <= 64
        assert set(shown) <= set(values)


def test_the_dataset_has_six_placements_of_each_digit_in_the_digits_own_split(make_settings: MakeSettings) -> None:
    cluttered, digits = load(make_settings), load_dataset(make_settings({}).data, 0)
    for part, plain in zip(
        (cluttered.train, cluttered.probe, cluttered.test), (digits.train, digits.probe, digits.test), strict=True
    ):
        assert len(part) == 6 * len(plain)
        assert part.images.shape == (len(part), 1, 14, 14)
        assert part.images.dtype == torch.float32
        assert part.images.is_contiguous(memory_format=torch.channels_last)
        assert part.labels[::6].tolist() == plain.labels.tolist()
        _, original = part.originals()
        assert original.tolist() == [position // 6 for position in range(len(part))]


def test_each_digit_is_there_as_a_whole(make_settings: MakeSettings) -> None:
    mean, std = data_module._NORMALISATION["cluttered-digits"]
    test, plain = load(make_settings).test, load_dataset(make_settings({}).data, 0).test
    pixels = (test.images * std[0] + mean[0])[:, 0]
    (digit_mean,), (digit_std,) = data_module._NORMALISATION["digits"]
    digits = (plain.images * digit_std + digit_mean)[:, 0].repeat_interleave(6, dim=0)
    windows = pixels.unfold(1, 8, 1).unfold(2, 8, 1).reshape(len(pixels), 49, 8, 8)
    covers = (windows >= digits[:, None] - 1e-5).all(-1).all(-1)
    assert covers.any(1).all()


def test_training_pixels_have_mean_zero_and_standard_deviation_one(make_settings: MakeSettings) -> None:
    images = load(make_settings).train.images
    # The constants have four digits.
    assert float(images.mean()) == pytest.approx(0.0, abs=5e-4)
    assert float(images.std()) == pytest.approx(1.0, abs=5e-4)


def test_images_are_the_same_in_every_process_and_for_every_seed_of_a_run(make_settings: MakeSettings) -> None:
    first = load(make_settings)
    data_module._load.cache_clear()
    again = load(make_settings, seed=1)
    assert first.train is not again.train
    for one, other in zip((first.train, first.probe, first.test), (again.train, again.probe, again.test), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
    # Pinned: other images would make runs of different versions incomparable.
    mean, std = data_module._NORMALISATION["cluttered-digits"]
    sums = ((first.train.images[:4] * std[0] + mean[0]) * 16).sum((1, 2, 3)).round().int().tolist()
    assert sums == [545, 419, 499, 526]


def test_settings_decide_on_canvas_fragments_and_copies(make_settings: MakeSettings) -> None:
    changes = {"clutter-size": 20, "clutter-fragments": 0, "clutter-copies": 2}
    settings = make_settings({"dataset": "cluttered-digits", **changes}).data
    dataset = load_dataset(settings, 0)
    assert settings.shape == (10, 20, 1)
    assert dataset.train.images.shape == (2 * 899, 1, 20, 20)
    black = dataset.train.images.min()
    assert ((dataset.train.images != black).sum((1, 2, 3)) <= 64).all()


def test_settings_of_clutter_do_not_matter_to_other_datasets(make_settings: MakeSettings) -> None:
    digits = load_dataset(make_settings({"clutter-size": 20, "clutter-copies": 2}).data, 0)
    assert torch.equal(digits.train.images, load_dataset(make_settings({}).data, 0).train.images)


@hypothesis_settings(max_examples=10)
@given(
    copies=st.integers(1, 4),
    train_limit=st.integers(0, 3000),
    heldout_limit=st.one_of(st.just(0), st.integers(100, 2000)),
    probe_fraction=st.floats(0.1, 0.9),
    seed=st.integers(0, 9),
)
def test_placements_of_a_digit_are_never_in_two_parts(
    make_settings: MakeSettings, copies: int, train_limit: int, heldout_limit: int, probe_fraction: float, seed: int
) -> None:
    limits = {"train-limit": train_limit, "heldout-limit": heldout_limit, "probe-fraction": probe_fraction}
    dataset = load(make_settings, {"clutter-copies": copies, **limits}, seed)
    train, probe, test = (origins(part) for part in (dataset.train, dataset.probe, dataset.test))
    assert not train & probe
    assert not train & test
    assert not probe & test
    for part in (dataset.train, dataset.probe, dataset.test):
        _, original = part.originals()
        assert torch.bincount(original).unique().tolist() == [copies]


def test_limits_count_images(make_settings: MakeSettings) -> None:
    dataset = load(make_settings, {"train-limit": 600, "heldout-limit": 300})
    # Half a digit of six placements for each of ten classes.
    assert len(dataset.train) == pytest.approx(600, abs=30)
    assert len(dataset.probe) + len(dataset.test) == pytest.approx(300, abs=30)


@pytest.mark.parametrize(
    "overrides",
    [
        {"partition": "iid"},
        {"partition": "dirichlet", "dirichlet-alpha": 0.1},
        {"partition": "pathological", "classes-per-client": 3},
        {"partition": "classes", "client-classes": "0,1;2,3;4,5;6,7"},
    ],
    ids=lambda overrides: overrides["partition"],
)
def test_placements_of_a_digit_are_never_with_two_clients(
    make_settings: MakeSettings, overrides: dict[str, Any]
) -> None:
    settings = make_settings({"dataset": "cluttered-digits", "train-limit": 1800, **overrides})
    for seed in range(5):
        train = load_dataset(settings.data, seed).train
        held = [origins(train.select(part)) for part in partition_indices(train, settings.data, 4, seed)]
        assert sum(map(len, held)) == len(set.union(*held))
