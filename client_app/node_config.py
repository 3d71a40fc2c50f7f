"""What a node's own configuration says: which client it is, where its images are, how it wants to be called.

Simulation sets `partition-id` and `num-partitions`; in deployment all of it comes from `--node-config`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from fedcircuits.data.labels import LONGEST_LABEL, is_label
from fedcircuits.data.picture_cache import default_cache_folder
from fedcircuits.errors import SettingsError
from fedcircuits.settings.privacy import Report

_IDENTITY = ("partition-id", "num-partitions")
_TEXTS = ("data-path", "cache-path", "label", "client-report")


@dataclass(frozen=True)
class NodeConfig:
    """One node's configuration.

    Args:
        data_path: folder of the client's own images; None = it holds its part of a shared dataset.
        cache_path: folder for decoded images; None = none are kept.
        label: what the client is called in logs; "" = by its partition alone.
        client_report: what it reports at most; it takes no part in runs that ask for more.
    """

    data_path: Path | None
    cache_path: Path | None
    label: str
    client_report: Report


def read_identity(node_config: Mapping[str, object]) -> tuple[int, int]:
    """Return (partition id, number of partitions).

    Raises:
        SettingsError: if one of them is missing.
    """
    partition_id, num_partitions = (node_config.get(key) for key in _IDENTITY)
    if isinstance(partition_id, int) and isinstance(num_partitions, int):
        return partition_id, num_partitions
    raise SettingsError(
        [
            f"{key} is not set; start the node with --node-config 'partition-id=<number> num-partitions=<number>'"
            for key in _IDENTITY
            if not isinstance(node_config.get(key), int)
        ]
    )


def read_node_config(node_config: Mapping[str, Any]) -> NodeConfig:
    """Return the rest of a node's configuration.

    Raises:
        SettingsError: if a key is unknown, so that a slip of the pen does not mean other images, or a value is wrong.
    """
    known = (*_IDENTITY, *_TEXTS)
    problems = [
        f"--node-config: {key!r} is unknown; allowed are {', '.join(known)}"
        for key in sorted(set(node_config) - set(known))
    ]
    texts = {key: node_config[key] for key in _TEXTS if key in node_config}
    problems += [
        f"--node-config: {key} must be text in quotes" for key, value in texts.items() if type(value) is not str
    ]
    if "label" in texts and not is_label(texts["label"]):
        problems.append(f"--node-config: label must be 1 to {LONGEST_LABEL} printable characters")
    if texts.get("data-path") == "":
        problems.append("--node-config: data-path must name a folder")
    report = texts.get("client-report", "full")
    if report not in get_args(Report):
        problems.append(f"--node-config: client-report must be one of {', '.join(get_args(Report))}")
    if problems:
        raise SettingsError(problems)
    data_path = Path(texts["data-path"]).expanduser() if "data-path" in texts else None
    return NodeConfig(data_path, _cache_folder(texts.get("cache-path")), texts.get("label", ""), report)


def _cache_folder(text: str | None) -> Path | None:
    """Return the folder for decoded images; unset means this user's, and "" none."""
    if text is None:
        return default_cache_folder()
    return Path(text).expanduser() if text else None
