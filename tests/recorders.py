"""Stand-ins for the recorder of a GPU, which tests play on the CPU."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fedcircuits.circuits.discovery import gate_losses, gates
from fedcircuits.networks import cuda_graphs
from fedcircuits.training import steps as training_steps

LOOKS = {
    "_local_scalar_dense",  # item, float, int; a tensor as a condition, or of no dimension as an index
    "_unique2",
    "bincount",
    "equal",
    "kthvalue",
    "lift_fresh",  # a tensor made from Python numbers
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "unique_consecutive",
}
"""Operations that wait for a GPU to look at its numbers from the host or to copy some of the host's to it."""


class NoLooks(TorchDispatchMode):
    """Refuse what cannot be recorded on a GPU, but for `tolist` and `numpy`, which are no operations."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in LOOKS:
            raise AssertionError(f"{name} cannot be recorded")
        if name in {"index", "index_put", "index_put_", "_index_put_impl_"}:
            masks = [each for each in args[1] if each is not None and each.dtype in {torch.bool, torch.uint8}]
            if masks:
                raise AssertionError("indexing with a boolean mask cannot be recorded")
        return func(*args, **(kwargs or {}))


class PlayedRecorder:
    """Records by remembering the work; `replay` is what a replay does instead, if given."""

    def __init__(self, replay=None) -> None:
        self.replay, self.events = replay, []

    def warm_up(self, work) -> None:
        self.events.append("warm-up")
        with NoLooks():
            work()

    def record(self, work):
        self.events.append("record")
        return self.replay or work


class FailingRecorder(PlayedRecorder):
    def record(self, work):
        raise RuntimeError("operation not permitted when stream is capturing")


def play_gpu(monkeypatch: pytest.MonkeyPatch) -> PlayedRecorder:
    """Take steps on the CPU as on a GPU from here on: of fixed shapes, recorded and checked."""
    recorder = PlayedRecorder()
    for module in (training_steps, gates, gate_losses):
        monkeypatch.setattr(module, "has_fixed_shapes", lambda device: True)
    monkeypatch.setattr(cuda_graphs, "is_recorded", lambda device: True)
    monkeypatch.setattr(cuda_graphs, "GraphRecorder", lambda: recorder)
    return recorder
