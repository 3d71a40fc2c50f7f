"""The settings of a run: Flower's flat run config, checked once and turned into frozen dataclasses.

Keys are kebab-case in the config and snake_case here; `Settings.from_config` is the one place that translates.
Defaults live in pyproject.toml alone, where each key is explained.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

from fedcircuits.config_values import Between, ClassIds, read_value
from fedcircuits.errors import SettingsError
from fedcircuits.feasibility import sparsity_problems
from fedcircuits.model_spec import ModelSpec, Padding
from fedcircuits.privacy import PrivacySettings, privacy_problems

Scalar = bool | int | float | str
"""What a Flower run config can hold."""


class ImageShape(NamedTuple):
    """What is known of a dataset before it is loaded."""

    num_classes: int
    image_size: int
    in_channels: int


SHAPES: dict[str, ImageShape] = {
    "digits": ImageShape(10, 8, 1),
    "mnist": ImageShape(10, 28, 1),
    "fashion-mnist": ImageShape(10, 28, 1),
    "cifar10": ImageShape(10, 32, 3),
}


FOLDER = "folder"
"""The dataset whose images, classes and shape are the user's own."""


AtLeastOne = Annotated[int, Between(1)]
NotNegative = Annotated[int, Between(0)]
Positive = Annotated[float, Between(0, low_open=True)]
Fraction = Annotated[float, Between(0, 1)]


@dataclass(frozen=True)
class RunSettings:
    """How long a run is, where its log goes and what seeds it."""

    num_server_rounds: AtLeastOne
    seed: Annotated[int, Between(0, 2**31 - 1)]
    run_dir: str
    run_name: str
    resume_from: str
    num_checkpoints: AtLeastOne


@dataclass(frozen=True)
class DataSettings:
    """Which images there are and who holds them."""

    dataset: Literal["digits", "mnist", "fashion-mnist", "cifar10", "folder"]
    data_dir: str
    class_names: tuple[str, ...]
    image_size: AtLeastOne
    image_channels: AtLeastOne
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    fit_images: bool
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

    @property
    def shape(self) -> ImageShape:
        """Classes and image size of the dataset."""
        return _shape(vars(self))


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

    def is_circuit_round(self, server_round: int, num_rounds: int) -> bool:
        """Tell whether circuits are extracted in this round (1-based); if they ever are, then also in the last."""
        if self.circuit_every == 0:
            return False
        return server_round % self.circuit_every == 0 or server_round == num_rounds

    def is_retest_round(self, server_round: int) -> bool:
        """Tell whether discovery is repeated on the same models in this round (1-based)."""
        return self.retest_every > 0 and server_round % self.retest_every == 0


@dataclass(frozen=True)
class DeepSettings:
    """Heavy measures, taken by the server: how often and how much of them."""

    deep_every: NotNegative
    validity_every: NotNegative
    deep_clients: AtLeastOne
    deep_images: Annotated[int, Between(2)]
    deep_draws: AtLeastOne

    def is_deep_round(self, server_round: int, num_rounds: int) -> bool:
        """Tell whether heavy measures are taken in this round (1-based); if they ever are, then also in the last."""
        if self.deep_every == 0:
            return False
        return server_round % self.deep_every == 0 or server_round == num_rounds

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
    node_timeout_s: Positive
    round_timeout_s: Positive


@dataclass(frozen=True)
class MachineSettings:
    """What a process may use of its machine."""

    device: Literal["auto", "cpu", "cuda"]
    num_threads: AtLeastOne


@dataclass(frozen=True)
class Settings:
    """Everything that a run was asked to do. `config` is the flat form it came from, as sent to clients."""

    run: RunSettings
    data: DataSettings
    model: ModelSettings
    training: TrainingSettings
    sparsity: SparsitySettings
    discovery: DiscoverySettings
    deep: DeepSettings
    federation: FederationSettings
    privacy: PrivacySettings
    machine: MachineSettings
    config: Mapping[str, Scalar]

    @property
    def circuit_classes(self) -> ClassIds:
        """Classes whose circuits are looked for, ascending."""
        return tuple(sorted(self.discovery.circuit_classes)) or tuple(range(self.data.shape.num_classes))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Settings":
        """Check a flat config and build the settings.

        Args:
            config: kebab-case keys to scalars; every key of pyproject's `[tool.flwr.app.config]`, and no other.

        Raises:
            SettingsError: with every mistake at once: unknown, missing, of a wrong type, out of range, or
                in contradiction with another key.
        """
        groups = {f.name: f.type for f in fields(cls) if f.name != "config"}
        known = {kebab(f.name) for group in groups.values() for f in fields(group)}  # type: ignore[arg-type]
        problems = [f"{key}: unknown setting" for key in sorted(set(config) - known)]
        values: dict[str, Any] = {}
        for group in groups.values():
            for name, hint in get_type_hints(group, include_extras=True).items():
                try:
                    values[name] = read_value(config, kebab(name), hint)
                except ValueError as error:
                    problems.append(str(error))
        for check in _CHECKS:
            try:
                problems += check(values)
            except KeyError:
                continue  # a value that this check needs is wrong, and listed already
        if problems:
            raise SettingsError(problems)
        built = {
            name: group(**{f.name: values[f.name] for f in fields(group)})  # type: ignore[arg-type, operator]
            for name, group in groups.items()
        }
        return cls(**built, config=dict(config))


