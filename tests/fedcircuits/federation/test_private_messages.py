"""What messages carry where clients do not report everything."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from flwr.app import ConfigRecord, RecordDict

from fedcircuits.circuits.quality import ClassAccuracy
from fedcircuits.errors import ReplyError
from fedcircuits.federation.local_round import LocalUpdate
from fedcircuits.federation.messages import decode_node, decode_update, encode_node, encode_update
from fedcircuits.federation.replies import NodeInfo
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import Key
from fedcircuits.settings.privacy import OPEN, PrivacySettings
from fedcircuits.training.local import TrainedModel

SPEC = ModelSpec(in_channels=1, image_size=4, channels=(2, 3), num_classes=3, hidden_units=(4,))
MASKS, WEIGHTS = replace(OPEN, client_report="masks"), replace(OPEN, client_report="weights")
NOISY = replace(MASKS, mask_flip_probability=0.3)


def make_update() -> LocalUpdate:
    """Return an update that knows more than it may say."""
    weights = initial_weights(SPEC, torch.Generator().manual_seed(0))
    masks = {name: weights[f"{name}.weight"] > 0 for name in SPEC.layer_names}
    for name, mask in masks.items():
        weights[f"{name}.weight"] *= mask
    accuracy = [ClassAccuracy(c, 0.5, 0.25, 4) for c in range(3)]
    return LocalUpdate(TrainedModel(weights, masks, 0.75), accuracy, None, 1.5, 2.5)


def sent(privacy: PrivacySettings) -> RecordDict:
    return encode_update(make_update(), SPEC, 7, 40, privacy, np.random.default_rng(0).bytes)


@pytest.mark.parametrize(("privacy", "update_keys"), [(MASKS, [Key.PARAMETER_MASK]), (WEIGHTS, [])])
def test_nothing_by_class_leaves_a_client_that_does_not_report_classes(privacy, update_keys):
    content = sent(privacy)
    assert set(content) == {Key.ARRAYS, Key.METRICS, Key.UPDATE}
    assert set(content[Key.METRICS]) == {Key.NUM_EXAMPLES, Key.PLAIN_WEIGHT, Key.TRAIN_SECONDS}
    assert set(content[Key.UPDATE]) == {Key.PARTITION_ID, *update_keys}


def test_weights_alone_give_away_the_mask():
    update, reply = make_update(), decode_update(sent(WEIGHTS), SPEC, WEIGHTS)
    assert reply.sent_masks is None
    assert all(torch.equal(reply.masks[name], mask) for name, mask in update.trained.masks.items())
    assert (reply.train_loss, reply.discovery_seconds, reply.accuracy, reply.study) == (None, None, [], None)
    assert (reply.partition_id, reply.num_examples, reply.train_seconds) == (7, 40, 1.5)


def test_what_a_run_does_not_ask_for_is_not_read():
    content = encode_update(make_update(), SPEC, 7, 40)
    del content[Key.METRICS][Key.TRAIN_LOSS]
    del content[Key.METRICS][Key.DISCOVERY_SECONDS]
    reply = decode_update(content, SPEC, WEIGHTS)
    assert (reply.sent_masks, reply.accuracy) == (None, [])


def test_bits_of_a_noisy_mask_are_flipped_and_the_weights_stand_in_for_it():
    true, reply = make_update().trained.masks, decode_update(sent(NOISY), SPEC, NOISY)
    flipped = torch.cat([(reply.sent_masks[name] ^ true[name]).flatten() for name in SPEC.layer_names])
    # 4 standard errors of a share among 108 bits or so
    assert float(flipped.double().mean()) == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / len(flipped)) ** 0.5)
    assert all(torch.equal(reply.masks[name], mask) for name, mask in true.items())


def test_only_a_mask_without_noise_must_fit_the_weights():
    content = sent(NOISY)
    decode_update(content, SPEC, NOISY)
    with pytest.raises(ReplyError, match="its mask says are pruned"):
        decode_update(content, SPEC, MASKS)


def test_clipped_weights_need_not_fit_the_mask_of_training():
    clipped = replace(MASKS, dp="client-fixed-clipping")
    content = sent(clipped)
    dense = encode_update(
        replace(
            make_update(),
            trained=TrainedModel(
                initial_weights(SPEC, torch.Generator().manual_seed(0)), make_update().trained.masks, 0.75
            ),
        ),
        SPEC,
        7,
        40,
        clipped,
    )
    content[Key.ARRAYS] = dense[Key.ARRAYS]
    reply = decode_update(content, SPEC, clipped)
    assert all(mask.all() for mask in reply.masks.values())
    assert not all(mask.all() for mask in reply.sent_masks.values())


def test_a_node_that_does_not_report_classes_says_how_many_images_it_holds():
    info = NodeInfo(3, 5, "0" * 64, [], num_images=12)
    assert decode_node(encode_node(info), 3, MASKS) == info
    assert info.num_held == 12
    with pytest.raises(ReplyError, match="class-counts"):
        decode_node(encode_node(info), 3)
    # What it says beyond that is not kept.
    told = RecordDict({Key.NODE: ConfigRecord({**encode_node(info)[Key.NODE], Key.CLASS_COUNTS: [4, 4, 4]})})
    assert decode_node(told, 3, MASKS).class_counts == []


@pytest.mark.parametrize("num_images", [-1, 10**10])
def test_an_unlikely_number_of_images_is_refused(num_images):
    with pytest.raises(ReplyError, match=f"num-examples = {num_images}: must be 1 to"):
        decode_node(encode_node(NodeInfo(3, 5, "0" * 64, [], num_images=num_images)), 3, WEIGHTS)
