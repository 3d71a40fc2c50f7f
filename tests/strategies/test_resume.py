"""Runs that go on where they were stopped, against the same runs left alone."""

import pytest
from federation import InProcessGrid
from flwr.app import MessageType
from interruption import Stopped, StoppingGrid, assert_same_logs
from tiny_runs import ATTRIBUTION, HEAVY

from fedcircuits.run_reader import read_info
from strategies.registry import STRATEGIES

NEEDED = {"fedprox": {"proximal_mu": 0.1}, "fedtrimmedavg": {"trim_fraction": 0.34}}
SMALL = {"num_server_rounds": 3, "circuit_classes": "0,1", "gate_steps": 2, "num_checkpoints": 3}


@pytest.fixture
def interrupted(federate):
    """Run a tiny federation one round at a time, stopping it in each round after the first; returns its directory."""

    def run(num_clients=3, num_rounds=3, when=MessageType.TRAIN, **changes):
        resumed = {}
        for _ in range(num_rounds - 1):
            with pytest.raises(Stopped):
                federate(StoppingGrid(num_clients, 1, when), **changes, **resumed)
            resumed = {"resume_from": str(federate.directory)}
        return federate(InProcessGrid(num_clients), **changes, **resumed)

    return run


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_that_is_stopped_in_every_round_is_bit_for_bit_the_run_that_is_not(federate, interrupted, strategy):
    changes = {**SMALL, "strategy": strategy, **NEEDED.get(strategy, {})}
    assert_same_logs(interrupted(**changes), federate(InProcessGrid(3), **changes))