def kebab(name: str) -> str:
    """Turn a Python name into the config's form."""
    return name.replace("_", "-")


def _shape(values: Mapping[str, Any]) -> ImageShape:
    """Return the shape of the dataset that the values of `DataSettings` describe."""
    if values["dataset"] == FOLDER:
        return ImageShape(len(values["class_names"]), values["image_size"], values["image_channels"])
    return SHAPES[values["dataset"]]


def check_num_clients(settings: Settings, num_clients: int, num_train_images: int | None) -> None:
    """Check what can only be known once the clients have been counted.

    Args:
        settings: of the run.
        num_clients: that the federation is made of.
        num_train_images: that clients share; None if each of them has its own.

    Raises:
        SettingsError: if there are more clients than images, not as many as `num-clients` expects or `client-classes`
            lists, too few for krum to withstand `num-malicious` of them, or too few for `trim-fraction` to cut any.
    """
    problems = []
    if num_train_images is not None and num_clients > num_train_images:
        problems.append(
            f"partition: {num_clients} clients cannot share {num_train_images} training images; "
            f"at most {num_train_images} clients are possible"
        )
    num_expected = settings.data.num_clients
    if num_expected not in {0, num_clients}:
        problems.append(
            f"num-clients = {num_expected}: the federation has {num_clients}; {_federation_of(num_expected)}"
        )
    num_listed = len(settings.data.client_classes)
    if num_train_images is not None and settings.data.partition == "classes" and num_listed != num_clients:
        problems.append(
            f"client-classes: lists {num_listed} clients but the federation has {num_clients}; list {num_clients}, or "
            f"{_federation_of(num_listed)}"
        )
    num_malicious = settings.federation.num_malicious
    if settings.federation.strategy == "krum" and num_clients < 2 * num_malicious + 3:
        problems.append(
            f"num-malicious = {num_malicious}: krum needs 2 * num-malicious + 3 clients, {2 * num_malicious + 3} here, "
            f"but the federation has {num_clients}"
        )
    trim = settings.federation.trim_fraction
    if settings.federation.strategy == "fedtrimmedavg" and int(trim * num_clients) == 0:
        problems.append(
            f"trim-fraction = {trim}: cuts nobody among {num_clients} clients, which makes fedtrimmedavg a plain mean; "
            f"1 / {num_clients} or more cuts one client at each end"
        )
    if problems:
        raise SettingsError(problems)


def _federation_of(num_clients: int) -> str:
    """Say what to type for a federation of this size."""
    return (
        f'in simulation start it with --federation-config "num-supernodes={num_clients}", in deployment start '
        f"{num_clients} SuperNodes, each with --node-config 'partition-id=<0 to {num_clients - 1}> "
        f"num-partitions={num_clients}'"
    )


def _check_client_classes(values: dict[str, Any]) -> list[str]:
    """Class ids of clients must exist, and stand once per client."""
    return [
        problem
        for client, ids in enumerate(values["client_classes"])
        for problem in _class_problems(f"client-classes, client {client}", ids, values)
    ]


def _check_circuit_classes(values: dict[str, Any]) -> list[str]:
    """Classes to look for must exist, and stand once."""
    return _class_problems("circuit-classes", values["circuit_classes"], values)


def _class_problems(where: str, ids: ClassIds, values: dict[str, Any]) -> list[str]:
    problems, num_classes = [], _shape(values).num_classes
    outside = sorted({c for c in ids if not 0 <= c < num_classes})
    if outside:
        problems.append(f"{where}: no class {outside} in {values['dataset']}; allowed are 0 to {num_classes - 1}")
    if len(set(ids)) != len(ids):
        problems.append(f"{where}: {list(ids)} names a class twice")
    return problems


def _check_class_lists(values: dict[str, Any]) -> list[str]:
    """A split by lists of classes needs the lists."""
    if values["partition"] != "classes" or values["client_classes"]:
        return []
    return ['client-classes: partition = "classes" needs it, e.g. "0,1,2;3,4,5;6,7,8"']


def _check_num_clients(values: dict[str, Any]) -> list[str]:
    """Two settings that say how many clients there are must agree."""
    num_clients, num_listed = values["num_clients"], len(values["client_classes"])
    if values["partition"] != "classes" or num_clients in {0, num_listed} or not num_listed:
        return []
    return [f"num-clients = {num_clients}: client-classes lists {num_listed} clients"]


def _check_classes_per_client(values: dict[str, Any]) -> list[str]:
    """A client cannot hold more classes than there are."""
    num_classes, asked = _shape(values).num_classes, values["classes_per_client"]
    if values["partition"] != "pathological" or asked <= num_classes:
        return []
    return [f"classes-per-client = {asked}: {values['dataset']} has {num_classes} classes"]


def _spec(values: dict[str, Any]) -> ModelSpec:
    """Return the network that the values describe."""
    model = ModelSettings(**{field.name: values[field.name] for field in fields(ModelSettings)})
    return model.spec(_shape(values))


