from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from fedcircuits.errors import SettingsError
from fedcircuits.settings import Settings, check_num_clients, kebab

MakeSettings = Callable[[dict[str, Any]], Settings]


def problems_of(make_settings: MakeSettings, overrides: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        make_settings(overrides)
    return caught.value.problems


def only_problem_of(make_settings: MakeSettings, overrides: dict[str, Any]) -> str:
    problems = problems_of(make_settings, overrides)
    assert len(problems) == 1, problems
    return problems[0]


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


def test_more_layers_than_the_image_can_be_halved_are_refused(make_settings: MakeSettings) -> None:
    assert make_settings({"channels": "4,4,4"}).model.channels == (4, 4, 4)  # 8 pixels: 4, 2, 1
    problem = only_problem_of(make_settings, {"channels": "4,4,4,4"})
    assert problem == (
        "channels: 4 layers with kernel-size = 3 and padding = 'same' leave nothing of an image of 8 pixels; "
        "at most 3 layers are possible"
    )


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_the_number_of_layers_that_the_message_allows_is_allowed(
    make_settings: MakeSettings, dataset: str, padding: str
) -> None:
    shape = {"dataset": dataset, "padding": padding}
    problem = only_problem_of(make_settings, {**shape, "channels": ",".join(["4"] * 9)})
    most = int(problem.rsplit("at most ", 1)[1].split()[0])
    make_settings({**shape, "channels": ",".join(["4"] * most)})
    problems_of(make_settings, {**shape, "channels": ",".join(["4"] * (most + 1))})


def test_a_kernel_that_is_larger_than_the_image_is_refused_without_padding(make_settings: MakeSettings) -> None:
    assert make_settings({"kernel-size": 9, "channels": "4"}).model.kernel_size == 9
    problem = only_problem_of(make_settings, {"kernel-size": 9, "padding": "valid", "channels": "4"})
    assert problem == (
        "channels: 1 layers with kernel-size = 9 and padding = 'valid' leave nothing of an image of 8 pixels; "
        "at most 0 layers are possible"
    )


def test_an_even_kernel_is_refused(make_settings: MakeSettings) -> None:
    assert only_problem_of(make_settings, {"kernel-size": 4}) == "kernel-size = 4: must be odd"


def test_hidden_units_are_none_or_whole_numbers_of_at_least_one(make_settings: MakeSettings) -> None:
    assert make_settings({"hidden-units": " "}).model.hidden_units == ()
    assert make_settings({"hidden-units": "120, 84"}).model.hidden_units == (120, 84)
    assert "must be whole numbers" in only_problem_of(make_settings, {"hidden-units": "120,"})
    problem = only_problem_of(make_settings, {"hidden-units": "120,0"})
    assert problem == "hidden-units = '120,0': every layer needs at least 1 unit"


def test_a_network_without_inputs_for_its_linear_layer_is_one_problem_whatever_the_floor(
    make_settings: MakeSettings,
) -> None:
    overrides = {"channels": "4,4,4,4", "sparsity": 0.1, "sparsity-floor": "inside", "min-alive": 0}
    assert only_problem_of(make_settings, overrides).startswith("channels: 4 layers")


def test_a_class_that_the_dataset_does_not_have_is_refused(make_settings: MakeSettings) -> None:
    problem = only_problem_of(make_settings, {"partition": "classes", "client-classes": "0,1;2,12"})
    assert problem == "client-classes, client 1: no class [12] in digits; allowed are 0 to 9"
    assert "[12]" in only_problem_of(make_settings, {"circuit-classes": "0,12"})
    assert "[-1]" in only_problem_of(make_settings, {"circuit-classes": "-1,2"})


def test_a_class_named_twice_is_refused(make_settings: MakeSettings) -> None:
    problem = only_problem_of(make_settings, {"partition": "classes", "client-classes": "0,1;2,2"})
    assert problem == "client-classes, client 1: [2, 2] names a class twice"
    assert "names a class twice" in only_problem_of(make_settings, {"circuit-classes": "5,5"})


def test_two_clients_may_share_a_class(make_settings: MakeSettings) -> None:
    settings = make_settings({"partition": "classes", "client-classes": "0,1;1,2"})
    assert settings.data.client_classes == ((0, 1), (1, 2))


@pytest.mark.parametrize(("text", "clients"), [("0,1;;2", "1"), ("0;1;", "2"), (";1; ", "0, 2")])
def test_a_client_without_a_class_is_refused(make_settings: MakeSettings, text: str, clients: str) -> None:
    problem = only_problem_of(make_settings, {"partition": "classes", "client-classes": text})
    assert problem == f"client-classes = {text!r}: client {clients} has no class; each client needs at least one"


def test_a_split_by_classes_needs_the_classes(make_settings: MakeSettings) -> None:
    assert "client-classes: partition" in only_problem_of(make_settings, {"partition": "classes"})


def test_a_pathological_split_cannot_give_more_classes_than_there_are(make_settings: MakeSettings) -> None:
    problem = only_problem_of(make_settings, {"partition": "pathological", "classes-per-client": 11})
    assert problem == "classes-per-client = 11: digits has 10 classes"
    assert make_settings({"partition": "iid", "classes-per-client": 11}).data.classes_per_client == 11


def test_a_proximal_term_needs_fedprox(make_settings: MakeSettings) -> None:
    assert make_settings({"proximal-mu": 0.1, "strategy": "fedprox"}).training.proximal_mu == 0.1
    problem = only_problem_of(make_settings, {"proximal-mu": 0.1})
    assert problem.startswith("proximal-mu = 0.1:")
    assert "fedprox" in problem


def test_discovery_on_the_probe_set_needs_the_probe_set(make_settings: MakeSettings) -> None:
    assert make_settings({"discovery-data": "server"}).discovery.discovery_data == "server"
    problem = only_problem_of(make_settings, {"discovery-data": "server", "share-probe": False})
    assert problem == 'discovery-data = "server": clients need the probe set for it; set share-probe to true'


@pytest.mark.parametrize("key", ["gate-batch", "attribution-images"])
def test_images_that_cannot_be_halved_are_refused(make_settings: MakeSettings, key: str) -> None:
    problem = only_problem_of(make_settings, {key: 7})
    assert problem == f"{key} = 7: must be even, half for the class and half for others"


def test_attribution_has_no_gates_that_a_price_could_close(make_settings: MakeSettings) -> None:
    problem = only_problem_of(make_settings, {"discovery": "attribution", "size-rule": "penalty"})
    assert problem.startswith('size-rule = "penalty": needs gates')
    assert problem.endswith("it must be budget or sweep")


@pytest.mark.parametrize("discovery", ["gates", "attribution"])
@pytest.mark.parametrize("size_rule", ["budget", "sweep"])
def test_a_ranking_of_any_discovery_can_be_cut(make_settings: MakeSettings, discovery: str, size_rule: str) -> None:
    settings = make_settings({"discovery": discovery, "size-rule": size_rule})
    assert settings.discovery.size_rule == size_rule


def test_an_even_number_of_restarts_is_refused(make_settings: MakeSettings) -> None:
    assert make_settings({"restarts": 5}).discovery.restarts == 5
    problem = only_problem_of(make_settings, {"restarts": 4})
    assert problem == "restarts = 4: must be odd, so that no vote on a channel is a tie"


def test_the_papers_objective_goes_with_gates_alone(make_settings: MakeSettings) -> None:
    paper = {"objective": "target-class", "discovery": "gates", "size-rule": "penalty"}
    assert make_settings(paper).discovery.objective == "target-class"
    assert make_settings({**paper, "size-rule": "budget"}).discovery.size_rule == "budget"
    problem = only_problem_of(make_settings, {**paper, "size-rule": "sweep"})
    assert problem.startswith('objective = "target-class": looks at no images of other classes, which size-rule')
    problem = only_problem_of(make_settings, {**paper, "discovery": "attribution", "size-rule": "budget"})
    assert 'which discovery = "attribution" needs; it must be contrast or kl' in problem


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


def test_as_many_clients_as_images_are_possible_and_one_more_is_not(make_settings: MakeSettings) -> None:
    settings = make_settings({})
    check_num_clients(settings, 12, 12)
    with pytest.raises(SettingsError, match="13 clients cannot share 12 training images; at most 12"):
        check_num_clients(settings, 13, 12)


def test_the_federation_must_have_as_many_clients_as_the_split_lists(make_settings: MakeSettings) -> None:
    settings = make_settings({"partition": "classes", "client-classes": "0;1;2"})
    check_num_clients(settings, 3, 100)
    with pytest.raises(SettingsError, match=r"lists 3 clients but the federation has 2.*num-supernodes=3"):
        check_num_clients(settings, 2, 100)


def test_the_federation_must_have_as_many_clients_as_expected(make_settings: MakeSettings) -> None:
    settings = make_settings({"num-clients": 5})
    check_num_clients(settings, 5, 100)
    with pytest.raises(SettingsError, match=r"num-clients = 5: the federation has 2.*num-supernodes=5"):
        check_num_clients(settings, 2, 100)


def test_the_expected_number_of_clients_must_be_that_of_the_list(make_settings: MakeSettings) -> None:
    overrides = {"partition": "classes", "client-classes": "0;1;2"}
    assert make_settings({**overrides, "num-clients": 3}).data.num_clients == 3
    problem = only_problem_of(make_settings, {**overrides, "num-clients": 4})
    assert problem == "num-clients = 4: client-classes lists 3 clients"


def test_listed_classes_do_not_matter_to_other_splits(make_settings: MakeSettings) -> None:
    check_num_clients(make_settings({"partition": "iid", "client-classes": "0;1;2"}), 2, 100)


def test_both_mistakes_in_the_number_of_clients_are_listed(make_settings: MakeSettings) -> None:
    settings = make_settings({"partition": "classes", "client-classes": "0;1;2"})
    with pytest.raises(SettingsError) as caught:
        check_num_clients(settings, 5, 4)
    assert len(caught.value.problems) == 2


def test_circuits_are_extracted_at_every_nth_round_and_always_in_the_last(make_settings: MakeSettings) -> None:
    discovery = make_settings({"circuit-every": 3}).discovery
    assert [r for r in range(1, 9) if discovery.is_circuit_round(r, 8)] == [3, 6, 8]
    discovery = make_settings({"circuit-every": 100}).discovery
    assert [r for r in range(1, 9) if discovery.is_circuit_round(r, 8)] == [8]


def test_circuits_are_never_extracted_if_circuit_every_is_zero(make_settings: MakeSettings) -> None:
    discovery = make_settings({"circuit-every": 0}).discovery
    assert not any(discovery.is_circuit_round(r, 8) for r in range(1, 9))


def test_discovery_is_repeated_at_every_nth_round_and_never_if_that_is_zero(make_settings: MakeSettings) -> None:
    discovery = make_settings({"retest-every": 2}).discovery
    assert [r for r in range(1, 6) if discovery.is_retest_round(r)] == [2, 4]
    discovery = make_settings({"retest-every": 0}).discovery
    assert not any(discovery.is_retest_round(r) for r in range(1, 6))


def test_heavy_measures_are_taken_at_every_nth_round_and_always_in_the_last(make_settings: MakeSettings) -> None:
    deep = make_settings({"deep-every": 3}).deep
    assert [r for r in range(1, 9) if deep.is_deep_round(r, 8)] == [3, 6, 8]
    never = make_settings({"deep-every": 0}).deep
    assert not any(never.is_deep_round(r, 8) for r in range(1, 9))


def test_discovery_is_checked_at_its_first_round_and_when_enough_rounds_have_passed(
    make_settings: MakeSettings,
) -> None:
    deep = make_settings({"validity-every": 3}).deep
    assert deep.is_validity_round(2, None)
    assert [r for r in range(3, 7) if deep.is_validity_round(r, 2)] == [5, 6]
    assert not make_settings({"validity-every": 0}).deep.is_validity_round(1, None)


def test_all_circuit_classes_are_the_classes_of_the_dataset(make_settings: MakeSettings) -> None:
    assert make_settings({"circuit-classes": "all"}).circuit_classes == tuple(range(10))
    assert make_settings({"circuit-classes": " all "}).circuit_classes == tuple(range(10))


def test_listed_circuit_classes_are_put_in_order(make_settings: MakeSettings) -> None:
    assert make_settings({"circuit-classes": "7,0,2"}).circuit_classes == (0, 2, 7)


@pytest.mark.parametrize("text", ["", "everything", "0;1"])
def test_circuit_classes_that_cannot_be_read_are_refused(make_settings: MakeSettings, text: str) -> None:
    assert f"circuit-classes = {text!r}" in only_problem_of(make_settings, {"circuit-classes": text})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"client-report": "all"}, "client-report = 'all': must be one of full, masks, weights"),
        ({"mask-flip-probability": 0.5}, "mask-flip-probability = 0.5: must be 0 <= x < 0.5"),
        ({"client-report": "masks", "discovery-data": "server"}, 'discovery-data = "server": says where clients find'),
        ({"client-report": "weights", "mask-flip-probability": 0.1}, "mask-flip-probability = 0.1: with client-report"),
        ({"dp": "client-fixed-clipping"}, 'client-report = "full": with dp = "client-fixed-clipping" the server'),
        ({"dp-noise-multiplier": 0.5}, 'dp-noise-multiplier = 0.5: dp = "off" adds no noise'),
        ({"dp-noise-multiplier": 0.5, "dp": "server-fixed-clipping"}, "dp-noise-multiplier = 0.5: the noise is sized"),
        ({"dp-clipping-norm": 0.0}, "dp-clipping-norm = 0.0: must be above 0"),
        ({"dp-noise-multiplier": -1.0}, "dp-noise-multiplier = -1.0: must be 0 or more"),
    ],
)
def test_privacy_settings_that_contradict_each_other_are_refused(
    make_settings: MakeSettings, changes: dict[str, Any], problem: str
) -> None:
    assert only_problem_of(make_settings, changes).startswith(problem)


def test_privacy_settings_that_go_together_are_accepted(make_settings: MakeSettings) -> None:
    noise = {"dp": "client-fixed-clipping", "dp-noise-multiplier": 1.0, "weighting": "plain", "dp-clipping-norm": 0.5}
    settings = make_settings({"client-report": "masks", "mask-flip-probability": 0.25, **noise}).privacy
    assert (settings.reports_classes, settings.reports_masks, settings.sends_models) == (False, True, False)
    assert not settings.sends_true_masks
