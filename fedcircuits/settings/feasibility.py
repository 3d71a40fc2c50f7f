"""Can a sparsity target be met? Said before training, layer by layer."""

import math

from fedcircuits.networks.spec import ModelSpec


def sparsity_problems(spec: ModelSpec, sparsity: float, min_alive: int, is_inside: bool) -> list[str]:
    """Return why some layers cannot give each of their filters `min_alive` weights; empty if all can.

    Args:
        spec: the network's shape.
        sparsity: target fraction of zeros per layer, 0 <= x < 1; 0 is dense and always possible.
        min_alive: weights that each filter keeps at least.
        is_inside: the floor must fit into the target (`inside`); otherwise it may exceed it, and linear layers have
            none (`reference`).
    """
    problems = []
    for name, (num_filters, *fan_in) in spec.weight_shapes.items() if sparsity else ():
        num_inputs = math.prod(fan_in)
        size = num_filters * num_inputs
        num_keep = int((1 - sparsity) * size)
        needed = max(1, min_alive * num_filters)
        if min_alive > num_inputs and (is_inside or name in spec.conv_names):
            problems.append(f"min-alive = {min_alive}: a filter of {name} has only {num_inputs} weights")
        elif is_inside and num_keep < needed:
            problems.append(
                f"sparsity = {sparsity}: {name} keeps {num_keep} of {size} weights, but min-alive = {min_alive} needs "
                f"{needed}; at most {_most(needed, size):.4f} is possible; or lower min-alive, or use "
                'sparsity-floor = "reference"'
            )
    return problems


def _most(needed: int, size: int) -> float:
    """Return a sparsity that keeps `needed` of `size` weights, rounded down so that it holds whatever floats do."""
    return max(0.0, math.ceil(1e4 * (1 - needed / size) - 1) / 1e4)
