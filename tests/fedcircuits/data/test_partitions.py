import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fedcircuits.data import partitions as partitions_module
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.data.partitions import client_images, images_together, partition_indices
from fedcircuits.errors import DataError
from fedcircuits.settings import Settings

MakeSettings = Callable[[dict[str, Any]], Settings]

LABELS = torch.arange(200) % 10  # 20 images of each class

SPLITS: list[dict[str, Any]] = [
    {"partition": "iid"},
    {"partition": "dirichlet", "dirichlet-alpha": 0.5, "min-partition-size": 5},
    {"partition": "pathological", "classes-per-client": 3},
    {"partition": "classes", "client-classes": "0,1;2,3;4,5;6,7"},
]


def labelled(labels: Tensor, origins: Tensor | None = None) -> LabelledImages:
    """Return images that are their own number everywhere."""
    images = torch.arange(float(len(labels)))[:, None, None, None].expand(-1, 1, 2, 2)
    return LabelledImages(images, labels, origins)


def split(make_settings: MakeSettings, overrides: dict[str, Any], num_clients: int, seed: int = 0) -> list[Tensor]:
    return partition_indices(labelled(LABELS), make_settings(overrides).data, num_clients, seed)


def classes_of(part: Tensor) -> set[int]:
    return set(LABELS[part].tolist())


def lists(parts: list[Tensor]) -> list[list[int]]:
    return [part.tolist() for part in parts]


@pytest.mark.parametrize("overrides", SPLITS, ids=lambda overrides: overrides["partition"])
def test_no_image_is_given_to_two_clients(make_settings: MakeSettings, overrides: dict[str, Any]) -> None:
    parts = split(make_settings, overrides, 4)
    assert len(parts) == 4
    together = torch.cat(parts).tolist()
    assert len(together) == len(set(together))
    assert set(together) <= set(range(200))
    assert all(part.dtype == torch.int64 for part in parts)


@pytest.mark.parametrize("overrides", SPLITS[:2], ids=lambda overrides: overrides["partition"])
def test_every_image_is_given_to_a_client(make_settings: MakeSettings, overrides: dict[str, Any]) -> None:
    assert sorted(torch.cat(split(make_settings, overrides, 4)).tolist()) == list(range(200))


@pytest.mark.parametrize("overrides", SPLITS, ids=lambda overrides: overrides["partition"])
def test_a_clients_images_come_in_the_order_of_the_dataset(
    make_settings: MakeSettings, overrides: dict[str, Any]
) -> None:
    for part in lists(split(make_settings, overrides, 4)):
        assert part == sorted(part)


@pytest.mark.parametrize("overrides", SPLITS, ids=lambda overrides: overrides["partition"])
def test_the_same_seed_gives_the_same_split(make_settings: MakeSettings, overrides: dict[str, Any]) -> None:
    assert lists(split(make_settings, overrides, 4)) == lists(split(make_settings, overrides, 4))


@pytest.mark.parametrize("overrides", SPLITS[:3], ids=lambda overrides: overrides["partition"])
def test_another_seed_gives_another_split(make_settings: MakeSettings, overrides: dict[str, Any]) -> None:
    assert lists(split(make_settings, overrides, 4)) != lists(split(make_settings, overrides, 4, seed=1))


def test_a_split_by_listed_classes_does_not_depend_on_the_seed(make_settings: MakeSettings) -> None:
    assert lists(split(make_settings, SPLITS[3], 4)) == lists(split(make_settings, SPLITS[3], 4, seed=1))


@settings(max_examples=15)
@given(num_clients=st.integers(1, 20), seed=st.integers(0, 2**31 - 1))
def test_iid_parts_are_a_partition_of_equal_shares(make_settings: MakeSettings, num_clients: int, seed: int) -> None:
    parts = split(make_settings, {"partition": "iid"}, num_clients, seed)
    assert sorted(torch.cat(parts).tolist()) == list(range(200))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("num_clients", "seed"), [(1, 0), (7, 3), (200, 1)])
