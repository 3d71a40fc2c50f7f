import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from fedcircuits.circuits.discovery import Negatives, ablation_values, discover_circuits, discovery_images
from fedcircuits.circuits.discovery.gates import INITIAL_LOGIT, straight_through
from fedcircuits.circuits.discovery.images import draw_batch
from fedcircuits.circuits.discovery.losses import class_losses
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import GateSite, Gating

NUM_CHANNELS = 15
"""Of the network in conftest.py."""

GATES = {"discovery": "gates", "size-rule": "penalty"}


def class_by_class(model, images, ablation, discovery, batch_size, seed):
    """Discovery as the paper does it: one class after the other, each on the same sequence of batches."""
    logits_by_class = []
    for row, class_id in enumerate(images.class_ids):
        generator = torch.Generator().manual_seed(seed)
        logits = torch.full((NUM_CHANNELS,), INITIAL_LOGIT, requires_grad=True)
        optimiser = torch.optim.Adam([logits], lr=discovery.gate_learning_rate)

        def task_loss(gates, batch, row=row, class_id=class_id):
            chosen = batch.indices[batch.group == row]
            pictures, labels = images.pool.images[chosen], images.pool.labels[chosen]
            rows = torch.zeros(len(chosen), dtype=torch.int64)
            output = model(pictures, Gating(gates[None], rows, ablation, GateSite(discovery.gate_site)))
            if discovery.objective == "kl":
                whole = F.softmax(model(pictures), 1)
                return (whole * (whole.log() - F.log_softmax(output, 1))).sum(1).mean()
            chance = F.softmax(output, 1)[:, class_id]
            return torch.where(labels == class_id, -chance.log(), -(1 - chance).log()).mean()

        price = discovery.gate_penalty
        if discovery.gate_penalty_unit == "loss-range":
            batch = draw_batch(images, discovery, batch_size, generator)
            empty, whole = (task_loss(gate * torch.ones(NUM_CHANNELS), batch) for gate in (0.0, 1.0))
            price = discovery.gate_penalty * max(float(empty - whole), 0.0) / NUM_CHANNELS
        for _ in range(discovery.gate_steps):
            batch = draw_batch(images, discovery, batch_size, generator)
            optimiser.zero_grad()
            hard, soft = (logits > 0).float(), logits.sigmoid()
            loss = task_loss(hard + soft - soft.detach(), batch) + price * soft.sum()
            loss.backward()
            optimiser.step()
        logits_by_class.append(logits.detach())
    return torch.stack(logits_by_class)


@pytest.mark.parametrize("objective", ["target-class", "contrast", "kl"])
@pytest.mark.parametrize(("ablation", "site"), [("zero", "pre"), ("mean", "post")])
@pytest.mark.parametrize("unit", ["absolute", "loss-range"])
def test_all_classes_in_one_pass_is_discovery_class_by_class(
    make_settings, data, model, objective, ablation, site, unit
):
    discovery = make_settings(
        {
            **GATES,
            "objective": objective,
            "ablation": ablation,
            "gate-site": site,
            "gate-steps": 40,
            "gate-batch": 8,
            "gate-penalty": 0.01 if unit == "absolute" else 0.3,
            "gate-penalty-unit": unit,
        }
    ).discovery
    images = discovery_images(data, None, (0, 1, 2, 3), objective)
    values = ablation_values(model, data, discovery)
    fast = discover_circuits(model, images, values, discovery, 16, torch.Generator().manual_seed(5))
    slow = class_by_class(model, images, values, discovery, 16, 5)
    assert torch.equal(fast.members, slow > 0)
    # 40 steps of Adam on gradients that differ in their last bits; Adam divides by their size, so 1e-3 is generous.
    torch.testing.assert_close(fast.scores, slow.sigmoid(), rtol=0, atol=1e-3)


def test_gates_start_at_two_and_all_open(make_settings, data, model):
    discovery = make_settings({**GATES, "gate-steps": 1, "gate-learning-rate": 1e-9}).discovery
    images = discovery_images(data, None, (0,), "contrast")
    found = discover_circuits(model, images, torch.zeros(NUM_CHANNELS), discovery, 16, torch.Generator().manual_seed(0))
    assert found.members.all()
    assert found.scores.mean() == pytest.approx(torch.tensor(2.0).sigmoid().item())


def test_straight_through_is_a_step_with_the_slope_of_the_sigmoid():
    logits = torch.tensor([-1.0, 0.0, 0.5, 2.0], requires_grad=True)
    gates = straight_through(logits)
    gates.sum().backward()
    assert gates.tolist() == [0.0, 0.0, 1.0, 1.0]
    slope = torch.sigmoid(logits.detach())
    torch.testing.assert_close(logits.grad, slope * (1 - slope))


def test_a_closed_gate_before_relu_gets_no_gradient_under_zero_ablation(data, model):
    closed = torch.tensor([[-1.0] * NUM_CHANNELS], requires_grad=True)
    group = torch.zeros(len(data), dtype=torch.int64)
    for site, is_stuck in ((GateSite.PRE, True), (GateSite.POST, False)):
        closed.grad = None
        # Layers before the last are open, so that something arrives at the gates of the last one.
        logits = torch.cat([torch.full((1, 10), 2.0), closed[:, 10:]], 1)
        output = model(data.images, Gating(straight_through(logits), group, torch.zeros(NUM_CHANNELS), site))
        F.cross_entropy(output, data.labels).backward()
        assert (closed.grad[0, 10:] == 0).all().item() is is_stuck


