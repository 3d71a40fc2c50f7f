import pytest
import torch

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.discovery import ablation_values, discover_circuits, discovery_images
from fedcircuits.circuits.discovery.attribution import attribute_channels, image_attributions, separation_weights
from fedcircuits.circuits.discovery.images import Negatives, draw_contrast_set
from fedcircuits.circuits.discovery.restarts import bootstrap, child_generators
from fedcircuits.circuits.scores import circuit_logits, log_odds
from fedcircuits.networks.cnn import GateSite, Gating

POST, PRE = GateSite.POST, GateSite.PRE


def contrast(data, per_class=12, classes=(0, 1, 2, 3)):
    images = discovery_images(data, None, classes, "contrast")
    return images, draw_contrast_set(images, per_class, torch.Generator().manual_seed(3))


def separations(model, images, chosen, ablation, site):
    """Separation of the whole network and of the empty circuit, class by class, from their logits."""
    num_channels = model.spec.num_channels
    members = torch.stack([torch.ones(num_channels), torch.zeros(num_channels)]).bool()
    result = []
    for row, class_id in enumerate(images.class_ids):
        is_of_row = chosen.samples.group == row
        pixels = images.pool.images[chosen.samples.indices[is_of_row]]
        odds = log_odds(circuit_logits(model, pixels, members, ablation, site), class_id)
        positive = chosen.is_positive[is_of_row]
        result.append(odds[:, positive].mean(1) - odds[:, ~positive].mean(1))
    return torch.stack(result).T


@pytest.mark.parametrize("site", [PRE, POST])
@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_attributions_add_up_to_what_the_whole_network_has_over_the_empty_circuit(
    make_settings, data, model, ablation, site
):
    images, chosen = contrast(data)
    gaps = []
    for num_points in (2, 8, 128):
        discovery = make_settings(
            {"attribution-points": num_points, "ablation": ablation, "gate-site": site.value}
        ).discovery
        values = ablation_values(model, data, discovery)
        attributions = attribute_channels(model, images, [chosen], values, discovery)
        whole, empty = separations(model, images, chosen, values, site)
        gaps.append(float((attributions[0].sum(1) - (whole - empty)).abs().max()))
    # The midpoint rule's error; the path has kinks, so it does not fall as fast as the square of the step.
    assert gaps[2] < 1e-3
    assert gaps[2] < gaps[0]


def test_attributions_are_the_gradients_of_one_gate_of_one_image_at_a_time(data, model):
    images, chosen = contrast(data, per_class=4, classes=(1, 3))
    ablation = model.channel_means(data.images, POST)
    model.requires_grad_(False)
    fast = image_attributions(model, images, chosen, ablation, POST, num_points=3)
    one_row = torch.zeros(1, dtype=torch.int64)
    for sample, (index, row) in enumerate(zip(chosen.samples.indices, chosen.samples.group, strict=True)):
        for channel in range(model.spec.num_channels):
            slopes = []
            for openness in (1 / 6, 3 / 6, 5 / 6):
                gate = torch.tensor(openness, requires_grad=True)
                is_channel = torch.arange(model.spec.num_channels) == channel
                gates = torch.where(is_channel, gate, openness)[None]
                logits = model(images.pool.images[index][None], Gating(gates, one_row, ablation, POST))
                odds = log_odds(logits, images.class_ids[row])
                slopes.append(torch.autograd.grad(odds.sum(), gate)[0].item())
            assert fast[sample, channel].item() == pytest.approx(sum(slopes) / 3, abs=1e-5)


def test_a_channel_that_leads_nowhere_has_no_attribution(make_settings, data, model):
    with torch.no_grad():
        model.conv2.weight[:, 1] = 0.0  # channel 1 of the first convolution
        model.fc.weight[:, 2] = 0.0  # channel 2 of the last one (its map is a single pixel)
    images, chosen = contrast(data)
    discovery = make_settings({}).discovery
    ablation = ablation_values(model, data, discovery)
    attributions = attribute_channels(model, images, [chosen], ablation, discovery)
    assert not attributions[..., [1, 12]].any()
    assert (attributions != 0).any(1).sum() == model.spec.num_channels - 2


def test_without_other_classes_the_measure_is_the_log_odds_of_the_class_over_the_empty_circuits(
    make_settings, data, model
):
    alone = data.select((data.labels == 2).nonzero().flatten())
    images, chosen = contrast(alone, classes=(2,))
    assert images.negatives is Negatives.NONE
    assert chosen.is_positive.all()
    discovery = make_settings({"attribution-points": 128}).discovery
    ablation = ablation_values(model, data, discovery)
    attributions = attribute_channels(model, images, [chosen], ablation, discovery)
    ends = torch.stack([torch.ones(15), torch.zeros(15)]).bool()
    whole, empty = log_odds(
        circuit_logits(model, images.pool.images[chosen.samples.indices], ends, ablation, POST), 2
    ).mean(1)
    assert attributions.sum().item() == pytest.approx((whole - empty).item(), abs=1e-3)


def test_weights_make_the_separation_of_each_class(data):
    _, chosen = contrast(data, per_class=6)
    odds = torch.randn(len(chosen), generator=torch.Generator().manual_seed(0))
    for row, value in enumerate(separation_weights(chosen, 4) @ odds):
        own = odds[(chosen.samples.group == row) & chosen.is_positive]
        other = odds[(chosen.samples.group == row) & ~chosen.is_positive]
        assert value.item() == pytest.approx((own.mean() - other.mean()).item(), abs=1e-6)


def test_restarts_are_attributions_of_images_drawn_several_times(make_settings, data, model):
    images, chosen = contrast(data)
    discovery = make_settings({"attribution-points": 2}).discovery
    ablation = ablation_values(model, data, discovery)
    versions = [bootstrap(chosen, each) for each in child_generators(torch.Generator().manual_seed(0), 3)]
    together = attribute_channels(model, images, versions, ablation, discovery)
    for version, attributions in zip(versions, together, strict=True):
        alone = attribute_channels(model, images, [version], ablation, discovery)[0]
        torch.testing.assert_close(attributions, alone)
    assert not torch.equal(together[0], together[1])


def test_the_same_generator_gives_the_same_circuits(make_settings, data, model):
    discovery = make_settings({"discovery": "attribution", "size-rule": "sweep", "restarts": 3}).discovery
    images = discovery_images(data, None, (0, 1, 2, 3), "contrast")
    ablation = ablation_values(model, data, discovery)

    def find(seed: int) -> Circuits:
        return discover_circuits(model, images, ablation, discovery, 16, torch.Generator().manual_seed(seed))

    assert torch.equal(find(0).ranking, find(0).ranking)
    assert torch.equal(find(0).scores, find(0).scores)
    assert not torch.equal(find(0).ranking, find(1).ranking)
