import torch

from fedcircuits.circuits import Circuits
from fedcircuits.found_circuits import FoundCircuits
from fedcircuits.records import ModelKind
from strategies.memory import CircuitMemory


def found(server_round, partition_id=0):
    ranking = torch.arange(3)[None]
    circuits = Circuits((4,), torch.tensor([[True, False, True]]), torch.tensor([[0.9, 0.1, 0.6]]), ranking)
    kernels = {"fc": torch.ones(10, 3, dtype=torch.bool)}
    reachable = torch.ones(3, dtype=torch.bool)
    return FoundCircuits(ModelKind.CLIENT, partition_id, server_round, circuits, reachable, (True,), kernels)


def test_circuits_are_paired_with_those_of_the_models_last_study():
    memory, first, later, other = CircuitMemory(), found(1), found(4), found(4, partition_id=1)
    assert memory.successive([first]) == []
    memory.remember([first], [])
    assert memory.successive([later, other]) == [(first, later)]


def test_the_retest_of_the_last_study_is_kept_and_an_older_one_is_not():
    memory, first, again = CircuitMemory(), found(1), found(1)
    memory.remember([first], [(first, again)])
    memory.remember([found(2, partition_id=1)], [])  # another client's study changes nothing
    assert memory.retests_of_earlier([found(3)]) == [(first, again)]
    assert memory.retests_of_earlier([found(3, partition_id=1)]) == []
    memory.remember([found(3)], [])
    assert memory.retests_of_earlier([found(4)]) == []


def test_retests_of_models_that_are_not_followed_over_rounds_are_forgotten():
    memory, seen_by_client = CircuitMemory(), found(1, partition_id=7)
    memory.remember([found(1)], [(seen_by_client, found(1, partition_id=7))])
    assert memory.to_state().facts["num_retests"] == 0


def test_a_memory_that_is_restored_knows_what_the_other_knew():
    memory, restored, first = CircuitMemory(), CircuitMemory(), found(1)
    memory.remember([first, found(2, partition_id=1)], [(first, found(1))])
    restored.restore(memory.to_state())
    studied = [found(3), found(3, partition_id=1)]
    assert [(a.server_round, b.partition_id) for a, b in restored.successive(studied)] == [(1, 0), (2, 1)]
    ((one, again),) = restored.retests_of_earlier(studied)
    assert (one.server_round, one.partition_id, again.partition_id) == (1, 0, 0)
    assert torch.equal(again.circuits.scores, first.circuits.scores)
