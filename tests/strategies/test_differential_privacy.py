"""Flower's clipping and noise around the averaging, in whole federations in one process."""

import numpy as np
import pytest
import torch
from federation import InProcessGrid
from flwr.app import ArrayRecord, Message, MessageType
from tiny_runs import table

from fedcircuits.records import Key
from fedcircuits.runlog.checkpoints import read_checkpoint
from strategies import differential_privacy

HUGE = 1e6
"""A norm that no update of these runs comes near."""

SERVER = {"num_server_rounds": 1, "circuit_every": 0, "weighting": "plain", "dp": "server-fixed-clipping"}
CLIENT = SERVER | {"dp": "client-fixed-clipping", "client_report": "masks"}
PLAIN = {"dp": "off", "dp_clipping_norm": 1.0, "dp_noise_multiplier": 0.0}


class Listener:
    """Remembers the weights that clients sent."""

    def __init__(self) -> None:
        self.sent: list[np.ndarray] = []

    def __call__(self, reply: Message, partition_id: int) -> Message:
        if reply.metadata.message_type == MessageType.TRAIN and reply.has_content():
            self.sent.append(flat(reply.content[Key.ARRAYS]))
        return reply


def flat(record: ArrayRecord) -> np.ndarray:
    return np.concatenate([record[name].numpy().astype(np.float64).ravel() for name in sorted(record)])


def average(run) -> np.ndarray:
    weights = read_checkpoint(run, 1)
    return np.concatenate([weights[name].double().numpy().ravel() for name in sorted(weights)])


def start_of(grid: InProcessGrid) -> np.ndarray:
    asked = next(message for message in grid.sent if message.metadata.message_type == MessageType.TRAIN)
    return flat(asked.content[Key.ARRAYS])


@pytest.mark.parametrize("changes", [SERVER, CLIENT], ids=["server", "client"])
@pytest.mark.parametrize("strategy", ["fedavg", "fedadam", "fedmedian"])
def test_without_noise_and_with_room_for_every_update_it_is_the_plain_strategy(federate, strategy, changes):
    private = federate(InProcessGrid(3), strategy=strategy, dp_clipping_norm=HUGE, **changes)
    plain = federate(InProcessGrid(3), strategy=strategy, **(changes | PLAIN))
    # Clipping by a factor of 1 still computes w + (x - w), which rounds: an ulp of the larger of the two. FedAdam
    # divides a step by its own size, so that what rounding leaves is as large a share of 0.01.
    tolerance = {"rtol": 1e-6, "atol": 2e-7} if strategy != "fedadam" else {"rtol": 1e-5, "atol": 2e-5}
    np.testing.assert_allclose(average(private), average(plain), **tolerance)


def test_the_server_clips_every_update_to_the_norm(federate):
    listener = Listener()
    grid = InProcessGrid(3, listener)
    run = federate(grid, dp_clipping_norm=0.5, **SERVER)
    start = start_of(grid)
    updates = [weights - start for weights in listener.sent]
    norms = [np.linalg.norm(update) for update in updates]
    assert min(norms) > 0.5
    clipped = np.mean([update * 0.5 / norm for update, norm in zip(updates, norms, strict=True)], axis=0)
    # Float32 rounding of weights of up to 0.5.
    np.testing.assert_allclose(average(run), start + clipped, atol=2e-7)


def test_an_update_within_the_norm_is_left_alone_beside_others_that_are_clipped(federate):
    listener = Listener()
    grid = InProcessGrid(2, listener)
    sizes = {"partition": "dirichlet", "dirichlet_alpha": 0.5}
    federate(grid, dp_clipping_norm=HUGE, **SERVER, **sizes)
    start = start_of(grid)
    small, large = sorted(listener.sent, key=lambda weights: float(np.linalg.norm(weights - start)))
    norm = (np.linalg.norm(small - start) + np.linalg.norm(large - start)) / 2
    run = federate(InProcessGrid(2), dp_clipping_norm=float(norm), **SERVER, **sizes)
    factor = norm / np.linalg.norm(large - start)
    np.testing.assert_allclose(average(run), (small + start + (large - start) * factor) / 2, atol=2e-7)


