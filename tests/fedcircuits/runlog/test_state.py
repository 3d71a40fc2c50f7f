import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.found import FoundCircuits, Question
from fedcircuits.circuits.state import found_from_state, found_to_state
from fedcircuits.errors import RunLogError
from fedcircuits.records import DataKind, ModelKind
from fedcircuits.runlog.state import Part, PartState, encode_state, read_state


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    tensors = {"m_t/fc.bias": torch.tensor([0.1, 1e-300], dtype=torch.float64), "step": torch.tensor(3)}
    state = {
        Part.STRATEGY: PartState(tensors, {}),
        Part.OBSERVER: PartState({}, {"trained_classes": [0, 3], "checks": {"last": None}}),
    }
    found = read_state(write(tmp_path / "state", encode_state(state)))
    assert found[Part.OBSERVER] == state[Part.OBSERVER]
    assert set(found[Part.STRATEGY].tensors) == set(tensors)
    for name, tensor in tensors.items():
        assert found[Part.STRATEGY].tensors[name].dtype == tensor.dtype
        assert torch.equal(found[Part.STRATEGY].tensors[name], tensor)


def test_the_same_state_gives_the_same_bytes() -> None:
    state = {part: PartState({"a": torch.zeros(2)}, {"b": 1}) for part in Part}
    assert len({encode_state(state) for _ in range(20)}) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"no tensors", "cannot be read"),
        (save({}, {"state": "{"}), "cannot be read"),
        (save({}), "of state version None; this code reads 2"),
        (save({}, {"state": json.dumps({"version": 1})}), "of state version 1; this code reads 2"),
    ],
)
def test_a_file_that_holds_no_state_of_this_version_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(RunLogError, match=f"state-0001.*{problem}"):
        read_state(write(tmp_path / "state-0001.safetensors", content))


def found(seed: int, num_classes: int, partition_id: int | None) -> FoundCircuits:
    """Return circuits of a network of one convolution of 5 channels after 3, and 4 classes."""
    draw = torch.Generator().manual_seed(seed)
    scores = torch.rand(num_classes, 5, generator=draw)
    members = torch.rand(num_classes, 5, generator=draw) < 0.5
    ranking = torch.stack([torch.randperm(5, generator=draw) for _ in range(num_classes)] or [torch.zeros(5).long()])
    return FoundCircuits(
        ModelKind.CLIENT if partition_id is not None else ModelKind.GLOBAL,
        partition_id,
        seed + 1,
        Circuits(tuple(range(num_classes)), members, scores, ranking[:num_classes]),
        torch.rand(5, generator=draw) < 0.5,
        tuple((True, False, None)[number % 3] for number in range(num_classes)),
        Question(
            DataKind.SERVER if seed % 3 else DataKind.CLIENT,
            None if seed % 3 else seed,
            tuple(range(seed % 4)),
            seed % 2 == 0,
        ),
        Circuits(tuple(range(num_classes)), ~members, 1 - scores, ranking[:num_classes]) if seed % 2 else None,
    )


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 4), st.none() | st.integers(0, 9)), max_size=5))
def test_circuits_come_back_exactly(chosen: list[tuple[int, int, int | None]]) -> None:
    written = [found(*one) for one in chosen]
    tensors, facts = found_to_state(written)
    read = found_from_state(tensors, json.loads(json.dumps(facts)))
    assert len(read) == len(written)
    for one, other in zip(read, written, strict=True):
        assert (one.model, one.partition_id, one.server_round) == (other.model, other.partition_id, other.server_round)
        assert (one.usable, one.circuits.class_ids) == (other.usable, other.circuits.class_ids)
        assert (one.question, one.retest is None) == (other.question, other.retest is None)
        retests = [] if other.retest is None else [(one.retest, other.retest)]
        for read_back, original in [(one.circuits, other.circuits), *retests]:
            for name in ("members", "scores", "ranking"):
                assert torch.equal(getattr(read_back, name), getattr(original, name))
                assert getattr(read_back, name).dtype == getattr(original, name).dtype
        assert torch.equal(one.reachable, other.reachable)
