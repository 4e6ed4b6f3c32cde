"""What holds of every metric, loss, reward and statistic, whatever finite values it is given."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from encoders.losses import masked_triplet_loss, n_pairs_loss, squared_distances, triplet_loss
from encoders.metrics import (
    alignment_accuracy,
    alignment_error,
    classification_error,
    distance_matrix,
    kendalls_tau,
    nearest_neighbours,
    rank_correlation,
    sample_triplets,
    triplet_accuracy,
)
from experiments.sweep.aggregates import (
    MOST,
    bootstrap_interval,
    difference,
    iqm,
    normalised,
    probability_of_improvement,
    stratified_iqm,
)
from rewards.audit import audit_reward
from rewards.huber import HuberConfig, huber_reward
from rewards.lost import lost_distance
from rewards.targets import resample, resample_embeddings

few = settings(max_examples=40, deadline=None)
slow = settings(max_examples=8, deadline=None)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
"""Any float64, from the least to the largest."""

ORDINARY = st.floats(-1e6, 1e6)

TIED = st.sampled_from([-1.0, 0.0, 1.0])


def frames(values: st.SearchStrategy[float] = FINITE, least: int = 1) -> st.SearchStrategy[NDArray[np.float64]]:
    """Videos of embeddings, (T, D), contiguous or not."""
    whole = arrays(np.float64, st.tuples(st.integers(least, 8), st.integers(1, 4)), elements=values)
    return st.tuples(whole, st.integers(0, 2)).map(lambda drawn: laid_out(*drawn))


def laid_out(values: NDArray[np.float64], kind: int) -> NDArray[np.float64]:
    """The same values in another order in memory: as they are, by columns, or every other one of a larger array."""
    if kind == 0:
        return values
    if kind == 1:
        return np.asfortranarray(values)
    larger = np.full((2 * len(values), 2 * values.shape[1]), np.nan)
    larger[::2, ::2] = values
    return larger[::2, ::2]


def silent(call: Callable[[], Any]) -> Any:
    """What a call gives; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return call()


@few
@given(frames(), st.data())
def test_triplet_accuracies_are_shares_and_a_margin_makes_none_right(values: Any, data: st.DataObject) -> None:
    index = st.integers(0, len(values) - 1)
    triplets = np.array(data.draw(st.lists(st.tuples(index, index, index), min_size=1, max_size=5)))
    margin = data.draw(st.floats(0, 1e300))
    found = silent(lambda: triplet_accuracy(values, triplets, margin))
    assert 0.0 <= found.margin <= found.plain <= 1.0
    swapped = triplet_accuracy(values, triplets[:, [0, 2, 1]], 0.0)
    # A triplet and its mirror image are never both right.
    assert found.plain + swapped.plain <= 1.0
    assert triplet_accuracy(values, np.repeat(triplets[:, :1], 3, axis=1), margin).plain == 0.0


@few
@given(frames(least=2), st.integers(-1000, 1000))
def test_comparisons_do_not_depend_on_the_unit_of_embeddings(values: Any, exponent: int) -> None:
    # Only where nothing is lost at either end of float64.
    values = np.ldexp(np.round(values / max(np.abs(values).max(), 1e-300) * 1000), 0)
    scaled = np.ldexp(values, min(exponent, 1010))
    np.testing.assert_array_equal(nearest_neighbours(scaled, scaled[::-1]), nearest_neighbours(values, values[::-1]))
    assert kendalls_tau(scaled, scaled[::-1]) == kendalls_tau(values, values[::-1])
    assert alignment_error(scaled, scaled[::-1]) == alignment_error(values, values[::-1])


@few
@given(st.one_of(frames(), frames(TIED)), st.sampled_from(["l2", "cosine"]), st.data())
def test_a_nearest_neighbour_is_the_earliest_of_the_nearest(queries: Any, metric: str, data: st.DataObject) -> None:
    keys = data.draw(arrays(np.float64, (data.draw(st.integers(1, 6)), queries.shape[1]), elements=TIED))
    if metric == "cosine" and not ((queries != 0).any(1).all() and (keys != 0).any(1).all()):
        with pytest.raises(ValueError, match="all zeros"):
            nearest_neighbours(queries, keys, metric)
        return
    nearest = silent(lambda: nearest_neighbours(queries, keys, metric))
    assert nearest.shape == (len(queries),)
    assert ((nearest >= 0) & (nearest < len(keys))).all()
    if metric == "l2" and np.abs(queries).max() < 1e100:
        distances = np.square(queries[:, None] - keys[None]).sum(-1)
        np.testing.assert_allclose(distances[np.arange(len(queries)), nearest], distances.min(1), rtol=1e-9, atol=0)


