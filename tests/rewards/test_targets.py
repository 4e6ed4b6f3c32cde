"""Demonstrations resampled to the horizon."""

from __future__ import annotations

import numpy as np
import pytest

from rewards.targets import positions, resample, resample_embeddings


def test_values_in_between_are_linear_and_the_ends_are_kept() -> None:
    sequence = np.array([[0.0, 10.0], [2.0, 10.0], [4.0, 40.0]])
    expected = [[0.0, 10.0], [1.0, 10.0], [2.0, 10.0], [3.0, 25.0], [4.0, 40.0]]
    np.testing.assert_allclose(resample(sequence, 5), expected)


@pytest.mark.parametrize("length", [2, 3, 7, 51, 150])
def test_a_straight_line_stays_one_at_any_length(length: int) -> None:
    line = np.linspace(-3.0, 4.0, 51)[:, None]
    np.testing.assert_allclose(resample(line, length)[:, 0], np.linspace(-3.0, 4.0, length), atol=1e-12)


def test_the_same_length_changes_nothing() -> None:
    sequence = np.random.default_rng(0).normal(size=(51, 3))
    np.testing.assert_allclose(resample(sequence, 51), sequence, atol=1e-12)


def test_a_shorter_length_picks_from_the_whole_sequence() -> None:
    np.testing.assert_allclose(resample(np.arange(101.0)[:, None], 3)[:, 0], [0.0, 50.0, 100.0])


def test_frames_of_bytes_are_blended_without_wrapping_round() -> None:
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    frames[1] = 255
    blended = resample(frames, 3)
    assert blended.shape == (3, 4, 4, 3)
    np.testing.assert_allclose(blended[1], 127.5)


@pytest.mark.parametrize(("frames", "length"), [(1, 5), (5, 1), (0, 5)])
def test_less_than_two_frames_are_refused(frames: int, length: int) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        resample(np.zeros((frames, 2)), length)


def test_embeddings_in_between_stay_on_the_sphere() -> None:
    embeddings = np.array([[10.0, 0.0], [0.0, 10.0]], np.float32)
    between = resample_embeddings(embeddings, 3)
    assert between.dtype == np.float32
    half = 10 / np.sqrt(2)
    np.testing.assert_allclose(between, [[10.0, 0.0], [half, half], [0.0, 10.0]], rtol=1e-6)


def test_opposite_embeddings_give_finite_ones_in_between() -> None:
    assert np.isfinite(resample_embeddings(np.array([[10.0, 0.0], [-10.0, 0.0]], np.float32), 3)).all()


def test_moments_are_taken_by_time_and_not_by_number() -> None:
    # 90 frames at 30 a second, then 30 at 1 a second.
    times = np.concatenate([np.arange(90) / 30, 3 + np.arange(30)])
    # At half the horizon it is second 16, and not the frame of second 2.
    np.testing.assert_allclose(resample(times[:, None], 3, times)[:, 0], [0, 16, 32])
    np.testing.assert_allclose(resample(times[:, None], 33, times)[:, 0], np.arange(33))
    np.testing.assert_allclose(positions(120, 33, times)[[0, 1, 2, 3, 4, -1]], [0, 30, 60, 90, 91, 119])
    embeddings = np.stack([np.cos(times / 50), np.sin(times / 50)], axis=1)
    spread = resample_embeddings(embeddings, 33, times)
    np.testing.assert_allclose(np.arctan2(spread[:, 1], spread[:, 0]), np.arange(33) / 50, atol=1e-6)


@pytest.mark.parametrize("digits", [9, 3])
def test_evenly_spaced_times_change_nothing(digits: int) -> None:
    sequence = np.random.default_rng(0).normal(size=(51, 3))
    times = np.round(np.arange(51) / 30, digits)
    np.testing.assert_array_equal(resample(sequence, 90, times), resample(sequence, 90))


@pytest.mark.parametrize("times", [[0.0, 1.0], [0.0, 2.0, 1.0], [0.0, 0.0, 1.0]])
def test_times_that_do_not_fit_are_refused(times: list[float]) -> None:
    with pytest.raises(ValueError, match="Times must rise, one a frame"):
        resample(np.zeros((3, 2)), 5, np.array(times))
