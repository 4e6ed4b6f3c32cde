"""Statistics of a benchmark: normalised scores, stratified intervals, probability of improvement."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from experiments.sweep.aggregates import (
    Interval,
    band,
    difference,
    normalised,
    probability_of_improvement,
    stratified_iqm,
)


def test_a_random_policy_scores_nothing_and_the_oracle_one() -> None:
    np.testing.assert_allclose(normalised(np.array([-0.4, -0.1, -0.05]), -0.4, -0.1), [0, 1, 0.35 / 0.3])


@pytest.mark.parametrize(("random", "oracle"), [(1.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_references_that_say_nothing_are_refused(random: float, oracle: float) -> None:
    with pytest.raises(ValueError, match="must be finite and differ"):
        normalised(0.5, random, oracle)


def test_the_interquartile_mean_pools_all_tasks() -> None:
    # Of eight sorted values the middle four are 2, 3, 4 and 5.
    value, low, high = stratified_iqm([np.array([0.0, 2.0, 4.0, 100.0]), np.array([1.0, 3.0, 5.0, 7.0])])
    assert value == pytest.approx(3.5)
    assert low < value < high


def test_seeds_are_resampled_within_their_task() -> None:
    # Tasks far apart and each constant but for a little: whatever is drawn, half of it is of each task.
    strata = [np.array([0.0, 0.1, 0.2]), np.array([10.0, 10.1, 10.2])]
    value, low, high = stratified_iqm(strata)
    assert high - low < 0.3
    pooled = np.concatenate(strata)
    draws = np.random.default_rng(0).choice(pooled, (500, 6)).mean(axis=1)
    assert np.ptp(np.quantile(draws, [0.025, 0.975])) > 3
    assert low <= value <= high


def test_a_single_seed_has_no_interval() -> None:
    value, low, high = stratified_iqm([np.array([1.0]), np.array([3.0])])
    assert value == 2
    assert np.isnan([low, high]).all()


def test_equal_scores_have_a_sure_mean() -> None:
    assert stratified_iqm([np.full(3, 0.5), np.full(3, 0.5)]) == (0.5, 0.5, 0.5)


def test_the_probability_of_improvement_counts_pairs_and_halves_ties() -> None:
    ours, theirs = [np.array([1.0, 3.0])], [np.array([2.0, 3.0])]
    # 1<2, 1<3, 3>2, 3=3: one and a half of four.
    assert probability_of_improvement(ours, theirs).value == pytest.approx(1.5 / 4)
    assert probability_of_improvement(theirs, ours).value == pytest.approx(2.5 / 4)


def test_a_method_that_always_wins_surely_improves() -> None:
    rng = np.random.default_rng(0)
    low, high = [rng.uniform(0, 1, 5) for _ in range(2)], [rng.uniform(2, 3, 5) for _ in range(2)]
    assert probability_of_improvement(high, low) == (1.0, 1.0, 1.0)


def test_a_difference_is_that_of_the_interquartile_means_within_its_interval() -> None:
    ours, theirs = [np.array([0.0, 4.0, 5.0, 90.0])], [np.array([1.0, 2.0, 3.0, 4.0])]
    # The means of the middle halves: 4.5 and 2.5.
    found = difference(ours, theirs)
    assert found.value == pytest.approx(2.0)
    assert found.low < 2.0 < found.high
    swapped = difference(theirs, ours)
    assert swapped.value == -found.value


def test_constant_scores_differ_for_certain() -> None:
    assert difference([np.full(3, 5.0)], [np.full(3, 2.0)]) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize("compare", [difference, probability_of_improvement])
def test_methods_on_different_tasks_are_not_compared(compare: Callable[..., Interval]) -> None:
    with pytest.raises(ValueError, match="on 1 and 2 tasks"):
        compare([np.zeros(2)], [np.zeros(2), np.zeros(2)])


def test_a_band_is_the_interval_at_every_point() -> None:
    curves = [np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 6.0]]), np.array([[3.0, 3.0], [4.0, 5.0], [5.0, 9.0]])]
    value, low, high = band(curves)
    for point in range(2):
        assert stratified_iqm([curve[:, point] for curve in curves]) == (value[point], low[point], high[point])
