"""What settings may not say together, one rule a function: each returns what is wrong, or nothing.

A rule gets the checked values of all settings by their Python names; a value that could not be read is missing.
"""

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Any, Final

from fedcircuits.networks.spec import ModelSpec
from fedcircuits.settings.config_values import ClassIds, kebab
from fedcircuits.settings.feasibility import sparsity_problems
from fedcircuits.settings.groups import ModelSettings
from fedcircuits.settings.image_shapes import FOLDER, shape_of
from fedcircuits.settings.privacy import privacy_problems

_LONGEST_NAME: Final = 100


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
    problems, num_classes = [], shape_of(values).num_classes
    outside = sorted({c for c in ids if not 0 <= c < num_classes})
    if outside:
        problems.append(f"{where}: no class {outside} in {values['dataset']}; allowed are 0 to {num_classes - 1}")
    if len(set(ids)) != len(ids):
        problems.append(f"{where}: {list(ids)} names a class twice")
    return problems


def _check_class_lists(values: dict[str, Any]) -> list[str]:
    """A split by lists of classes needs the lists, and no other split uses them."""
    partition, is_given = values["partition"], bool(values["client_classes"])
    if (partition == "classes") == is_given:
        return []
    if is_given:
        return [f'client-classes: partition = "{partition}" deals classes out itself; partition must be "classes"']
    return ['client-classes: partition = "classes" needs it, e.g. "0,1,2;3,4,5;6,7,8"']


def _check_limits(values: dict[str, Any]) -> list[str]:
    """A limit keeps an image of every class, two where they are shared out to the probe set and the test set."""
    num_classes = shape_of(values).num_classes
    return [
        f"{kebab(name)} = {values[name]}: {values['dataset']} has {num_classes} classes, so it must be {least} or "
        "more, or 0 for every image"
        for name, least in (("train_limit", num_classes), ("heldout_limit", 2 * num_classes))
        if 0 < values[name] < least
    ]


def _check_num_clients(values: dict[str, Any]) -> list[str]:
    """Two settings that say how many clients there are must agree."""
    num_clients, num_listed = values["num_clients"], len(values["client_classes"])
    if values["partition"] != "classes" or num_clients in {0, num_listed} or not num_listed:
        return []
    return [f"num-clients = {num_clients}: client-classes lists {num_listed} clients"]


def _check_classes_per_client(values: dict[str, Any]) -> list[str]:
    """A client cannot hold more classes than there are."""
    num_classes, asked = shape_of(values).num_classes, values["classes_per_client"]
    if values["partition"] != "pathological" or asked <= num_classes:
        return []
    return [f"classes-per-client = {asked}: {values['dataset']} has {num_classes} classes"]


def _spec(values: dict[str, Any]) -> ModelSpec:
    """Return the network that the values describe."""
    model = ModelSettings(**{field.name: values[field.name] for field in fields(ModelSettings)})
    return model.spec(shape_of(values))


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
    if not all(0 <= mean <= 1 for mean in values["pixel_mean"]):
        problems.append(f"pixel-mean: {_numbers(values['pixel_mean'])}, must be 0 to 1, where pixels lie")
    if not all(0 < std <= 1 for std in values["pixel_std"]):
        problems.append(f"pixel-std: {_numbers(values['pixel_std'])}, must be above 0 and 1 at most: pixels are 0 to 1")
    return problems


def _numbers(values: Iterable[float]) -> str:
    return ",".join(f"{value:g}" for value in values)


def _check_run_dir(values: dict[str, Any]) -> list[str]:
    """Runs need a folder of their own."""
    return [] if values["run_dir"].strip() else ["run-dir = '': must name a folder, such as \"runs\""]


def _check_run_name(values: dict[str, Any]) -> list[str]:
    """A run's name is part of its folder's, for which file systems have 255 bytes."""
    length = len(values["run_name"])
    return [f"run-name: {length} characters, must be {_LONGEST_NAME} at most"] if length > _LONGEST_NAME else []


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


CHECKS: tuple[Callable[[dict[str, Any]], list[str]], ...] = (
    _check_client_classes,
    _check_circuit_classes,
    _check_class_lists,
    _check_limits,
    _check_num_clients,
    _check_classes_per_client,
    _check_folder,
    _check_layers,
    _check_kernel_size,
    _check_run_dir,
    _check_run_name,
    _check_sparsity,
    _check_halves,
    _check_size_rule,
    _check_restarts,
    _check_objective,
    _check_proximal,
    privacy_problems,
)
