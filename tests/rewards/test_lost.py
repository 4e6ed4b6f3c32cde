"""Episodes that end when a demonstration is lost."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.buffers import NStepReplayBuffer

from agents.frame_buffer import FrameReplayBuffer
from agents.training import break_off
from rewards.huber import HuberConfig
from rewards.lost import EndWhenLost, lost_distance, lost_reward

CONFIG = HuberConfig(alpha=0.5, beta=0.5, gamma=0.0)


class Penalties(gym.Env[Any, Any]):
    """Gives a list of rewards, one a step."""

    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, rewards: list[float]) -> None:
        self.rewards, self.time = rewards, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        return np.zeros(1, np.float32), self.rewards[self.time - 1], False, self.time == len(self.rewards), {}


def test_the_floor_is_the_reward_at_a_share_of_the_largest_distance() -> None:
    path = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    # The largest distance is 5; 0.4 of it is 2, or 1 in units of 2: -0.5 * 1 - 0.5 * 1.
    assert lost_reward(path, 0.4, CONFIG, scale=2.0) == pytest.approx(-1.0)
    assert lost_reward(path[:, None], 0.8, CONFIG, scale=2.0) == pytest.approx(-0.5 * 4 - 0.5 * 2)


@pytest.mark.parametrize(
    ("path", "share", "message"), [(np.eye(2), 0.0, "share is 0.0"), (np.ones((3, 2)), 0.5, "nothing to lose")]
)
def test_what_cannot_be_lost_is_refused(path: Any, share: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lost_reward(path, share, CONFIG, scale=1.0)


@pytest.mark.parametrize(
    ("path", "share", "message"),
    [
        (np.eye(2), np.inf, "share is inf"),
        (np.eye(2), np.nan, "share is nan"),
        (np.array([[0.0], [np.nan]]), 0.5, "no finite real numbers"),
        (np.array([[0.0], [1j]]), 0.5, "no finite real numbers"),
        (np.zeros((1, 3)), 0.5, "at least 2 moments"),
        (np.zeros((0, 3)), 0.5, "at least 2 moments"),
        (np.array([[-1.7e308], [1.7e308]]), 0.9, "further apart than float64"),
    ],
)
def test_a_path_that_has_no_distance_is_refused(path: Any, share: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lost_distance(path, share)


@pytest.mark.parametrize("factor", [1e200, 1e-200, 1e-320])
def test_paths_of_any_size_have_a_distance(factor: float) -> None:
    assert lost_distance(np.array([[0.0, 0.0], [3.0, 4.0]]) * factor, 0.5) == pytest.approx(2.5 * factor, rel=1e-3)


def test_a_reward_that_is_nan_is_an_error() -> None:
    env = EndWhenLost(Penalties([float("nan")]), floor=-2.0)
    env.reset()
    with pytest.raises(ValueError, match="reward is NaN"):
        env.step(None)


def test_an_episode_ends_below_the_floor_and_is_worth_shares_of_what_lies_above_it() -> None:
    env = EndWhenLost(Penalties([-0.5, -2.0, -2.5, -0.1]), floor=-2.0)
    for _ in range(2):
        env.reset()
        answers = [env.step(None)[1:4] for _ in range(3)]
        assert answers == [(0.75, False, False), (0.0, False, False), (0.0, True, False)]


def test_a_floor_that_is_no_penalty_is_refused() -> None:
    with pytest.raises(ValueError, match=r"floor is 0\.0; it must be below 0"):
        EndWhenLost(Penalties([]), 0.0)


def test_a_demonstration_that_is_never_lost_is_followed_to_the_horizon() -> None:
    env = EndWhenLost(Penalties([-0.5, -1.0]), floor=-2.0)
    env.reset()
    assert [env.step(None)[1:4] for _ in range(2)] == [(0.75, False, False), (0.5, False, True)]


@pytest.mark.parametrize("ended", [False, True])
def test_targets_do_not_reach_beyond_a_training_that_was_broken_off(ended: bool) -> None:
    space = gym.spaces.Box(-1, 1, (1,), np.float32)
    buffer = NStepReplayBuffer(8, space, space, n_steps=3, gamma=0.5)
    step = np.zeros((1, 1), np.float32)
    buffer.add(step, step, step, np.array([1.0]), np.array([ended]), [{}])
    break_off(buffer)
    for _ in range(3):
        buffer.add(step, step, step, np.array([8.0]), np.array([False]), [{}])
    first = buffer._get_samples(np.array([0]))
    assert first.rewards.item() == 1.0
    # A terminal state stays one; after what was broken off the value goes on.
    assert first.dones.item() == float(ended)


def test_stacks_do_not_reach_back_over_a_training_that_was_broken_off() -> None:
    frames = gym.spaces.Box(0, 255, (9, 2, 2), np.uint8)
    buffer = FrameReplayBuffer(8, frames, gym.spaces.Box(-1, 1, (1,), np.float32))

    def step(*shades: int) -> None:
        stack, following = (np.repeat(part, 3)[None, :, None, None] for part in (shades[:3], shades[1:]))
        whole = np.broadcast_to(np.stack([stack, following]), (2, 1, 9, 2, 2)).astype(np.uint8)
        buffer.add(whole[0], whole[1], np.zeros((1, 1)), np.zeros(1), np.array([False]), [{}])

    step(1, 1, 1, 2)
    step(1, 1, 2, 3)
    break_off(buffer)
    step(7, 7, 7, 8)
    rows, envs = np.array([1, 2]), np.zeros(2, np.int64)
    assert buffer.stacks(rows, envs)[:, ::3, 0, 0].tolist() == [[1, 1, 2], [7, 7, 7]]
    assert buffer.next_stacks(rows, envs)[:, ::3, 0, 0].tolist() == [[1, 2, 3], [7, 7, 8]]