@few
@example(np.array([[5.9e-235], [0.0], [1.0]]))
@given(st.one_of(frames(), frames(TIED)))
def test_a_view_is_aligned_with_itself_up_to_ties(values: Any) -> None:
    assert 0.0 <= silent(lambda: alignment_error(values, values)) < 1.0
    # Squares of smaller distances are 0, and those moments are as near as any.
    apart = np.abs(values[:, None] - values).max(axis=-1)[~np.eye(len(values), dtype=bool)]
    if np.abs(values).max() < 1e100 and apart.min(initial=np.inf) > 1e-100:
        assert alignment_error(values, values) == 0.0
    assert alignment_accuracy(values, values, len(values)) == 1.0


@few
@given(st.one_of(frames(least=2), frames(TIED, least=2)), st.data())
def test_kendalls_tau_lies_between_its_ends(first: Any, data: st.DataObject) -> None:
    second = data.draw(arrays(np.float64, (data.draw(st.integers(2, 6)), first.shape[1]), elements=FINITE))
    assert -1.0 <= silent(lambda: kendalls_tau(first, second)) <= 1.0
    assert kendalls_tau(first, np.zeros_like(first)) == 0.0


@few
@given(st.lists(st.one_of(frames(), frames(TIED)), min_size=2, max_size=3), st.integers(1, 3))
def test_a_classification_error_is_a_share_and_constant_labels_have_none(videos: list[Any], attributes: int) -> None:
    videos = [video[:, :1] for video in videos]
    labels = [np.arange(len(video))[:, None] % np.arange(2, attributes + 2) == 0 for video in videos]
    assert 0.0 <= silent(lambda: classification_error(videos, labels)) <= 1.0
    assert classification_error(videos, [np.ones_like(label) for label in labels]) == 0.0


@few
@given(frames())
def test_a_distance_matrix_is_one_of_distances(values: Any) -> None:
    matrix = silent(lambda: distance_matrix(values))
    assert matrix.shape == (len(values), len(values))
    assert (matrix >= 0).all()
    assert (np.diag(matrix) == 0).all()
    np.testing.assert_array_equal(matrix, matrix.T)


@few
@given(st.lists(st.tuples(FINITE, FINITE), min_size=3, max_size=10))
def test_a_rank_correlation_is_one_or_there_is_none(pairs: list[tuple[float, float]]) -> None:
    left, right = np.array(pairs).T
    found = silent(lambda: rank_correlation(left, right))
    assert math.isnan(found) == (len(set(left + 0.0)) == 1 or len(set(right + 0.0)) == 1)
    assert math.isnan(found) or abs(found) <= 1 + 1e-9
    if not math.isnan(found):
        assert rank_correlation(left, -right) == pytest.approx(-found, abs=1e-9)


