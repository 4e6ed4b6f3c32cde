"""States that an episode begins in, in simulations of four kinds."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import envs  # noqa: F401 - registers its own
from envs.mujoco_gl import choose_renderer
from envs.snapshots import SnapshotStarts

choose_renderer(drawn=False)

NAMES = ["Reacher-v5", "InvertedPendulum-v5", "Acrobot-v1", "CartPole-v1", "MountainCar-v0", "Pendulum-v1"]
OURS = ["CartpoleSwingup-v0"]
SUITE = ["dm_control/reacher-easy-v0", "dm_control/finger-spin-v0"]


def made(name: str) -> gym.Env[Any, Any]:
    if name in SUITE:
        pytest.importorskip("shimmy")
    return SnapshotStarts(gym.make(name, disable_env_checker=True))


def vector(observation: Any) -> np.ndarray:
    parts = [observation]
    if isinstance(observation, dict):
        # A stack of frames begins anew.
        parts = [part for name, part in observation.items() if name != "pixels"]
    return np.concatenate([np.ravel(part) for part in parts])


@pytest.mark.parametrize("name", [*NAMES, *SUITE, *OURS])
def test_an_episode_goes_on_from_a_snapshot_as_it_did(name: str) -> None:
    env = made(name)
    rng = np.random.default_rng(0)
    env.reset(seed=1)
    env.action_space.seed(0)
    for _ in range(7):
        observation, *_ = env.step(env.action_space.sample())
    snapshot = env.get_wrapper_attr("take_snapshot")()
    actions = [env.action_space.sample() for _ in range(5)]
    after = [vector(env.step(action)[0]) for action in actions]
    again, _ = env.reset(seed=int(rng.integers(100)), options={**snapshot, "time": 3})
    np.testing.assert_allclose(vector(again), vector(observation), atol=1e-4)
    for action, expected in zip(actions, after, strict=True):
        np.testing.assert_allclose(vector(env.step(action)[0]), expected, atol=1e-3)
    env.close()


def test_an_arm_is_restored_at_rest_with_its_target() -> None:
    env = made("KukaReach-v0")
    env.reset(seed=1)
    env.action_space.seed(0)
    for _ in range(5):
        seen, *_ = env.step(env.action_space.sample())
    again, _ = env.reset(options=env.get_wrapper_attr("take_snapshot")())
    np.testing.assert_allclose(again["joint_positions"], seen["joint_positions"], atol=1e-5)
    np.testing.assert_allclose(again["goal"], seen["goal"])
    assert not again["joint_velocities"].any()
    env.close()


def test_a_snapshot_is_not_changed_by_what_follows() -> None:
    env = made("Reacher-v5")
    env.reset(seed=0)
    snapshot = env.get_wrapper_attr("take_snapshot")()
    kept = {name: values.copy() for name, values in snapshot.items()}
    env.step(env.action_space.sample())
    assert all((snapshot[name] == kept[name]).all() for name in kept)
    env.close()


def test_a_part_of_a_snapshot_is_refused() -> None:
    env = made("Reacher-v5")
    with pytest.raises(ValueError, match=r"takes the options \['qpos', 'qvel'\], all of them or none; got \['qpos'\]"):
        env.reset(options={"qpos": np.zeros(4)})
    env.close()


class Sealed(gym.Env[int, int]):
    """Its state cannot be set."""

    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        return 0, {}


def test_an_environment_whose_state_cannot_be_set_gives_none_and_takes_none() -> None:
    env = SnapshotStarts(Sealed())
    env.reset(options={"time": 1})
    assert env.take_snapshot() == {}
    with pytest.raises(ValueError, match=r"Sealed takes the options \[\]"):
        env.reset(options={"place": np.zeros(1)})


class Settable(Sealed):
    """Offers the two methods of an environment of one's own."""

    place = 0

    def take_snapshot(self) -> dict[str, np.ndarray]:
        return {"place": np.array([self.place])}

    def restore_snapshot(self, snapshot: dict[str, np.ndarray]) -> int:
        self.place = int(snapshot["place"][0])
        return self.place


def test_an_environment_of_ones_own_is_set_by_its_two_methods() -> None:
    env = SnapshotStarts(Settable())
    assert env.reset(options={"place": np.array([1])})[0] == 1
