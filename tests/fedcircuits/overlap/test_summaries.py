"""Overlap of every two clients in blocks, against the same pairs one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy import ndarray as Array

from fedcircuits.overlap import SetPairs, overlap_figures, pair_sets, tiles
from fedcircuits.overlap.bits import num_bits, num_shared, pack_words
from fedcircuits.overlap.client_sets import ClientSets, num_pairs
from fedcircuits.overlap.distribution import QUANTILES, RESOLUTION, Distributions, add_groups
from fedcircuits.overlap.expected import tabulate_iou, two_point_iou
from fedcircuits.overlap.null import null_figures
from fedcircuits.overlap.summaries import FIGURES, summarise_clients

LAYERS = (5, 70)
"""The second takes two words of 64 bits."""


def draw(num_clients: int, num_classes: int, layers: tuple[int, ...] = LAYERS, seed: int = 0) -> tuple[Array, ...]:
    """Draw members `[client, class, element]`, universes `[client, element]` and what is present `[client, class]`."""
    generator = np.random.default_rng(seed)
    reachable = generator.random((num_clients, sum(layers))) < generator.uniform(0.5, 1, (num_clients, 1))
    density = generator.uniform(0.05, 0.6, (num_clients, num_classes, 1))
    members = generator.random((num_clients, num_classes, sum(layers))) < density
    return members, reachable, generator.random((num_clients, num_classes)) < 0.8


def one_by_one(
    members: Array,
    reachable: Array,
    present: Array,
    is_same_class: bool,
    common: bool,
    layers: tuple[int, ...] = LAYERS,
) -> Array:
    """Return `[figure, pair]` in the order of the summary, from the path that lists pairs."""
    items = list(zip(*np.nonzero(present), strict=True))
    ends = [
        (x, y)
        for x in range(len(items))
        for y in range(x + 1, len(items))
        if items[x][0] != items[y][0] and (items[x][1] == items[y][1]) == is_same_class
    ]
    kept = np.stack([members[client, class_id] for client, class_id in items])
    allowed = np.stack([reachable[client] for client, _ in items])
    figures = vars(overlap_figures(pair_sets(kept, allowed, layers, *np.array(ends).T, common=common)))
    return np.stack([figures[name].T for name in FIGURES], axis=1).reshape(-1, len(ends))


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles that do not divide the clients evenly, and every pair in the histograms."""
    monkeypatch.setattr(tiles, "_PAIRS", 200)


@pytest.mark.parametrize("common", [False, True])
@pytest.mark.usefixtures("small_tiles")
def test_summaries_are_those_of_the_pairs_one_by_one(common: bool) -> None:
    members, reachable, present = draw(num_clients=24, num_classes=3)
    found = summarise_clients(ClientSets.pack(members, reachable, present, LAYERS), common)
    for summary, is_same_class in zip(found, (True, False), strict=True):
        values = one_by_one(members, reachable, present, is_same_class, common)
        assert summary.num_values.tolist() == np.isfinite(values).sum(axis=1).tolist()
        # Layers are exact but for single precision; pooled, the expected IoU is one of moments.
        exact = np.append(np.arange(8), [8, 11])
        assert summary.mean[exact] == pytest.approx(np.nanmean(values, axis=1)[exact], abs=1e-6)
        assert summary.mean == pytest.approx(np.nanmean(values, axis=1), abs=1e-4)
        assert summary.sd == pytest.approx(np.nanstd(values, axis=1), abs=1e-4)
        quantiles = np.nanquantile(values, QUANTILES, axis=1, method="inverted_cdf").T
        assert summary.quantiles() == pytest.approx(quantiles, abs=RESOLUTION + 1e-3)


def test_in_layers_too_wide_for_a_table_the_expected_iou_comes_from_moments() -> None:
    layers = (300, 20)
    members, reachable, present = draw(12, 2, layers)
    _, summary = summarise_clients(ClientSets.pack(members, reachable, present, layers))
    values = one_by_one(members, reachable, present, is_same_class=False, common=False, layers=layers)
    assert summary.mean == pytest.approx(np.nanmean(values, axis=1), abs=1e-5)