def test_a_high_price_closes_every_gate(make_settings, data, model):
    changes = {"gate-penalty": 100.0, "gate-penalty-unit": "absolute", "gate-steps": 30}
    discovery = make_settings({**GATES, **changes}).discovery
    images = discovery_images(data, None, (0, 1), "contrast")
    found = discover_circuits(model, images, torch.zeros(NUM_CHANNELS), discovery, 16, torch.Generator().manual_seed(0))
    assert not found.members.any()


def test_discovery_leaves_the_model_as_it_was(make_settings, data, model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    discovery = make_settings({**GATES, "gate-steps": 3}).discovery
    images = discovery_images(data, None, (0, 1), "contrast")
    discover_circuits(model, images, torch.zeros(NUM_CHANNELS), discovery, 16, torch.Generator())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_no_class_gives_no_circuit(make_settings, data, model):
    images = discovery_images(data, None, (), "contrast")
    found = discover_circuits(
        model, images, torch.zeros(NUM_CHANNELS), make_settings(GATES).discovery, 16, torch.Generator()
    )
    assert found.class_ids == ()
    assert found.members.shape == (0, NUM_CHANNELS)


def only(data: LabelledImages, class_id: int) -> LabelledImages:
    return data.select((data.labels == class_id).nonzero().flatten())


def test_classes_that_the_data_lacks_are_left_out(data):
    images = discovery_images(only(data, 2), data, (0, 2, 3), "contrast")
    assert images.class_ids == (2,)


def test_a_single_class_takes_its_negatives_from_the_probe_set(data):
    images = discovery_images(only(data, 2), data, (2,), "contrast")
    assert images.negatives is Negatives.PROBE
    # The probe set's own images of the class are not added: positives stay the client's.
    assert (images.pool.labels == 2).sum() == (data.labels == 2).sum()
    assert set(images.pool.labels.tolist()) == {0, 1, 2, 3}


def test_a_single_class_without_a_probe_set_says_that_it_has_no_negatives(data):
    images = discovery_images(only(data, 2), None, (2,), "contrast")
    assert images.negatives is Negatives.NONE
    assert set(images.pool.labels.tolist()) == {2}


@given(seed=st.integers(0, 2**20), gate_batch=st.integers(1, 10).map(lambda half: 2 * half))
def test_balanced_batches_are_half_the_class_and_half_others(make_settings, seed, gate_batch):
    labels = torch.tensor([0, 0, 0, 2, 2, 3, 3, 3, 3, 3])
    pool = LabelledImages(torch.zeros(10, 1, 8, 8), labels)
    images = discovery_images(pool, None, (0, 2, 3), "contrast")
    batch = draw_batch(
        images, make_settings({"gate-batch": gate_batch}).discovery, 1, torch.Generator().manual_seed(seed)
    )
    for row, class_id in enumerate(images.class_ids):
        drawn = images.pool.labels[batch.indices[batch.group == row]]
        assert len(drawn) == gate_batch
        assert (drawn == class_id).sum() == gate_batch // 2


def test_every_negative_is_drawn_sooner_or_later(make_settings):
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    images = discovery_images(LabelledImages(torch.zeros(6, 1, 8, 8), labels), None, (1,), "contrast")
    batch = draw_batch(images, make_settings({"gate-batch": 400}).discovery, 1, torch.Generator().manual_seed(0))
    assert set(batch.indices.tolist()) == set(range(6))


@given(seed=st.integers(0, 2**20), size=st.integers(1, 12))
def test_reference_batches_are_the_class_in_the_first_shuffled_batch_that_has_it(make_settings, seed, size):
    labels = torch.tensor([0, 1, 1, 2, 0, 1, 2, 2, 2, 1, 0, 1])
    images = discovery_images(LabelledImages(torch.zeros(12, 1, 8, 8), labels), None, (0, 1, 2), "target-class")
    discovery = make_settings({**GATES, "objective": "target-class"}).discovery
    batch = draw_batch(images, discovery, size, torch.Generator().manual_seed(seed))
    order = torch.randperm(12, generator=torch.Generator().manual_seed(seed)).tolist()
    for row, class_id in enumerate(images.class_ids):
        for first in range(0, 12, size):
            members = [i for i in order[first : first + size] if images.pool.labels[i] == class_id]
            if members:
                break
        assert sorted(batch.indices[batch.group == row].tolist()) == sorted(members)


def test_class_losses_are_cross_entropy_for_the_class_and_against_it_for_others():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]], dtype=torch.float64)
    chance = logits.softmax(1)
    losses = class_losses(logits, torch.tensor([0, 1]), torch.tensor([True, False]))
    expected = torch.stack([-chance[0, 0].log(), -(1 - chance[1, 1]).log()])
    torch.testing.assert_close(losses, expected)


def test_a_sure_mistake_costs_much_but_stays_finite():
    logits = torch.tensor([[80.0, 0.0, 0.0]])
    losses = class_losses(logits, torch.tensor([0]), torch.tensor([False]))
    assert losses.item() == pytest.approx(80.0 - torch.tensor(2.0).log().item(), rel=1e-5)


def test_mean_ablation_is_the_mean_activation_and_zero_is_zero(make_settings, data, model):
    mean = ablation_values(model, data, make_settings({"ablation": "mean", "gate-site": "post"}).discovery)
    torch.testing.assert_close(mean, model.channel_means(data.images, GateSite.POST))
    assert not ablation_values(model, data, make_settings({"ablation": "zero"}).discovery).any()
