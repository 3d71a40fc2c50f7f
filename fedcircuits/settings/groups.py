"""The settings by concern, as frozen dataclasses: each field's type says what its value may be."""

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from fedcircuits.networks.spec import ModelSpec, Padding
from fedcircuits.settings.config_values import Between, ClassIds
from fedcircuits.settings.image_shapes import DIGIT_SIZE, ImageShape, shape_of

AtLeastOne = Annotated[int, Between(1)]
NotNegative = Annotated[int, Between(0)]
Positive = Annotated[float, Between(0, low_open=True)]
Fraction = Annotated[float, Between(0, 1)]

NEUTRAL: Final = {"is_neutral": True}
"""Metadata of a setting that changes no result: where files lie, how long is waited, what the machine may use."""


@dataclass(frozen=True)
class RunSettings:
    """How long a run is, where its log goes and what seeds it."""

    num_server_rounds: AtLeastOne
    seed: Annotated[int, Between(0, 2**31 - 1)]
    run_dir: str = field(metadata=NEUTRAL)
    run_name: str = field(metadata=NEUTRAL)
    resume_from: str = field(metadata=NEUTRAL)
    num_checkpoints: AtLeastOne = field(metadata=NEUTRAL)


@dataclass(frozen=True)
class DataSettings:
    """Which images there are and who holds them."""

    dataset: Literal["digits", "cluttered-digits", "mnist", "fashion-mnist", "cifar10", "folder"]
    data_dir: str = field(metadata=NEUTRAL)
    class_names: tuple[str, ...]
    image_size: AtLeastOne
    image_channels: AtLeastOne
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    fit_images: bool
    skip_unreadable: bool
    clutter_size: Annotated[int, Between(DIGIT_SIZE)]
    clutter_fragments: NotNegative
    clutter_copies: AtLeastOne
    own_test_fraction: Annotated[float, Between(0, 1, low_open=True, high_open=True)]
    train_limit: NotNegative
    heldout_limit: NotNegative
    probe_fraction: Annotated[float, Between(0, 1, low_open=True, high_open=True)]
    num_clients: NotNegative
    partition: Literal["iid", "dirichlet", "pathological", "classes"]
    dirichlet_alpha: Positive
    min_partition_size: AtLeastOne
    dirichlet_balanced: bool
    classes_per_client: AtLeastOne
    client_classes: tuple[ClassIds, ...]
    rotate_classes: bool

    @property
    def shape(self) -> ImageShape:
        """Classes and image size of the dataset."""
        return shape_of(vars(self))


@dataclass(frozen=True)
class ModelSettings:
    """The shape of the network."""

    model: Literal["cnn"]
    channels: tuple[int, ...]
    kernel_size: AtLeastOne
    padding: Padding
    hidden_units: tuple[int, ...]

    def spec(self, image: ImageShape) -> ModelSpec:
        """Return the network for images of a shape."""
        return ModelSpec(
            in_channels=image.in_channels,
            image_size=image.image_size,
            channels=self.channels,
            num_classes=image.num_classes,
            kernel_size=self.kernel_size,
            padding=self.padding,
            hidden_units=self.hidden_units,
        )


@dataclass(frozen=True)
class TrainingSettings:
    """Local training of one client in one round."""

    local_epochs: AtLeastOne
    batch_size: AtLeastOne
    optimizer: Literal["adam", "sgd"]
    learning_rate: Positive
    proximal_mu: Annotated[float, Between(0)]
    precision: Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class SparsitySettings:
    """How many weights stay, and when."""

    sparsity: Annotated[float, Between(0, 1, high_open=True)]
    min_alive: NotNegative
    sparsity_floor: Literal["reference", "inside"]
    sparsity_schedule: Literal["round", "run"]


@dataclass(frozen=True)
class DiscoverySettings:
    """How circuits are found, for which classes and how often."""

    discovery: Literal["gates", "attribution"]
    size_rule: Literal["penalty", "budget", "sweep"]
    circuit_budget: Annotated[float, Between(0, 1, low_open=True)]
    sweep_target: Annotated[float, Between(0, 1, low_open=True)]
    restarts: AtLeastOne
    attribution_points: AtLeastOne
    attribution_images: Annotated[int, Between(2)]
    objective: Literal["kl", "contrast", "target-class"]
    ablation: Literal["zero", "mean"]
    gate_site: Literal["pre", "post"]
    gate_steps: AtLeastOne
    gate_batch: Annotated[int, Between(2)]
    gate_learning_rate: Positive
    gate_penalty: Annotated[float, Between(0)]
    gate_penalty_unit: Literal["loss-range", "absolute"]
    circuit_classes: ClassIds
    circuit_every: NotNegative
    retest_every: NotNegative
    discovery_data: Literal["client", "server"]
    share_probe: bool

    @property
    def finds_on_probe(self) -> bool:
        """Tell whether clients find the circuits of their models on the server's probe set, not on their own images."""
        return self.discovery_data == "server" and self.share_probe

    def is_circuit_round(self, server_round: int, num_rounds: int) -> bool:
        """Tell whether circuits are extracted in this round (1-based); if they ever are, then also in the last."""
        if self.circuit_every == 0:
            return False
        return server_round % self.circuit_every == 0 or server_round == num_rounds

    def is_retest_round(self, server_round: int) -> bool:
        """Tell whether discovery is repeated on the same models in this round (1-based)."""
        return self.retest_every > 0 and server_round % self.retest_every == 0


@dataclass(frozen=True)
class ExaminationSettings:
    """Examinations, taken by the server: how often and how much of them."""

    examination_every: NotNegative
    validity_every: NotNegative
    examination_clients: AtLeastOne
    examination_images: Annotated[int, Between(2)]
    examination_draws: AtLeastOne

    def is_examination_round(self, server_round: int, num_rounds: int) -> bool:
        """Tell whether examinations are taken in this round (1-based); if they ever are, then also in the last."""
        if self.examination_every == 0:
            return False
        return server_round % self.examination_every == 0 or server_round == num_rounds

    def is_validity_round(self, server_round: int, last_check: int | None) -> bool:
        """Tell whether a round with circuits checks the discovery, given the round of the last check, if any."""
        if self.validity_every == 0:
            return False
        return last_check is None or server_round - last_check >= self.validity_every


@dataclass(frozen=True)
class FederationSettings:
    """Aggregation, sampling and waiting."""

    strategy: Literal["fedavg", "fedprox", "fedadam", "fedyogi", "fedavgm", "fedmedian", "fedtrimmedavg", "krum"]
    weighting: Literal["examples", "plain"]
    server_learning_rate: Positive
    server_momentum: Annotated[float, Between(0, 1, high_open=True)]
    trim_fraction: Annotated[float, Between(0, 0.5, high_open=True)]
    num_malicious: NotNegative
    fraction_train: Annotated[float, Between(0, 1, low_open=True)]
    min_accepted_fraction: Fraction
    node_timeout_s: Positive = field(metadata=NEUTRAL)
    round_timeout_s: Positive = field(metadata=NEUTRAL)


@dataclass(frozen=True)
class MachineSettings:
    """What a process may use of its machine."""

    device: Literal["auto", "cpu", "cuda"] = field(metadata=NEUTRAL)
    num_threads: AtLeastOne = field(metadata=NEUTRAL)
