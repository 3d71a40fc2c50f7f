import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import URLError

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedcircuits.data import datasets as data_module
from fedcircuits.data.datasets import Dataset, LabelledImages, load_dataset, stratified_split
from fedcircuits.errors import DataError
from fedcircuits.settings import Settings

MakeSettings = Callable[[dict[str, Any]], Settings]


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    data_module._load.cache_clear()
    yield
    data_module._load.cache_clear()


def load(make_settings: MakeSettings, overrides: dict[str, Any] | None = None, seed: int = 0) -> Dataset:
    return load_dataset(make_settings(overrides or {}).data, seed)


def image_bytes(data: LabelledImages) -> list[bytes]:
    """Return each image as bytes; no two of the digits are the same image."""
    return [image.contiguous().numpy().tobytes() for image in data.images]


def shares(data: LabelledImages) -> torch.Tensor:
    counts = torch.tensor(data.class_counts(10))
    return counts / counts.sum()


def test_digits_are_split_once_and_for_all(make_settings: MakeSettings) -> None:
    first, other_seed = load(make_settings), load(make_settings, seed=1)
    assert len(first.train) == 899
    assert len(first.probe) + len(first.test) == 898
    assert torch.equal(first.train.images, other_seed.train.images)
    assert torch.equal(first.train.labels, other_seed.train.labels)
    # Pinned: another split would make runs of different versions incomparable.
    assert first.train.labels[:16].tolist() == [2, 3, 7, 8, 3, 8, 2, 9, 0, 5, 0, 9, 8, 4, 1, 7]
    assert first.probe.labels[:16].tolist() == [0, 4, 9, 0, 2, 4, 5, 1, 3, 5, 7, 8, 6, 9, 5, 2]
    assert first.test.labels[:16].tolist() == [1, 5, 6, 1, 6, 7, 9, 0, 4, 6, 9, 5, 5, 8, 7, 0]


def test_every_digit_is_in_exactly_one_part(make_settings: MakeSettings) -> None:
    digits = load(make_settings)
    parts = [image_bytes(part) for part in (digits.train, digits.probe, digits.test)]
    everything = [image for part in parts for image in part]
    assert len(everything) == 1797
    assert len(set(everything)) == 1797


def test_the_splits_keep_classes_in_proportion(make_settings: MakeSettings) -> None:
    digits = load(make_settings)
    held_out = torch.tensor(digits.probe.class_counts(10)) + torch.tensor(digits.test.class_counts(10))
    whole = held_out + torch.tensor(digits.train.class_counts(10))
    # Each class is cut at a rounded number of images: half an image off at most.
    assert ((held_out - 0.5 * whole).abs() <= 0.5 + 1e-4).all()
    assert ((torch.tensor(digits.probe.class_counts(10)) - 0.5 * held_out).abs() <= 0.5 + 1e-4).all()


def test_runs_of_all_seeds_are_scored_on_the_same_images_whatever_the_limits(make_settings: MakeSettings) -> None:
    first = load(make_settings, {"heldout-limit": 100}, seed=0)
    other = load(make_settings, {"heldout-limit": 100, "train-limit": 150}, seed=1)
    assert torch.equal(first.test.images, other.test.images)
    assert torch.equal(first.probe.images, other.probe.images)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.9])
def test_the_probe_fraction_is_the_share_of_held_out_images(make_settings: MakeSettings, fraction: float) -> None:
    digits = load(make_settings, {"probe-fraction": fraction})
    assert len(digits.probe) + len(digits.test) == 898
    assert len(digits.probe) == pytest.approx(fraction * 898, abs=5)  # half an image for each of ten classes
    assert not set(image_bytes(digits.probe)) & set(image_bytes(digits.test))


def test_a_limit_on_training_images_keeps_classes_in_proportion(make_settings: MakeSettings) -> None:
    whole, limited = load(make_settings), load(make_settings, {"train-limit": 200})
    assert len(limited.train) == pytest.approx(200, abs=5)  # half an image for each of ten classes
    # One image more or less of 200.
    assert ((shares(limited.train) - shares(whole.train)).abs() <= 1.5 / 200).all()
    assert set(image_bytes(limited.train)) <= set(image_bytes(whole.train))
    assert image_bytes(limited.test) == image_bytes(whole.test)


def test_a_limit_on_held_out_images_leaves_the_training_images_alone(make_settings: MakeSettings) -> None:
    whole, limited = load(make_settings), load(make_settings, {"heldout-limit": 100})
    assert len(limited.probe) + len(limited.test) == pytest.approx(100, abs=5)
    assert torch.equal(limited.train.images, whole.train.images)
    assert not set(image_bytes(limited.probe)) & set(image_bytes(limited.test))
    assert min(limited.probe.class_counts(10)) >= 4
    assert min(limited.test.class_counts(10)) >= 4


