"""Rewards as wrappers, one environment at a time and many at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray
from stable_baselines3.common.env_checker import check_env as check_env_for_agents
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from envs.kuka import KukaReach
from rewards.huber import HuberConfig, huber_reward
from rewards.wrappers import TrackingReward, VecTrackingReward

MakeKuka = Callable[..., KukaReach]
CONFIG = HuberConfig(alpha=0.7, beta=0.4, gamma=0.01)
PATH = np.random.default_rng(0).uniform(-0.5, 0.5, (5, 7))
"""For a horizon of 4."""

ACTIONS = np.random.default_rng(1).uniform(-1, 1, (10, 3, 7)).astype(np.float32)


def many(make_kuka: MakeKuka, **settings: Any) -> VecEnv:
    settings = {"camera": None, "horizon": 4, "image_size": 8, **settings}
    return DummyVecEnv([lambda: Monitor(make_kuka(**settings))] * 3)  # type: ignore[list-item]


def by_hand(own: NDArray[Any], step: int, scale: float) -> float:
    squared = float(np.square((own.astype(float) - PATH[step]) / scale).sum())
    return -0.7 * squared - 0.4 * np.sqrt(0.01 + squared)


def test_the_checkers_accept_the_wrapped_environment(make_kuka: MakeKuka) -> None:
    env = TrackingReward(make_kuka(image_size=16, horizon=4), "joint_positions", PATH, CONFIG, 2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is wrapped
        check_env(env, skip_render_check=True)
        check_env_for_agents(env, warn=False)


def test_every_step_is_compared_with_its_own_entry_of_the_path(make_kuka: MakeKuka) -> None:
    env = TrackingReward(make_kuka(camera=None, horizon=9), "joint_positions", PATH, CONFIG, 2.0)
    for _ in range(2):
        env.reset(seed=0)
        for step, actions in enumerate(ACTIONS[:4], start=1):
            observation, reward, _, _, info = env.step(actions[0])
            assert reward == pytest.approx(by_hand(observation["joint_positions"], step, 2.0))
            assert reward != -info["goal_distance"]


def test_an_episode_longer_than_its_path_is_refused_at_the_first_step_beyond_it(make_kuka: MakeKuka) -> None:
    env = TrackingReward(make_kuka(camera=None, horizon=9), "joint_positions", PATH, CONFIG, 2.0)
    venv = VecTrackingReward(many(make_kuka, horizon=9), "joint_positions", PATH, CONFIG, 2.0)
    message = r"at step 5, and its path of 5 entries ends at step 4\. .*TimeLimit\(env, 4\)"
    for either, action in ((env, ACTIONS[0, 0]), (venv, ACTIONS[0])):
        either.reset()
        for _ in range(4):
            either.step(action)
        with pytest.raises(ValueError, match=message):
            either.step(action)
        # The next episode is like any other.
        either.reset()
        either.step(action)
    limited = TrackingReward(TimeLimit(make_kuka(camera=None, horizon=9), 4), "joint_positions", PATH, CONFIG, 2.0)
    limited.reset()
    assert [limited.step(ACTIONS[0, 0])[3] for _ in range(4)] == [False, False, False, True]


def test_an_episode_that_begins_later_is_compared_from_there_alone_and_with_others(make_kuka: MakeKuka) -> None:
    env = TrackingReward(make_kuka(camera=None, horizon=4), "joint_positions", PATH, CONFIG, 2.0)
    venv = VecTrackingReward(many(make_kuka), "joint_positions", PATH, CONFIG, 2.0)
    pose = {"joint_positions": np.full(7, 0.1)}
    env.reset(options={**pose, "time": 2})
    venv.set_options([{**pose, "time": 2}, pose, {**pose, "time": 3}])
    venv.reset()
    own, reward, *_ = env.step(ACTIONS[0, 0])
    assert reward == pytest.approx(by_hand(own["joint_positions"], 3, 2.0))
    _, rewards, dones, infos = venv.step(np.stack([ACTIONS[0, 0]] * 3))
    assert dones.tolist() == [False, False, True]
    last = infos[2]["terminal_observation"]["joint_positions"]
    np.testing.assert_array_equal(last, own["joint_positions"])
    np.testing.assert_allclose(rewards, [by_hand(last, step, 2.0) for step in (3, 1, 4)], rtol=1e-5)
    # The next episode begins with the path again.
    observations, rewards, *_ = venv.step(ACTIONS[0])
    assert isinstance(observations, dict)
    assert rewards[2] == pytest.approx(by_hand(observations["joint_positions"][2], 1, 2.0), rel=1e-5)


@pytest.mark.parametrize("time", [4, -1, 1.5, "2", True, None])
def test_no_episode_begins_where_no_step_of_the_path_is_left(make_kuka: MakeKuka, time: Any) -> None:
    env = TrackingReward(make_kuka(camera=None, horizon=9), "joint_positions", PATH, CONFIG, 2.0)
    with pytest.raises(ValueError, match=f"time is {time!r}; it must be a whole number of steps done, from 0 to 3"):
        env.reset(options={"time": time})


@pytest.mark.parametrize("key", ["joint_positions", "pixels"])
def test_many_at_once_equal_one_at_a_time_through_resets(make_kuka: MakeKuka, key: str) -> None:
    camera, shape = ("front", (8, 8, 3)) if key == "pixels" else (None, (7,))
    path = np.random.default_rng(2).uniform(0, 1, (5, *shape))
    venv = VecTrackingReward(many(make_kuka, camera=camera), key, path, CONFIG, 3.0)
    venv.seed(7)
    singles = [
        TrackingReward(make_kuka(camera=camera, horizon=4, image_size=8), key, path, CONFIG, 3.0) for _ in range(3)
    ]
    for index, env in enumerate(singles):
        env.reset(seed=7 + index)
    venv.reset()
    for actions in ACTIONS:
        _, rewards, dones, _ = venv.step(actions)
        answers = [env.step(action) for env, action in zip(singles, actions, strict=True)]
        np.testing.assert_allclose(rewards, [answer[1] for answer in answers], rtol=1e-5)
        assert rewards.dtype == np.float32
        assert dones.tolist() == [answer[3] for answer in answers]
        for env in np.array(singles, object)[dones]:
            env.reset()


def test_the_learned_return_stands_beside_the_monitors_true_one(make_kuka: MakeKuka) -> None:
    venv = VecTrackingReward(many(make_kuka), "joint_positions", PATH, CONFIG, 1.0)
    plain = many(make_kuka)
    for seeded in (venv, plain):
        seeded.seed(3)
        seeded.reset()
    learned, true = np.zeros(3), np.zeros(3)
    episodes = 0
    for actions in ACTIONS:
        _, rewards, dones, infos = venv.step(actions)
        learned += rewards
        true += plain.step(actions)[1]
        for index, info in enumerate(infos):
            assert ("learned_return" in info) == bool(dones[index]) == ("episode" in info)
        for index in np.flatnonzero(dones):
            assert infos[index]["learned_return"] == pytest.approx(learned[index], rel=1e-5)
            assert infos[index]["episode"]["r"] == pytest.approx(true[index], abs=1e-4)
            learned[index] = true[index] = 0.0
            episodes += 1
    assert episodes == 6


def test_a_reset_in_the_middle_starts_path_and_return_anew(make_kuka: MakeKuka) -> None:
    venv = VecTrackingReward(many(make_kuka), "joint_positions", PATH, CONFIG, 1.0)
    venv.reset()
    venv.step(ACTIONS[0])
    venv.step(ACTIONS[1])
    venv.reset()
    total = np.zeros(3)
    for step, actions in enumerate(ACTIONS[:4], start=1):
        observations, rewards, _, infos = venv.step(actions)
        if step < 4:
            own = observations["joint_positions"][0]  # type: ignore[call-overload, index]
            assert rewards[0] == pytest.approx(by_hand(own, step, 1.0), rel=1e-5)
        total += rewards
    assert [info["learned_return"] for info in infos] == pytest.approx(total, rel=1e-5)


def test_the_last_step_is_rewarded_for_the_last_frame_not_for_the_next_episodes(make_kuka: MakeKuka) -> None:
    venv = VecTrackingReward(many(make_kuka), "joint_positions", PATH, CONFIG, 1.0)
    venv.reset()
    for actions in ACTIONS[:4]:
        observations, rewards, _, infos = venv.step(actions)
    own = np.stack([info["terminal_observation"]["joint_positions"] for info in infos])
    np.testing.assert_allclose(rewards, huber_reward(own, PATH[[4, 4, 4]], CONFIG), rtol=1e-5)
    fresh = observations["joint_positions"]  # type: ignore[call-overload, index]
    assert abs(huber_reward(fresh, PATH[[4, 4, 4]], CONFIG) - rewards).min() > 0.01


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_path_that_is_not_finite_is_refused(make_kuka: MakeKuka, value: float) -> None:
    path = PATH.copy()
    path[2, 3] = value
    refused(make_kuka, "joint_positions", path, "not finite")


@pytest.mark.parametrize("path", [PATH[:, :6], PATH[:1], PATH[0], np.zeros((5, 7, 2))], ids=np.shape)
def test_a_path_of_another_shape_is_refused(make_kuka: MakeKuka, path: NDArray[np.float64]) -> None:
    refused(make_kuka, "joint_positions", path, "does not fit")


def test_an_observation_that_is_not_there_is_refused_with_those_that_are(make_kuka: MakeKuka) -> None:
    refused(make_kuka, "embedding", PATH, "no observation 'embedding' .*joint_positions")


def refused(make_kuka: MakeKuka, key: str, path: NDArray[np.float64], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrackingReward(make_kuka(camera=None), key, path, CONFIG, 1.0)
    with pytest.raises(ValueError, match=message):
        VecTrackingReward(many(make_kuka), key, path, CONFIG, 1.0)
