"""How good an embedding is: triplets, rank correlations, distances."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.metrics import distance_matrix, rank_correlation, sample_triplets, triplet_accuracy

LINE = np.array([[0.0], [1.0], [2.0], [4.0]])
"""Four frames of one number each."""


def test_triplet_accuracy_by_hand() -> None:
    # Squared distances: 1 < 16 by 15, 1 < 4 by 3, 4 > 1, 9 > 4.
    triplets = np.array([[0, 1, 3], [0, 1, 2], [0, 2, 1], [3, 1, 2]])
    assert triplet_accuracy(LINE, triplets, 2.0) == (0.5, 0.5)
    assert triplet_accuracy(LINE, triplets, 5.0) == (0.25, 0.5)
    assert triplet_accuracy(LINE, triplets, 20.0) == (0.0, 0.5)


def test_ties_are_wrong_with_and_without_a_margin() -> None:
    assert triplet_accuracy(LINE, np.array([[1, 0, 2]]), 0.0) == (0.0, 0.0)
    # 1 and 4 differ by the margin exactly.
    assert triplet_accuracy(LINE, np.array([[0, 1, 2]]), 3.0) == (0.0, 1.0)
    assert triplet_accuracy(np.ones((4, 5)), np.array([[0, 1, 3]]), 0.0) == (0.0, 0.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_have_no_triplet_accuracy(value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        triplet_accuracy(np.array([[0.0], [1.0], [value]]), np.array([[0, 1, 1]]), 2.0)


@pytest.mark.parametrize("length", [12, 13, 30, 100])
def test_triplets_obey_their_ranges(length: int) -> None:
    triplets = sample_triplets(length, 500, 3, 10, np.random.default_rng(0))
    assert triplets.shape == (500, 3)
    assert triplets.min() >= 0
    assert triplets.max() < length
    near = abs(triplets[:, 1] - triplets[:, 0])
    assert set(near) == {1, 2, 3}
    assert abs(triplets[:, 2] - triplets[:, 0]).min() == 11


def test_triplets_come_from_the_generator() -> None:
    first, again, other = (sample_triplets(40, 50, 3, 10, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_video_too_short_for_negatives_is_refused() -> None:
    with pytest.raises(ValueError, match="11 frames has no negatives beyond 10"):
        sample_triplets(11, 5, 3, 10, np.random.default_rng(0))


def test_rank_correlations_of_known_values() -> None:
    rising = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert rank_correlation(rising, np.exp(rising)) == pytest.approx(1.0)
    assert rank_correlation(rising, -(rising**3)) == pytest.approx(-1.0)
    # Rank differences 1, 1, 0, 1, 1: 1 - 6 * 4 / (5 * 24).
    assert rank_correlation(rising, np.array([20.0, 10.0, 30.0, 50.0, 40.0])) == pytest.approx(0.8)


def test_a_constant_sample_has_no_rank_correlation() -> None:
    rising = np.arange(4.0)
    assert np.isnan(rank_correlation(rising, np.ones(4)))
    assert np.isnan(rank_correlation(np.ones(4), rising))


def test_samples_without_a_rank_correlation_are_refused() -> None:
    for left, right in [([1.0, np.nan, 2.0], [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], [1.0, np.inf, 2.0])]:
        with pytest.raises(ValueError, match="not finite"):
            rank_correlation(np.array(left), np.array(right))
    for right_length in (2, 4):
        with pytest.raises(ValueError, match="one length"):
            rank_correlation(np.arange(3.0), np.arange(float(right_length)))
    with pytest.raises(ValueError, match="length >= 3"):
        rank_correlation(np.arange(2.0), np.arange(2.0))


def test_the_distance_matrix_is_symmetric_and_right() -> None:
    np.testing.assert_array_equal(distance_matrix(LINE)[0], [0, 1, 2, 4])
    vectors = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    matrix = distance_matrix(vectors)
    assert matrix.shape == (9, 9)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_array_equal(np.diag(matrix), np.zeros(9))
    assert matrix[2, 7] == pytest.approx(np.linalg.norm(vectors[2] - vectors[7]))
