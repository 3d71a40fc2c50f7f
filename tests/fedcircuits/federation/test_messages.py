import math
import tracemalloc
from dataclasses import replace

import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.discovery import Negatives
from fedcircuits.circuits.quality import ClassAccuracy
from fedcircuits.circuits.study import Study
from fedcircuits.circuits.verdicts import CircuitQuality, rates_reason
from fedcircuits.errors import ReplyError
from fedcircuits.federation.local_round import GlobalView, LocalUpdate
from fedcircuits.federation.messages import (
    decode_circuits,
    decode_instruction,
    decode_node,
    decode_settings,
    decode_update,
    decode_view,
    encode_circuits,
    encode_config,
    encode_node,
    encode_update,
    encode_view,
    encode_weights,
)
from fedcircuits.federation.replies import NodeInfo
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import Key, UnusableReason
from fedcircuits.training.local import TrainedModel

SPEC = ModelSpec(in_channels=1, image_size=4, channels=(2, 3), num_classes=3, hidden_units=(4,))


def quality_of(class_id: int) -> CircuitQuality:
    """Return what a client could send: class 2 has a usable circuit, class 0 a recall that is too low."""
    return CircuitQuality(
        class_id=class_id,
        sufficiency=0.5 if class_id == 0 else 0.75,
        necessity=0.25,
        false_positive_rate=None,
        false_positive_rate_all=0.125,
        balanced_accuracy=None,
        empty_circuit_recall=1.0,
        model_recall=0.75,
        model_false_positive_rate=0.125,
        faithfulness=-1.5 if class_id == 0 else None,
        num_positive=16,
        num_negative=64,
        reason=UnusableReason.LOW_RECALL if class_id == 0 else None,
    )


def make_study() -> Study:
    members = torch.tensor([[1, 0, 0, 1, 1], [0, 0, 1, 0, 0]], dtype=torch.bool)
    circuits = Circuits.ranked_by_score((0, 2), members, members.float())
    return Study(circuits, circuits, [quality_of(0), quality_of(2)], Negatives.OWN)


def make_update() -> LocalUpdate:
    weights = initial_weights(SPEC, torch.Generator().manual_seed(0))
    masks = {name: weights[f"{name}.weight"] > 0 for name in SPEC.layer_names}
    for name, mask in masks.items():
        weights[f"{name}.weight"] *= mask
    accuracy = [ClassAccuracy(c, None if c == 1 else 0.5, 0.25, 4) for c in range(3)]
    return LocalUpdate(TrainedModel(weights, masks, 0.75), accuracy, make_study(), 1.5, 2.5)


@pytest.fixture
def content() -> RecordDict:
    return encode_update(make_update(), SPEC, partition_id=7, num_examples=40)


def test_an_update_arrives_as_it_was_sent(content):
    update, reply = make_update(), decode_update(content, SPEC)
    assert (reply.partition_id, reply.num_examples) == (7, 40)
    assert (reply.train_loss, reply.train_seconds, reply.discovery_seconds) == (0.75, 1.5, 2.5)
    assert all(torch.equal(reply.weights[name], value) for name, value in update.trained.weights.items())
    assert all(torch.equal(reply.masks[name], mask) for name, mask in update.trained.masks.items())
    assert reply.accuracy == update.accuracy
    assert reply.study.quality == update.study.quality
    assert reply.study.negatives is Negatives.OWN
    assert torch.equal(reply.study.circuits.members, update.study.circuits.members)
    assert torch.equal(reply.study.retest.members, update.study.retest.members)


def test_an_update_has_one_array_record_and_one_metric_record(content):
    assert list(content.array_records) == [Key.ARRAYS]
    assert list(content.metric_records) == [Key.METRICS]


def test_masks_travel_as_one_bit_per_weight(content):
    num_weights = sum(math.prod(shape) for shape in SPEC.weight_shapes.values())
    assert len(content[Key.UPDATE][Key.PARAMETER_MASK]) == math.ceil(num_weights / 8)


def test_every_record_can_be_counted(content):
    view = encode_view(GlobalView(make_study(), [quality_of(0)], 1.0), 0, 5)
    assert all(record.count_bytes() > 0 for part in (content, view) for record in part.values())


