"""Statistics over runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.sweep.aggregates import bootstrap_interval, iqm


def test_the_interquartile_mean_leaves_out_the_outer_quarters() -> None:
    assert iqm(np.array([0.0, 1.0, 3.0, 100.0])) == 2.0


def test_one_value_has_no_interval_and_constant_values_have_none_to_either_side() -> None:
    single = bootstrap_interval([0.25], np.mean)
    assert single.value == 0.25
    assert math.isnan(single.low)
    assert math.isnan(single.high)
    assert (single.text(".1f"), single.text(".0%")) == ("0.2", "25%")
    assert bootstrap_interval([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_the_interval_of_several_values_lies_between_the_least_and_the_greatest() -> None:
    mean, low, high = bootstrap_interval([0.0, 0.25, 0.5], np.mean)
    assert mean == pytest.approx(0.25)
    # Means of three draws: 0 comes up with probability 1/27, more than the 2.5% that are cut off.
    assert (low, high) == (0.0, 0.5)
    assert bootstrap_interval([0.0, 0.25, 0.5], np.mean).text(".2f") == "0.25 [0.00, 0.50]"
    values = np.random.default_rng(0).normal(3.0, 1.0, 400)
    mean, low, high = bootstrap_interval(values.tolist(), np.mean)
    assert mean == pytest.approx(values.mean())
    # The normal approximation, 1.96 standard errors to either side.
    error = values.std() / 20
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.2 * error)
