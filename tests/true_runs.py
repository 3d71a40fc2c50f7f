"""What true runs of Flower have in common: what the app is made of, and settings with which a round takes seconds."""

from typing import Any, Final

PACKAGES: Final = ("analysis", "client_app", "deployment", "fedcircuits", "server_app", "strategies", "sweep")
"""What travels with the app."""

QUICK: Final[dict[str, Any]] = {
    "train-limit": 200,
    "heldout-limit": 100,
    "channels": "4,4",
    "sparsity": 0.5,
    "local-epochs": 1,
    "attribution-images": 16,
    "attribution-points": 1,
    "examination-every": 0,
    "validity-every": 0,
}
"""Settings in kebab case, as in pyproject.toml."""
