from pathlib import Path

import pytest

from client_app.node_config import read_identity, read_node_config
from fedcircuits.errors import SettingsError

IDENTITY = {"partition-id": 0, "num-partitions": 2}


def test_a_node_of_a_simulation_has_no_images_and_no_name_of_its_own() -> None:
    node = read_node_config(IDENTITY)
    assert (node.data_path, node.label) == (None, "")
    assert read_identity(IDENTITY) == (0, 2)


def test_paths_and_label_are_read() -> None:
    node = read_node_config({**IDENTITY, "data-path": "/data", "cache-path": "~/kept", "label": "site a"})
    assert (node.data_path, node.cache_path, node.label) == (Path("/data"), Path.home() / "kept", "site a")


def test_an_empty_cache_path_means_none() -> None:
    assert read_node_config({**IDENTITY, "cache-path": ""}).cache_path is None


def test_every_mistake_is_listed_at_once() -> None:
    wrong = {**IDENTITY, "data_path": "/data", "label": "a\nb", "cache-path": 3, "data-path": ""}
    with pytest.raises(SettingsError) as caught:
        read_node_config(wrong)
    assert len(caught.value.problems) == 4
    for part in (
        "'data_path' is unknown; allowed are partition-id",
        "label must be",
        "cache-path must be text",
        "folder",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("label", ["", " ", "x" * 65, "tab\t", "\x1b[31mred", "right\u202eleft"])
def test_a_label_that_could_break_a_line_is_refused(label: str) -> None:
    with pytest.raises(SettingsError, match="label must be 1 to 64 printable characters"):
        read_node_config({**IDENTITY, "label": label})
