"""The benchmarks' arithmetic, and the stand-in for MNIST."""

import pytest
import torch
from images import mnist_folder, naive_loader, positions_in
from product import PROJECT, paper_settings, random_circuits
from timing import Seconds, Timing, compare, markdown, total

from fedcircuits.data.datasets import LabelledImages, load_dataset

SLOW = Timing("slow", [Seconds(4.0, 2.0), Seconds(8.0, 3.0), Seconds(6.0, 4.0)])
FAST = Timing("fast", [Seconds(1.0, 1.0), Seconds(4.0, 1.0), Seconds(2.0, 1.0)])


def test_ways_take_turns_after_one_that_does_not_count():
    done = []
    ways = {name: lambda name=name: done.append(name) for name in "ab"}
    timings = compare(ways, repetitions=2)
    assert "".join(done) == "ab" * 3
    assert [(timing.name, len(timing.repetitions)) for timing in timings] == [("a", 2), ("b", 2)]


def test_a_process_of_its_own_leaves_nothing_behind():
    done = []
    (timing,) = compare({"a": lambda: done.append(1)}, repetitions=2, is_apart=True)
    assert done == []
    assert len(timing.repetitions) == 2


def test_a_table_shows_medians_and_ratios_with_their_range():
    rows = markdown("work", [SLOW, FAST]).splitlines()
    assert rows[2] == "| slow | 6.00 | 3.00 | 1 | 1 |"
    assert rows[3] == "| fast | 2.00 | 1.00 | 3.00 (2.00–4.00) | 3.00 (2.00–4.00) |"


def test_parts_add_up_turn_by_turn():
    both = total("both", [SLOW, FAST.scaled(10)])
    assert [each.wall for each in both.repetitions] == [14.0, 48.0, 26.0]
    assert both.median == Seconds(26.0, 13.0)


def test_random_circuits_keep_a_share_of_every_layer():
    circuits = random_circuits(paper_settings(PROJECT), [3, 5], 0.25)
    assert circuits.class_ids == (3, 5)
    assert [part.sum(1).tolist() for part in circuits.members.split([32, 64, 128], 1)] == [[8, 8], [16, 16], [32, 32]]


@pytest.fixture(scope="module")
def stand_in(monkeypatch_module):
    with mnist_folder(None) as folder:
        yield folder


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("images.SIZES", {"train": 300, "t10k": 100})
        yield patch


def test_both_sides_see_the_same_images_in_the_stand_in(stand_in):
    dataset = load_dataset(paper_settings(stand_in).data, seed=0)
    positions = positions_in(stand_in, False, dataset.test)
    loader = naive_loader(stand_in, False, dataset.test, batch_size=64, shuffle=False)
    images, labels = map(torch.cat, zip(*loader, strict=True))
    assert len(set(positions)) == len(dataset.test)
    assert torch.equal(labels, dataset.test.labels)
    # One rounding of single precision: both divide by 255 before they subtract the mean.
    torch.testing.assert_close(images, dataset.test.images, rtol=1e-6, atol=1e-6)


def test_an_image_that_is_not_in_the_files_is_not_found(stand_in):
    with pytest.raises(KeyError):
        positions_in(stand_in, True, LabelledImages(torch.zeros(1, 1, 28, 28), torch.zeros(1, dtype=torch.int64)))
