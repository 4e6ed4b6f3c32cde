"""The TCN reward, against values worked out by hand."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from rewards.huber import HuberConfig, check_scale, huber_reward


def test_the_reward_is_the_one_worked_out_by_hand() -> None:
    # |w - v|^2 = 9 + 16 = 25: -0.5 * 25 - 2 * sqrt(11 + 25).
    reward = huber_reward(np.array([3.0, 0.0]), np.array([0.0, 4.0]), HuberConfig(alpha=0.5, beta=2.0, gamma=11.0))
    assert float(reward) == pytest.approx(-12.5 - 12.0)


def test_distances_are_counted_in_units_of_the_scale() -> None:
    # A distance of 5 in units of 10 is 0.5: -1 * 0.25 - 1 * 0.5.
    reward = huber_reward(np.array([3.0, 0.0]), np.array([0.0, 4.0]), HuberConfig(1.0, 1.0, 0.0), scale=10.0)
    assert float(reward) == pytest.approx(-0.75)


def test_a_perfect_match_costs_only_the_smoothing() -> None:
    assert float(huber_reward(np.ones(4), np.ones(4), HuberConfig())) == pytest.approx(-0.5 * math.sqrt(1e-3))


def test_rows_are_rewarded_one_by_one_and_closer_is_better() -> None:
    own, target = np.array([[[0.0], [1.0], [3.0]]]), np.zeros((1, 3, 1))
    rewards = huber_reward(own, target, HuberConfig(1.0, 1.0, 0.0))
    assert rewards.shape == (1, 3)
    assert rewards.dtype == np.float64
    np.testing.assert_allclose(rewards, [[0.0, -2.0, -12.0]])


def test_bytes_are_compared_without_wrapping_round() -> None:
    own, target = np.array([0], np.uint8), np.array([200], np.uint8)
    assert float(huber_reward(own, target, HuberConfig(1.0, 0.0, 0.0))) == -40000.0


def test_embeddings_of_different_shapes_are_refused_rather_than_broadcast() -> None:
    with pytest.raises(ValueError, match="one shape"):
        huber_reward(np.zeros((3, 2)), np.zeros(2), HuberConfig())


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_that_was_never_measured_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale is"):
        huber_reward(np.zeros(2), np.zeros(2), HuberConfig(), scale)
    with pytest.raises(ValueError, match="fit the encoder first, which measures it, on videos"):
        check_scale(scale)


def test_distances_whose_squares_are_no_float64_have_the_least_reward_and_no_warning() -> None:
    least = -np.finfo(np.float64).max
    own = np.array([[1e200, 0.0], [1.7e308, 1.7e308], [3.0, 4.0]])
    target = np.array([[0.0, 0.0], [-1.7e308, -1.7e308], [0.0, 0.0]])
    config = HuberConfig(alpha=0.5, beta=2.0, gamma=11.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rewards = huber_reward(own, target, config)
    assert rewards.tolist()[:2] == [least, least]
    # The others are what they are alone.
    assert rewards[2] == huber_reward(own[2], target[2], config) == pytest.approx(-12.5 - 12.0)


def test_a_far_row_leaves_a_near_one_its_own_reward_at_any_scale() -> None:
    own = np.array([[3e161], [1.0], [0.0]])
    rewards = huber_reward(own, np.zeros((3, 1)), HuberConfig(0.0, 1.0, 1.0), scale=1e-290)
    assert rewards.tolist() == [-np.finfo(np.float64).max, pytest.approx(-1e290), -1.0]


def test_a_reward_that_is_a_float64_is_found_though_the_square_is_none() -> None:
    linear = HuberConfig(alpha=0.0, beta=2.0, gamma=1.0)
    assert float(huber_reward(np.array([3e200, 0.0]), np.array([0.0, 4e200]), linear)) == pytest.approx(-1e201)
    # A distance of 1e200 in units of 1e199.
    reward = huber_reward(np.array([1e200]), np.zeros(1), HuberConfig(1.0, 0.0, 0.0), scale=1e199)
    assert float(reward) == pytest.approx(-100.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_embeddings_that_are_not_finite_have_no_reward(value: float) -> None:
    for pair in ((np.array([value]), np.zeros(1)), (np.zeros(1), np.array([value])), (np.array([value]),) * 2):
        with pytest.raises(ValueError, match="not finite"):
            huber_reward(*pair, HuberConfig())


def test_no_embeddings_have_no_rewards_and_embeddings_of_nothing_are_refused() -> None:
    assert huber_reward(np.zeros((0, 3)), np.zeros((0, 3)), HuberConfig()).shape == (0,)
    for shape in ((), (0,), (3, 0)):
        with pytest.raises(ValueError, match="D >= 1"):
            huber_reward(np.zeros(shape), np.zeros(shape), HuberConfig())
    with pytest.raises(ValueError, match="real numbers; got complex128"):
        huber_reward(np.zeros(2, complex), np.zeros(2), HuberConfig())


@pytest.mark.parametrize("name", ["alpha", "beta", "gamma"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_coefficients_must_be_finite_and_not_negative(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is"):
        HuberConfig(**{name: value})


def test_a_reward_that_is_always_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="both 0"):
        HuberConfig(alpha=0.0, beta=0.0)
    HuberConfig(alpha=0.0)
    HuberConfig(beta=0.0)
