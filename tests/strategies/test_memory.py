import torch

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.found import FoundCircuits, Question
from fedcircuits.records import DataKind, ModelKind
from strategies.memory import CircuitMemory


def found(server_round, partition_id=0, data=DataKind.SERVER, retest=None):
    ranking = torch.arange(3)[None]
    circuits = Circuits((4,), torch.tensor([[True, False, True]]), torch.tensor([[0.9, 0.1, 0.6]]), ranking)
    reachable = torch.ones(3, dtype=torch.bool)
    question = Question(data, None, (3, 4))
    return FoundCircuits(ModelKind.CLIENT, partition_id, server_round, circuits, reachable, (True,), question, retest)


def test_circuits_are_paired_with_those_of_the_models_last_study():
    memory, first, later, other = CircuitMemory(), found(1), found(4), found(4, partition_id=1)
    assert memory.successive([first]) == []
    memory.remember([first])
    assert memory.successive([later, other]) == [(first, later)]


def test_circuits_found_on_other_images_are_another_models():
    memory, on_probe, on_own = CircuitMemory(), found(1), found(1, data=DataKind.CLIENT)
    memory.remember([on_probe, on_own])
    later = found(2, data=DataKind.CLIENT)
    assert memory.successive([later]) == [(on_own, later)]


def test_a_memory_that_is_restored_knows_what_the_other_knew_retests_too():
    memory, restored, first = CircuitMemory(), CircuitMemory(), found(1, retest=found(1).circuits)
    memory.remember([first, found(2, partition_id=1)])
    restored.restore(memory.to_state())
    pairs = restored.successive([found(3), found(3, partition_id=1)])
    assert [(a.server_round, b.partition_id) for a, b in pairs] == [(1, 0), (2, 1)]
    one, other = (a for a, _ in pairs)
    assert (one.question, other.retest) == (first.question, None)
    assert torch.equal(one.retest.scores, first.retest.scores)
