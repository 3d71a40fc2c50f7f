"""Whether a run fits the clients that there are."""

import pytest
from setting_problems import MakeSettings

from fedcircuits.errors import SettingsError
from fedcircuits.settings import check_num_clients


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


def test_both_mistakes_in_the_number_of_clients_are_listed(make_settings: MakeSettings) -> None:
    settings = make_settings({"partition": "classes", "client-classes": "0;1;2"})
    with pytest.raises(SettingsError) as caught:
        check_num_clients(settings, 5, 4)
    assert len(caught.value.problems) == 2
