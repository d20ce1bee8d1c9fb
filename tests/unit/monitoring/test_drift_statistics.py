import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fraud.data.sketch import Clusters, LevelBins, NumberBins, design_effect
from fraud.data.table import Coded
from fraud.monitoring.drift_statistics import (
    benjamini_hochberg,
    chi_squared,
    jensen_shannon,
    kolmogorov_smirnov,
    psi,
    two_proportions,
    wasserstein,
)

RNG = np.random.default_rng(0)


def shares(bins: NumberBins, values: np.ndarray) -> np.ndarray:
    return np.bincount(bins.index(values), minlength=len(bins)) / len(values)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (RNG.normal(size=40_000), RNG.normal(0.1, 1.1, 30_000)),
        (RNG.lognormal(3, 1, 40_000).round(2), RNG.lognormal(3.1, 1, 30_000).round(2)),
        (RNG.lognormal(3, 1, 40_000).round(-1), RNG.lognormal(3.2, 1, 30_000).round(-1)),
        (RNG.integers(0, 90, 40_000) * 1.0, RNG.integers(3, 95, 30_000) * 1.0),
        (np.where(RNG.random(40_000) < 0.7, 0, 1e9 + RNG.random(40_000)), 1e9 + RNG.random(30_000)),
    ],
    ids=["normal", "cents", "tens", "whole", "spike and far"],
)
def test_distances_on_bins_are_those_of_the_values(then: np.ndarray, now: np.ndarray) -> None:
    bins = NumberBins.of(then)
    a, b = shares(bins, then), shares(bins, now)
    exact = stats.ks_2samp(then, now, method="asymp")
    n = 1 / (1 / len(then) + 1 / len(now))
    distance, p_value = kolmogorov_smirnov(a, b, n)
    assert distance == pytest.approx(exact.statistic, abs=0.004)
    assert p_value == pytest.approx(stats.kstwo.sf(distance, round(n)), rel=1e-9)
    low, high = bins.bounds[0], bins.bounds[-1]
    outside = [np.array([np.maximum(low - v, 0).mean(), np.maximum(v - high, 0).mean()]) for v in (then, now)]
    found = wasserstein(bins.bounds, a, b, (outside[0], outside[1]), exact=bins.exact)
    assert found == pytest.approx(stats.wasserstein_distance(then, now), rel=0.03)


def test_whole_numbers_and_levels_give_the_very_figures_of_scipy() -> None:
    then, now = RNG.integers(0, 90, 4_000) * 1.0, RNG.integers(2, 92, 3_000) * 1.0
    bins = NumberBins.of(then)
    expected = stats.ks_2samp(then, now, method="asymp")
    n = 1 / (1 / 4_000 + 1 / 3_000)
    assert kolmogorov_smirnov(shares(bins, then), shares(bins, now), n) == pytest.approx(
        (expected.statistic, expected.pvalue)
    )
    counts = np.array([[400, 300, 50], [350, 330, 90]])
    chi = stats.chi2_contingency(counts, correction=False)
    parts = counts / counts.sum(axis=1, keepdims=True)
    assert chi_squared(*parts, *counts.sum(axis=1)) == pytest.approx((chi.statistic, chi.pvalue))
    two = counts[:, :2] / counts[:, :2].sum(axis=1, keepdims=True)
    z, p_value = two_proportions(two[0, 0], two[1, 0], *counts[:, :2].sum(axis=1))
    assert p_value == pytest.approx(stats.chi2_contingency(counts[:, :2], correction=False).pvalue)
    assert z < 0


def test_a_few_cases_are_tested_exactly() -> None:
    _, p_value = two_proportions(0.0, 0.02, 100, 100)
    assert p_value == pytest.approx(stats.fisher_exact([[0, 100], [2, 98]]).pvalue)


def test_benjamini_and_hochberg_agree_with_scipy() -> None:
    p_values = RNG.random(50) ** 3
    assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values))
    assert benjamini_hochberg([]) == []


def test_psi_and_jensen_shannon_have_their_known_values() -> None:
    then, now = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    assert psi(then, now, 1e9, 1e9) == pytest.approx(0.25 * np.log(3))
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1
    assert jensen_shannon(then, then) == 0
    assert np.isfinite(psi(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 100, 100))


@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=300))
def test_every_value_falls_inside_the_bins_chosen_on_it(values: list[float]) -> None:
    bins = NumberBins.of(np.array(values))
    index = bins.index(np.array(values))
    assert index.min() >= 1
    assert index.max() <= len(bins) - 2
    assert bins.index(np.array([max(values) * 2 + 1e16]))[0] == len(bins) - 1


def test_a_value_that_many_rows_share_has_its_own_bin() -> None:
    values = np.concatenate([RNG.normal(10, 3, 20_000), np.full(2_000, 9.99)])
    bins = NumberBins.of(values)
    at = bins.index(np.array([9.99]))[0]
    assert shares(bins, values)[at] == pytest.approx(2_000 / 22_000, abs=1e-3)
    assert bins.index(np.array([np.nextafter(9.99, 0)]))[0] == at - 1 or bins.bounds[at - 1] < 9.99


def test_levels_beyond_the_limit_are_counted_together() -> None:
    column = Coded(np.arange(600, dtype=np.int32), tuple(f"L{i}" for i in range(600)))
    bins = LevelBins.of(column)
    assert not bins.complete
    assert (bins.index(column) == 500).sum() == 100
    assert bins.index(Coded(np.array([-1, 0], np.int32), ("new",))).tolist() == [-1, 500]


def test_rows_of_one_card_that_agree_count_once() -> None:
    same = np.zeros((200, 2), np.int64)
    same[:100, 0], same[100:, 1] = 50, 50
    assert design_effect(same, cumulative=True) == pytest.approx(50 * 200 / 199)
    mixed = RNG.multinomial(50, [0.5, 0.5], 200)
    assert design_effect(mixed, cumulative=False) == pytest.approx(1, abs=0.35)
    assert design_effect(np.array([[40, 60]]), cumulative=False) == 100


@given(st.permutations(range(6)), st.integers(1, 5))
def test_clusters_are_the_same_in_any_order_and_merged(order: list[int], cut: int) -> None:
    rng = np.random.default_rng(1)
    cards = tuple(f"K{i}" for i in range(2_000))
    parts = [(rng.integers(0, 2_000, 400).astype(np.int32), rng.integers(0, 4, 400)) for _ in range(6)]

    def counted(chosen: list[int]) -> Clusters:
        clusters = Clusters([4])
        for i in chosen:
            rows, places = clusters.rows(Coded(parts[i][0], cards))
            clusters.add(0, places, parts[i][1][rows])
        return clusters

    whole, merged = counted(list(range(6))), counted(order[:cut])
    merged.merge(counted(order[cut:]))
    assert (whole.keys == merged.keys).all()
    assert (whole.sums == merged.sums).all()
    assert whole.n_rows == merged.n_rows == 2_400
