"""The collapse ladder: how accurate the average is once a part of it is replaced, to tell where accuracy went.

Averaging the bodies costs A3 - A2, averaging the readouts A2 - A0, and what clients never learned because they never
saw the other classes A4 - E. Only the first of these supports a collapse of circuits.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.alternatives import overlap_count_mean
from fedcircuits.examination.readouts import Readout, fit_readout, fit_rescaling, no_readout
from fedcircuits.examination.round_models import RoundModels
from fedcircuits.networks.cnn import Weights, build_model, in_passes
from fedcircuits.networks.spec import READOUT, ModelSpec
from fedcircuits.records import RungName

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

    def fit_readout(self, own: Readout) -> Readout:
        """Fit a new readout to the features, from the one that they have."""
        return fit_readout(self.features, self.labels, own, self.origins)


Prediction = tuple[RungName, int | None, Int[Tensor, " image"]]
"""A rung, its client if it has one, and the class that it gives each test image."""


def climb_ladder(
    spec: ModelSpec,
    models: RoundModels,
    untrained: Weights,
    central: Weights | None,
    fitting: LabelledImages,
    test: LabelledImages,
) -> list[Rung]:
    """Climb the ladder of one round.

    Args:
        spec: the network's shape.
        models: the clients' models and their average.
        untrained: initial weights of the run, dense.
        central: those of training in one place; None leaves their rung out.
        fitting: images to fit readouts on, balanced over classes, at least one.
        test: held-out images that rungs are scored on, on the same device.
    """
    predictions = list(_of_average(spec, models.average, fitting, test))
    predictions += _of_clients(spec, models, fitting, test)
    counted = overlap_count_mean(spec, [(client.weights, client.masks) for client in models.clients], models.shares)
    predictions.append((RungName.OVERLAP_COUNT, None, _outputs(spec, counted, test).logits.argmax(1)))
    known = _outputs(spec, untrained, fitting)
    # A readout that was never trained means nothing: this ridge leads towards none.
    floor = known.fit_readout(no_readout(spec.num_classes, known.features.shape[1]))
    predictions.append((RungName.UNTRAINED, None, floor.predict(_outputs(spec, untrained, test).features)))
    if central is not None:
        predictions.append((RungName.CENTRAL, None, _outputs(spec, central, test).logits.argmax(1)))
    rungs = [_score(*prediction, test.labels.cpu(), models.trained_classes) for prediction in predictions]
    return [*rungs, _mean_rung([rung for rung in rungs if rung.rung is RungName.CLIENT_READOUT])]


def _of_average(
    spec: ModelSpec, average: Weights, fitting: LabelledImages, test: LabelledImages
) -> Iterator[Prediction]:
    known, asked = _outputs(spec, average, fitting), _outputs(spec, average, test)
    yield RungName.FEDAVG, None, asked.logits.argmax(1)
    yield RungName.RESCALED, None, fit_rescaling(known.logits, known.labels, known.origins).predict(asked.logits)
    yield RungName.NEW_READOUT, None, known.fit_readout(_own_readout(average)).predict(asked.features)


def _of_clients(
    spec: ModelSpec, models: RoundModels, fitting: LabelledImages, test: LabelledImages
) -> Iterator[Prediction]:
    """Give each client a new readout, then all of them one readout, then let them vote by their shares.

    The readout that all features together have of their own is the clients' vote by logits.
    """
    clients, shares = models.clients, models.shares
    owns = [_own_readout(client.weights) for client in clients]
    known = [_outputs(spec, client.weights, fitting) for client in clients]
    asked = [_outputs(spec, client.weights, test) for client in clients]
    for client, own, own_known, own_asked in zip(clients, owns, known, asked, strict=True):
        yield RungName.CLIENT_READOUT, client.partition_id, own_known.fit_readout(own).predict(own_asked.features)
    voting = Readout(
        torch.cat([share * own.weight for share, own in zip(shares, owns, strict=True)], dim=1),
        torch.stack([share * own.bias for share, own in zip(shares, owns, strict=True)]).sum(0),
    )
    together = replace(known[0], features=torch.cat([own.features for own in known], dim=1))
    joint = together.fit_readout(voting)
    yield RungName.JOINT_READOUT, None, joint.predict(torch.cat([own.features for own in asked], dim=1))
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
