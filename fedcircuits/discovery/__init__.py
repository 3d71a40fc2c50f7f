"""Circuit discovery: which channels a frozen network needs for a class."""

from fedcircuits.discovery.gates import (
    INITIAL_LOGIT,
    Negatives,
    ablation_values,
    class_losses,
    discover_circuits,
    discovery_images,
    draw_batch,
    straight_through,
)

__all__ = [
    "INITIAL_LOGIT",
    "Negatives",
    "ablation_values",
    "class_losses",
    "discover_circuits",
    "discovery_images",
    "draw_batch",
    "straight_through",
]
