"""A demonstration that waits for the agent."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv

from rewards.clock import CAUGHT_UP, reached
from rewards.huber import HuberConfig
from rewards.progress import VecProgressReward, reach
from rewards.wrappers import VecTrackingReward

CONFIG = HuberConfig(alpha=0.0, beta=1.0, gamma=0.0)
"""Minus the distance."""

HORIZON = 8


class OnALine(gym.Env[Any, Any]):
    """Goes along a line by its action, for ``HORIZON`` steps; ``options["time"]`` begins it at that place."""

    observation_space = gym.spaces.Dict(
        {
            "place": gym.spaces.Box(-np.inf, np.inf, (1,), np.float32),
            "phase": gym.spaces.Box(0, 1, (1,), np.float32),
        }
    )
    action_space = gym.spaces.Box(-2, 2, (1,), np.float32)

    def __init__(self) -> None:
        self.place, self.time = 0.0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.time = (options or {}).get("time", 0)
        self.place = float(self.time)
        return self.observed(), {"time": self.time}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        self.place += float(action[0])
        return self.observed(), 0.0, False, self.time == HORIZON, {}

    def observed(self) -> dict[str, NDArray[np.float32]]:
        return {"place": np.array([self.place], np.float32), "phase": np.array([self.time / HORIZON], np.float32)}


def on_lines(path: NDArray[np.floating], threshold: float, agents: int = 1) -> VecProgressReward:
    venv = DummyVecEnv([OnALine] * agents)
    phases = np.arange(len(path))[:, None] / (len(path) - 1)
    return VecProgressReward(venv, "place", path, CONFIG, 1.0, threshold, {"phase": phases}, waiting=0.5)


def followed(venv: VecProgressReward, actions: list[float]) -> tuple[list[float], list[float], dict[str, Any]]:
    """Rewards, phases after them (of the last step, in the terminal observation), and the last info."""
    venv.reset()
    rewards, phases = [], []
    for action in actions:
        observation, reward, dones, infos = venv.step(np.full((1, 1), action, np.float32))
        assert isinstance(observation, dict)
        seen = infos[0]["terminal_observation"] if dones[0] else {name: part[0] for name, part in observation.items()}
        rewards.append(float(reward[0]))
        phases.append(float(seen["phase"][0]))
    return rewards, phases, infos[0]


PLACES = np.arange(HORIZON + 1.0)[:, None]
"""A demonstration of one unit a step."""


def test_the_next_moment_is_reached_within_the_threshold_and_an_agent_far_from_it_waits() -> None:
    index, own = np.array([2, 2, 2, 2]), np.array([[3.2], [2.4], [4.1], [9.0]])
    # 3.2 is nearest to moment 3, 2.4 is 0.6 from it, 4.1 is at moment 4, and 9 is at none of the next two.
    assert reached(index, own, PLACES, threshold=0.5).tolist() == [3, 2, 4, 2]
    # A moment exactly at the threshold is not reached.
    assert reached(np.array([2]), np.array([[2.5]]), PLACES, threshold=0.5).tolist() == [2]
    assert reached(np.array([2]), np.array([[4.1]]), PLACES, threshold=0.5, most=1).tolist() == [2]


def test_the_index_never_goes_back_and_ends_at_the_last_moment() -> None:
    assert reached(np.array([5, 7, 8]), np.array([[0.0], [8.0], [8.0]]), PLACES, 0.5).tolist() == [5, 8, 8]


def test_of_moments_that_look_the_same_the_last_is_reached() -> None:
    pause = np.array([0.0, 1, 1, 1, 2])[:, None]
    assert reached(np.array([1]), np.array([[1.0]]), pause, 0.5).tolist() == [3]


def test_an_agent_at_its_time_is_rewarded_as_by_the_fixed_clock() -> None:
    fixed = VecTrackingReward(DummyVecEnv([OnALine]), "place", PLACES, CONFIG, 1.0)
    fixed.reset()
    actions = [1.2, 0.8, 1.1, 0.9, 1.3, 0.7, 1.0, 1.0]
    expected = [float(fixed.step(np.full((1, 1), action, np.float32))[1][0]) for action in actions]
    rewards, phases, info = followed(on_lines(PLACES, 0.5), actions)
    assert rewards == expected
    assert phases == [time / HORIZON for time in range(1, 9)]
    assert info["progress"] == 1.0
    assert info["learned_return"] == pytest.approx(sum(expected))


def test_an_agent_at_half_the_pace_is_compared_with_what_it_has_missed() -> None:
    rewards, phases, info = followed(on_lines(PLACES, 0.25), [0.5] * 8)
    # At 0.5 it is half a unit from moment 1 and waits (0.5 more); at 1 it has reached it, and so on.
    assert rewards == [-1.0, 0.0] * 4
    assert phases == [0, 1 / 8, 1 / 8, 2 / 8, 2 / 8, 3 / 8, 3 / 8, 4 / 8]
    assert info["progress"] == 0.5


def test_a_demonstration_at_half_the_agents_pace_keeps_up_with_it() -> None:
    slow = PLACES / 2
    rewards, phases, info = followed(on_lines(slow, 0.25), [1.0] * 4 + [0.0] * 4)
    # Two moments a step; at 4, where the demonstration ends, the agent stays.
    assert rewards == [0.0] * 8
    assert phases == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]
    assert info["progress"] == 1.0


def test_to_stand_still_costs_every_step_and_moves_nothing_on() -> None:
    rewards, phases, info = followed(on_lines(PLACES, 0.5), [0.0] * 8)
    assert rewards == [-1.5] * 8
    assert phases == [0.0] * 8
    assert info["progress"] == 0.0


def test_an_agent_that_leaves_the_last_moment_is_compared_with_it_and_does_not_wait() -> None:
    short = np.array([[0.0], [1.0], [2.0]])
    rewards, phases, _ = followed(on_lines(short, 0.5), [1.0, 1.0, 0.75, 0.0])
    assert rewards == [0.0, 0.0, -0.75, -0.75]
    assert phases[1:] == [1.0, 1.0, 1.0]


def test_an_episode_begins_at_the_moment_that_its_reset_names_and_the_next_one_too() -> None:
    venv = on_lines(PLACES, 0.5, agents=2)
    venv.set_options([{"time": 5}, {}])
    observation = venv.reset()
    assert isinstance(observation, dict)
    assert observation["phase"].ravel().tolist() == [5 / 8, 0.0]
    for _ in range(3):
        observation, _, dones, infos = venv.step(np.ones((2, 1), np.float32))
    assert isinstance(observation, dict)
    assert dones.tolist() == [True, False]
    assert infos[0]["progress"] == 1.0
    # The first has begun anew, without options; the second goes on.
    assert observation["phase"].ravel().tolist() == [0.0, 3 / 8]


def test_what_is_told_is_a_copy() -> None:
    venv = on_lines(PLACES, 0.5)
    first = venv.reset()
    assert isinstance(first, dict)
    first["phase"][:] = 9.0
    again = venv.reset()
    assert isinstance(again, dict)
    assert again["phase"].tolist() == [[0.0]]


def test_a_moment_is_reached_within_a_share_of_the_demonstrations_extent() -> None:
    assert reach(PLACES) == pytest.approx(CAUGHT_UP * 8)
    assert reach(np.repeat(PLACES, 10, axis=0)) == pytest.approx(CAUGHT_UP * 8)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"threshold": 0.0}, r"threshold is 0\.0 .*must be positive"),
        ({"waiting": -1.0}, r"waiting -1\.0"),
        ({"told": {"phase": np.zeros((4, 1))}}, "'phase' is told of 4 moments, and the path has 9"),
        ({"told": {"pace": np.zeros((9, 1))}}, "no observation 'pace'"),
        ({"path": np.zeros((9, 2))}, "does not fit observations 'place'"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], complaint: str) -> None:
    settings = {"key": "place", "path": PLACES, "config": CONFIG, "scale": 1.0, "threshold": 0.5, "told": {}}
    with pytest.raises(ValueError, match=complaint):
        VecProgressReward(DummyVecEnv([OnALine]), **{**settings, **changes})