def test_an_update_without_circuits_is_fine():
    reply = decode_update(encode_update(replace(make_update(), study=None), SPEC, 0, 1), SPEC)
    assert reply.study is None


def test_a_view_arrives_as_it_was_sent():
    view = GlobalView(make_study(), [quality_of(0), quality_of(2)], 3.5)
    reply = decode_view(encode_view(view, 2, 9), SPEC, {2: (0, 2)})
    assert (reply.partition_id, reply.evaluate_seconds) == (2, 3.5)
    assert reply.transplant == view.transplant
    assert reply.study.quality == view.study.quality


def test_a_client_that_finds_circuits_on_the_probe_set_sends_transplants_only():
    view = GlobalView(None, [quality_of(0), quality_of(2)], 3.5)
    reply = decode_view(encode_view(view, 2, 9), SPEC, {2: (0, 2)})
    assert (reply.study, reply.transplant) == (None, view.transplant)


def test_a_client_with_none_of_the_wanted_classes_sends_no_circuit():
    study = Study(
        Circuits.ranked_by_score((), torch.zeros(0, 5, dtype=torch.bool), torch.zeros(0, 5)),
        None,
        [],
        Negatives.OWN,
    )
    reply = decode_view(encode_view(GlobalView(study, [], 0.1), 2, 9), SPEC, {2: ()})
    assert reply.study.circuits.class_ids == ()
    assert reply.transplant == []


def test_circuits_kept_in_client_state_come_back():
    circuits = make_study().circuits
    kept = decode_circuits(encode_circuits(circuits), SPEC)
    assert kept.class_ids == circuits.class_ids
    assert torch.equal(kept.members, circuits.members)


def test_an_instruction_carries_settings_round_and_weights(make_settings):
    settings = make_settings({"num-server-rounds": 9, "seed": 4})
    config = encode_config(settings)
    config[Key.SERVER_ROUND] = 3
    weights = initial_weights(SPEC, torch.Generator().manual_seed(1))
    content = RecordDict({Key.ARRAYS: encode_weights(weights), Key.CONFIG: config})
    assert decode_settings(content) == settings
    assert decode_settings(content) is decode_settings(content)  # read once, not for every message
    instruction = decode_instruction(content, SPEC, settings)
    assert (instruction.position.server_round, instruction.position.num_rounds) == (3, 9)
    assert all(torch.equal(instruction.weights[name], value) for name, value in weights.items())
    assert instruction.trained_classes == []


def test_a_node_says_what_it_is():
    for info in (NodeInfo(3, 5, "ab" * 32, [10, 0, 2]), NodeInfo(3, 5, "ab" * 32, [], "no data here")):
        assert decode_node(encode_node(info), 3) == info
        assert encode_node(info)[Key.NODE].count_bytes() > 0


def with_array(name, array):
    def change(content):
        arrays = dict(content[Key.ARRAYS].items())
        arrays[name] = Array(array.numpy())
        content[Key.ARRAYS] = ArrayRecord(arrays)

    return change


def without_array(content):
    arrays = dict(content[Key.ARRAYS].items())
    del arrays["fc.bias"]
    content[Key.ARRAYS] = ArrayRecord(arrays)


def with_metric(key, value):
    def change(content):
        content[Key.METRICS][key] = value

    return change


def with_value(record, key, value):
    def change(content):
        content[record][key] = value

    return change


def without_record(key):
    def change(content):
        del content[key]

    return change


def with_record(key, record):
    def change(content):
        content[key] = record

    return change


def with_empty_circuits(content):
    content[Key.CIRCUITS][Key.MEMBERS] = bytes(2)
    content[Key.CIRCUITS][Key.SCORES] = bytes(10)


