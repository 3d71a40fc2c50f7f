"""Are different circuits interchangeable? One client's circuit of a class, run in another client's weights.

Circuits of one class may differ in their channels and still do the same: then the first's works in the second's weights
as well as the second's own. How much of that any channels would do say random circuits of the same sizes, and how much
is not the class's own, circuits of other classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from fedcircuits.alignment.random_circuits import draw_circuits
from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.study import Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.trials import Trial, prepare_trial
from fedcircuits.networks.cnn import GateSite
from fedcircuits.settings.config_values import ClassIds

NUM_RANDOM = 20
"""Random circuits for each pair of clients and class."""

LEAST_OWN = 0.1
"""A circuit must be at least this faithful in its own weights to be compared with: less would divide by noise. Circuits
that decide like their model have 0.2 to 0.6, since they decide with less conviction."""


@dataclass(frozen=True)
class Party:
    """One client whose circuits are given and taken.

    Args:
        partition_id: the client.
        subject: its model.
        circuits: those found in it, one per class.
        told_apart: the classes that its circuits must tell theirs from; a class itself does not count among them.
    """

    partition_id: int
    subject: Subject
    circuits: Circuits
    told_apart: ClassIds


@dataclass(frozen=True)
class Transfer:
    """Client a's circuit of a class in client b's weights, on test images.

    Everything is None where b's whole model does not separate the class; shares are None where b's own circuit is less
    faithful than `LEAST_OWN`.

    Args:
        class_id: the class.
        a_partition_id: whose circuit.
        b_partition_id: whose weights and ablation values.
        faithfulness: of a's circuit in b's weights.
        own_faithfulness: of b's circuit in b's weights.
        transfer: the first as a share of the second; 1 = a's circuit does as well as b's own.
        random_transfer: the same of random circuits with as many of b's reachable channels in each layer, their mean.
        random_transfer_sd: its standard deviation over them.
        other_class_transfer: the same of a's circuits of other classes, judged on this class, their mean; None if a has
            no other.
        transfer_excess: `transfer` less `random_transfer`.
    """

    class_id: int
    a_partition_id: int
    b_partition_id: int
    faithfulness: float | None
    own_faithfulness: float | None
    transfer: float | None
    random_transfer: float | None
    random_transfer_sd: float | None
    other_class_transfer: float | None
    transfer_excess: float | None


def transfer_circuits(
    parties: Sequence[Party], test: LabelledImages, site: GateSite, generator: torch.Generator
) -> list[Transfer]:
    """Run every client's circuits in every other client's weights, for each class of which both have one.

    Args:
        parties: the clients; of fewer than two nothing is transferred.
        test: test images, balanced over classes and sorted by them.
        site: where gates act, as in discovery.
        generator: draws `NUM_RANDOM` random circuits for each entry.

    Returns:
        one entry per ordered pair and class, ordered by taker, class and giver.
    """
    entries: list[Transfer] = []
    for taker in parties:
        givers = [party for party in parties if party is not taker]
        for class_id in taker.circuits.class_ids:
            able = [giver for giver in givers if class_id in giver.circuits.class_ids]
            if able:
                entries += _into(taker, able, class_id, test, site, generator)
    return entries


def _into(
    taker: Party,
    givers: Sequence[Party],
    class_id: int,
    test: LabelledImages,
    site: GateSite,
    generator: torch.Generator,
) -> Iterator[Transfer]:
    """Run the circuits of several clients in one client's weights, judged on one class."""
    trial = prepare_trial(taker.subject, test, class_id, taker.told_apart, site)
    if not trial.is_separable:
        for giver in givers:
            yield Transfer(class_id, giver.partition_id, taker.partition_id, *[None] * 7)
        return
    own = float(trial.faithfulness(_members(taker, [class_id]))[0])
    for giver in givers:
        yield _entry(trial, taker, giver, own, generator)


def _entry(trial: Trial, taker: Party, giver: Party, own: float, generator: torch.Generator) -> Transfer:
    class_id = trial.class_id
    others = [other for other in giver.circuits.class_ids if other != class_id]
    given = _members(giver, [class_id, *others])
    layer_sizes = taker.subject.model.spec.channels
    counts = [int(kept.sum()) for kept in given[0].split(list(layer_sizes))]
    random = draw_circuits(counts, taker.subject.reachable, layer_sizes, NUM_RANDOM, generator)
    found = trial.faithfulness(torch.cat([given, random]))
    faithfulness, of_others, of_random = float(found[0]), found[1 : len(given)], found[len(given) :]
    identity = (class_id, giver.partition_id, taker.partition_id, faithfulness, own)
    if own < LEAST_OWN:
        return Transfer(*identity, *[None] * 5)
    by_chance = float(of_random.mean()) / own
    return Transfer(
        *identity,
        transfer=faithfulness / own,
        random_transfer=by_chance,
        random_transfer_sd=float(of_random.std(correction=0)) / own,
        other_class_transfer=float(of_others.mean()) / own if others else None,
        transfer_excess=faithfulness / own - by_chance,
    )


def _members(party: Party, class_ids: Sequence[int]) -> Bool[Tensor, "circuit channel"]:
    """Return circuits of a client, without channels that carry no signal in its own model."""
    rows = [party.circuits.class_ids.index(class_id) for class_id in class_ids]
    return party.circuits.members[rows] & party.subject.reachable
