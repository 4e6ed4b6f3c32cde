"""What several runs say together: a mean, and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, trim_mean

MOST = 1e150
"""Size of a figure at most, so that variances of thousands of them are finite."""


class Interval(NamedTuple):
    """A statistic of a sample with its 95% percentile-bootstrap interval.

    Attributes:
        value: The statistic.
        low: Lower end; NaN for a single value.
        high: Upper end; NaN for a single value.
    """

    value: float
    low: float
    high: float

    def text(self, form: str) -> str:
        """``value [low, high]`` in a format such as ``.2f``; a single value alone."""
        value, low, high = (format(part, form) for part in self)
        return value if math.isnan(self.low) else f"{value} [{low}, {high}]"


def check_figures(values: NDArray[np.float64], what: str) -> None:
    """Refuses figures that have no mean.

    Args:
        values: One figure a run.
        what: What they are, for messages.

    Raises:
        ValueError: If there are none, they are no row, or one is not finite or beyond ``MOST``.
    """
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{what} have the shape {values.shape}; they must be one figure a run, at least one.")
    if not (np.abs(values) <= MOST).all():
        raise ValueError(
            f"{what} are {values}; every one must be finite, at most {MOST:g}. Look at the runs that gave it."
        )


def iqm(values: NDArray[np.float64], axis: int = -1) -> Any:
    """Interquartile mean: the mean of the middle half (Agarwal et al., Statistical Precipice, 2021)."""
    return trim_mean(values, 0.25, axis=axis)


def bootstrap_interval(values: Sequence[float], statistic: Callable[..., Any] = iqm) -> Interval:
    """The statistic of a sample and its 95% interval, from 5,000 resamples with a fixed seed.

    Args:
        values: One figure a run, at least one.
        statistic: Takes an array and ``axis``, such as ``iqm`` or ``np.mean``.

    Raises:
        ValueError: If there are none, or one is not finite or beyond ``MOST``.
    """
    sample = np.asarray(values, np.float64)
    check_figures(sample, "The figures")
    value = float(statistic(sample, axis=-1))
    if len(sample) < 2:
        return Interval(value, float("nan"), float("nan"))
    if np.ptp(sample) == 0:
        return Interval(value, value, value)
    spread = bootstrap(
        (sample,), statistic, n_resamples=5000, method="percentile", rng=np.random.default_rng(0), vectorized=True
    ).confidence_interval
    return Interval(value, float(spread.low), float(spread.high))
