"""Episodes of one length."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest
from gymnasium import spaces

from envs.episodes import FixedLength


class Counting(gym.Env[int, int]):
    """Observes how many steps it has made, gives a reward of 1 a step, and ends after three."""

    observation_space = spaces.Discrete(100)
    action_space = spaces.Discrete(2)
    sturdy = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        self.steps = 0
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        assert self.steps < 3 or self.sturdy, "stepped after its end"
        self.steps += 1
        return self.steps, 1.0, self.steps == 3, False, {}


def play(env: gym.Env[Any, Any], options: dict[str, Any] | None = None) -> list[tuple[int, float, bool, bool]]:
    env.reset(options=options)
    steps = []
    while not steps or not steps[-1][3]:
        steps.append(env.step(0)[:4])
    return steps


def test_an_ended_environment_stays_as_it_ended_without_reward() -> None:
    assert play(FixedLength(Counting(), 5)) == [
        (1, 1.0, False, False),
        (2, 1.0, False, False),
        (3, 1.0, False, False),
        (3, 0.0, False, False),
        (3, 0.0, False, True),
    ]


def test_a_simulation_that_goes_on_is_stepped_on_without_reward() -> None:
    counting = Counting()
    counting.sturdy = True
    assert play(FixedLength(counting, 5, goes_on=True))[2:] == [
        (3, 1.0, False, False),
        (4, 0.0, False, False),
        (5, 0.0, False, True),
    ]


def test_an_action_is_held_and_its_rewards_are_added_up_to_the_end() -> None:
    assert play(FixedLength(Counting(), 3, action_repeat=2)) == [
        (2, 2.0, False, False),
        (3, 1.0, False, False),
        (3, 0.0, False, True),
    ]


def test_steps_that_count_as_done_are_not_made_again() -> None:
    assert len(play(FixedLength(Counting(), 5), {"time": 3})) == 2


def test_a_second_episode_begins_anew() -> None:
    env = FixedLength(Counting(), 4)
    assert play(env) == play(env)


@pytest.mark.parametrize(("horizon", "repeat"), [(0, 1), (5, 0), (2.5, 1)])
def test_lengths_that_are_none_are_refused(horizon: int, repeat: int) -> None:
    with pytest.raises(ValueError, match=f"horizon is {horizon} and action_repeat {repeat}"):
        FixedLength(Counting(), horizon, repeat)
