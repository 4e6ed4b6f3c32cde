"""Joint paths for recordings."""

from __future__ import annotations

import numpy as np

from experiments.kuka.motions import minimum_jerk, smooth_noise

START, GOAL = np.array([0.0, 1.0, -2.0]), np.array([1.0, -1.0, -2.0])


def test_a_minimum_jerk_path_goes_from_start_to_goal() -> None:
    path = minimum_jerk(START, GOAL, 51)
    assert path.shape == (51, 3)
    np.testing.assert_allclose(path[0], START, atol=1e-12)
    np.testing.assert_allclose(path[-1], GOAL, atol=1e-12)
    np.testing.assert_allclose(path[25], (START + GOAL) / 2, atol=1e-12)


def test_a_quarter_of_the_time_covers_the_share_worked_out_by_hand() -> None:
    # s = 1/4: 10/64 - 15/256 + 6/1024 = 106/1024.
    path = minimum_jerk(np.zeros(1), np.ones(1), 5)
    np.testing.assert_allclose(path[1, 0], 106 / 1024)


def test_a_minimum_jerk_path_rests_at_both_ends_and_never_turns_back() -> None:
    path = minimum_jerk(np.zeros(1), np.ones(1), 1001)[:, 0]
    velocity = np.gradient(path, 1 / 1000)
    acceleration = np.gradient(velocity, 1 / 1000)
    assert (np.diff(path) > 0).all()
    assert abs(velocity[[0, -1]]).max() < 1e-3
    assert abs(acceleration[[1, -2]]).max() < 0.2 < 5.0 < abs(acceleration).max()
    np.testing.assert_allclose(velocity.max(), 1.875, rtol=1e-4)


def test_noise_comes_from_its_generator_alone() -> None:
    same = [smooth_noise(np.random.default_rng(3), 40, 7, 8.5, 0.3) for _ in range(2)]
    other = smooth_noise(np.random.default_rng(4), 40, 7, 8.5, 0.3)
    assert same[0].shape == (40, 7)
    np.testing.assert_array_equal(same[0], same[1])
    assert abs(same[0] - other).max() > 0.1


def test_noise_moves_no_faster_than_its_period_allows() -> None:
    # Between two knots a distance d apart the steepest step is d pi / (2 period).
    for seed in range(5):
        noise = smooth_noise(np.random.default_rng(seed), 500, 4, 10.0, 0.5)
        knots_apart = noise.max() - noise.min()
        assert 0.01 < abs(np.diff(noise, axis=0)).max() <= knots_apart * np.pi / 20 + 1e-9


def test_noise_is_as_wide_as_its_amplitude() -> None:
    noise = smooth_noise(np.random.default_rng(0), 20000, 5, 7.3, 0.4)
    # Between knots the mean of two weighted draws has 3/4 of the variance of one.
    np.testing.assert_allclose(noise.std(), 0.4 * np.sqrt(0.75), rtol=0.05)
    assert abs(noise.mean()) < 0.02


def test_noise_is_defined_for_every_length_and_period() -> None:
    rng = np.random.default_rng(0)
    for frames in (1, 2, 7, 150):
        for period in (1.0, 6.0, 19.9, 400.0):
            noise = smooth_noise(rng, frames, 2, period, 1.0)
            assert noise.shape == (frames, 2)
            assert np.isfinite(noise).all()