def _check_layers(values: dict[str, Any]) -> list[str]:
    """Each convolution shrinks the image, and something must be left of it."""
    spec = _spec(values)
    if spec.feature_size:
        return []
    num_layers = len(spec.channels)
    most = max(n for n in range(num_layers) if replace(spec, channels=spec.channels[:n]).feature_size)
    return [
        f"channels: {num_layers} layers with kernel-size = {spec.kernel_size} and padding = {spec.padding!r} leave "
        f"nothing of an image of {spec.image_size} pixels; at most {most} layers are possible"
    ]


def _check_kernel_size(values: dict[str, Any]) -> list[str]:
    """A kernel needs a pixel in its middle, so that padding can be the same on both sides."""
    if values["kernel_size"] % 2:
        return []
    return [f"kernel-size = {values['kernel_size']}: must be odd"]


def _check_sparsity(values: dict[str, Any]) -> list[str]:
    """Every layer must be able to keep what the floor promises."""
    spec, is_inside = _spec(values), values["sparsity_floor"] == "inside"
    if not spec.feature_size:
        return []  # layers without inputs are a problem of their own
    return sparsity_problems(spec, values["sparsity"], values["min_alive"], is_inside)


def _check_folder(values: dict[str, Any]) -> list[str]:
    """Images of one's own have the classes, the shape and the scale that the settings say."""
    if values["dataset"] != FOLDER:
        given = values["class_names"]
        return [f'class-names: only dataset = "folder" has names of its own, not {values["dataset"]}'] if given else []
    problems, channels = [], values["image_channels"]
    if len(values["class_names"]) < 2:
        problems.append('class-names: dataset = "folder" needs two names or more, e.g. "healthy,ill"')
    if channels not in {1, 3}:
        problems.append(f"image-channels = {channels}: must be 1 (grey) or 3 (RGB)")
    problems += [
        f"{kebab(name)}: {len(values[name])} numbers, must be 1 or image-channels = {channels}"
        for name in ("pixel_mean", "pixel_std")
        if len(values[name]) not in {1, channels}
    ]
    if min(values["pixel_std"]) <= 0:
        problems.append(f"pixel-std = {min(values['pixel_std']):g}: must be above 0")
    return problems


def _check_run_dir(values: dict[str, Any]) -> list[str]:
    """Runs need a folder of their own."""
    return [] if values["run_dir"].strip() else ["run-dir = '': must name a folder, such as \"runs\""]


def _check_halves(values: dict[str, Any]) -> list[str]:
    """Half of the images are of the class, half of others."""
    return [
        f"{kebab(name)} = {values[name]}: must be even, half for the class and half for others"
        for name in ("gate_batch", "attribution_images")
        if values[name] % 2
    ]


def _check_size_rule(values: dict[str, Any]) -> list[str]:
    """Only gates close by themselves."""
    if values["discovery"] == "gates" or values["size_rule"] != "penalty":
        return []
    return [
        'size-rule = "penalty": needs gates that a price can close; with discovery = "attribution" it must be budget '
        "or sweep"
    ]


def _check_restarts(values: dict[str, Any]) -> list[str]:
    """A vote needs a winner."""
    if values["restarts"] % 2:
        return []
    return [f"restarts = {values['restarts']}: must be odd, so that no vote on a channel is a tie"]


def _check_objective(values: dict[str, Any]) -> list[str]:
    """Attribution and sweeps tell the class from others, of which the paper's objective knows nothing."""
    if values["objective"] != "target-class":
        return []
    users = {"discovery": "attribution", "size_rule": "sweep"}
    return [
        f'objective = "target-class": looks at no images of other classes, which {kebab(name)} = "{value}" needs; '
        "it must be contrast or kl"
        for name, value in users.items()
        if values[name] == value
    ]


def _check_proximal(values: dict[str, Any]) -> list[str]:
    """FedProx has a proximal term, and nothing else has."""
    is_fedprox = values["strategy"] == "fedprox"
    if is_fedprox and values["proximal_mu"] == 0:
        return ['proximal-mu = 0.0: strategy = "fedprox" is plain fedavg without it; try 0.01']
    if is_fedprox or values["proximal_mu"] == 0:
        return []
    return [f'proximal-mu = {values["proximal_mu"]}: only strategy = "fedprox" uses it; otherwise it must be 0.0']


def _check_probe(values: dict[str, Any]) -> list[str]:
    """Discovery on the probe set needs the probe set."""
    if values["discovery_data"] == "client" or values["share_probe"]:
        return []
    return ['discovery-data = "server": clients need the probe set for it; set share-probe to true']


_CHECKS: tuple[Callable[[dict[str, Any]], list[str]], ...] = (
    _check_client_classes,
    _check_circuit_classes,
    _check_class_lists,
    _check_num_clients,
    _check_classes_per_client,
    _check_folder,
    _check_layers,
    _check_kernel_size,
    _check_run_dir,
    _check_sparsity,
    _check_halves,
    _check_size_rule,
    _check_restarts,
    _check_objective,
    _check_proximal,
    _check_probe,
    privacy_problems,
)
