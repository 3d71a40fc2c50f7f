"""A run from its settings to its end: data, run log, nodes, strategy."""

import logging
import platform
import shlex
import sys
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from flwr.serverapp import Grid

from fedcircuits import __version__
from fedcircuits.comparisons.rows import origins_by_class
from fedcircuits.data.datasets import load_dataset
from fedcircuits.errors import RunLogError, SettingsError
from fedcircuits.federation.digest import RUN, code_digest
from fedcircuits.federation.messages import encode_config, encode_weights
from fedcircuits.networks.cnn import Weights, initial_weights
from fedcircuits.networks.device import use_machine
from fedcircuits.runlog.writer import RunLog
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings, check_num_clients
from server_app.resumption import (
    RESUME_FROM,
    Restart,
    check_same_clients,
    check_same_data,
    check_same_own_images,
    reopen_run,
)
from server_app.versions import versions
from strategies.observer import RoundObserver
from strategies.registry import build_strategy
from strategies.roster import Roster
from strategies.window import eased, is_simulated

_log = logging.getLogger("fedcircuits")


def run_federation(grid: Grid, config: Mapping[str, Any], run_id: int | None = None) -> None:
    """Run every round and leave a run directory that says how it ended, also if it could not begin.

    Args:
        grid: reaches the clients.
        config: the flat run config.
        run_id: what Flower calls the run; None where Flower does not run it.

    Raises:
        FedCircuitsError: if the run cannot start or go on; the reason also stands in run.json, but for a
            resumption that was refused, which leaves the run as it was.
    """
    settings, run_log, restart = reopen_run(config) if _is_resumption(config) else (*_begin(config), None)
    _log.info("FedCircuits %s | %s", __version__, _describe(settings))
    _log.info("run directory: %s", run_log.path)
    # A SuperLink that was there already takes a run into its own environment and folder, whatever the shell's are.
    _log.info("environment: %s (Python %s), in the folder %s", sys.prefix, platform.python_version(), Path.cwd())
    if run_id is not None:
        _log.info("to end it: flwr stop %d (Ctrl-C ends this display alone)", run_id)
    if not run_log.is_locked:
        _log.warning("the file system knows no locks: nothing keeps another process from writing this run")
    try:
        if run_log.last_round < settings.run.num_server_rounds:
            run_log.note(is_simulation=is_simulated(grid))
            _run_rounds(eased(grid), settings, run_log, restart)
        run_log.complete()
    except BaseException as error:
        _log_failure(run_log, f"{type(error).__name__}: {error}")
        raise
    _log.info("completed; run directory: %s", run_log.path)
    _log.info("next: python -m analysis summary %s", shlex.quote(str(run_log.path)))
    _log.info("      python -m analysis report %s", shlex.quote(str(run_log.path)))


def _is_resumption(config: Mapping[str, Any]) -> bool:
    resume_from = config.get(RESUME_FROM)
    return isinstance(resume_from, str) and bool(resume_from.strip())


def _begin(config: Mapping[str, Any]) -> tuple[Settings, RunLog]:
    """Check the settings and make a run directory, for wrong ones too."""
    try:
        settings = Settings.from_config(config)
    except SettingsError as error:
        _log_refusal(config, error)
        raise
    name = settings.run.run_name or f"{settings.data.dataset}-{settings.data.partition}"
    run_log = RunLog.create(Path(settings.run.run_dir), name, _facts(settings), settings.run.num_checkpoints)
    return settings, run_log


def _log_failure(run_log: RunLog, reason: str) -> None:
    """Mark the run as failed where that can still be written; the reason for which it ended counts for more."""
    try:
        run_log.fail(reason)
    except RunLogError as error:
        seen_as = "interrupted" if run_log.is_locked else "running"
        _log.error("run.json does not say that the run has failed, so status will call it %s: %s", seen_as, error)