@given(st.integers(0, 2**31), st.sampled_from([((32, 64, 128), 0.05), ((32, 64, 128), 0.3), ((4, 6), 0.4)]))
def test_the_two_point_law_is_close_to_the_exact_one_and_never_above(
    seed: int, case: tuple[tuple[int, ...], float]
) -> None:
    widths, share = case
    generator = np.random.default_rng(seed)
    universe = np.array([generator.integers(width // 2, width + 1, 30) for width in widths]).T
    size_a, size_b = (1 + generator.binomial(universe - 1, share) for _ in range(2))
    lowest = np.maximum(0, size_a + size_b - universe)
    exact = null_figures(SetPairs(lowest, size_a, size_b, universe)).mean[:, -1]
    n, a, b = (values.astype(np.float64) for values in (universe, size_a, size_b))
    mean = a * b / n
    variance = mean * (n - a) * (n - b) / (n * np.maximum(n - 1, 1))
    third = variance * (n - 2 * a) * (n - 2 * b) / (n * np.maximum(n - 2, 1))
    near = np.empty(len(exact))
    two_point_iou(*(moment.sum(axis=1) for moment in (a + b, a + b - mean, variance, third)), near)
    assert (near <= exact + 1e-9).all()
    # The largest differences: 3e-5 for the default network, 5e-3 where layers have a handful of channels.
    assert (exact - near).max() < (1e-4 if widths[0] == 32 else 1e-2)


@pytest.mark.usefixtures("small_tiles")
@given(st.integers(0, 40), st.integers(1, 5))
def test_tiles_have_every_two_clients_once(num_clients: int, num_classes: int) -> None:
    clients = np.arange(num_clients)
    pairs = [
        frozenset(pair)
        for tile in tiles.tiles(num_clients, num_classes)
        for pair in zip(
            *(tile.laid_out(tile.across(clients, is_row)).tolist() for is_row in (True, False)), strict=True
        )
    ]
    assert len(pairs) == len(set(pairs)) == num_clients * (num_clients - 1) // 2
    assert all(len(pair) == 2 for pair in pairs)


@pytest.mark.parametrize(
    ("universes", "sizes"), [(range(9), range(9)), (range(7, 10), range(4, 7)), (range(250, 257), range(100, 251))]
)
def test_tabulated_ious_are_those_of_the_null(universes: range, sizes: range) -> None:
    table = tabulate_iou(universes, sizes)
    cases = np.array([(n, a, b) for n in universes[::3] for a in sizes[::5] for b in sizes if max(a, b) <= n])
    pairs = SetPairs(*(column[:, None] for column in (cases[:, 0] * 0, *cases.T[[1, 2, 0]])))
    n, a, b = (cases - [universes.start, sizes.start, sizes.start]).T
    assert table[n, a, b] == pytest.approx(null_figures(pairs).mean[:, 0], abs=1e-10, nan_ok=True)


def test_empty_and_full_sets_have_the_figures_that_are_defined_and_no_others() -> None:
    members = np.array([[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]], dtype=np.bool_)[:, None]
    sets = ClientSets.pack(members, np.ones((4, 3), dtype=np.bool_), np.ones((4, 1), dtype=np.bool_), (2, 1))
    same, different = summarise_clients(sets)
    # Of six pairs, one of two empty sets has no IoU; one of two full sets nothing to adjust; no membership varies.
    assert same.num_values.reshape(3, 4).tolist() == [[5, 5, 4, 0]] * 3
    assert same.mean[:3] == pytest.approx([1 / 5, 1 / 5, 0])
    assert not different.num_values.any()
    assert np.isnan(different.mean).all()


def test_a_client_is_not_compared_with_itself_and_absent_sets_with_nobody() -> None:
    present = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1]], dtype=np.bool_).T
    assert num_pairs(present.T) == (1 + 3, 8)
    members, reachable, _ = draw(3, 3)
    same, different = summarise_clients(ClientSets.pack(members, reachable, present, LAYERS))
    assert (same.num_values.max(), different.num_values.max()) == (4, 8)


