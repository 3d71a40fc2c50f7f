import torch

from fedcircuits.examination.identifiability import perturbed
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec

SPEC = ModelSpec(in_channels=1, image_size=8, channels=(8, 16), num_classes=10)
WEIGHTS = initial_weights(SPEC, torch.Generator().manual_seed(0))


def test_every_weight_moves_by_one_percent_on_average():
    copy = perturbed(WEIGHTS, torch.Generator().manual_seed(1))
    assert list(copy) == list(WEIGHTS)
    moved = torch.cat([(copy[name] / WEIGHTS[name] - 1).flatten() for name in WEIGHTS])
    # Of n normal numbers, mean and standard deviation are off by at most four standard errors.
    assert abs(float(moved.mean())) < 4 * 0.01 / len(moved) ** 0.5
    assert abs(float(moved.std()) - 0.01) < 4 * 0.01 / (2 * len(moved)) ** 0.5


def test_zeros_stay_zero_and_the_original_stays_as_it_is():
    sparse = {name: value * (value > 0) for name, value in WEIGHTS.items()}
    before = {name: value.clone() for name, value in sparse.items()}
    copy = perturbed(sparse, torch.Generator().manual_seed(1), noise=0.5)
    assert all(torch.equal(copy[name] == 0, sparse[name] == 0) for name in sparse)
    assert all(torch.equal(sparse[name], before[name]) for name in sparse)


def test_without_noise_the_copy_is_equal_and_the_same_generator_gives_the_same_copy():
    same = perturbed(WEIGHTS, torch.Generator().manual_seed(1), noise=0.0)
    assert all(torch.equal(same[name], WEIGHTS[name]) for name in WEIGHTS)
    first, again = (perturbed(WEIGHTS, torch.Generator().manual_seed(2)) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in WEIGHTS)
