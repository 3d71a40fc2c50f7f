"""A flat config read key by key: what is unknown, missing, of a wrong type or out of range."""

from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from setting_problems import MakeSettings, only_problem_of, problems_of

from fedcircuits.errors import SettingsError
from fedcircuits.settings import Settings
from fedcircuits.settings.config_values import kebab


def test_the_defaults_are_valid_and_land_in_their_groups(make_settings: MakeSettings) -> None:
    settings = make_settings({})
    assert settings.run.num_server_rounds == 6
    assert settings.data.dataset == "digits"
    assert settings.model.channels == (32, 64, 128)
    assert settings.training.learning_rate == 0.002
    assert settings.sparsity.sparsity == 0.9
    assert settings.discovery.objective == "contrast"
    assert settings.federation.strategy == "fedavg"
    assert settings.machine.device == "auto"


def test_every_default_is_a_setting_and_every_setting_has_a_default(config: dict[str, Any]) -> None:
    settings = Settings.from_config(config)
    groups = [getattr(settings, f.name) for f in fields(settings) if f.name != "config"]
    assert all(is_dataclass(group) for group in groups)
    assert {kebab(f.name) for group in groups for f in fields(group)} == set(config)


def test_the_flat_config_is_kept_as_it_was_given(config: dict[str, Any]) -> None:
    settings = Settings.from_config(config)
    assert settings.config == config
    config["seed"] = 99
    assert settings.config["seed"] == 0
    assert Settings.from_config(settings.config).config == settings.config


def test_an_unknown_key_is_named(make_settings: MakeSettings) -> None:
    assert only_problem_of(make_settings, {"sparsety": 0.5}) == "sparsety: unknown setting"


def test_a_snake_case_key_is_unknown(make_settings: MakeSettings) -> None:
    assert only_problem_of(make_settings, {"batch_size": 8}) == "batch_size: unknown setting"


def test_a_missing_key_is_named(config: dict[str, Any]) -> None:
    del config["gate-steps"]
    with pytest.raises(SettingsError) as caught:
        Settings.from_config(config)
    assert caught.value.problems == ["gate-steps: missing"]


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("learning-rate", "fast", "must be a number, above 0"),
        ("batch-size", "32", "must be a whole number, 1 or more"),
        ("batch-size", True, "must be a whole number, 1 or more"),
        ("learning-rate", True, "must be a number, above 0"),
        ("local-epochs", 1.5, "must be a whole number, 1 or more"),
        ("local-epochs", 2.0, "must be a whole number, 1 or more"),
        ("run-name", 7, "must be text in quotes"),
        ("run-dir", False, "must be text in quotes"),
        ("channels", 32, "must be text in quotes"),
        ("share-probe", 1, "must be true or false"),
        ("share-probe", "true", "must be true or false"),
        ("objective", 3, "must be one of kl, contrast, target-class"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(make_settings: MakeSettings, key: str, value: Any, allowed: str) -> None:
    assert only_problem_of(make_settings, {key: value}) == f"{key} = {value!r}: {allowed}"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("sparsity", 1.2, "0 <= x < 1"),
        ("sparsity", 1.0, "0 <= x < 1"),
        ("sparsity", -0.1, "0 <= x < 1"),
        ("num-server-rounds", 0, "1 or more"),
        ("seed", -1, "0 <= x <= 2.14748e+09"),
        ("seed", 2**31, "0 <= x <= 2.14748e+09"),
        ("num-checkpoints", 0, "1 or more"),
        ("probe-fraction", 0.0, "0 < x < 1"),
        ("probe-fraction", 1.0, "0 < x < 1"),
        ("gate-batch", 1, "2 or more"),
        ("learning-rate", 0.0, "above 0"),
        ("learning-rate", float("nan"), "above 0"),
        ("round-timeout-s", float("inf"), "above 0"),
        ("trim-fraction", 0.5, "0 <= x < 0.5"),
        ("fraction-train", 0.0, "0 < x <= 1"),
        ("min-accepted-fraction", 1.01, "0 <= x <= 1"),
        ("retest-every", -1, "0 or more"),
    ],
)
def test_a_number_out_of_range_is_refused(make_settings: MakeSettings, key: str, value: Any, allowed: str) -> None:
    assert only_problem_of(make_settings, {key: value}) == f"{key} = {value!r}: must be {allowed}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sparsity", 0.0),
        ("seed", 2**31 - 1),
        ("fraction-train", 1.0),
        ("min-accepted-fraction", 0.0),
        ("trim-fraction", 0.499),
        ("retest-every", 0),
        ("gate-batch", 2),
        ("attribution-images", 2),
    ],
)
def test_the_ends_of_a_range_are_allowed(make_settings: MakeSettings, key: str, value: Any) -> None:
    assert make_settings({key: value}).config[key] == value


