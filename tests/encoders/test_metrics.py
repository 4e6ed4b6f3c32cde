"""How good an embedding is: triplets, rank correlations, distances, nearest neighbours."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from encoders import metrics
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

LINE = np.array([[0.0], [1.0], [2.0], [4.0]])
"""Four frames of one number each."""

STEPS = np.arange(4.0)[:, None]
"""Four frames, evenly spaced."""


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


@pytest.mark.parametrize("factor", [1e200, -1.7e307, 1e-200, 5e-324])
def test_values_of_any_size_are_compared_without_overflow(factor: float) -> None:
    values = LINE * factor
    triplets = np.array([[0, 1, 3], [0, 1, 2], [0, 2, 1], [3, 1, 2]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Beside 1e400 a margin is nothing, and beside 1e-400 everything.
        assert triplet_accuracy(values, triplets, 2.0) == ((0.5 if abs(factor) > 1 else 0.0), 0.5)
        np.testing.assert_array_equal(
            nearest_neighbours(values, values + 0.4 * factor),
            nearest_neighbours(LINE, LINE + 0.4) if factor != 5e-324 else range(4),
        )
        assert alignment_error(values, values[::-1]) == alignment_error(LINE, LINE[::-1])
        assert kendalls_tau(values, values) == 1.0
        assert rank_correlation(values[:, 0], values[:, 0]) == pytest.approx(1.0)
        matrix = distance_matrix(values)
    np.testing.assert_allclose(matrix, distance_matrix(LINE) * abs(factor))


def test_a_distance_beyond_float64_is_infinite_and_no_neighbour_is_lost() -> None:
    far = np.array([[-1.7e308], [1.7e308], [1.6e308]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert distance_matrix(far)[0].tolist() == [0.0, np.inf, np.inf]
        assert nearest_neighbours(far[:1], far[1:]).tolist() == [1]
        assert nearest_neighbours(np.array([[1e308, 1e308]]), np.array([[1.0, 0.0], [2.0, 2.0]]), "cosine") == [1]


@pytest.mark.parametrize(
    ("triplets", "message"),
    [
        (np.zeros((0, 3), int), "N at least 1"),
        (np.zeros((2, 2), int), "N at least 1"),
        (np.zeros(3, int), "N at least 1"),
        (np.zeros((1, 3)), "whole numbers"),
        (np.array([[0, 1, 4]]), "0 to 4, and the video has 0 to 3"),
        (np.array([[0, -1, 2]]), "-1 to 2, and the video has 0 to 3"),
    ],
)
def test_triplets_that_are_none_are_refused(triplets: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        triplet_accuracy(LINE, triplets, 2.0)


@pytest.mark.parametrize("margin", [-1.0, np.nan, np.inf])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="margin is"):
        triplet_accuracy(LINE, np.array([[0, 1, 3]]), margin)


@pytest.mark.parametrize(
    "values", [np.zeros((0, 2)), np.zeros((3, 0)), np.zeros(3), np.zeros((2, 2, 2)), np.float64(1)]
)
def test_embeddings_of_another_rank_and_of_nothing_are_refused(values: np.ndarray) -> None:
    triplets = np.array([[0, 0, 0]])
    for judge in (lambda: triplet_accuracy(values, triplets, 0.0), lambda: distance_matrix(values)):
        with pytest.raises(ValueError, match="must be \\(frames, dimensions\\), at least one of each"):
            judge()


def test_complex_values_and_texts_are_refused_rather_than_cast() -> None:
    for wrong in (LINE.astype(complex), LINE.astype(str)):
        with pytest.raises(ValueError, match="must be real numbers"):
            triplet_accuracy(wrong, np.array([[0, 1, 3]]), 0.0)
        with pytest.raises(ValueError, match="must be real numbers"):
            rank_correlation(wrong[:, 0], wrong[:, 0])
        with pytest.raises(ValueError, match="must be real numbers"):
            nearest_neighbours(wrong, LINE)


@pytest.mark.parametrize("ranges", [(0, 10, 5), (3, 0, 5), (3, 10, -1)])
def test_ranges_that_hold_no_frame_are_refused(ranges: tuple[int, int, int]) -> None:
    positive, negative, count = ranges
    with pytest.raises(ValueError, match="must be at least 1 frame, the count at least 0"):
        sample_triplets(40, count, positive, negative, np.random.default_rng(0))


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


def test_nearest_neighbours_by_hand_and_by_metric() -> None:
    queries = np.array([[1.0, 1.0], [4.0, 0.5]])
    keys = np.array([[9.0, 9.0], [2.0, 0.0], [0.0, 1.0], [4.0, 3.0]])
    # Squared distances: 128, 2, 1, 13 and 97.25, 4.25, 16.25, 6.25.
    np.testing.assert_array_equal(nearest_neighbours(queries, keys), [2, 1])
    # Angles: 0 from (9, 9); about 7 degrees from (2, 0), 38 from (9, 9), 30 from (4, 3).
    np.testing.assert_array_equal(nearest_neighbours(queries, keys, "cosine"), [0, 1])
    assert nearest_neighbours(queries.astype(np.float32), keys).dtype == np.int64
    np.testing.assert_array_equal(nearest_neighbours(queries[:1], keys[:1]), [0])


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("copies", [2, 3, 7, 33])
def test_a_tie_goes_to_the_earliest_key(metric: str, copies: int) -> None:
    rng = np.random.default_rng(copies)
    queries, far, near = rng.normal(size=(5, 7)), np.full((2, 7), -50.0), rng.normal(size=7) + 5
    keys = np.concatenate([far, np.tile(near, (copies, 1))])
    np.testing.assert_array_equal(nearest_neighbours(queries + 5, keys, metric), np.full(5, 2))
    # 1 lies halfway between 0 and 2.
    assert nearest_neighbours(np.array([[1.0]]), np.array([[2.0], [0.0]])) == [0]


def test_neighbours_do_not_depend_on_how_the_search_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries, keys = rng.normal(size=(23, 4)), rng.normal(size=(9, 4))
    expected = np.linalg.norm(queries[:, None] - keys[None], axis=-1).argmin(axis=1)
    for block in (1, 20, 2**22):
        monkeypatch.setattr(metrics, "BLOCK", block)
        np.testing.assert_array_equal(nearest_neighbours(queries, keys), expected)


def test_neighbours_that_cannot_be_found_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Unknown metric 'cosin'.*'cosine'.*l2, cosine"):
        nearest_neighbours(LINE, LINE, "cosin")
    with pytest.raises(ValueError, match="keys is all zeros in frame 0"):
        nearest_neighbours(LINE[1:], LINE, "cosine")
    with pytest.raises(ValueError, match="queries has 1 dimensions and keys 2"):
        nearest_neighbours(LINE, np.ones((3, 2)))
    for wrong in (np.ones(4), np.ones((0, 1)), np.ones((3, 0)), np.ones((2, 2, 1))):
        with pytest.raises(ValueError, match="keys has shape"):
            nearest_neighbours(LINE, wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_have_no_neighbours(value: float) -> None:
    broken = LINE.copy()
    broken[2] = value
    with pytest.raises(ValueError, match="keys is not finite in frame 2"):
        nearest_neighbours(LINE, broken)
    for metric in (alignment_error, kendalls_tau, lambda first, second: alignment_accuracy(first, second, 1)):
        with pytest.raises(ValueError, match="first is not finite in frame 2"):
            metric(broken, LINE)
        with pytest.raises(ValueError, match="second is not finite in frame 2"):
            metric(LINE, broken)
    with pytest.raises(ValueError, match=r"embeddings\[1\] is not finite in frame 2"):
        classification_error([LINE, broken], [np.ones((4, 1), bool)] * 2)


def test_views_that_agree_are_perfectly_aligned() -> None:
    first = np.random.default_rng(0).normal(size=(30, 8))
    assert alignment_error(first, first) == 0.0
    assert alignment_error(first, first + 1e-3) == 0.0
    assert alignment_accuracy(first, first, 0) == 1.0
    assert alignment_accuracy(first, 7 * first, 0, "cosine") == 1.0
    assert kendalls_tau(first, first) == 1.0


def test_a_reversed_view_is_misaligned_by_hand() -> None:
    # Frames 0 to 3 find 3 to 0: off by 3, 1, 1, 3 in either direction, of 4 frames.
    assert alignment_error(STEPS, STEPS[::-1]) == pytest.approx(0.5)
    assert [alignment_accuracy(STEPS, STEPS[::-1], tolerance) for tolerance in range(4)] == [0.0, 0.5, 0.5, 1.0]
    assert kendalls_tau(STEPS, STEPS[::-1]) == -1.0


def test_both_directions_of_an_alignment_count() -> None:
    second = np.array([[0.0], [0.4], [0.9], [1.2]])
    # From the first: 0, 2, 3, 3, off by 0, 1, 1, 0. From the second: 0, 0, 1, 1, off by 0, 1, 1, 2.
    assert alignment_error(STEPS, second) == pytest.approx((2 / 4 + 4 / 4) / 2 / 4)
    assert alignment_error(second, STEPS) == alignment_error(STEPS, second)
    assert [alignment_accuracy(STEPS, second, tolerance) for tolerance in range(3)] == [3 / 8, 7 / 8, 1.0]


def test_the_metric_of_an_alignment_is_heard() -> None:
    # By angle in order; by distance all frames of the first view are nearest to the first of the second.
    first = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    second = first * np.array([[1.0], [10.0], [100.0]])
    assert alignment_accuracy(first, second, 0, "cosine") == 1.0
    # From the first: 0, 0, 0. From the second: 0, 1, 2.
    assert alignment_accuracy(first, second, 0) == pytest.approx((1 + 3) / 6)


def test_embeddings_that_are_all_equal_find_the_first_frame() -> None:
    same = np.ones((5, 3))
    # Off by 0 to 4 of 5 frames.
    assert alignment_error(same, same) == pytest.approx(2 / 5)
    assert alignment_accuracy(same, same, 1) == pytest.approx(2 / 5)
    assert alignment_accuracy(same, same, 1, "cosine") == pytest.approx(2 / 5)
    assert kendalls_tau(same, same) == 0.0


def test_a_single_frame_is_aligned_but_has_no_order() -> None:
    one = np.array([[3.0, 4.0]])
    assert alignment_error(one, -one) == 0.0
    assert alignment_accuracy(one, -one, 0, "cosine") == 1.0
    for first, second in ((one, np.ones((4, 2))), (np.ones((4, 2)), one)):
        with pytest.raises(ValueError, match="at least 2 frames"):
            kendalls_tau(first, second)


def test_views_that_are_not_synchronised_are_refused() -> None:
    for metric in (alignment_error, lambda first, second: alignment_accuracy(first, second, 1)):
        with pytest.raises(ValueError, match="first has 4 frames and second 3"):
            metric(LINE, LINE[:3])
        with pytest.raises(ValueError, match="first has 1 dimensions and second 2"):
            metric(LINE, np.ones((4, 2)))
    with pytest.raises(ValueError, match="tolerance is -1"):
        alignment_accuracy(LINE, LINE, -1)
    with pytest.raises(ValueError, match="Unknown metric"):
        alignment_accuracy(LINE, LINE, 1, "L2")


def test_kendalls_tau_by_hand() -> None:
    # Neighbours 1, 0, 3, 4: five pairs in order, one out of it.
    assert kendalls_tau(np.array([[1.0], [0.0], [3.0], [4.0]]), np.arange(5.0)[:, None]) == pytest.approx(4 / 6)
    # Neighbours 0, 0, 1: two pairs in order, one tied, which stays in the denominator.
    assert kendalls_tau(np.array([[0.0], [0.1], [9.0]]), np.array([[0.0], [9.0]])) == pytest.approx(2 / 3)
    # Back: 0 and 2, or of a tie the earliest.
    assert kendalls_tau(np.array([[0.0], [9.0]]), np.array([[0.0], [0.1], [9.0]])) == 1.0


def test_classification_error_by_hand() -> None:
    embeddings = [np.array([[0.0], [10.0]]), np.array([[1.0], [9.0], [30.0]]), np.array([[29.0]])]
    labels = [
        np.array([[True, False], [False, False]]),
        np.array([[True, True], [False, False], [True, True]]),
        np.array([[True, True]]),
    ]
    # 0 and 1 are mutual and differ in one of two labels; 10 and 9, 30 and 29 are mutual and agree.
    assert classification_error(embeddings, labels) == pytest.approx(2 / 12)
    assert classification_error(embeddings[::-1], labels[::-1]) == pytest.approx(2 / 12)
    assert classification_error(embeddings, [~mark for mark in labels]) == pytest.approx(2 / 12)


def test_a_frame_is_not_classified_by_its_own_video() -> None:
    # Within a video, the labels go with the embeddings; across the two they are opposite.
    embeddings, labels = np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([[True], [True], [False], [False]])
    assert classification_error([embeddings, embeddings + 0.01], [labels, ~labels]) == 1.0
    assert classification_error([embeddings, embeddings + 0.01], [labels, labels]) == 0.0


def test_a_tie_between_videos_goes_to_the_earliest_frame() -> None:
    same = [np.ones((2, 3))] * 3
    labels = [np.array([[True], [False]]), np.array([[False], [False]]), np.array([[False], [True]])]
    # All frames of video 0 take False from video 1; those of 1 and 2 take True from video 0's first.
    assert classification_error(same, labels) == pytest.approx((1 + 2 + 1) / 6)


def test_videos_that_cannot_be_classified_are_refused_by_index() -> None:
    video, labels = np.ones((3, 2)), np.ones((3, 4), bool)
    with pytest.raises(ValueError, match="two or more videos; got 1 and 1"):
        classification_error([video], [labels])
    with pytest.raises(ValueError, match="got 3 and 2"):
        classification_error([video] * 3, [labels] * 2)
    with pytest.raises(ValueError, match=r"embeddings\[2\] has 5 dimensions"):
        classification_error([video, video, np.ones((3, 5))], [labels] * 3)
    with pytest.raises(ValueError, match=r"embeddings\[1\] has shape \(0, 2\)"):
        classification_error([video, video[:0]], [labels, labels[:0]])
    for wrong in (labels[:2], labels[:, :3], labels[0], labels.astype(float)):
        with pytest.raises(ValueError, match=r"labels\[1\] is .* for 3 frames"):
            classification_error([video, video], [labels, wrong])
    with pytest.raises(ValueError, match=r"labels\[0\] is \(3, 0\) bool"):
        classification_error([video, video], [labels[:, :0]] * 2)
