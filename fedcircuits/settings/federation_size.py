"""What can only be checked once the clients have been counted."""

from fedcircuits.errors import SettingsError
from fedcircuits.settings.run_config import Settings


def check_num_clients(settings: Settings, num_clients: int, num_train_images: int | None) -> None:
    """Check what can only be known once the clients have been counted.

    Args:
        settings: of the run.
        num_clients: that the federation is made of.
        num_train_images: that clients share; None if each of them has its own.

    Raises:
        SettingsError: if there are more clients than images, not as many as `num-clients` expects or `client-classes`
            lists, too few for krum to withstand `num-malicious` of them, or too few for `trim-fraction` to cut any.
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
    num_malicious = settings.federation.num_malicious
    if settings.federation.strategy == "krum" and num_clients < 2 * num_malicious + 3:
        problems.append(
            f"num-malicious = {num_malicious}: krum needs 2 * num-malicious + 3 clients, {2 * num_malicious + 3} here, "
            f"but the federation has {num_clients}"
        )
    trim = settings.federation.trim_fraction
    if settings.federation.strategy == "fedtrimmedavg" and int(trim * num_clients) == 0:
        problems.append(
            f"trim-fraction = {trim}: cuts nobody among {num_clients} clients, which makes fedtrimmedavg a plain mean; "
            f"1 / {num_clients} or more cuts one client at each end"
        )
    if problems:
        raise SettingsError(problems)


def _federation_of(num_clients: int) -> str:
    """Say what to type for a federation of this size."""
    return (
        f'in simulation start it with --federation-config "num-supernodes={num_clients}", in deployment start '
        f"{num_clients} SuperNodes, each with --node-config 'partition-id=<0 to {num_clients - 1}> "
        f"num-partitions={num_clients}'"
    )
