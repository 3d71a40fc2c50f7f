"""Which weights stay: the largest of a layer, and a floor of four for each convolution's filter."""

from torch import Tensor

MIN_ALIVE = 4

Weights = dict[str, Tensor]


def kept(filters: list[list[float]], sparsity: float, min_alive: int = 0) -> list[list[bool]]:
    """Tell which weights of a layer stay, one list per filter.

    The `max(1, int((1 - sparsity) * n))` largest magnitudes stay, and so do those that tie with the smallest of them.
    Then every filter with fewer than `min_alive` survivors gets its own largest back, as many as `min_alive` and all
    that tie with the smallest of these.
    """
    magnitudes = sorted((abs(value) for values in filters for value in values), reverse=True)
    threshold = magnitudes[max(1, int((1 - sparsity) * len(magnitudes))) - 1]
    masks = []
    for values in filters:
        mask = [abs(value) >= threshold for value in values]
        if sum(mask) < min_alive:
            floor = sorted((abs(value) for value in values), reverse=True)[min_alive - 1]
            mask = [abs(value) >= floor for value in values]
        masks.append(mask)
    return masks


def masks(weights: Weights, sparsity: float, min_alive: int = MIN_ALIVE) -> Weights:
    """Return the mask of every weight tensor, 1 = stays; the linear layer has no floor, biases have no mask."""
    found = {}
    for name, value in weights.items():
        if name.endswith(".weight"):
            filters = [row.flatten().tolist() for row in value]
            rows = kept(filters, sparsity, min_alive if name.startswith("conv") else 0)
            found[name] = value.new_tensor(rows).reshape(value.shape)
    return found