def test_a_whole_number_is_accepted_for_a_fraction_and_becomes_one(make_settings: MakeSettings) -> None:
    settings = make_settings({"sparsity": 0, "fraction-train": 1})
    assert isinstance(settings.sparsity.sparsity, float)
    assert settings.sparsity.sparsity == 0.0
    assert isinstance(settings.federation.fraction_train, float)


def test_a_word_outside_the_choices_lists_the_choices(make_settings: MakeSettings) -> None:
    problem = only_problem_of(make_settings, {"optimizer": "adamw"})
    assert problem == "optimizer = 'adamw': must be one of adam, sgd"


@pytest.mark.parametrize("text", ["", "32,,64", "32,x", "32,64,", "3.5"])
def test_channels_that_are_no_whole_numbers_are_refused(make_settings: MakeSettings, text: str) -> None:
    assert f"channels = {text!r}: must be whole numbers" in only_problem_of(make_settings, {"channels": text})


@pytest.mark.parametrize("text", ["0", "8,0,8", "8,-1"])
def test_a_layer_without_channels_is_refused(make_settings: MakeSettings, text: str) -> None:
    problem = only_problem_of(make_settings, {"channels": text})
    assert problem == f"channels = {text!r}: every layer needs at least 1 channel"


def test_spaces_in_lists_are_ignored(make_settings: MakeSettings) -> None:
    settings = make_settings({"channels": " 4, 8 ", "client-classes": "0, 1 ; 2", "partition": "classes"})
    assert settings.model.channels == (4, 8)
    assert settings.data.client_classes == ((0, 1), (2,))


def test_hidden_units_are_none_or_whole_numbers_of_at_least_one(make_settings: MakeSettings) -> None:
    assert make_settings({"hidden-units": " "}).model.hidden_units == ()
    assert make_settings({"hidden-units": "120, 84"}).model.hidden_units == (120, 84)
    assert "must be whole numbers" in only_problem_of(make_settings, {"hidden-units": "120,"})
    problem = only_problem_of(make_settings, {"hidden-units": "120,0"})
    assert problem == "hidden-units = '120,0': every layer needs at least 1 unit"


@pytest.mark.parametrize(("text", "clients"), [("0,1;;2", "1"), ("0;1;", "2"), (";1; ", "0, 2")])
def test_a_client_without_a_class_is_refused(make_settings: MakeSettings, text: str, clients: str) -> None:
    problem = only_problem_of(make_settings, {"partition": "classes", "client-classes": text})
    assert problem == f"client-classes = {text!r}: client {clients} has no class; each client needs at least one"


def test_all_mistakes_are_listed_in_one_error(config: dict[str, Any]) -> None:
    del config["seed"]
    config |= {
        "sparsety": 0.5,
        "sparsity": 1.2,
        "num-server-rounds": 0,
        "device": "tpu",
        "batch-size": "big",
        "circuit-classes": "12",
        "proximal-mu": 0.5,
    }
    with pytest.raises(SettingsError) as caught:
        Settings.from_config(config)
    problems = caught.value.problems
    assert len(problems) == 8
    text = str(caught.value)
    assert text.startswith("8 problems in the settings:\n")
    for needle in (
        "sparsety: unknown setting",
        "seed: missing",
        "sparsity = 1.2: must be 0 <= x < 1",
        "num-server-rounds = 0: must be 1 or more",
        "device = 'tpu': must be one of auto, cpu, cuda",
        "batch-size = 'big': must be a whole number, 1 or more",
        "circuit-classes: no class [12] in digits; allowed are 0 to 9",
        "proximal-mu = 0.5: only strategy",
    ):
        assert needle in text


