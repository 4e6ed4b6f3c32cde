"""Aggregates over seeds and tasks: interquartile means with intervals, normalised scores, comparisons.

Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, mannwhitneyu, trim_mean

MOST = 1e150
"""Largest magnitude of a figure, so that variances of thousands are finite."""

RESAMPLES = 2000

Strata = Sequence[NDArray[np.float64]]
"""Scores of one method: one array of seeds a task."""


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


def check_sample(values: NDArray[np.float64], what: str) -> None:
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
    check_sample(sample, "The figures")
    value = float(statistic(sample, axis=-1))
    if len(sample) < 2:
        return Interval(value, float("nan"), float("nan"))
    if np.ptp(sample) == 0:
        return Interval(value, value, value)
    spread = bootstrap(
        (sample,), statistic, n_resamples=5000, method="percentile", rng=np.random.default_rng(0), vectorized=True
    ).confidence_interval
    return Interval(value, float(spread.low), float(spread.high))


def normalised(score: Any, random: float, oracle: float) -> Any:
    """(score - random) / (oracle - random): 0 is a random policy, 1 the true reward.

    Raises:
        ValueError: If the two references do not differ or are not finite, or lie so near to one another that the share
            of a finite score is beyond float64. A score that is not finite stays so.
    """
    with np.errstate(all="ignore"):
        whole = float(oracle) - float(random)
        if not np.isfinite(whole) or whole == 0:
            raise ValueError(
                f"The references are {random} (random) and {oracle} (oracle); they must be finite and differ."
            )
        share = (score - random) / whole
    if np.any(np.isfinite(score) & ~np.isfinite(share)):
        raise ValueError(f"The references {random} (random) and {oracle} (oracle) are too near for the score {score}.")
    return share


def _pooled_iqm(*strata: Any, axis: int = -1) -> Any:
    return trim_mean(np.concatenate(strata, axis=axis), 0.25, axis=axis)


def stratified_iqm(strata: Strata) -> Interval:
    """Interquartile mean over all tasks and seeds, with the 95% interval of a bootstrap that resamples within tasks.

    Args:
        strata: One array of seeds a task.

    Returns:
        The interval; its ends are NaN where a task has a single seed.

    Raises:
        ValueError: If there is no task, a task has no seed, or a score is not finite.
    """
    return _interval(_pooled_iqm, strata)


def difference(ours: Strata, theirs: Strata) -> Interval:
    """Difference of two methods' interquartile means, with the 95% interval of the same bootstrap.

    Args:
        ours: One array of seeds a task.
        theirs: The same tasks of the other method.

    Raises:
        ValueError: If the numbers of tasks differ or are 0, a task has no seed, or a score is not finite.
    """

    def less(ours: Strata, theirs: Strata, axis: int) -> Any:
        return _pooled_iqm(*ours, axis=axis) - _pooled_iqm(*theirs, axis=axis)

    return _paired_interval(less, ours, theirs)


def probability_of_improvement(ours: Strata, theirs: Strata) -> Interval:
    """Probability that a run of one method beats one of another, ties half; the mean over tasks.

    Agarwal et al. 2021, equation for P(X > Y), by the Mann-Whitney U statistic.

    Args:
        ours: One array of seeds a task.
        theirs: The same tasks of the other method.

    Raises:
        ValueError: If the numbers of tasks differ or are 0, a task has no seed, or a score is not finite.
    """

    def probability(ours: Strata, theirs: Strata, axis: int) -> Any:
        return np.mean(
            [
                mannwhitneyu(x, y, axis=axis, method="asymptotic").statistic / (x.shape[axis] * y.shape[axis])
                for x, y in zip(ours, theirs, strict=True)
            ],
            axis=0,
        )

    return _paired_interval(probability, ours, theirs)


def _paired_interval(statistic: Callable[[Strata, Strata, int], Any], ours: Strata, theirs: Strata) -> Interval:
    """A statistic of two methods on the same tasks, with its interval."""
    tasks = len(ours)
    if tasks != len(theirs):
        raise ValueError(f"The methods were run on {tasks} and {len(theirs)} tasks; compare them on the same.")

    def of_all(*strata: Any, axis: int = -1) -> Any:
        return statistic(strata[:tasks], strata[tasks:], axis)

    return _interval(of_all, [*ours, *theirs])


def _interval(statistic: Any, strata: Strata) -> Interval:
    if not strata:
        raise ValueError("There are no tasks to compare; name at least one.")
    for task, stratum in enumerate(strata):
        check_sample(np.asarray(stratum), f"The scores of task {task}")
    value = float(statistic(*strata, axis=-1))
    if min(len(stratum) for stratum in strata) < 2:
        return Interval(value, float("nan"), float("nan"))
    if all(np.ptp(stratum) == 0 for stratum in strata):
        return Interval(value, value, value)
    spread = bootstrap(
        tuple(strata),
        statistic,
        n_resamples=RESAMPLES,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(value, float(spread.low), float(spread.high))


def band(curves: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Interquartile mean of curves at every point, with a 95% stratified bootstrap band.

    Args:
        curves: One array (seeds, points) a task, the same points in all, at least one.

    Returns:
        Value, low and high, (points,) each; NaN at a point where a curve is not finite, which charts leave out.

    Raises:
        ValueError: If there are no curves or points, or the points differ.
    """
    if not curves or {np.ndim(curve) for curve in curves} != {2} or len({curve.shape[1] for curve in curves}) > 1:
        raise ValueError(
            f"A band takes curves (seeds, points) of the same points; got {[np.shape(curve) for curve in curves]}."
        )
    if curves[0].shape[1] == 0:
        raise ValueError("A band takes curves of at least one point; there are none.")
    unknown = Interval(math.nan, math.nan, math.nan)
    points = []
    for point in range(curves[0].shape[1]):
        strata = [curve[:, point] for curve in curves]
        known = all(np.isfinite(stratum).all() for stratum in strata)
        points.append(stratified_iqm(strata) if known else unknown)
    value, low, high = np.array(points).T
    return value, low, high