@pytest.mark.parametrize("limit", [0, 899, 5000])
def test_no_limit_or_one_above_all_images_keeps_every_image(make_settings: MakeSettings, limit: int) -> None:
    assert len(load(make_settings, {"train-limit": limit}).train) == 899


def test_the_smallest_held_out_limit_for_all_classes_leaves_one_image_of_each_on_both_sides(
    make_settings: MakeSettings,
) -> None:
    digits = load(make_settings, {"heldout-limit": 20})
    assert digits.probe.class_counts(10) == digits.test.class_counts(10) == [1] * 10


def test_a_second_call_returns_the_same_object(make_settings: MakeSettings) -> None:
    assert load(make_settings) is load(make_settings)
    # Settings that do not concern the images do not matter.
    assert load(make_settings) is load(make_settings, {"partition": "dirichlet", "sparsity": 0.5})
    assert load(make_settings) is not load(make_settings, {"train-limit": 100})


def test_images_and_labels_have_their_types_and_shapes(make_settings: MakeSettings) -> None:
    for part in (load(make_settings).train, load(make_settings).probe, load(make_settings).test):
        assert part.images.dtype == torch.float32
        assert part.images.shape == (len(part), 1, 8, 8)
        assert part.images.is_contiguous(memory_format=torch.channels_last)
        assert part.labels.dtype == torch.int64
        assert part.labels.shape == (len(part),)
        assert set(part.labels.tolist()) == set(range(10))


def test_training_pixels_have_mean_zero_and_standard_deviation_one(make_settings: MakeSettings) -> None:
    images = load(make_settings).train.images
    # The constants have four digits, but are of all digits, of which the training images are a sample of 70 %.
    assert float(images.mean()) == pytest.approx(0.0, abs=0.005)
    assert float(images.std()) == pytest.approx(1.0, abs=0.005)


def test_selected_images_come_in_the_order_asked_for(make_settings: MakeSettings) -> None:
    train = load(make_settings).train
    chosen = train.select(torch.tensor([5, 0, 5]))
    assert chosen.labels.tolist() == [int(train.labels[i]) for i in (5, 0, 5)]
    assert torch.equal(chosen.images[1], train.images[0])


def test_classes_are_counted_also_where_they_have_no_image() -> None:
    data = LabelledImages(torch.zeros(3, 1, 2, 2), torch.tensor([2, 0, 2]))
    assert data.class_counts(4) == [1, 0, 2, 0]


def of_originals(labels: list[int], origins: list[int] | None) -> LabelledImages:
    images = torch.arange(float(len(labels)))[:, None, None, None].expand(-1, 1, 2, 2)
    return LabelledImages(images, torch.tensor(labels), None if origins is None else torch.tensor(origins))


def test_origins_go_where_their_images_go() -> None:
    data = of_originals([0, 1, 0, 2], [9, 4, 9, 5])
    for part, origins in (
        (data.select(torch.tensor([3, 0])), [5, 9]),
        (data.of_classes([0]), [9, 9]),
        (data.to(torch.device("cpu")), [9, 4, 9, 5]),
        (data.joined(data.of_classes([1])), [9, 4, 9, 5, 4]),
    ):
        assert part.origins is not None
        assert part.origins.tolist() == origins


def test_originals_are_sorted_by_their_ids() -> None:
    labels, original = of_originals([0, 1, 0, 2], [9, 4, 9, 5]).originals()
    assert labels.tolist() == [1, 2, 0]
    assert original.tolist() == [2, 0, 2, 1]


def test_an_image_without_an_origin_is_its_own() -> None:
    data = of_originals([0, 1, 0], None)
    labels, original = data.originals()
    assert labels.tolist() == [0, 1, 0]
    assert original.tolist() == [0, 1, 2]
    assert data.select(torch.tensor([2])).origins is None
    assert data.joined(data).origins is None


