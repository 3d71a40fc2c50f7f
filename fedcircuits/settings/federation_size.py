"""What can only be checked once the clients have been counted."""

from fedcircuits.errors import SettingsError
from fedcircuits.settings.groups import FederationSettings
from fedcircuits.settings.run_config import Settings


def check_num_clients(settings: Settings, num_clients: int, num_train_images: int | None) -> None:
    """Check what can only be known once the clients have been counted.

    Args:
        settings: of the run.
        num_clients: that the federation is made of.
        num_train_images: that clients share; None if each of them has its own.

    Raises:
        SettingsError: if there are more clients than images, not as many as `num-clients` expects or `client-classes`
            lists, or if a round would ask too few for krum to withstand `num-malicious` of them, or for
            `trim-fraction` to cut any.
    """
    problems = []
    if num_train_images is not None and num_clients > num_train_images:
        problems.append(
            f"partition: {num_clients} clients cannot share {num_train_images} training images; "
            f"at most {num_train_images} clients are possible"
        )
    num_expected = settings.data.num_clients
    if num_expected not in {0, num_clients}:
        problems.append(
            f"num-clients = {num_expected}: the federation has {num_clients}; {_federation_of(num_expected)}"
        )
    num_listed = len(settings.data.client_classes)
    if num_train_images is not None and settings.data.partition == "classes" and num_listed != num_clients:
        problems.append(
            f"client-classes: lists {num_listed} clients but the federation has {num_clients}; list {num_clients}, or "
            f"{_federation_of(num_listed)}"
        )
    size = round_size(settings.federation.fraction_train, num_clients)
    if why := too_few_to_average(settings.federation, size):
        drawn = f", of which a round asks {size} (fraction-train)" if size < num_clients else ""
        problems.append(f"{why}, but the federation has {num_clients}{drawn}")
    if problems:
        raise SettingsError(problems)


def round_size(fraction: float, num_clients: int) -> int:
    """Return how many of the clients a round asks, at least one."""
    return max(1, round(fraction * num_clients))


def too_few_to_average(federation: FederationSettings, num_replies: int) -> str:
    """Say what the strategy lacks where so many replies make its average; empty if it can do what it is for.

    Args:
        federation: which strategy, and its parameters.
        num_replies: clients whose weights it is given.
    """
    least = 2 * federation.num_malicious + 3
    if federation.strategy == "krum" and num_replies < least:
        return f"num-malicious = {federation.num_malicious}: krum needs 2 * num-malicious + 3 clients, {least} here"
    if federation.strategy == "fedtrimmedavg" and int(federation.trim_fraction * num_replies) == 0:
        return (
            f"trim-fraction = {federation.trim_fraction}: cuts nobody among {num_replies} clients, which makes "
            f"fedtrimmedavg a plain mean; 1 / {num_replies} or more cuts one at each end"
        )
    return ""


def _federation_of(num_clients: int) -> str:
    """Say what to type for a federation of this size."""
    return (
        f'in simulation start it with --federation-config "num-supernodes={num_clients}", in deployment start '
        f"{num_clients} SuperNodes, each with --node-config 'partition-id=<0 to {num_clients - 1}> "
        f"num-partitions={num_clients}'"
    )