def test_a_mistake_in_one_list_of_classes_does_not_hide_one_in_the_other(make_settings: MakeSettings) -> None:
    overrides = {"partition": "classes", "client-classes": "0;12", "circuit-classes": "x"}
    problems = problems_of(make_settings, overrides)
    assert any(problem.startswith("circuit-classes = 'x'") for problem in problems)
    assert any("[12]" in problem for problem in problems), problems


def test_a_mistake_in_one_key_of_the_split_does_not_hide_that_another_is_missing(make_settings: MakeSettings) -> None:
    problems = problems_of(make_settings, {"partition": "classes", "client-classes": "", "classes-per-client": 0})
    assert any(problem.startswith("classes-per-client = 0") for problem in problems)
    assert any(problem.startswith("client-classes: partition") for problem in problems), problems


def test_one_mistake_is_counted_in_the_singular(make_settings: MakeSettings) -> None:
    with pytest.raises(SettingsError, match=r"^1 problem in the settings:\n  - sparsity = 1\.2"):
        make_settings({"sparsity": 1.2})


def test_the_error_is_the_same_in_another_process() -> None:
    error = SettingsError(["a = 1: must be 2", "b = 3: must be 4"])
    function, arguments = error.__reduce__()  # what pickle and copy go by
    again = function(*arguments)
    assert (again.problems, str(again)) == (error.problems, str(error))


def test_all_circuit_classes_are_the_classes_of_the_dataset(make_settings: MakeSettings) -> None:
    assert make_settings({"circuit-classes": "all"}).searched_classes == tuple(range(10))
    assert make_settings({"circuit-classes": " all "}).searched_classes == tuple(range(10))


def test_listed_circuit_classes_are_put_in_order(make_settings: MakeSettings) -> None:
    assert make_settings({"circuit-classes": "7,0,2"}).searched_classes == (0, 2, 7)


BY_CLASS = {"partition": "classes", "client-classes": "0,1;0,9", "circuit-classes": "0,9"}


@pytest.mark.parametrize(
    ("seed", "client_classes", "circuit_classes"),
    [(0, ((0, 1), (0, 9)), (0, 9)), (3, ((3, 4), (3, 2)), (2, 3)), (10, ((0, 1), (0, 9)), (0, 9))],
)
def test_classes_that_rotate_move_on_by_the_seed_and_stay_in_the_dataset(
    make_settings: MakeSettings, seed: int, client_classes: Any, circuit_classes: Any
) -> None:
    settings = make_settings({**BY_CLASS, "rotate-classes": True, "seed": seed})
    assert settings.data.client_classes == client_classes
    assert settings.searched_classes == circuit_classes


def test_the_config_keeps_classes_that_rotate_as_they_were_written(make_settings: MakeSettings) -> None:
    settings = make_settings({**BY_CLASS, "rotate-classes": True, "seed": 3})
    assert settings.config["client-classes"] == "0,1;0,9"
    assert settings.config["circuit-classes"] == "0,9"
    # What clients are sent is rotated once, too.
    assert Settings.from_config(settings.config) == settings


def test_classes_stay_where_they_are_unless_a_split_by_class_asks_for_more(make_settings: MakeSettings) -> None:
    settings = make_settings({**BY_CLASS, "seed": 3, "rotate-classes": False})
    assert settings.data.client_classes == ((0, 1), (0, 9))
    iid = make_settings({"circuit-classes": "0,9", "seed": 3, "rotate-classes": True})
    assert settings.searched_classes == iid.searched_classes == (0, 9)


def test_all_classes_are_looked_for_wherever_they_rotate_to(make_settings: MakeSettings) -> None:
    settings = make_settings({**BY_CLASS, "circuit-classes": "all", "rotate-classes": True, "seed": 3})
    assert settings.searched_classes == tuple(range(10))


@pytest.mark.parametrize("text", ["", "everything", "0;1"])
def test_circuit_classes_that_cannot_be_read_are_refused(make_settings: MakeSettings, text: str) -> None:
    assert f"circuit-classes = {text!r}" in only_problem_of(make_settings, {"circuit-classes": text})