@given(
    originals=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=20),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 999),
)
def test_a_split_divides_the_originals_of_each_class(
    originals: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    ids = np.random.default_rng(seed).permutation([i for i, (_, copies) in enumerate(originals) for _ in range(copies)])
    data = of_originals([originals[i][0] for i in ids], ids.tolist())
    sides = stratified_split(data, fraction, np.random.default_rng(seed))
    first, second = (set(side.origins.tolist()) if side.origins is not None else set() for side in sides)
    assert not first & second
    assert first | second == set(range(len(originals)))
    for side in sides:
        positions = side.images[:, 0, 0, 0].tolist()
        assert positions == sorted(positions)
    assert sum(map(len, sides)) == len(data)
    for class_id in range(4):
        num_originals = [of_class for of_class, _ in originals].count(class_id)
        num_first = [originals[i][0] for i in first].count(class_id)
        if num_originals > 1:
            assert 1 <= num_first <= num_originals - 1
            assert abs(num_first - fraction * num_originals) <= 1
        else:
            assert num_first == num_originals


def test_a_split_of_images_that_are_their_own_is_the_split_of_their_numbers() -> None:
    labels = [0, 1, 0, 0, 1, 0]
    numbered = of_originals(labels, list(range(6)))
    for plain, other in zip(
        stratified_split(of_originals(labels, None), 0.5, np.random.default_rng(3)),
        stratified_split(numbered, 0.5, np.random.default_rng(3)),
        strict=True,
    ):
        assert torch.equal(plain.images, other.images)


def test_a_dataset_that_is_on_the_device_already_is_not_copied(make_settings: MakeSettings) -> None:
    digits = load(make_settings)
    assert digits.to(torch.device("cpu")) is digits


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise URLError("no network")

    for module in (datasets.mnist, datasets.cifar):
        monkeypatch.setattr(module, "download_and_extract_archive", refuse)


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize(
    ("dataset", "files"),
    [
        ("mnist", "MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte"),
        ("fashion-mnist", "FashionMNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte"),
        ("cifar10", "cifar-10-batches-py/{data_batch_1..5,test_batch,batches.meta}"),
    ],
)
def test_a_missing_dataset_names_its_folder_its_files_and_the_setting(
    make_settings: MakeSettings, tmp_path: Path, dataset: str, files: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError) as caught:
        load(make_settings, {"dataset": dataset, "data-dir": str(tmp_path)})
    message = str(caught.value)
    for needle in (dataset, str(tmp_path), files, "data-dir"):
        assert needle in message
    assert capsys.readouterr().err == ""


def write_idx(path: Path, values: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    """Write an array in the format of the MNIST files: a magic number, the sizes, the bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape)
    path.write_bytes(header + values.tobytes())


def write_mnist(folder: Path, num_train: int, num_test: int) -> None:
    for prefix, count in (("train", num_train), ("t10k", num_test)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.broadcast_to((labels * 20)[:, None, None], (count, 28, 28)).astype(np.uint8)
        write_idx(folder / "MNIST" / "raw" / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / "MNIST" / "raw" / f"{prefix}-labels-idx1-ubyte", labels)


@pytest.mark.usefixtures("_no_network")
def test_files_in_place_are_read_without_a_network(make_settings: MakeSettings, tmp_path: Path) -> None:
    write_mnist(tmp_path, num_train=60, num_test=40)
    mnist = load(make_settings, {"dataset": "mnist", "data-dir": str(tmp_path)})
    assert len(mnist.train) == 60
    assert mnist.probe.class_counts(10) == mnist.test.class_counts(10) == [2] * 10
    assert mnist.train.images.shape == (60, 1, 28, 28)
    # An image of class c is 20 c everywhere.
    pixels = mnist.train.images[:, 0, 0, 0]
    assert torch.allclose(pixels, (mnist.train.labels * 20 / 255 - 0.1307) / 0.3081, atol=1e-6)


@pytest.mark.usefixtures("_no_network")
def test_limits_hold_for_files_too(make_settings: MakeSettings, tmp_path: Path) -> None:
    write_mnist(tmp_path, num_train=60, num_test=40)
    mnist = load(make_settings, {"dataset": "mnist", "data-dir": str(tmp_path), "train-limit": 20})
    assert mnist.train.class_counts(10) == [2] * 10


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize(
    ("size", "labels", "problem"),
    [
        (28, range(26), r"training part: labels \[10, .*, 25\]; mnist has classes 0 to 9"),
        (20, range(10), "training part: images of 20 x 20 pixels; mnist has 28 x 28"),
        (28, range(9), "mnist: too few held-out images: 0 of class 9; each class needs two"),
    ],
)
def test_files_in_the_format_of_a_dataset_that_are_another_are_refused(
    make_settings: MakeSettings, tmp_path: Path, size: int, labels: range, problem: str
) -> None:
    for prefix in ("train", "t10k"):
        given = np.tile(np.array(labels, np.uint8), 4)
        raw = tmp_path / "MNIST" / "raw"
        write_idx(raw / f"{prefix}-images-idx3-ubyte", np.zeros((len(given), size, size), np.uint8))
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", given)
    with pytest.raises(DataError, match=problem):
        load(make_settings, {"dataset": "mnist", "data-dir": str(tmp_path)})
