"""What strong actions cost."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from envs.kuka import KukaReach
from rewards.effort import VecEffortPenalty, effort


def test_effort_is_the_mean_square_of_an_action() -> None:
    np.testing.assert_allclose(effort(np.array([[1.0, -1.0], [0.5, 0.0], [0.0, 0.0]])), [1.0, 0.125, 0.0])
    with pytest.raises(ValueError, match=r"the shape \(2,\)"):
        effort(np.zeros(2))


def test_the_reward_is_less_by_what_the_action_costs() -> None:
    plain = DummyVecEnv([lambda: KukaReach(camera=None)] * 2)
    penalised = VecEffortPenalty(DummyVecEnv([lambda: KukaReach(camera=None)] * 2), 0.5)
    for venv in (plain, penalised):
        venv.seed(0)
        venv.reset()
    actions = np.zeros((2, 7), np.float32)
    actions[1] = 1.0
    ours, theirs = penalised.step(actions)[1], plain.step(actions)[1]
    np.testing.assert_allclose(theirs - ours, [0.0, 0.5], atol=1e-6)


def test_wrong_weights_and_actions_are_refused() -> None:
    venv = DummyVecEnv([lambda: KukaReach(camera=None)])
    with pytest.raises(ValueError, match="weight is -1"):
        VecEffortPenalty(venv, -1)
    with pytest.raises(ValueError, match=r"takes Discrete\(2\)"):
        VecEffortPenalty(DummyVecEnv([lambda: gym.make("CartPole-v1")]), 0.1)