def test_iid_parts_are_those_of_flwr_datasets(make_settings: MakeSettings, num_clients: int, seed: int) -> None:
    from datasets import Dataset
    from flwr_datasets.partitioner import IidPartitioner

    from fedcircuits.seeding import Purpose, numpy_generator

    table = Dataset.from_dict({"position": range(200)})
    partitioner = IidPartitioner(num_clients)
    partitioner.dataset = table.shuffle(seed=int(numpy_generator(seed, Purpose.PARTITION).integers(2**31)))
    theirs = [sorted(partitioner.load_partition(i)["position"]) for i in range(num_clients)]
    assert lists(split(make_settings, {"partition": "iid"}, num_clients, seed)) == theirs


def test_a_split_is_made_once_per_process(
    make_settings: MakeSettings, train: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr(
        partitions_module, "partition_indices", lambda *asked: made.append(asked) or partition_indices(*asked)
    )
    for partition_id in range(4):
        client_images(train, make_settings({"partition": "iid"}).data, 4, partition_id, 0)
    assert len(made) == 1


def test_iid_parts_mix_the_classes(make_settings: MakeSettings) -> None:
    # 50 of 200 images each: a random part misses a class of 20 images with a chance below 0.75^20 = 0.3 %.
    assert all(len(classes_of(part)) == 10 for part in split(make_settings, {"partition": "iid"}, 4))


def test_iid_parts_mix_a_dataset_that_is_sorted_by_class(make_settings: MakeSettings) -> None:
    labels = torch.arange(200) // 20
    parts = partition_indices(labelled(labels), make_settings({"partition": "iid"}).data, 4, 0)
    assert all(len(set(labels[part].tolist())) == 10 for part in parts)


def test_dirichlet_parts_have_their_least_size(make_settings: MakeSettings) -> None:
    overrides = {"partition": "dirichlet", "dirichlet-alpha": 0.5, "min-partition-size": 15}
    for seed in range(3):
        assert min(len(part) for part in split(make_settings, overrides, 5, seed)) >= 15


def test_balanced_dirichlet_parts_exceed_an_even_share_by_less_than_one_class(make_settings: MakeSettings) -> None:
    def largest(is_balanced: bool, seed: int) -> int:
        overrides = {"partition": "dirichlet", "dirichlet-alpha": 0.1, "min-partition-size": 1}
        return max(map(len, split(make_settings, {**overrides, "dirichlet-balanced": is_balanced}, 4, seed)))

    # An even share is 50 of 200 images; whoever is not above it may still get the 20 images of one more class.
    assert all(largest(True, seed) <= 70 for seed in range(5))
    assert any(largest(False, seed) > 70 for seed in range(5))


def test_a_smaller_dirichlet_concentration_is_more_skewed(make_settings: MakeSettings) -> None:
    def share_of_the_largest_class(alpha: float) -> float:
        overrides = {"partition": "dirichlet", "dirichlet-alpha": alpha, "min-partition-size": 1}
        parts = split(make_settings, overrides, 4)
        return sum(float(torch.bincount(LABELS[part]).max()) / len(part) for part in parts) / len(parts)

    assert share_of_the_largest_class(0.1) > 0.3
    assert share_of_the_largest_class(1000.0) < 0.15  # a tenth, were all classes spread evenly


@pytest.mark.parametrize("num_classes", [1, 2, 3])
@pytest.mark.parametrize("num_clients", [2, 5, 12])
def test_pathological_parts_have_the_asked_number_of_classes(
    make_settings: MakeSettings, num_classes: int, num_clients: int
) -> None:
    parts = split(make_settings, {"partition": "pathological", "classes-per-client": num_classes}, num_clients)
    assert [len(classes_of(part)) for part in parts] == [num_classes] * num_clients
    # A class that somebody holds is held completely, by all of its holders together.
    held = torch.bincount(LABELS[torch.cat(parts)], minlength=10)
    assert set(held.tolist()) <= {0, 20}


@pytest.mark.parametrize("seed", range(3))
def test_pathological_parts_are_those_of_niid_bench(make_settings: MakeSettings, seed: int) -> None:
    parts = split(make_settings, {"partition": "pathological", "classes-per-client": 3}, 10, seed)
    counts = torch.stack([torch.bincount(LABELS[part], minlength=10) for part in parts])  # [client, class]
    assert bool(counts.diagonal().all())  # client i holds class i, and two others by chance
    assert torch.equal(counts.sum(0), torch.full((10,), 20))
    for of_class in counts.T:
        shares = of_class[of_class > 0]
        assert int(shares.max() - shares.min()) <= 1


def test_each_listed_client_has_every_image_of_its_classes(make_settings: MakeSettings) -> None:
    parts = split(make_settings, {"partition": "classes", "client-classes": "0;3,1;9"}, 3)
    for part, classes in zip(parts, ({0}, {1, 3}, {9}), strict=True):
        assert part.tolist() == [i for i in range(200) if i % 10 in classes]


def test_a_split_that_rotates_gives_each_seed_other_classes(make_settings: MakeSettings) -> None:
    asked = {"partition": "classes", "client-classes": "0,1;0,9", "rotate-classes": True}
    held = [list(map(classes_of, split(make_settings, {**asked, "seed": seed}, 2, seed))) for seed in (0, 1)]
    assert held == [[{0, 1}, {0, 9}], [{1, 2}, {1, 0}]]


def test_clients_that_share_a_class_have_all_of_its_images_each(make_settings: MakeSettings) -> None:
    first, second = split(make_settings, {"partition": "classes", "client-classes": "0,1;1,2"}, 2)
    shared = set(first.tolist()) & set(second.tolist())
    assert shared == {i for i in range(200) if i % 10 == 1}


def test_a_listed_class_without_images_leaves_a_client_empty_which_is_refused(make_settings: MakeSettings) -> None:
    data = make_settings({"partition": "classes", "client-classes": "0;7"}).data
    with pytest.raises(DataError, match=r"clients \[1\] get no image"):
        partition_indices(labelled(torch.tensor([0, 0, 1])), data, 2, 0)


def test_a_list_for_another_number_of_clients_is_refused(make_settings: MakeSettings) -> None:
    with pytest.raises(DataError, match="'classes' for 3 clients: client-classes lists 2 clients"):
        split(make_settings, {"partition": "classes", "client-classes": "0;1"}, 3)


def test_a_least_size_that_no_draw_can_reach_is_refused(make_settings: MakeSettings) -> None:
    overrides = {"partition": "dirichlet", "dirichlet-alpha": 0.5, "min-partition-size": 51}
    with pytest.raises(DataError, match="no draw gave every client 51 images that can be parted or more"):
        split(make_settings, overrides, 4)


@pytest.mark.parametrize("overrides", SPLITS[:3], ids=lambda overrides: overrides["partition"])
def test_more_clients_than_images_are_refused(make_settings: MakeSettings, overrides: dict[str, Any]) -> None:
    data = make_settings({**overrides, "min-partition-size": 1}).data
    with pytest.raises(DataError, match=f"'{overrides['partition']}' for 11 clients"):
        partition_indices(labelled(torch.arange(10)), data, 11, 0)


def test_more_classes_per_client_than_the_images_have_are_refused(make_settings: MakeSettings) -> None:
    data = make_settings({"partition": "pathological", "classes-per-client": 3}).data
    with pytest.raises(DataError, match="'pathological'"):
        partition_indices(labelled(torch.arange(40) % 2), data, 2, 0)


@pytest.fixture
def train() -> LabelledImages:
    return labelled(LABELS)


@pytest.mark.parametrize("overrides", SPLITS, ids=lambda overrides: overrides["partition"])
def test_a_clients_images_are_those_of_its_part(
    make_settings: MakeSettings, overrides: dict[str, Any], train: LabelledImages
) -> None:
    parts = split(make_settings, overrides, 4, seed=3)
    for partition_id, part in enumerate(parts):
        mine = client_images(train, make_settings(overrides).data, 4, partition_id, 3)
        assert torch.equal(mine.labels, LABELS[part])
        assert torch.equal(mine.images[:, 0, 0, 0], part.float())


def test_images_of_several_clients_are_there_once_and_no_others_are(
    make_settings: MakeSettings, train: LabelledImages
) -> None:
    settings = make_settings({"partition": "classes", "client-classes": "0,1;2,3;1,4"}).data
    together = images_together(train, settings, 3, [0, 2], 0)
    assert together.class_counts(10) == [20, 20, 0, 0, 20, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("partition_id", [-1, 4, 100])
def test_a_partition_that_does_not_exist_is_refused(
    make_settings: MakeSettings, train: LabelledImages, partition_id: int
) -> None:
    with pytest.raises(DataError, match=f"partition-id = {partition_id}: must be 0 to 3"):
        client_images(train, make_settings({}).data, 4, partition_id, 0)


@st.composite
def made_of_originals(draw: st.DrawFn) -> LabelledImages:
    """Draw images of which some were made of the same originals, of one class each, in any order."""
    classes = torch.tensor([*draw(st.lists(st.integers(0, 3), max_size=20)), *(3 * [0, 1, 2, 3])])
    copies = draw(st.lists(st.integers(1, 4), min_size=len(classes), max_size=len(classes)))
    order = torch.tensor(draw(st.permutations(range(sum(copies)))))
    original = torch.arange(len(classes)).repeat_interleave(torch.tensor(copies))[order]
    return labelled(classes[original], 7 * original + 3)


@settings(max_examples=15)
@pytest.mark.parametrize(
    "overrides",
    [
        {"partition": "iid"},
        {"partition": "dirichlet", "dirichlet-alpha": 0.5, "min-partition-size": 1},
        {"partition": "pathological", "classes-per-client": 2},
        {"partition": "classes", "client-classes": "0;1,2;3"},
    ],
    ids=lambda overrides: overrides["partition"],
)
@given(train=made_of_originals(), seed=st.integers(0, 999))
def test_images_of_one_original_are_never_with_two_clients(
    make_settings: MakeSettings, overrides: dict[str, Any], train: LabelledImages, seed: int
) -> None:
    assert train.origins is not None
    parts = partition_indices(train, make_settings(overrides).data, 3, seed)
    for part in parts:
        held = torch.isin(train.origins, train.origins[part])
        assert part.tolist() == held.nonzero().flatten().tolist()
    assert len(torch.cat(parts).unique()) == sum(map(len, parts))


def test_a_class_may_be_shared_by_whole_originals(make_settings: MakeSettings) -> None:
    train = labelled(torch.tensor([0, 1, 0, 1, 2]), torch.tensor([5, 6, 5, 6, 7]))
    settings = make_settings({"partition": "classes", "client-classes": "0,1;1,2"}).data
    assert lists(partition_indices(train, settings, 2, 0)) == [[0, 1, 2, 3], [1, 3, 4]]


def test_the_least_size_of_dirichlet_parts_counts_images(make_settings: MakeSettings) -> None:
    train = labelled(LABELS.repeat_interleave(3), torch.arange(200).repeat_interleave(3))
    # 4 clients of 40 originals each would do, 4 of 120 originals would not.
    settings = make_settings({"partition": "dirichlet", "dirichlet-alpha": 0.5, "min-partition-size": 120}).data
    assert min(map(len, partition_indices(train, settings, 4, 0))) >= 120


def test_more_clients_than_originals_are_refused(make_settings: MakeSettings) -> None:
    train = labelled(torch.zeros(6, dtype=torch.int64), torch.tensor([0, 0, 0, 1, 1, 1]))
    with pytest.raises(DataError, match="only 2 training images that can be parted"):
        partition_indices(train, make_settings({"partition": "iid"}).data, 3, 0)


@pytest.mark.parametrize("end", ["client_app.app", "server_app.app"])
def test_a_notebooks_backend_does_not_stop_the_app(end: str) -> None:
    program = f"import {end}; import flwr_datasets.partitioner"
    environment = os.environ | {"MPLBACKEND": "module://of_another_environment"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True)
