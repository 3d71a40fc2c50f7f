"""Overlap of weight masks that came with noise on them."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from fedcircuits.comparisons.masks import compare_masks
from fedcircuits.overlap import SetPairs, overlap_values
from fedcircuits.overlap.noisy_pairs import EstimatedPairs, estimate_pairs, estimated_values
from fedcircuits.overlap.randomised_response import flip_bits

Masks = dict[str, Tensor]


def random_masks(seed: int, share: float = 0.4) -> Masks:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(shape, generator=generator) < share for name, shape in (("conv1", (6, 5)), ("fc", (9, 8)))}


def noisy(masks: Masks, flip_probability: float, seed: int) -> Masks:
    entropy = np.random.default_rng(seed).bytes
    return {name: flip_bits(mask.flatten(), flip_probability, entropy).view(mask.shape) for name, mask in masks.items()}


def frame(server_round: int, clients: dict[int, Masks], average: Masks, flip_probability: float) -> pd.DataFrame:
    table = compare_masks(server_round, clients, average, flip_probability, np.random.default_rng(0))
    rows: pd.DataFrame = table.to_pandas()
    return rows


def pairs_of(intersection: int, size_a: int, size_b: int, universe: int) -> SetPairs:
    return SetPairs(*(np.array([[value]]) for value in (intersection, size_a, size_b, universe)))


def test_figures_of_known_counts_are_those_of_sets() -> None:
    counts = np.array([[[3, 10], [5, 30], [6, 20], [12, 60]], [[0, 4], [5, 9], [7, 4], [12, 60]]])
    exact = SetPairs(*np.moveaxis(counts, 1, 0))
    figures = estimated_values(
        EstimatedPairs(*(v.astype(float) for v in vars(exact).values() if v is not exact.universe), exact.universe)
    )
    expected = overlap_values(exact)
    for name in ("iou", "expected_iou", "adjusted_iou", "phi"):
        np.testing.assert_allclose(getattr(figures, name), getattr(expected, name), rtol=1e-12, err_msg=name)


def test_a_pair_with_noise_on_one_side_or_on_both_by_hand() -> None:
    observed = SetPairs(*(np.array([[value], [value]]) for value in (2, 5, 4, 10)))
    estimated = estimate_pairs(observed, 0.25, np.array([True, False]))
    # Both: (2 - 9/4 + 10/16) * 4. One: of the 4 known elements 2 arrived, (2 - 4/4) * 2.
    assert estimated.intersection.tolist() == [[1.5], [2.0]]
    assert estimated.size_a.tolist() == [[5.0], [5.0]]
    assert estimated.size_b.tolist() == [[3.0], [4.0]]
    figures = estimated_values(estimated)
    assert figures.iou[:, 0].tolist() == pytest.approx([1.5 / 6.5, 2 / 7])
    # phi of the second: (2 - 5 * 4 / 10) = 0
    assert figures.phi[1, 0] == pytest.approx(0)


def test_sizes_that_come_out_impossible_have_no_figures_and_no_warnings() -> None:
    estimated = estimate_pairs(pairs_of(0, 1, 1, 10), 0.25, np.array([True]))
    assert estimated.size_a[0, 0] == -3
    figures = estimated_values(estimated)
    assert np.isnan(figures.iou[0]).all()
    assert np.isnan(figures.phi[0]).all()
    assert np.isnan(figures.expected_iou[0]).all()


def test_estimates_of_logged_overlaps_are_right_in_the_mean() -> None:
    clients, average = {0: random_masks(0), 1: random_masks(1, 0.6)}, random_masks(2, 0.9)
    truth = frame(1, clients, average, 0.0)
    drawn = []
    for draw in range(200):
        sent = {partition: noisy(masks, 0.15, 2 * draw + partition) for partition, masks in clients.items()}
        drawn.append(frame(1, sent, average, 0.15)[["intersection", "size_a", "size_b"]])
    means, errors = (np.asarray(f(np.stack([d.to_numpy() for d in drawn]), axis=0)) for f in (np.mean, np.std))
    expected = truth[["intersection", "size_a", "size_b"]].to_numpy()
    # Four standard errors; counts are rounded, and a count that is known has no error at all.
    assert (np.abs(means - expected) <= 4 * errors / math.sqrt(len(drawn)) + 1e-9).all()


def test_rows_of_noisy_masks_are_laid_out_like_others_without_what_noise_makes_undefined() -> None:
    clients, average = {0: random_masks(0), 3: random_masks(1)}, random_masks(2, 0.9)
    exact = frame(2, clients, average, 0.0)
    rows = frame(2, clients, average, 0.1)
    names = ["round", "comparison", "a_partition_id", "b_partition_id", "layer", "universe", "common_universe"]
    pd.testing.assert_frame_equal(rows[names], exact[names])
    assert rows[["expected_sd", "usable"]].isna().all(axis=None)
    assert rows[["iou", "expected_iou", "adjusted_iou", "phi", "common_phi"]].notna().all(axis=None)
