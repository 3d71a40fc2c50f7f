"""Settings that cannot go together are refused, and those that can are not."""

from typing import Any

import pytest
from setting_problems import MakeSettings, only_problem_of, problems_of


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


def test_the_canvas_of_cluttered_digits_is_the_size_of_its_images(make_settings: MakeSettings) -> None:
    asked = {"dataset": "cluttered-digits", "channels": "4,4,4,4"}
    assert make_settings({**asked, "clutter-size": 16}).data.shape.image_size == 16
    assert "nothing of an image of 14 pixels" in only_problem_of(make_settings, asked)
    make_settings({"clutter-size": 28, "channels": "4,4,4"})  # no matter to the digits


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [("clutter-size", 7, "8 or more"), ("clutter-fragments", -1, "0 or more"), ("clutter-copies", 0, "1 or more")],
)
def test_clutter_has_its_limits(make_settings: MakeSettings, key: str, value: int, allowed: str) -> None:
    assert only_problem_of(make_settings, {key: value}) == f"{key} = {value}: must be {allowed}"


def test_an_even_kernel_is_refused(make_settings: MakeSettings) -> None:
    assert only_problem_of(make_settings, {"kernel-size": 4}) == "kernel-size = 4: must be odd"


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


def test_a_split_by_classes_needs_the_classes(make_settings: MakeSettings) -> None:
    assert "client-classes: partition" in only_problem_of(make_settings, {"partition": "classes"})


@pytest.mark.parametrize("partition", ["iid", "dirichlet", "pathological"])
def test_classes_that_no_split_would_use_are_refused(make_settings: MakeSettings, partition: str) -> None:
    problem = only_problem_of(make_settings, {"partition": partition, "client-classes": "0,1;2,3"})
    assert problem == f'client-classes: partition = "{partition}" deals classes out itself; partition must be "classes"'


def test_a_limit_that_leaves_no_image_of_some_class_is_refused(make_settings: MakeSettings) -> None:
    problem = only_problem_of(make_settings, {"train-limit": 1})
    assert problem == "train-limit = 1: digits has 10 classes, so it must be 10 or more, or 0 for every image"
    assert "20 or more" in only_problem_of(make_settings, {"heldout-limit": 19})
    make_settings({"train-limit": 10, "heldout-limit": 20})


def test_a_name_that_no_folder_can_have_is_refused(make_settings: MakeSettings) -> None:
    assert only_problem_of(make_settings, {"run-name": "a" * 250}) == "run-name: 250 characters, must be 100 at most"
    make_settings({"run-name": "a" * 100})


def test_pixels_are_normalised_with_numbers_of_their_own_scale(make_settings: MakeSettings) -> None:
    own = {"dataset": "folder", "class-names": "a,b", "image-channels": 1}
    assert only_problem_of(make_settings, {**own, "pixel-mean": "127.5"}).startswith(
        "pixel-mean: 127.5, must be 0 to 1"
    )
    assert only_problem_of(make_settings, {**own, "pixel-std": "58.0"}).startswith("pixel-std: 58, must be above 0")


def test_a_pathological_split_cannot_give_more_classes_than_there_are(make_settings: MakeSettings) -> None:
    problem = only_problem_of(make_settings, {"partition": "pathological", "classes-per-client": 11})
    assert problem == "classes-per-client = 11: digits has 10 classes"
    assert make_settings({"partition": "iid", "classes-per-client": 11}).data.classes_per_client == 11


def test_a_proximal_term_needs_fedprox(make_settings: MakeSettings) -> None:
    assert make_settings({"proximal-mu": 0.1, "strategy": "fedprox"}).training.proximal_mu == 0.1
    problem = only_problem_of(make_settings, {"proximal-mu": 0.1})
    assert problem.startswith("proximal-mu = 0.1:")
    assert "fedprox" in problem


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


def test_the_expected_number_of_clients_must_be_that_of_the_list(make_settings: MakeSettings) -> None:
    overrides = {"partition": "classes", "client-classes": "0;1;2"}
    assert make_settings({**overrides, "num-clients": 3}).data.num_clients == 3
    problem = only_problem_of(make_settings, {**overrides, "num-clients": 4})
    assert problem == "num-clients = 4: client-classes lists 3 clients"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"client-report": "all"}, "client-report = 'all': must be one of full, masks, weights"),
        ({"mask-flip-probability": 0.5}, "mask-flip-probability = 0.5: must be 0 <= x < 0.5"),
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