def _log_refusal(config: Mapping[str, Any], error: SettingsError) -> None:
    """Leave a failed run directory for settings that could not be read, so that `status` does not show an older run."""
    run_dir = config.get("run-dir")
    if isinstance(run_dir, str) and run_dir.strip():
        RunLog.create(Path(run_dir), "refused", {"settings": dict(config)}).fail(str(error))


def _run_rounds(grid: Grid, settings: Settings, run_log: RunLog, restart: Restart | None) -> None:
    """Load the data, find the clients, and let the strategy run the rounds that are left."""
    spec = settings.spec
    device = use_machine(settings.machine.device, settings.machine.num_threads)
    dataset = load_dataset(settings.data, settings.run.seed, is_identified=True)
    check_same_data(run_log, dataset.fingerprints)
    run_log.note(data=dict(dataset.fingerprints))
    roster = Roster(encode_config(settings), spec.num_classes, settings.run.seed, settings.privacy)
    roster.wait(grid, settings.federation.node_timeout_s)
    clients = roster.clients
    if clients.num_partitions:
        check_same_clients(run_log, clients.num_partitions)
        check_num_clients(settings, clients.num_partitions, None if clients.all_have_own_images else len(dataset.train))
    roster.check_complete(settings.federation.node_timeout_s)
    check_same_own_images(run_log, clients.descriptions())
    run_log.note(num_clients=clients.num_partitions, clients=clients.descriptions())
    if origins := origins_by_class(dataset.test, spec.num_classes):
        run_log.note(test_origins=origins)
    _log.info("%d clients, %d training images", clients.num_partitions, clients.num_images)
    if clients.num_partitions == 1:
        _log.info("one client: nothing is averaged, and there is no overlap across clients")
    for client in clients.descriptions():
        own = ", its own" if client["has_own_images"] else ""
        _log.info("  %s: %d training images%s", clients.name(client["partition_id"]), client["num_images"], own)
    observer = RoundObserver(settings, spec, dataset.to(device), clients, run_log)
    strategy = build_strategy(settings, spec, roster, observer)
    if restart is None:
        weights: Weights = initial_weights(spec, torch_generator(settings.run.seed, Purpose.INITIAL_WEIGHTS))
    else:
        weights, state = restart
        strategy.resume(run_log.last_round, state)
        _log.info("resuming after round %d of %d", run_log.last_round, settings.run.num_server_rounds)
    strategy.start(
        grid,
        encode_weights({name: weights[name] for name in spec.state_shapes}),
        num_rounds=settings.run.num_server_rounds - run_log.last_round,
        timeout=settings.federation.round_timeout_s,
        train_config=encode_config(settings),
        evaluate_config=encode_config(settings),
    )


def _describe(settings: Settings) -> str:
    """Say in one line what is run."""
    data, federation = settings.data, settings.federation
    class_lists = ";".join(",".join(map(str, class_ids)) for class_ids in data.client_classes)
    split = {
        "iid": "IID",
        "dirichlet": f"Dirichlet {data.dirichlet_alpha:g}",
        "pathological": f"{data.classes_per_client} classes per client",
        "classes": f"classes {class_lists}",
    }[data.partition]
    return (
        f"{data.dataset}, {split} | sparsity {settings.sparsity.sparsity:g} | {federation.strategy} | "
        f"{settings.run.num_server_rounds} rounds | seed {settings.run.seed}"
    )


def _facts(settings: Settings) -> dict[str, Any]:
    """Return what run.json says besides status and times."""
    spec = settings.spec
    return {
        "settings": dict(settings.config),
        "num_clients": None,
        "clients": [],
        "code_digest": code_digest(RUN),
        "model": {
            "layers": list(spec.layer_names),
            "channels": list(spec.channels),
            "num_classes": spec.num_classes,
            "num_parameters": sum(prod(shape) for shape in spec.state_shapes.values()),
        },
        "versions": versions(),
    }
