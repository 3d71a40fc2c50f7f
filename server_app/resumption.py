"""Going on with a run that has ended early: which run, with what settings, from what state."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from fedcircuits.data.labels import client_name
from fedcircuits.errors import FederationError, RunLogError, SettingsError
from fedcircuits.federation.digest import RUN, code_digest
from fedcircuits.runlog.checkpoints import read_restart
from fedcircuits.runlog.reader import find_run
from fedcircuits.runlog.state import RunState
from fedcircuits.runlog.writer import RunLog
from fedcircuits.settings import NEUTRAL_SETTINGS, Settings
from fedcircuits.settings.app_config import app_defaults
from server_app.versions import versions

_log = logging.getLogger("fedcircuits")

RESUME_FROM: Final = "resume-from"

_PLACES: Final = frozenset({"run-dir", RESUME_FROM})
"""Settings that say where a run goes: a resumed one stays where it is."""

_MACHINE: Final = NEUTRAL_SETTINGS - _PLACES - {"run-name"}
"""Settings that the command that resumes decides, also by leaving them out: the run may go on on another machine."""

_PARTS: Final = {"train": "training images", "heldout": "held-out images"}
"""The parts of a dataset that have a fingerprint, in words."""

Restart = tuple[Mapping[str, Tensor], RunState]
"""The weights and the state to go on from."""


def reopen_run(config: Mapping[str, Any]) -> tuple[Settings, RunLog, Restart | None]:
    """Take over the run that the run config names; if it cannot go on, it stays as it is.

    Args:
        config: the flat run config, with `resume-from`.

    Returns:
        The run's settings, its log, and what to go on from; None if it has no whole round yet.

    Raises:
        RunLogError: if there is no such run, it is complete or being written, or its files are missing or damaged.
        SettingsError: if settings were given that contradict the run's, or this code does not know the run's.
    """
    run_log = RunLog.reopen(find_run(Path(config[RESUME_FROM]).expanduser().resolve()))
    try:
        recorded = run_log.info["settings"]
        changes = _changes(recorded, config, app_defaults())
        # A setting that is newer than the run has no recorded value.
        settings = Settings.from_config({**config, **recorded, **changes, RESUME_FROM: ""})
        restart = read_restart(run_log.path, run_log.info) if run_log.last_round else None
    except BaseException:
        run_log.close()
        raise
    changed = _changed_versions(run_log.info)
    names = [*changed, *(["code_digest"] if run_log.info.get("code_digest") != code_digest(RUN) else [])]
    if names:
        _log.warning("the run goes on with other code than it began with (%s): bits may differ", ", ".join(names))
    resumption = {"code_digest": code_digest(RUN), "versions": changed, "settings": changes}
    run_log.go_on(settings.run.num_checkpoints, resumption)
    return settings, run_log, restart


def check_same_clients(run_log: RunLog, num_clients: int) -> None:
    """Check that a resumed run has the clients that it began with.

    Raises:
        FederationError: if there are more or fewer.
    """
    recorded = run_log.info.get("num_clients")
    if recorded not in {None, num_clients}:
        raise FederationError(
            f"the run began with {recorded} clients, but the federation has {num_clients}; start it with "
            f'--federation-config "num-supernodes={recorded}"'
        )


def check_same_data(run_log: RunLog, data: Mapping[str, str]) -> None:
    """Check that a resumed run has the images that it began with.

    Args:
        run_log: the run's.
        data: fingerprints of the dataset, by part.

    Raises:
        RunLogError: naming the parts that have changed.
    """
    recorded = run_log.info.get("data", {})
    changed = [_PARTS[part] for part in data if recorded.get(part, data[part]) != data[part]]
    if changed:
        raise RunLogError(
            f"the run began with other images: the {' and the '.join(changed)} are not those under data-dir; put them "
            "back, name their folder, or start a new run"
        )


def check_same_own_images(run_log: RunLog, clients: Sequence[Mapping[str, Any]]) -> None:
    """Check that the clients of a resumed run have the images of their own that it began with.

    Args:
        run_log: the run's.
        clients: descriptions of those that have a label or images of their own.

    Raises:
        RunLogError: naming the clients whose images have changed.
    """
    before = {client["partition_id"]: client.get("fingerprint") for client in run_log.info.get("clients", [])}
    changed = [
        client_name(client["partition_id"], client["label"] or "")
        for client in clients
        if (now := client.get("fingerprint")) and before.get(client["partition_id"]) not in {None, now}
    ]
    if changed:
        raise RunLogError(f"the run began with other images of {', '.join(changed)}; put them back, or start a new run")


def _changes(recorded: Mapping[str, Any], given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the machine that differ from those that the run had before.

    Raises:
        SettingsError: naming all others that were given and differ; a value that is the default counts as not given.
    """
    differing = {key for key, value in recorded.items() if key in given and given[key] != value}
    contradicted = {key for key in differing if given[key] != defaults.get(key)} - _PLACES - _MACHINE
    problems = [
        f"{key} = {given[key]!r}: the run to resume began with {recorded[key]!r}; leave it out, as a resumed run takes "
        "its settings from its run.json"
        for key in sorted(contradicted)
    ]
    if problems:
        raise SettingsError(problems)
    return {key: given[key] for key in sorted(differing & _MACHINE)}


def _changed_versions(info: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the versions that are not those that the run began with."""
    before = info.get("versions", {})
    return {name: version for name, version in versions().items() if before.get(name) != version}
