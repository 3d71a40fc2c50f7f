"""Is it the circuit or the weights? A client's circuit and the global model's, each run in both models' weights.

Functional preservation of a client's circuit is its faithfulness in the global weights over that in the client's own.
"""

from collections.abc import Collection
from dataclasses import dataclass

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.scores import Judgement, circuit_logits, faithfulness, judge, whole_logits
from fedcircuits.circuits.study import Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import GateSite
from fedcircuits.records import ModelKind


@dataclass(frozen=True)
class Swap:
    """One circuit in one model's weights, on test images; rates are None where there is no image to count.

    Args:
        partition_id: the client.
        class_id: the class.
        circuit: whose circuit: the client's, or the global model's, found on that client's data.
        weights: whose weights it runs in; channels that are off take that model's ablation values.
        separation: mean log-odds of the class over its images less that over images of the negatives, nats.
        faithfulness: separation over that of the whole model with these weights; None if that is too small to share.
        recall: share of the class's images that are taken for it.
        false_positive_rate: share of the negatives' images that are taken for it.
        balanced_accuracy: (recall + 1 - false_positive_rate) / 2.
    """

    partition_id: int
    class_id: int
    circuit: ModelKind
    weights: ModelKind
    separation: float | None
    faithfulness: float | None
    recall: float | None
    false_positive_rate: float | None
    balanced_accuracy: float | None


def swap_circuits(
    partition_id: int,
    local: tuple[Subject, Circuits],
    average: tuple[Subject, Circuits],
    test: LabelledImages,
    negatives: Collection[int],
    site: GateSite,
) -> list[Swap]:
    """Run both models' circuits in both models, for every class of which both have one.

    Args:
        partition_id: the client.
        local: its model, and the circuits of it.
        average: the global model, and the circuits of it that were found on the client's data.
        test: test images, at least one, on the models' device.
        negatives: classes that each class must be told from; the class itself does not count among them.
        site: where gates act, as in discovery.

    Returns:
        four entries per class.
    """
    shared = [c for c in local[1].class_ids if c in average[1].class_ids]
    parties = {ModelKind.CLIENT: local, ModelKind.GLOBAL: average}
    entries = []
    for weights, (subject, _) in parties.items():
        whole = whole_logits(subject.model, test.images)
        for circuit, (_, circuits) in parties.items():
            members = circuits.members[[circuits.class_ids.index(c) for c in shared]]
            # Channels that carry no signal stay on, as in scrutiny: they are as good as biases.
            on = members | ~subject.reachable
            logits = circuit_logits(subject.model, test.images, on, subject.ablation, site)
            for class_id, output in zip(shared, logits, strict=True):
                alone, all_on = (judge(o, test, class_id, negatives) for o in (output, whole))
                entries.append(_entry((partition_id, class_id, circuit, weights), alone, all_on))
    return entries


def _entry(identity: tuple[int, int, ModelKind, ModelKind], circuit: Judgement, whole: Judgement) -> Swap:
    """Lay out what a circuit does alone, and its share of what the whole model does."""
    return Swap(
        *identity,
        separation=circuit.separation,
        faithfulness=faithfulness(circuit.separation, whole.separation),
        recall=circuit.recall,
        false_positive_rate=circuit.false_positive_rate,
        balanced_accuracy=circuit.balanced_accuracy,
    )
