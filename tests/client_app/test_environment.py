from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flwr.app import RecordDict

from client_app.environment import introduce, prepare_client
from fedcircuits.data.datasets import load_dataset
from fedcircuits.errors import SettingsError
from fedcircuits.federation.messages import encode_config
from fedcircuits.records import Key
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


@pytest.mark.parametrize(
    ("allowed", "asked", "is_refused"),
    [("masks", "full", True), ("weights", "masks", True), ("masks", "masks", False), ("full", "weights", False)],
)
def test_a_node_says_what_it_reports_at_most(
    make_settings: MakeSettings, allowed: str, asked: str, is_refused: bool
) -> None:
    settings = make_settings({"train-limit": 150, "heldout-limit": 100, "client-report": asked})
    config = {**node(0), "client-report": allowed}
    content = RecordDict({Key.CONFIG: encode_config(settings)})
    assert (f'this node reports "{allowed}" at most' in introduce(content, config).problem) is is_refused
    if is_refused:
        # A server that does not ask first is refused as well.
        with pytest.raises(SettingsError, match="at most"):
            prepare_client(settings, config)


def test_a_limit_that_does_not_exist_is_an_error(make_settings: MakeSettings) -> None:
    with pytest.raises(SettingsError, match="--node-config: client-report must be one of full, masks, weights"):
        prepare_client(make_settings({}), {**node(0), "client-report": "nothing"})


def test_a_node_introduces_itself_by_no_more_than_the_run_asks_for(make_settings: MakeSettings) -> None:
    changes = {"train-limit": 150, "heldout-limit": 100}
    open_, closed = (
        introduce(RecordDict({Key.CONFIG: encode_config(make_settings({**changes, **more}))}), node(0))
        for more in ({}, {"client-report": "masks"})
    )
    assert (closed.class_counts, closed.num_images) == ([], sum(open_.class_counts))
    assert open_.num_images == 0
