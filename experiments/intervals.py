"""What several runs say together: a mean, and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, trim_mean


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


def iqm(values: NDArray[np.float64], axis: int = -1) -> Any:
    """Interquartile mean: the mean of the middle half (Agarwal et al., Statistical Precipice, 2021)."""
    return trim_mean(values, 0.25, axis=axis)


def bootstrap_interval(values: Sequence[float], statistic: Callable[..., Any] = iqm) -> Interval:
    """The statistic of a sample and its 95% interval, from 5,000 resamples with a fixed seed.

    Args:
        values: One figure a run.
        statistic: Takes an array and ``axis``, such as ``iqm`` or ``np.mean``.
    """
    sample = np.asarray(values, np.float64)
    value = float(statistic(sample, axis=-1))
    if len(sample) < 2:
        return Interval(value, float("nan"), float("nan"))
    if np.ptp(sample) == 0:
        return Interval(value, value, value)
    spread = bootstrap(
        (sample,), statistic, n_resamples=5000, method="percentile", rng=np.random.default_rng(0), vectorized=True
    ).confidence_interval
    return Interval(value, float(spread.low), float(spread.high))
