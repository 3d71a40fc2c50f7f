"""What the head of a summary says of a run: how it ended, data, settings."""

from collections.abc import Mapping
from typing import Any

from analysis.runs.standing import status_of
from analysis.runs.withheld import average_noise, mask_noise, withheld
from analysis.text.table import number
from fedcircuits.records import DataKind
from fedcircuits.runlog.run import Run


def run_facts(run: Run) -> dict[str, str]:
    """Return what the head of a summary says of a run, by its labels: how it ended, data, settings."""

    def get(key: str) -> Any:
        return run.settings.get(key, "unknown")

    reason = f": {run.info['reason']}" if run.info.get("reason") else ""
    planned = run.settings.get("num-server-rounds", "?")
    source = f"imported from {get('imported-from')}, SHA-256 {str(get('imported-sha256'))[:12]}…"
    training = f"{get('strategy')}, weighting {get('weighting')}, local epochs {get('local-epochs')}"
    data = _whose_images(run.settings) if not withheld(run) else "the global model's alone"
    circuits = f"{_search(run.settings)}, {get('ablation')} ablation, {data}"
    return {
        "status": f"{status_of(run)}{reason}; {run.info['last_round']} of {planned} rounds",
        **({"source": source} if "imported-from" in run.settings else {}),
        "data": f"{get('dataset')}, {_who_holds_what(run)}",
        **_classes(run.settings),
        "sparsity": f"{get('sparsity')} nominal; mean effective density of client models {number(density(run), 4)}",
        "strategy": f"{training}, seed {get('seed')}",
        "circuits": circuits if get("circuit-every") != 0 else "not looked for (circuit-every 0)",
        **_privacy(run),
    }


def _classes(settings: Mapping[str, Any]) -> dict[str, str]:
    """Say which class is which where classes have names of their own."""
    names = [name.strip() for name in str(settings.get("class-names") or "").split(",")]
    return (
        {"classes": ", ".join(f"{class_id} = {name}" for class_id, name in enumerate(names))} if names != [""] else {}
    )


def density(run: Run) -> float:
    """Return the mean effective density of client models, over all rounds."""
    return float(run.clients["density"].mean())


def _whose_images(settings: Mapping[str, Any]) -> str:
    """Say whose images the circuits of clients' models were found on."""
    if settings.get("discovery-data") == DataKind.SERVER and settings.get("share-probe", True):
        return "found on the probe set"
    is_compared_there = "imported-from" not in settings and settings.get("retest-every", 0) != 0
    return f"found on clients' own images{', compared on the probe set' if is_compared_there else ''}"


def _privacy(run: Run) -> dict[str, str]:
    """Say what clients kept to themselves, and what noise there is; nothing if there is nothing to say."""
    facts = {
        "reports": withheld(run),
        "missing": "who holds what, circuits of clients, which classes collapsed" if withheld(run) else "",
        "masks": mask_noise(run),
        "average": average_noise(run),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _search(settings: dict[str, Any]) -> str:
    """Name the discovery together with what shapes it: gates are learned for an objective."""
    if settings.get("discovery") == "attribution":
        return f"attribution, {settings.get('size-rule')}"
    return f"{settings.get('discovery', 'unknown')}, objective {settings.get('objective', 'unknown')}"


def _who_holds_what(run: Run) -> str:
    """Say how images came to the clients: from a split of the dataset, or with them."""
    num_clients = run.info.get("num_clients") or "?"
    num_own = sum(client["has_own_images"] for client in run.info.get("clients", []))
    if num_own and num_own == num_clients:
        return f"{num_clients} clients with images of their own"
    mixed = f", {num_own} of them with images of their own instead" if num_own else ""
    return f"split {_split(run.settings)} over {num_clients} clients{mixed}"


def _split(settings: dict[str, Any]) -> str:
    """Name the partition together with the setting that shapes it."""
    partition = settings.get("partition", "unknown")
    shapes = {"dirichlet": "dirichlet-alpha", "pathological": "classes-per-client", "classes": "client-classes"}
    key = shapes.get(str(partition))
    rotation = ", plus the seed" if partition == "classes" and settings.get("rotate-classes") else ""
    return f"{partition} ({key} {settings.get(key)}{rotation})" if key else str(partition)