def test_clients_clip_their_own_updates_before_they_leave(federate):
    listener = Listener()
    grid = InProcessGrid(3, listener)
    federate(grid, dp_clipping_norm=0.5, **CLIENT)
    norms = [np.linalg.norm(weights - start_of(grid)) for weights in listener.sent]
    assert norms == pytest.approx([0.5] * 3, rel=1e-4)  # float32


@pytest.mark.parametrize("num_lost", [0, 2])
def test_the_noise_is_as_large_as_the_number_of_averaged_clients_asks_for(federate, monkeypatch, num_lost):
    monkeypatch.setattr(differential_privacy, "draw_afresh", lambda: np.random.seed(3))

    def tamper(reply: Message, partition_id: int) -> Message | None:
        is_lost = reply.metadata.message_type == MessageType.TRAIN and partition_id < num_lost
        return None if is_lost else reply

    noisy, clear = (
        federate(InProcessGrid(4, tamper), dp_clipping_norm=0.5, dp_noise_multiplier=noise, **SERVER)
        for noise in (2.0, 0.0)
    )
    difference = average(noisy) - average(clear)
    expected = 2.0 * 0.5 / (4 - num_lost)
    # The standard deviation of n draws has a relative error of 1 / sqrt(2n).
    assert difference.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * len(difference)))


def test_noise_cannot_be_worked_out_from_the_seed(federate):
    averages = []
    for _ in range(2):
        np.random.seed(0)
        averages.append(average(federate(InProcessGrid(2), dp_noise_multiplier=1.0, seed=5, **SERVER)))
    assert np.isfinite(averages).all()
    assert (averages[0] != averages[1]).mean() > 0.99


def test_the_log_says_what_clients_sent_and_that_the_released_average_is_dense(federate):
    run = federate(
        InProcessGrid(3), dp_clipping_norm=0.5, dp_noise_multiplier=1.0, **(SERVER | {"num_server_rounds": 2})
    )
    assert (table(run, "clients")["density"] < 0.5).all()
    interference = table(run, "interference")
    assert (interference["density_global"] == 1).all()
    assert (interference["density_clients"] < 0.5).all()
    masks = table(run, "overlap").query("comparison == 'parameter_mask_local_vs_global'")
    assert (masks["size_b"] == masks["universe"]).all()
    assert all(value.isfinite().all() for value in read_checkpoint(run, 2).values())


def test_clipped_weights_are_no_longer_sparse_and_the_log_goes_by_them(federate):
    run = federate(InProcessGrid(3), dp_clipping_norm=0.5, **CLIENT)
    clients = table(run, "clients")
    assert clients["accepted"].all()
    assert (clients["density"] > 0.9).all()  # a pruned weight keeps what clipping left of where it started
    masks = table(run, "overlap").query("comparison == 'parameter_mask_across_clients' and layer == 'all'")
    assert (masks["size_a"] < 0.5 * masks["universe"]).all()  # the masks are those of training


def test_a_client_that_sends_back_what_it_got_is_set_aside(federate):
    start = {}

    def echo(reply: Message, partition_id: int) -> Message:
        if reply.metadata.message_type == MessageType.TRAIN and partition_id == 1:
            reply.content[Key.ARRAYS] = start["grid"].sent[-1].content[Key.ARRAYS]
        return reply

    start["grid"] = InProcessGrid(3, echo)
    run = federate(start["grid"], sparsity=0.0, **SERVER)
    rejected = table(run, "clients").query("not accepted")
    assert list(rejected["partition_id"]) == [1]
    assert "an update of 0" in rejected["reason"].item()
    assert all(torch.isfinite(value).all() for value in read_checkpoint(run, 1).values())
