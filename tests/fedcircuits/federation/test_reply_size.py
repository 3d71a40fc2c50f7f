"""No true reply is too large, whatever the model."""

import pytest
import torch
from flwr.app import ArrayRecord, ConfigRecord, RecordDict

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.discovery import Negatives
from fedcircuits.circuits.quality import ClassAccuracy
from fedcircuits.circuits.study import Study
from fedcircuits.circuits.verdicts import CircuitQuality
from fedcircuits.errors import ReplyError
from fedcircuits.federation.local_round import LocalUpdate
from fedcircuits.federation.messages import decode_update, encode_update
from fedcircuits.federation.reply_size import check_introduction_size, check_reply_size
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import Key
from fedcircuits.training.local import TrainedModel

SHAPES = {
    "tiny": ModelSpec(1, 8, (2, 3), 2),
    "default": ModelSpec(1, 8, (32, 64, 128), 10),
    "many classes": ModelSpec(1, 8, (4,), 1000),
    "two bytes a channel": ModelSpec(3, 16, (200, 300), 100, hidden_units=(50,)),
    "many layers": ModelSpec(1, 8, (1, 1, 1), 2, hidden_units=(1,) * 100),
}


@pytest.mark.parametrize("spec", SHAPES.values(), ids=SHAPES)
def test_a_full_reply_fits_and_one_five_times_as_large_does_not(spec):
    classes = tuple(range(spec.num_classes))
    members = torch.ones(spec.num_classes, spec.num_channels, dtype=torch.bool)
    circuits = Circuits.ranked_by_score(classes, members, members.float())
    quality = [CircuitQuality(c, 0.9, 0.5, 0.1, 0.1, 0.9, 0.0, 0.9, 0.1, 0.5, 99, 99, None) for c in classes]
    weights = initial_weights(spec, torch.Generator().manual_seed(0))
    masks = {name: torch.ones_like(weights[f"{name}.weight"], dtype=torch.bool) for name in spec.layer_names}
    accuracy = [ClassAccuracy(c, 0.5, 0.25, 4) for c in classes]
    study = Study(circuits, circuits, quality, Negatives.OWN)
    update = LocalUpdate(TrainedModel(weights, masks, 0.75), accuracy, study, 1.5, 2.5)
    content = encode_update(update, spec, 0, 1)
    size = decode_update(content, spec).reply_bytes
    content["more"] = ConfigRecord({"more": bytes(max(2**16, 4 * size))})
    with pytest.raises(ReplyError, match="at most"):
        decode_update(content, spec)


def test_what_is_counted_is_counted_before_it_is_decoded():
    class Untouchable:
        data = bytes(2**20)

        def numpy(self):
            raise AssertionError("was decoded")

    with pytest.raises(ReplyError, match="at most 65536 can be needed"):
        check_introduction_size({"arrays": {"fc": Untouchable()}})
    with pytest.raises(ReplyError, match="at most"):
        check_reply_size({"arrays": {"fc": Untouchable()}}, SHAPES["tiny"])


def test_names_and_empty_values_count_as_well():
    spec = SHAPES["tiny"]
    check_reply_size(RecordDict({Key.ARRAYS: ArrayRecord()}), spec)
    for record in ({"x" * 2**20: 1}, {"x": [[]] * 2**16}, {str(n): "" for n in range(2**14)}):
        with pytest.raises(ReplyError, match="at most"):
            check_reply_size({"more": record}, spec)
    with pytest.raises(ReplyError, match="at most"):
        check_reply_size({"y" * 2**20: {}}, spec)
