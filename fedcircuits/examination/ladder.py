"""The collapse ladder: how accurate the average is once a part of it is replaced, to tell where accuracy went.

Averaging the bodies costs A3 - A2, averaging the heads A2 - A0, and what clients never learned because they never saw
the other classes A4 - E. Only the first of these supports a collapse of circuits.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fedcircuits.circuits.scores import balanced_sample
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.alternatives import CentralTraining, overlap_count_mean, train_centrally
from fedcircuits.examination.readouts import Readout, fit_head, fit_rescaling, no_readout
from fedcircuits.networks.cnn import Weights, build_model, in_passes
from fedcircuits.networks.spec import READOUT, ModelSpec
from fedcircuits.records import RungName
from fedcircuits.training.sparsity import Masks

FIT_IMAGES = 100
"""Probe images of each class that every readout is fitted on, at most; all there are of a class that has fewer."""


@dataclass(frozen=True)
class Rung:
    """One rung.

    Args:
        rung: which one.
        partition_id: the client that it belongs to; None if it belongs to none.
        accuracy: share of the test images that are recognised; None if there are none.
        accuracy_trained: the same over images of the classes that any client has trained on.
    """

    rung: RungName
    partition_id: int | None
    accuracy: float | None
    accuracy_trained: float | None


@dataclass(frozen=True)
class Outputs:
    """What a network makes of some images: what its readout sees, the logits, and the images' classes and originals.

    On the CPU, wherever the network ran: fitting a readout is hundreds of tiny steps, for each of which a GPU would be
    waited for.
    """

    features: Float[Tensor, "image feature"]
    logits: Float[Tensor, "image class"]
    labels: Int[Tensor, " image"]
    origins: Int[Tensor, " image"] | None

    def fit_head(self, own: Readout) -> Readout:
        """Fit a new head to the features, from the one that they have."""
        return fit_head(self.features, self.labels, own, self.origins)


Prediction = tuple[RungName, int | None, Int[Tensor, " image"]]
"""A rung, its client if it has one, and the class that it gives each test image."""


def climb_ladder(
    spec: ModelSpec,
    clients: Mapping[int, tuple[Weights, Masks]],
    shares: Sequence[float],
    average: Weights,
    untrained: Weights,
    probe: LabelledImages,
    test: LabelledImages,
    trained_classes: Collection[int],
    central: CentralTraining | None,
    generator: torch.Generator,
) -> list[Rung]:
    """Climb the ladder of one round.

    Args:
        spec: the network's shape.
        clients: partition id to weights and masks, at least one client.
        shares: each client's weight in the average, in the order of `clients`; they sum to 1.
        average: the new global weights.
        untrained: initial weights of the run, dense.
        probe: images to fit readouts on, of which up to `FIT_IMAGES` per class are drawn; at least one.
        test: held-out images that rungs are scored on, on the same device.
        trained_classes: classes that any client has trained on so far.
        central: None leaves the rung of central training out.
        generator: draws the images of the fits, and those of central training.
    """
    fitting = balanced_sample(probe, tuple(range(spec.num_classes)), FIT_IMAGES, generator)
    predictions = list(_of_average(spec, average, fitting, test))
    predictions += _of_clients(spec, clients, shares, fitting, test)
    counted = overlap_count_mean(spec, list(clients.values()), shares)
    predictions.append((RungName.OVERLAP_COUNT, None, _outputs(spec, counted, test).logits.argmax(1)))
    known = _outputs(spec, untrained, fitting)
    # A readout that was never trained means nothing: this ridge leads towards none.
    floor = known.fit_head(no_readout(spec.num_classes, known.features.shape[1]))
    predictions.append((RungName.UNTRAINED, None, floor.predict(_outputs(spec, untrained, test).features)))
    if central is not None:
        weights = train_centrally(spec, central, generator)
        predictions.append((RungName.CENTRAL, None, _outputs(spec, weights, test).logits.argmax(1)))
    rungs = [_score(*prediction, test.labels.cpu(), trained_classes) for prediction in predictions]
    return [*rungs, _mean_rung([rung for rung in rungs if rung.rung is RungName.CLIENT_HEAD])]


def _of_average(
    spec: ModelSpec, average: Weights, fitting: LabelledImages, test: LabelledImages
) -> Iterator[Prediction]:
    known, asked = _outputs(spec, average, fitting), _outputs(spec, average, test)
    yield RungName.FEDAVG, None, asked.logits.argmax(1)
    yield RungName.RESCALED, None, fit_rescaling(known.logits, known.labels, known.origins).predict(asked.logits)
    yield RungName.NEW_HEAD, None, known.fit_head(_own_readout(average)).predict(asked.features)


def _of_clients(
    spec: ModelSpec,
    clients: Mapping[int, tuple[Weights, Masks]],
    shares: Sequence[float],
    fitting: LabelledImages,
    test: LabelledImages,
) -> Iterator[Prediction]:
    """Give each client a new head, then all of them one head, then let them vote by their shares.

    The readout that all features together have of their own is the clients' vote by logits.
    """
    owns = [_own_readout(weights) for weights, _ in clients.values()]
    known = [_outputs(spec, weights, fitting) for weights, _ in clients.values()]
    asked = [_outputs(spec, weights, test) for weights, _ in clients.values()]
    for partition_id, own, own_known, own_asked in zip(clients, owns, known, asked, strict=True):
        yield RungName.CLIENT_HEAD, partition_id, own_known.fit_head(own).predict(own_asked.features)
    voting = Readout(
        torch.cat([share * own.weight for share, own in zip(shares, owns, strict=True)], dim=1),
        torch.stack([share * own.bias for share, own in zip(shares, owns, strict=True)]).sum(0),
    )
    together = replace(known[0], features=torch.cat([own.features for own in known], dim=1))
    joint = together.fit_head(voting)
    yield RungName.JOINT_HEAD, None, joint.predict(torch.cat([own.features for own in asked], dim=1))
    logits = sum(share * own.logits for share, own in zip(shares, asked, strict=True))
    yield RungName.ENSEMBLE_LOGITS, None, torch.as_tensor(logits).argmax(1)
    chances = sum(share * own.logits.softmax(1) for share, own in zip(shares, asked, strict=True))
    yield RungName.ENSEMBLE_PROBABILITIES, None, torch.as_tensor(chances).argmax(1)


def _own_readout(weights: Weights) -> Readout:
    return Readout(weights[f"{READOUT}.weight"].double().cpu(), weights[f"{READOUT}.bias"].double().cpu())


@torch.no_grad()
def _outputs(spec: ModelSpec, weights: Weights, images: LabelledImages) -> Outputs:
    model = build_model(spec, weights, images.device)
    features = [model.features(part) for part in in_passes(images.images, spec)]
    together = torch.cat(features)
    logits = model.get_submodule(READOUT)(together)
    origins = None if images.origins is None else images.origins.cpu()
    return Outputs(together.cpu(), logits.cpu(), images.labels.cpu(), origins)


def _score(
    rung: RungName, partition_id: int | None, predicted: Tensor, labels: Tensor, trained_classes: Collection[int]
) -> Rung:
    is_right = predicted == labels
    trained = torch.isin(labels, torch.tensor(sorted(trained_classes), dtype=labels.dtype, device=labels.device))
    return Rung(rung, partition_id, _share(is_right), _share(is_right[trained]))


def _share(is_right: Tensor) -> float | None:
    return float(is_right.double().mean()) if len(is_right) else None


def _mean_rung(rungs: Sequence[Rung]) -> Rung:
    """Return the mean over clients of a rung that each of them has."""

    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    accuracy, trained = mean([rung.accuracy for rung in rungs]), mean([rung.accuracy_trained for rung in rungs])
    return Rung(rungs[0].rung, None, accuracy, trained)
