"""Writes a log of the authors of arXiv 2512.23043 as a run log of ours, so that tables and figures can be made of it.

What such a log does not say stays missing; `docs/run-log.md` lists it. Two assumptions are made, both named there:
every channel counts as reachable, and a circuit is unusable only where that follows from what the log says; `reason`
says why.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.found import Couples, FoundCircuits, Question
from fedcircuits.circuits.verdicts import MAX_PERCENT
from fedcircuits.comparisons.circuits import compare_circuits
from fedcircuits.comparisons.rows import Row
from fedcircuits.errors import RunLogError
from fedcircuits.published.fedmi_logs import FedMILog, LoggedCircuit, LoggedClient
from fedcircuits.records import Comparison, DataKind, ModelKind, UnusableReason
from fedcircuits.runlog.writer import RunLog
from fedcircuits.seeding import Purpose, numpy_generator

_Tables = dict[str, list[Row] | pa.Table]


def write_fedmi_run(log: FedMILog, root: Path) -> Path:
    """Write a new, completed run directory under `root` and return its path.

    Args:
        log: the whole file, checked.
        root: folder of run directories, made if missing.

    Raises:
        RunLogError: if the folder cannot be written.
    """
    rounds = list(_tables(log))  # before anything is written
    run_log = RunLog.create(root, log.path.stem, _facts(log))
    try:
        for server_round, tables in enumerate(rounds, start=1):
            run_log.write_round(server_round, tables, weights=None)
        run_log.complete()
    except OSError as error:
        raise RunLogError(f"{run_log.path} cannot be written: {error}; the run in it is incomplete") from error
    return run_log.path


def _facts(log: FedMILog) -> dict[str, Any]:
    """Return what run.json can say: settings that the log does not have are left out, not guessed."""
    settings = {
        "imported-from": log.path.name,
        "imported-sha256": log.sha256,
        "num-server-rounds": len(log.rounds),
        "channels": ",".join(str(width) for width in log.layers.values()),
        "discovery-data": str(DataKind.CLIENT),
    }
    clients = {client.partition_id for clients in log.rounds for client in clients}
    return {"settings": settings, "num_clients": len(clients)}


def _tables(log: FedMILog) -> Iterator[_Tables]:
    """Yield the tables of each round; a model's circuits are compared with those that it had when last logged."""
    earlier: dict[tuple[ModelKind, int | None], FoundCircuits] = {}
    for server_round, clients in enumerate(log.rounds, start=1):
        local = [_found(log, server_round, ModelKind.CLIENT, client.partition_id, client.local) for client in clients]
        on_global = [
            _found(log, server_round, ModelKind.GLOBAL, client.partition_id, client.on_global)
            for client in clients
            if client.on_global is not None
        ]
        now = {(found.model, found.partition_id): found for found in (*local, *on_global)}
        successive = [(earlier[key], found) for key, found in now.items() if key in earlier]
        earlier |= now
        yield {
            "clients": [
                {"round": server_round, "partition_id": client.partition_id, "accepted": True} for client in clients
            ],
            "circuits": [row for client in clients for row in _circuit_rows(log, server_round, client)],
            "edges": [row for client in clients for row in _edge_rows(server_round, client)],
            "quality": [row for client in clients for row in _quality_rows(log, server_round, client)],
            "overlap": compare_circuits(
                list(log.layers),
                list(log.layers.values()),
                local,
                {Comparison.LOCAL_VS_GLOBAL: _of_one_client(local, on_global), Comparison.ROUND_TO_ROUND: successive},
                numpy_generator(0, Purpose.PAIRS, server_round=server_round),
            ),
        }


def _of_one_client(local: Sequence[FoundCircuits], on_global: Sequence[FoundCircuits]) -> Couples:
    """Pair each client's circuits with those of the global model on its images, if there are any."""
    by_partition = {found.partition_id: found for found in on_global}
    return [(found, by_partition[found.partition_id]) for found in local if found.partition_id in by_partition]