BAD_UPDATES = {
    "nan weights": (with_array("fc.bias", torch.tensor([0.0, math.nan, 0.0])), "fc.bias.*not finite"),
    "infinite weights": (with_array("fc.bias", torch.tensor([0.0, math.inf, 0.0])), "fc.bias.*not finite"),
    "a shape that would broadcast": (with_array("fc.bias", torch.zeros(1)), r"float32\[1\], expected float32\[3\]"),
    "another type": (with_array("fc.bias", torch.zeros(3, dtype=torch.float64)), "float64"),
    "half precision": (with_array("fc.bias", torch.zeros(3, dtype=torch.float16)), "float16"),
    "whole numbers": (with_array("fc.bias", torch.zeros(3, dtype=torch.int32)), "int32"),
    "absurd weights": (with_array("fc.bias", torch.tensor([0.0, -1e30, 0.0])), "fc.bias has values beyond"),
    "a missing array": (without_array, "arrays"),
    "an extra array": (with_array("extra", torch.zeros(3)), "extra"),
    "a second array record": (with_record("more", ArrayRecord()), "exactly one"),
    "a second metric record": (with_record("more", MetricRecord({"a": 1})), "exactly one"),
    "no metrics": (without_record(Key.METRICS), "exactly one"),
    "an extra metric": (with_metric("more", 1), "more"),
    "no examples": (with_metric(Key.NUM_EXAMPLES, 0), "num-examples = 0"),
    "negative examples": (with_metric(Key.NUM_EXAMPLES, -5), "num-examples = -5"),
    "absurd examples": (with_metric(Key.NUM_EXAMPLES, 10**12), "num-examples"),
    "fractional examples": (with_metric(Key.NUM_EXAMPLES, 1.5), "num-examples: float"),
    "nan examples": (with_metric(Key.NUM_EXAMPLES, math.nan), "num-examples"),
    "a heavier vote": (with_metric(Key.PLAIN_WEIGHT, 100.0), "plain-weight"),
    "nan loss": (with_metric(Key.TRAIN_LOSS, math.nan), "train_loss"),
    "an absurd loss": (with_metric(Key.TRAIN_LOSS, 1e300), "train_loss"),
    "a negative time": (with_metric(Key.TRAIN_SECONDS, -1.0), "train-seconds = -1.0: must be 0 to"),
    "a list of examples": (with_metric(Key.NUM_EXAMPLES, [40]), "num-examples: list"),
    "another second record": (
        with_record("more", ConfigRecord({"a": bytes(2**20)})),
        "bytes, at most .* can be needed",
    ),
    "a long list": (with_value(Key.UPDATE, "more", [0] * 2**15), "bytes, at most"),
    "many empty texts": (with_value(Key.UPDATE, "more", [""] * 2**15), "bytes, at most"),
    "a large array": (with_array("fc.bias", torch.zeros(2**18)), "bytes, at most"),
    "truncated mask": (with_value(Key.UPDATE, Key.PARAMETER_MASK, b"\xff"), "parameter mask: 1 bytes"),
    "mask as text": (with_value(Key.UPDATE, Key.PARAMETER_MASK, "ff"), "parameter-mask: str"),
    "empty mask with live weights": (with_value(Key.UPDATE, Key.PARAMETER_MASK, bytes(12)), "says are pruned"),
    "truncated circuits": (with_value(Key.CIRCUITS, Key.MEMBERS, b""), "circuits: 0 bytes"),
    "scores against the members": (with_value(Key.CIRCUITS, Key.SCORES, bytes(10)), "kept scores below 0.5"),
    "members against the scores": (with_value(Key.CIRCUITS, Key.MEMBERS, bytes(2)), "one that is not above it"),
    "a ranking that names a channel twice": (with_value(Key.CIRCUITS, Key.RANKING, bytes(10)), "each channel once"),
    "a ranking beyond the channels": (with_value(Key.CIRCUITS, Key.RANKING, b"\x09" * 10), "each channel once"),
    "truncated scores": (with_value(Key.CIRCUITS, Key.SCORES, b"\x00"), "1 bytes of scores"),
    "a class that is not there": (with_value(Key.CIRCUITS, Key.CLASS_IDS, [0, 3]), "class ids"),
    "a class twice": (with_value(Key.CIRCUITS, Key.CLASS_IDS, [2, 2]), "class ids"),
    "retest of other classes": (with_value(Key.RETEST, Key.CLASS_IDS, [0, 1]), "retest"),
    "no quality": (without_record(Key.QUALITY), "quality"),
    "quality above one": (with_value(Key.QUALITY, "sufficiency", [0.5, 1.5]), "sufficiency has values outside"),
    "quality too short": (with_value(Key.QUALITY, "necessity", [0.5]), "1 values of necessity"),
    "quality of a wrong type": (with_value(Key.QUALITY, "reason", [1, 0]), "reason: expected a list of str"),
    "an unknown reason": (with_value(Key.QUALITY, "reason", ["low_recall", "too_sad"]), "reason has values other than"),
    "a missing reason": (with_value(Key.QUALITY, "reason", ["-", "-"]), "class 0 is usable, but its rates say low_re"),
    "a reason that is not one": (
        with_value(Key.QUALITY, "reason", ["low_recall", "check_failed"]),
        "class 2 is check_failed, but its rates say usable",
    ),
    "counts that leave no verdict": (with_value(Key.QUALITY, "num_positive", [16, 9]), "say too_few_images"),
    "negative counts of images": (with_value(Key.QUALITY, "num_negative", [-1, 64]), "num_negative has values outside"),
    "an infinite share": (with_value(Key.QUALITY, "faithfulness", [math.inf, 0.5]), "faithfulness has values that are"),
    "quality of other classes": (with_value(Key.QUALITY, "class_id", [0, 1]), "quality: classes"),
    "an empty circuit of use": (with_empty_circuits, "class 0 keeps no channel, yet is not empty"),
    "negative counts": (with_value(Key.ACCURACY, "num_examples", [-1, 4, 4]), "num_examples has values outside"),
    "counts that no table holds": (with_value(Key.ACCURACY, "num_examples", [2**63, 4, 4]), "num_examples has values"),
    "unknown negatives": (with_value(Key.NEGATIVES, Key.NEGATIVES, "thin air"), "thin air"),
    "no partition": (without_record(Key.UPDATE), "update"),
}


