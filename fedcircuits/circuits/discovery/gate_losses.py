"""What gates cost on samples: the task loss of each row of gates, all rows in one go.

A row is a class in one restart. Each sample goes through its own row of gates.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from fedcircuits.circuits.discovery.images import DiscoveryImages
from fedcircuits.circuits.discovery.losses import class_losses
from fedcircuits.networks.cnn import GateSite, Gating, SparseCNN, in_passes
from fedcircuits.networks.cuda_graphs import has_fixed_shapes
from fedcircuits.networks.subnetworks import Subnetworks
from fedcircuits.settings import DiscoverySettings

_BLOCK = 16
"""Images of a row go through the network in multiples of this: convolutions are compiled for each shape."""


@dataclass(frozen=True)
class GateBatch:
    """One step's samples of all restarts.

    Args:
        indices: images of the pool.
        group: the row of gates that each sample goes through.
        share: 1 / number of samples of the same row, so that sums are means; 0 = does not count.
    """

    indices: Int[Tensor, " sample"]
    group: Int[Tensor, " sample"]
    share: Float[Tensor, " sample"]

    def to(self, device: torch.device) -> "GateBatch":
        """Return the samples on `device`."""
        return GateBatch(self.indices.to(device), self.group.to(device), self.share.to(device))

    def __getitem__(self, places: Tensor) -> "GateBatch":
        return GateBatch(self.indices[places], self.group[places], self.share[places])


@dataclass(frozen=True)
class GateTask:
    """The fixed parts of one discovery: says what gates cost on samples.

    Args:
        model: the network under study, its parameters frozen.
        subnetworks: its circuits as networks of their own.
        images: of the discovery.
        ablation: `[channel]`, what a channel that is off becomes.
        settings: objective, ablation and gate site.
        class_of_row: `[row]`, the class of each row of gates, on the images' device.
        targets: from `whole_outputs`.
    """

    model: SparseCNN
    subnetworks: Subnetworks
    images: DiscoveryImages
    ablation: Tensor
    settings: DiscoverySettings
    class_of_row: Tensor
    targets: Tensor | None

    def passes(self, batch: GateBatch) -> tuple[Tensor, ...]:
        """Split a batch into what goes through the network at once: places in the batch."""
        if self._closed_gates_learn_nothing:
            return tuple((batch.group == row).nonzero().flatten() for row in batch.group.unique())
        return in_passes(torch.arange(len(batch.group), device=batch.group.device), self.model.spec)

    def losses(self, gates: Tensor, batch: GateBatch, part: Tensor) -> Tensor:
        """Return what some of a batch's samples add to the mean task loss of each row of gates."""
        samples = batch[part]
        losses = self._sample_losses(self._output(gates, samples), samples) * samples.share
        return torch.zeros(len(gates), device=gates.device, dtype=gates.dtype).index_add(0, samples.group, losses)

    @torch.no_grad()
    def loss_range(self, batch: GateBatch) -> Float[Tensor, " row"]:
        """Return what the whole model wins over the empty circuit, 0 at least, in each row of gates.

        A price in these units is made for the model at hand: one that has learned little does not lose every channel
        to a price made for a better one.
        """
        all_open = self.ablation.new_ones(len(self.class_of_row), len(self.ablation))
        closed, opened = (
            sum(self.losses(gates, batch, part) for part in self.passes(batch))
            for gates in (torch.zeros_like(all_open), all_open)
        )
        return torch.as_tensor(closed - opened).clamp(min=0)

    def _output(self, gates: Tensor, samples: GateBatch) -> Tensor:
        """Run samples through the network, each with its own row of gates."""
        if self._closed_gates_learn_nothing:
            return self._output_of_row(gates[samples.group[0]], samples.indices)
        gating = Gating(gates, samples.group, self.ablation, GateSite(self.settings.gate_site))
        output: Tensor = self.model(self.images.pool.images[samples.indices], gating)
        return output

    @property
    def _closed_gates_learn_nothing(self) -> bool:
        """Tell whether the task's gradient of a closed gate is 0, so that its channel need not be computed.

        It is where a closed gate makes the input of ReLU 0. An open one then scales the channel's output. Rows
        differ in what is open, so each is a pass of its own; a GPU is faster with all of them at once.
        """
        is_zero = self.settings.ablation == "zero" and GateSite(self.settings.gate_site) is GateSite.PRE
        return is_zero and not has_fixed_shapes(self.ablation.device)

    def _output_of_row(self, gates: Tensor, indices: Tensor) -> Tensor:
        """Run images through the open channels of one row of gates, in full blocks, so that there are few shapes."""
        in_blocks = indices.repeat(2)[: -(-len(indices) // _BLOCK) * _BLOCK] if len(indices) > _BLOCK else indices
        stem = self.model.stem(self.images.pool.images[in_blocks])
        return self.subnetworks.of(gates > 0)(stem, gates.split(list(self.model.spec.channels)))[: len(indices)]

    def _sample_losses(self, output: Tensor, batch: GateBatch) -> Tensor:
        if self.targets is not None:
            expected = self.targets[batch.indices]
            return F.kl_div(output.log_softmax(1), expected, reduction="none", log_target=True).sum(1)
        class_ids = self.class_of_row[batch.group]
        return class_losses(output, class_ids, self.images.pool.labels[batch.indices] == class_ids)


@torch.no_grad()
def whole_outputs(model: SparseCNN, images: DiscoveryImages, settings: DiscoverySettings) -> Tensor | None:
    """Return the whole model's log-probabilities for every image of the pool, if the objective compares with them."""
    if settings.objective != "kl":
        return None
    return torch.cat([model(part).log_softmax(1) for part in in_passes(images.pool.images, model.spec)])