def _found(
    log: FedMILog, server_round: int, model: ModelKind, partition_id: int, circuits: Sequence[LoggedCircuit]
) -> FoundCircuits:
    """Lay the circuits of one model out for comparison."""
    widths = log.layers.values()
    members = torch.zeros(len(circuits), sum(widths), dtype=torch.bool)
    for row, circuit in zip(members, circuits, strict=True):
        for part, channels in zip(row.split(list(widths)), circuit.channels.values(), strict=True):
            part[list(channels)] = True
    return FoundCircuits(
        model,
        partition_id,
        server_round,
        Circuits.ranked_by_score(tuple(circuit.class_id for circuit in circuits), members, members.float()),
        reachable=torch.ones(sum(widths), dtype=torch.bool),
        usable=tuple(_usable(_reason(log, circuit, circuit.sufficiency)) for circuit in circuits),
        question=Question(DataKind.CLIENT, partition_id, (), has_negatives=False),
    )


def _circuit_rows(log: FedMILog, server_round: int, client: LoggedClient) -> Iterator[Row]:
    """Yield one row per circuit and layer."""
    for identity, circuit in _identified(server_round, client):
        for layer, channels in circuit.channels.items():
            width = log.layers[layer]
            yield {
                **identity,
                "layer": layer,
                "num_channels": len(channels),
                "layer_width": width,
                "channels": list(channels),
                "score": [float(channel in channels) for channel in range(width)],
                "reachable": list(range(width)),
            }


def _edge_rows(server_round: int, client: LoggedClient) -> Iterator[Row]:
    """Yield one row per circuit and convolution, if the log has edges."""
    for identity, circuit in _identified(server_round, client):
        for layer, edges in circuit.edges.items():
            sources, targets = [source for source, _ in edges], [target for _, target in edges]
            yield {**identity, "layer": layer, "num_edges": len(edges), "sources": sources, "targets": targets}


def _identified(server_round: int, client: LoggedClient) -> Iterator[tuple[Row, LoggedCircuit]]:
    """Yield the circuits of a client, with the columns that say which each is."""
    for model, circuits in ((ModelKind.CLIENT, client.local), (ModelKind.GLOBAL, client.on_global or ())):
        for circuit in circuits:
            yield _identity(server_round, model, client.partition_id, circuit.class_id), circuit


def _quality_rows(log: FedMILog, server_round: int, client: LoggedClient) -> Iterator[Row]:
    """Yield one row per circuit and model that it was run in; the log has no false positives."""

    def row(model: ModelKind, circuit: LoggedCircuit, sufficiency: float | None, necessity: float | None) -> Row:
        identity = _identity(server_round, model, client.partition_id, circuit.class_id)
        reason = _reason(log, circuit, sufficiency)
        rates = {"sufficiency": sufficiency, "necessity": necessity}
        return {**identity, **rates, "usable": _usable(reason), "reason": reason}

    for local in client.local:
        yield row(ModelKind.CLIENT, local, local.sufficiency, local.necessity)
    if client.on_global is None:
        return
    for local, on_global in zip(client.local, client.on_global, strict=True):
        yield row(ModelKind.GLOBAL, on_global, on_global.sufficiency, on_global.necessity)
        if on_global.transplant is not None:
            yield row(ModelKind.TRANSPLANT, local, on_global.transplant, None)


def _identity(server_round: int, model: ModelKind, partition_id: int, class_id: int) -> Row:
    return {
        "round": server_round,
        "model": str(model),
        "partition_id": partition_id,
        "data": str(DataKind.CLIENT),
        "class_id": class_id,
    }


def _reason(log: FedMILog, circuit: LoggedCircuit, recall: float | None) -> UnusableReason | None:
    """Return why a circuit cannot be usable whatever its false-positive rate, which the log lacks; None if it may be.

    Past a layer without channels nothing depends on the image, so the answer is constant and both rates are equal. A
    circuit of nearly all channels selects nothing, and a recall of 0 cannot exceed any rate.
    """
    sizes = {layer: len(channels) for layer, channels in circuit.channels.items()}
    if not all(sizes.values()):
        return UnusableReason.EMPTY
    if 100 * sum(sizes.values()) > MAX_PERCENT * sum(log.layers.values()):
        return UnusableReason.WHOLE_NETWORK
    return UnusableReason.LOW_RECALL if recall == 0 else None


def _usable(reason: UnusableReason | None) -> bool | None:
    """Return the verdict: without false-positive rates nothing is known to be usable."""
    return None if reason is None else False