@pytest.mark.parametrize(("change", "reason"), BAD_UPDATES.values(), ids=BAD_UPDATES)
def test_a_damaged_update_is_refused_with_its_reason(content, change, reason):
    change(content)
    with pytest.raises(ReplyError, match=reason):
        decode_update(content, SPEC)


def with_swapped_arrays(content):
    arrays = dict(content[Key.ARRAYS].items())
    content[Key.ARRAYS] = ArrayRecord(dict(reversed(arrays.items())))


def test_arrays_in_another_order_are_refused_since_some_strategies_go_by_position(content):
    with_swapped_arrays(content)
    with pytest.raises(ReplyError, match=r"arrays \['fc\.bias'.*expected \['conv1\.weight'"):
        decode_update(content, SPEC)


@pytest.mark.parametrize("shape", ["(3,)", "(10000000000000,)"], ids=["another type", "an absurd size"])
def test_bytes_that_are_not_what_their_label_says_are_refused_without_the_memory_they_ask_for(content, shape):
    header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(12)
    content[Key.ARRAYS]["fc.bias"] = Array("float32", (3,), "numpy.ndarray", data)
    tracemalloc.start()
    with pytest.raises(ReplyError, match=r"fc\.bias is int32.*, expected float32\[3\]"):
        decode_update(content, SPEC)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def make_view() -> GlobalView:
    return GlobalView(make_study(), [quality_of(0), quality_of(2)], 3.5)


BAD_VIEWS = {
    "weights": (with_record(Key.ARRAYS, ArrayRecord()), "no ArrayRecord"),
    "a second metric record": (with_record("more", MetricRecord({"a": 1})), "exactly one MetricRecord"),
    "an extra metric": (with_metric("more", 1), "more"),
    "no examples": (with_metric(Key.NUM_EXAMPLES, 0), "num-examples = 0"),
    "no vote at all": (with_metric(Key.PLAIN_WEIGHT, 0.0), "plain-weight must be 1.0"),
    "a vote that is not a number": (with_metric(Key.PLAIN_WEIGHT, math.nan), "plain-weight must be 1.0"),
    "a negative time": (with_metric(Key.EVALUATE_SECONDS, -3.5), "evaluate-seconds = -3.5"),
    "no transplants": (without_record(Key.TRANSPLANT), "transplant: no ConfigRecord"),
    "a client that was not asked": (with_value(Key.UPDATE, Key.PARTITION_ID, 3), "claims to be partition 3"),
    "truncated circuits": (with_value(Key.CIRCUITS, Key.MEMBERS, b""), "circuits: 0 bytes"),
    "a transplant without its reason": (
        with_value(Key.TRANSPLANT, "reason", ["-", "-"]),
        "transplant: class 0 is usable, but its rates say low_recall",
    ),
    "transplants of other classes": (with_value(Key.TRANSPLANT, "class_id", [0, 1]), "transplant: classes"),
    "a text that is too long": (with_value(Key.UPDATE, "more", "x" * 2**20), "bytes, at most"),
}


