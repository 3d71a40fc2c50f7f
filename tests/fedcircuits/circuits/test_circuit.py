import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedcircuits.circuits.circuit import Circuits, PackedCircuits, pack_bits, unpack_bits
from fedcircuits.errors import ReplyError

NUM_CLASSES = 10


def circuits_of(class_ids: list[int], num_channels: int, seed: int = 0) -> Circuits:
    """Draw circuits whose scores agree with their members, as discovery's do."""
    scores = torch.rand((len(class_ids), num_channels), generator=torch.Generator().manual_seed(seed))
    return Circuits.ranked_by_score(tuple(class_ids), scores > 0.5, scores)


@given(st.sets(st.integers(0, NUM_CLASSES - 1)), st.integers(1, 40), st.integers(0, 2**31))
def test_circuits_survive_packing(class_ids: set[int], num_channels: int, seed: int) -> None:
    circuits = circuits_of(sorted(class_ids), num_channels, seed)
    unpacked = circuits.pack().unpack(num_channels, NUM_CLASSES)
    assert unpacked.class_ids == circuits.class_ids
    assert torch.equal(unpacked.members, circuits.members)
    assert unpacked.scores.shape == circuits.scores.shape
    # Scores are rounded to multiples of 1/255, so they are off by half of that at most (and a float's rounding).
    assert ((unpacked.scores - circuits.scores).abs() <= 0.5 / 255 + 1e-6).all()


@pytest.mark.parametrize(("num_channels", "num_bytes"), [(224, 224), (256, 256), (257, 514), (70_000, 280_000)])
def test_a_ranking_takes_no_more_bytes_per_channel_than_name_them_all(num_channels: int, num_bytes: int) -> None:
    circuits = circuits_of([3], num_channels)
    packed = circuits.pack()
    assert len(packed.ranking) == num_bytes
    assert torch.equal(packed.unpack(num_channels, NUM_CLASSES).ranking, circuits.ranking)


def test_membership_of_ten_circuits_travels_in_under_half_a_kilobyte() -> None:
    assert len(circuits_of(list(range(10)), 224).pack().members) == 280


@given(st.integers(0, 255))
def test_multiples_of_a_255th_survive_packing_exactly(step: int) -> None:
    scores = torch.tensor([[step / 255]])
    unpacked = Circuits.ranked_by_score((0,), scores > 0.5, scores).pack().unpack(1, NUM_CLASSES)
    assert torch.equal(unpacked.scores, scores)


def test_packed_circuits_survive_unpacking() -> None:
    packed = circuits_of([1, 4], 11).pack()
    assert packed.unpack(11, NUM_CLASSES).pack() == packed


def test_a_kept_channel_still_scores_above_a_half_after_packing() -> None:
    scores = torch.tensor([[0.5 + 1e-6, 0.501, 1.0]])
    unpacked = Circuits.ranked_by_score((0,), scores > 0.5, scores).pack().unpack(3, NUM_CLASSES)
    assert (unpacked.scores > 0.5).all()


def test_membership_takes_one_bit_and_the_score_one_byte_per_channel() -> None:
    packed = circuits_of([0, 1, 2], 224).pack()
    assert len(packed.members) == 3 * 224 // 8
    assert len(packed.scores) == 3 * 224


def test_bits_are_packed_from_the_highest_down_and_padded_with_zeros() -> None:
    bits = torch.tensor([True, False, True, False, False, False, False, False, True])
    assert pack_bits(bits) == bytes([0b10100000, 0b10000000])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 2**31))
def test_bits_of_any_shape_survive_packing(shape: list[int], seed: int) -> None:
    bits = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    packed = pack_bits(bits)
    assert len(packed) == math.ceil(bits.numel() / 8)
    unpacked = unpack_bits(packed, tuple(shape), "mask")
    assert unpacked.dtype == torch.bool
    assert torch.equal(unpacked, bits)


def test_bits_are_packed_in_logical_order_whatever_the_memory_format() -> None:
    bits = torch.rand((4, 3, 3, 3), generator=torch.Generator().manual_seed(0)) < 0.5
    assert pack_bits(bits.contiguous(memory_format=torch.channels_last)) == pack_bits(bits)


def test_unpacked_tensors_can_be_written_to() -> None:
    unpacked = circuits_of([0], 9).pack().unpack(9, NUM_CLASSES)
    unpacked.members.fill_(True)
    unpacked.scores.fill_(0.25)
    assert bool(unpacked.members.all())


@pytest.mark.parametrize("num_bytes", [0, 1, 3])
def test_a_wrong_number_of_bytes_of_bits_is_refused(num_bytes: int) -> None:
    with pytest.raises(ReplyError, match=f"^parameter mask: {num_bytes} bytes of bits, expected 2$"):
        unpack_bits(bytes(num_bytes), (3, 4), "parameter mask")


def test_circuits_with_a_wrong_number_of_membership_bytes_are_refused() -> None:
    packed = circuits_of([0, 1], 9).pack()
    for members in (packed.members[:-1], packed.members + b"\0", b""):
        with pytest.raises(ReplyError, match=r"circuits: .* bytes of bits, expected 3"):
            replace(packed, members=members).unpack(9, NUM_CLASSES)


def test_circuits_with_a_wrong_number_of_scores_are_refused() -> None:
    packed = circuits_of([0, 1], 9).pack()
    for scores in (packed.scores[:-1], packed.scores + b"\0", b""):
        with pytest.raises(ReplyError, match=r"circuits: .* bytes of scores, expected 18"):
            replace(packed, scores=scores).unpack(9, NUM_CLASSES)


def test_circuits_of_another_model_are_refused() -> None:
    with pytest.raises(ReplyError):
        circuits_of([0, 1], 9).pack().unpack(10, NUM_CLASSES)


@pytest.mark.parametrize("class_ids", [[1, 0], [3, 3], [0, 5, 4]])
def test_class_ids_that_do_not_ascend_are_refused(class_ids: list[int]) -> None:
    size = len(class_ids) * 8
    with pytest.raises(ReplyError, match="not ascending within 0 to 9"):
        PackedCircuits(class_ids, bytes(size // 8), bytes(size), bytes(2 * size)).unpack(8, NUM_CLASSES)


@pytest.mark.parametrize("class_ids", [[-1, 0], [9, 10]])
def test_class_ids_outside_the_dataset_are_refused(class_ids: list[int]) -> None:
    with pytest.raises(ReplyError, match="within 0 to 9"):
        PackedCircuits(class_ids, bytes(2), bytes(16), bytes(32)).unpack(8, NUM_CLASSES)


def test_no_circuits_at_all_are_fine() -> None:
    unpacked = PackedCircuits([], b"", b"", b"").unpack(8, NUM_CLASSES)
    assert unpacked.class_ids == ()
    assert unpacked.members.shape == unpacked.scores.shape == (0, 8)