def test_elements_out_of_a_clients_reach_do_not_count() -> None:
    members = np.ones((2, 1, 4), dtype=np.bool_)
    reachable = np.array([[1, 1, 0, 0], [0, 1, 1, 0]], dtype=np.bool_)
    present = np.ones((2, 1), dtype=np.bool_)
    same, _ = summarise_clients(ClientSets.pack(members, reachable, present, (4,)))
    assert same.mean[0] == pytest.approx(1 / 3)
    common, _ = summarise_clients(ClientSets.pack(members, reachable, present, (4,)), common=True)
    assert common.mean[0] == pytest.approx(1.0)


@given(st.integers(1, 400), st.integers(0, 2**31))
def test_bits_are_counted_as_flags_are(num_elements: int, seed: int) -> None:
    one, other = np.random.default_rng(seed).random((2, 3, num_elements)) < 0.5
    words = [np.ascontiguousarray(pack_words(flags).T) for flags in (one, other)]
    assert num_bits(words[0]).tolist() == one.sum(axis=1).tolist()
    assert num_shared(words[0][..., None], words[1][:, None]).tolist() == (one[:, None] & other).sum(axis=2).tolist()


# -- Distributions


def test_mean_spread_and_quantiles_are_those_of_the_values() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (2, 50, 400)).astype(np.float32)
    collected = Distributions(2)
    for part in np.array_split(values.reshape(2, -1), 7, axis=1):
        collected.add(part)
    flat = values.reshape(2, -1)
    assert collected.num_values.tolist() == [20_000, 20_000]
    assert collected.mean == pytest.approx(flat.mean(axis=1), abs=1e-5)
    assert collected.sd == pytest.approx(flat.std(axis=1), abs=1e-5)
    assert collected.quantiles() == pytest.approx(np.quantile(flat, QUANTILES, axis=1).T, abs=RESOLUTION)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_undefined_values_are_left_out_figure_by_figure(dtype: type) -> None:
    collected = Distributions(2)
    collected.add(np.array([[0.5, np.nan, 0.1], [np.inf, np.nan, np.nan]], dtype=dtype))
    assert collected.num_values.tolist() == [2, 0]
    assert collected.mean == pytest.approx([0.3, np.nan], nan_ok=True)
    assert np.isnan(collected.sd[1])
    assert np.isnan(collected.quantiles()[1]).all()
    assert collected.quantiles()[0] == pytest.approx([0.1, 0.1, 0.1, 0.5, 0.5], abs=RESOLUTION)


def test_values_below_the_histogram_count_as_its_lowest_but_keep_their_mean() -> None:
    collected = Distributions(1)
    collected.add(np.array([[-9.0, 1.0]], dtype=np.float32))
    assert collected.mean.tolist() == [-4.0]
    assert collected.quantiles()[0] == pytest.approx([-1, -1, -1, 1, 1], abs=RESOLUTION)


def test_all_values_enter_the_mean_where_only_some_are_counted() -> None:
    collected = Distributions(1, step=2)
    # Runs of 16 are counted.
    collected.add(np.repeat(np.array([[0.5, 0.0, 0.5, 1.0]], dtype=np.float32), 16, axis=1))
    assert collected.mean.tolist() == [0.5]
    assert collected.quantiles()[0] == pytest.approx([0.5] * 5, abs=RESOLUTION)


def test_groups_go_into_their_own_collections() -> None:
    values = np.array([[[0.0, 0.2], [0.5, np.nan], [1.0, 0.6]]])
    one, other = Distributions(1), Distributions(1)
    add_groups(values, [(one, [1]), (other, [0, 2])])
    assert (one.num_values.tolist(), other.num_values.tolist()) == ([1], [4])
    assert (one.mean, other.mean) == (pytest.approx([0.5]), pytest.approx([0.45]))
    assert one.quantiles()[0] == pytest.approx([0.5] * 5, abs=RESOLUTION)
    assert other.quantiles()[0, [0, 4]] == pytest.approx([0.0, 1.0], abs=RESOLUTION)


def test_what_was_collected_apart_can_be_put_together() -> None:
    one, other = Distributions(1), Distributions(1)
    one.add(np.array([[0.0, 0.2]], dtype=np.float32))
    other.add(np.array([[0.4]], dtype=np.float32))
    one.include(other)
    assert one.num_values.tolist() == [3]
    assert one.mean == pytest.approx([0.2])
    assert one.quantiles()[0, 2] == pytest.approx(0.2, abs=RESOLUTION)