@few
@given(st.integers(2, 40), st.integers(0, 6), st.integers(1, 5), st.integers(1, 12), st.integers(0, 2**32))
def test_sampled_triplets_are_in_range_or_refused(length: int, count: int, near: int, far: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    if length < far + 2:
        with pytest.raises(ValueError, match="no negatives"):
            sample_triplets(length, count, near, far, rng)
        return
    triplets = sample_triplets(length, count, near, far, rng)
    assert triplets.shape == (count, 3)
    assert ((triplets >= 0) & (triplets < length)).all()
    gaps = np.abs(triplets[:, 1:] - triplets[:, :1])
    assert ((gaps[:, 0] >= 1) & (gaps[:, 0] <= near) & (gaps[:, 1] > far)).all()


@few
@given(
    arrays(np.float64, array_shapes(min_dims=1, max_dims=3, max_side=4), elements=FINITE),
    st.tuples(st.floats(0, 1e3), st.floats(1e-3, 1e3), st.floats(0, 1e3)),
    st.floats(1e-300, 1e300),
    st.data(),
)
def test_a_reward_is_finite_never_positive_and_symmetric(own: Any, terms: Any, scale: float, data: Any) -> None:
    target = data.draw(arrays(np.float64, own.shape, elements=FINITE))
    config = HuberConfig(*terms)
    rewards = silent(lambda: huber_reward(own, target, config, scale))
    assert rewards.shape == own.shape[:-1]
    assert np.isfinite(rewards).all()
    assert (rewards <= 0).all()
    np.testing.assert_array_equal(rewards, huber_reward(target, own, config, scale))
    np.testing.assert_array_equal(
        rewards, huber_reward(own[::-1], target[::-1], config, scale)[::-1] if own.ndim > 1 else rewards
    )
    best = huber_reward(own, own, config, scale)
    assert (rewards <= best).all()


@few
@given(st.lists(st.floats(0, 1.7e308), min_size=2, max_size=8), st.floats(1e-3, 1e3))
def test_a_larger_distance_never_has_a_larger_reward(distances: list[float], beta: float) -> None:
    ordered = np.sort(distances)[:, None]
    rewards = huber_reward(ordered, np.zeros_like(ordered), HuberConfig(0.5, beta, 1e-3))
    assert (np.diff(rewards) <= np.abs(rewards[:-1]) * 1e-12).all()


@few
@given(st.one_of(frames(least=2), frames(TIED, least=2)), st.floats(1e-3, 1.0))
def test_a_lost_distance_is_a_share_of_the_largest(path: Any, share: float) -> None:
    whole = distance_matrix(path).max()
    if whole == 0 or not np.isfinite(whole):
        return
    assert silent(lambda: lost_distance(path, share)) == pytest.approx(share * whole, rel=1e-9, abs=5e-324)


@few
@given(frames(ORDINARY, least=2), st.integers(2, 12))
def test_a_resampled_path_keeps_its_ends_and_stays_within_its_values(path: Any, length: int) -> None:
    between = resample(path, length)
    assert between.shape == (length, path.shape[1])
    np.testing.assert_array_equal(between[[0, -1]], path[[0, -1]])
    room = 1e-9 * (1 + np.abs(path).max())
    assert (between >= path.min(0) - room).all()
    assert (between <= path.max(0) + room).all()
    np.testing.assert_allclose(resample(path, len(path)), path, atol=room)
    on_sphere = resample_embeddings(path.astype(np.float32), length)
    assert on_sphere.shape == between.shape
    assert np.isfinite(on_sphere).all()


@slow
@given(st.lists(frames(st.integers(-50, 50).map(float)), min_size=2, max_size=4), st.integers(0, 2**32))
def test_an_audit_of_the_distance_itself_finds_it(videos: list[Any], seed: int) -> None:
    states = [np.c_[video[:, :1], np.zeros((len(video), 2))] for video in videos]
    values = [state[:, :1] for state in states]
    audit = audit_reward(values, states, HuberConfig(), 1.0, np.random.default_rng(seed), pairs=200)
    assert math.isnan(audit.rank_correlation) or audit.rank_correlation > 0.999


@few
@given(st.lists(st.floats(-MOST, MOST), min_size=1, max_size=12))
def test_an_interval_of_figures_lies_within_them(values: list[float]) -> None:
    found = silent(lambda: iqm(np.array(values)))
    room = 1e-9 * max(map(abs, values))
    assert min(values) - room <= found <= max(values) + room


@slow
@given(st.lists(st.one_of(ORDINARY, st.floats(-MOST, MOST)), min_size=1, max_size=5))
def test_a_bootstrap_interval_holds_its_ends_in_order(values: list[float]) -> None:
    value, low, high = silent(lambda: bootstrap_interval(values))
    assert math.isnan(low) == math.isnan(high) == (len(values) == 1)
    if len(values) > 1:
        room = 1e-9 * max(map(abs, values))
        assert min(values) - room <= low <= high <= max(values) + room
    assert math.isfinite(value)


@slow
@given(st.lists(st.lists(ORDINARY, min_size=1, max_size=4).map(np.array), min_size=1, max_size=3))
def test_a_method_is_no_better_than_itself(strata: list[Any]) -> None:
    assert difference(strata, strata).value == 0.0
    assert probability_of_improvement(strata, strata).value == pytest.approx(0.5)
    assert math.isfinite(stratified_iqm(strata).value)


@few
@given(FINITE, FINITE, FINITE)
def test_a_normalised_score_is_finite_or_refused(score: float, random: float, oracle: float) -> None:
    try:
        found = silent(lambda: normalised(score, random, oracle))
    except ValueError as error:
        assert "reference" in str(error)
        return
    assert math.isfinite(found)
    assert normalised(oracle, random, oracle) == 1.0
    assert normalised(random, random, oracle) == 0.0


@pytest.mark.parametrize("values", [[], [math.nan], [1.0, math.inf], [1e301]])
def test_figures_without_a_mean_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"one figure a run|must be finite"):
        bootstrap_interval(values)
    with pytest.raises(ValueError, match="scores of task 1"):
        stratified_iqm([np.ones(2), np.array(values)])
    with pytest.raises(ValueError, match="no tasks"):
        stratified_iqm([])


@few
@given(frames(st.floats(-1e3, 1e3), least=2), st.floats(0, 100))
def test_triplet_losses_are_hinges(values: Any, margin: float) -> None:
    embeddings = torch.from_numpy(np.ascontiguousarray(values))
    loss = triplet_loss(embeddings, embeddings.flip(0), embeddings.roll(1, 0), margin)
    assert loss >= 0
    assert float(triplet_loss(embeddings, embeddings, embeddings, margin)) == pytest.approx(margin)
    others = ~torch.eye(len(embeddings), dtype=torch.bool)
    terms = masked_triplet_loss(embeddings, others, others, margin)
    # Every triplet stands beside its mirror image, and of the two at least one misses the margin.
    assert float(terms.loss) >= margin * (1 - 1e-6) - 1e-6
    assert 0.0 <= float(terms.violations) <= 1.0
    assert (squared_distances(embeddings, embeddings) >= 0).all()
    assert math.isfinite(float(n_pairs_loss(embeddings, embeddings.flip(0))))