@pytest.mark.parametrize(("change", "reason"), BAD_VIEWS.values(), ids=BAD_VIEWS)
def test_a_damaged_view_is_refused_with_its_reason(change, reason):
    content = encode_view(make_view(), 7, 40)
    change(content)
    with pytest.raises(ReplyError, match=reason):
        decode_view(content, SPEC, {7: (0, 2)})


BAD_INTRODUCTIONS = {
    "a federation of billions": (Key.NUM_PARTITIONS, 2**40, "num-partitions = 1099511627776: must be 1 to"),
    "a federation of nobody": (Key.NUM_PARTITIONS, 0, "num-partitions = 0"),
    "a partition outside": (Key.PARTITION_ID, 5, "must be 0 to 4"),
    "a digest that is none": (Key.CODE_DIGEST, "\x1b[2J", "64 hexadecimal digits"),
    "no images": (Key.CLASS_COUNTS, [0, 0, 0], "class-counts"),
    "fewer images than none": (Key.CLASS_COUNTS, [5, -1, 0], "class-counts"),
    "another dataset": (Key.CLASS_COUNTS, [5, 5], "class-counts"),
    "counts without end": (Key.CLASS_COUNTS, [1] * 2**15, "bytes, at most"),
    "a story": (Key.PROBLEM, "x" * 2**20, "bytes, at most"),
}


@pytest.mark.parametrize(("key", "value", "reason"), BAD_INTRODUCTIONS.values(), ids=BAD_INTRODUCTIONS)
def test_a_damaged_introduction_is_refused_with_its_reason(key, value, reason):
    content = encode_node(NodeInfo(3, 5, "ab" * 32, [10, 0, 2]))
    content[Key.NODE][key] = value
    with pytest.raises(ReplyError, match=reason):
        decode_node(content, 3)


def test_damaged_array_bytes_are_refused(content):
    array = content[Key.ARRAYS]["fc.bias"]
    content[Key.ARRAYS]["fc.bias"] = Array(array.dtype, array.shape, array.stype, array.data[:-5])
    with pytest.raises(ReplyError, match=r"fc\.bias"):
        decode_update(content, SPEC)


@given(data=st.data())
def test_a_random_change_is_refused_or_leaves_a_sound_update(data):
    """Whatever happens to a ConfigRecord, decoding either refuses it or returns what could have been sent."""
    content = encode_update(make_update(), SPEC, 7, 40)
    name = data.draw(st.sampled_from(sorted(content.config_records)))
    record = content[name]
    key = data.draw(st.sampled_from(sorted(record)))
    anything = st.one_of(
        st.integers(-5, 300),
        st.floats(),
        st.booleans(),
        st.text(max_size=5),
        st.binary(max_size=30),
        st.lists(st.integers(-5, 5), max_size=4),
        st.lists(st.floats(), max_size=4),
        st.lists(st.booleans(), max_size=4),
    )
    content[name] = ConfigRecord({**record, key: data.draw(anything)})
    try:
        reply = decode_update(content, SPEC)
    except ReplyError:
        return
    assert all(value.isfinite().all() for value in reply.weights.values())
    assert reply.study.circuits.members.shape == (len(reply.study.quality), SPEC.num_channels)
    for row in reply.study.quality:
        assert row.sufficiency is None or 0 <= row.sufficiency <= 1
        assert row.reason in (rates_reason(row), UnusableReason.EMPTY, UnusableReason.WHOLE_NETWORK)
