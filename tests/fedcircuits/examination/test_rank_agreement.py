import pytest
import torch
from additive_network import IMAGES, SITE, AdditiveNetwork, pixel_images

from fedcircuits.examination.rank_agreement import channel_effects, rank_agreement

ALL = torch.ones(4, dtype=torch.bool)


def test_effects_of_an_additive_network_are_its_strengths() -> None:
    model = AdditiveNetwork((0.5, 0.25, -0.125, 0.0))
    effects = channel_effects(model, IMAGES, (0, 1), [0, 1], torch.zeros(4), SITE, ALL)
    # Mean pixels differ by 2. With two classes the log-odds of one are those of the other with the sign turned, and
    # so is the difference of the means: both classes have the same effects.
    assert effects[0].tolist() == pytest.approx([1.0, 0.5, -0.25, 0.0], abs=1e-6)
    assert effects[1].tolist() == pytest.approx(effects[0].tolist(), abs=1e-6)


def test_an_unreachable_channel_has_no_effect() -> None:
    reachable = torch.tensor([True, False, True, True])
    effects = channel_effects(AdditiveNetwork((0.5,) * 4), IMAGES, (0,), [0, 1], torch.zeros(4), SITE, reachable)
    assert effects[0].tolist() == pytest.approx([1, 0, 1, 1])


def test_a_class_without_images_has_no_effects() -> None:
    data = pixel_images([1.0, 2.0], [0, 0])
    effects = channel_effects(AdditiveNetwork((0.5,) * 4), data, (0, 1), [0, 1], torch.zeros(4), SITE, ALL)
    assert effects.isnan().all()
    assert rank_agreement(torch.arange(4), effects[0], ALL) is None


def test_agreement_is_spearmans_correlation() -> None:
    effects = torch.tensor([0.4, 0.3, 0.2, 0.1])
    assert rank_agreement(torch.tensor([0, 1, 2, 3]), effects, ALL) == pytest.approx(1)
    assert rank_agreement(torch.tensor([3, 2, 1, 0]), effects, ALL) == pytest.approx(-1)
    # Ranks 1 and 2 change places: 1 - 6 * (1 + 1) / (4 * 15).
    assert rank_agreement(torch.tensor([1, 0, 2, 3]), effects, ALL) == pytest.approx(0.8)


def test_agreement_is_among_reachable_channels() -> None:
    reachable = torch.tensor([True, False, True, True])
    assert rank_agreement(torch.tensor([1, 0, 2, 3]), torch.tensor([0.4, 0.0, 0.2, 0.1]), reachable) == pytest.approx(1)


def test_effects_that_are_all_alike_rank_nothing() -> None:
    assert rank_agreement(torch.arange(4), torch.zeros(4), ALL) is None
    assert rank_agreement(torch.arange(4), torch.arange(4.0), torch.tensor([True, False, False, False])) is None
