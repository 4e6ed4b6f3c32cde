"""Demonstrations resampled to the horizon."""

from __future__ import annotations

import numpy as np
import pytest

from rewards.targets import resample, resample_embeddings


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
