from collections.abc import Callable, Mapping
from typing import Any

from client_app.environment import prepare_client
from fedcircuits.data import load_dataset
from fedcircuits.settings import Settings

MakeSettings = Callable[[Mapping[str, Any]], Settings]


def node(partition_id: int) -> dict[str, object]:
    return {"partition-id": partition_id, "num-partitions": 3}


def test_clients_of_one_process_share_the_held_out_images_on_their_device(make_settings: MakeSettings) -> None:
    settings = make_settings({"train-limit": 150, "heldout-limit": 100})
    first, second = (prepare_client(settings, node(partition_id)) for partition_id in (0, 2))
    assert first.bench.test is second.bench.test
    assert first.bench.reference is second.bench.reference
    assert first.train is not second.train


def test_another_seed_or_limit_is_another_set_of_images(make_settings: MakeSettings) -> None:
    changes = {"train-limit": 150, "heldout-limit": 100}
    few = prepare_client(make_settings(changes), node(0))
    more = prepare_client(make_settings({**changes, "heldout-limit": 200}), node(0))
    assert len(few.bench.test) < 60 < len(more.bench.test)


def test_a_clients_own_images_are_its_only_training_images(make_settings: MakeSettings) -> None:
    settings = make_settings({"train-limit": 150, "heldout-limit": 100})
    shares = [len(prepare_client(settings, node(partition_id)).train) for partition_id in range(3)]
    assert sum(shares) == len(load_dataset(settings.data, settings.run.seed).train)
    assert max(shares) - min(shares) <= 1
