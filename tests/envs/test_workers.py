"""Environments in a few worker processes, against the same ones in this process."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from envs.kuka import HOME, KukaReach
from envs.workers import WorkerVecEnv

HORIZONS = (4, 5, 6, 7, 8)


def factory(horizon: int) -> gym.Env:
    env: gym.Env = KukaReach(horizon=horizon, image_size=16, control="torque", render_mode="rgb_array")
    # Only every other environment has a monitor, so that answers differ between environments.
    return Monitor(env) if horizon % 2 == 0 else env


def factories() -> list[Callable[[], gym.Env]]:
    return [partial(factory, horizon) for horizon in HORIZONS]


@pytest.fixture(scope="module")
def workers() -> Iterator[VecEnv]:
    venv = WorkerVecEnv(factories(), workers=2)
    yield venv
    venv.close()


@pytest.fixture(scope="module")
def here() -> Iterator[VecEnv]:
    venv = DummyVecEnv(factories())  # type: ignore[arg-type]
    yield venv
    venv.close()


def roll(venv: VecEnv, steps: int = 12) -> list[object]:
    rng = np.random.default_rng(0)
    answers: list[object] = [venv.reset()]
    for _ in range(steps):
        observations, rewards, dones, infos = venv.step(rng.uniform(-1, 1, (len(HORIZONS), 7)).astype(np.float32))
        for info in infos:
            info.get("episode", {}).pop("t", None)  # the time on the clock
        answers.append((observations, rewards, dones, infos))
    return answers


def test_everything_equals_the_environments_in_one_process_through_resets(workers: VecEnv, here: VecEnv) -> None:
    assert workers.observation_space == here.observation_space
    assert workers.action_space == here.action_space
    assert workers.num_envs == here.num_envs == 5
    for seed in (3, 8):
        workers.seed(seed)
        here.seed(seed)
        mine, expected = roll(workers), roll(here)
        np.testing.assert_equal(mine, expected)
    dones = np.array([answer[2] for answer in mine[1:]])  # type: ignore[index]
    assert dones.sum(axis=0).tolist() == [3, 2, 2, 1, 1]


class OwnInfo(gym.Wrapper):
    """Gives the same dictionary as its info at every step, with what it was given of its own in it."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.info: dict[str, Any] = {"path": []}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, _ = self.env.step(action)
        self.info["path"] += [len(self.info["path"])]
        return observation, reward, terminated, truncated, self.info


def test_an_environment_that_keeps_its_info_finds_nothing_written_into_it() -> None:
    venv = WorkerVecEnv([lambda: OwnInfo(KukaReach(horizon=2, camera=None))], workers=1)
    venv.reset()
    still = np.zeros((1, 7), np.float32)
    infos = [venv.step(still)[3][0] for _ in range(3)]
    assert ["terminal_observation" in info for info in infos] == [False, True, False]
    assert [info["path"] for info in infos] == [[0], [0, 1], [0, 1, 2]]
    assert list(venv.get_attr("info")[0]) == ["path"]
    venv.close()


def test_options_reach_the_environments_once(workers: VecEnv) -> None:
    goals = np.linspace(0.1, 0.5, 5)
    workers.set_options([{"goal": [goal, 0.0, 0.5]} for goal in goals])
    observations = workers.reset()
    assert isinstance(observations, dict)
    np.testing.assert_allclose(observations["goal"][:, 0], goals, rtol=1e-6)
    again = workers.reset()
    assert isinstance(again, dict)
    assert not np.isclose(again["goal"][:, 0], goals).any()


def test_attributes_come_in_the_order_asked_for(workers: VecEnv) -> None:
    assert workers.get_attr("horizon") == [4, 5, 6, 7, 8]
    assert workers.get_attr("horizon", indices=[4, 0, 3]) == [8, 4, 7]
    assert workers.get_attr("horizon", indices=2) == [6]
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        workers.get_attr("nothing_of_the_kind")
    assert workers.get_attr("horizon") == [4, 5, 6, 7, 8]


def test_attributes_are_set_where_asked_for(workers: VecEnv) -> None:
    workers.set_attr("note", "all")
    workers.set_attr("note", "some", indices=[3, 1])
    assert workers.get_attr("note") == ["all", "some", "all", "some", "all"]


def test_methods_are_called_in_the_order_asked_for(workers: VecEnv) -> None:
    workers.reset()
    poses = [HOME + 0.1 * index for index in range(5)]
    for index, pose in enumerate(poses):
        workers.env_method("set_pose", pose, indices=index)
    answers = workers.env_method("joint_positions", indices=[4, 0, 2])
    np.testing.assert_allclose(answers, [poses[4], poses[0], poses[2]])
    frames = workers.env_method("frame", "top", size=20)
    assert [frame.shape for frame in frames] == [(20, 20, 3)] * 5
    with pytest.raises(ValueError, match="Did you mean 'top'"):
        workers.env_method("frame", "topp", indices=1)


def test_pictures_come_from_every_environment(workers: VecEnv, here: VecEnv) -> None:
    for venv in (workers, here):
        venv.seed(0)
        venv.reset()
    np.testing.assert_array_equal(workers.get_images(), here.get_images())
    picture = workers.render()
    assert picture is not None and picture.shape == (48, 32, 3)
    assert workers.metadata["render_fps"] == 20


@pytest.mark.parametrize("copied", [copy.copy, pickle.dumps])
def test_copies_are_refused(workers: VecEnv, copied: Callable[[VecEnv], object]) -> None:
    with pytest.raises(TypeError, match="WorkerVecEnv cannot be copied or pickled"):
        copied(workers)


def test_wrappers_are_found_in_the_order_asked_for(workers: VecEnv) -> None:
    assert workers.env_is_wrapped(Monitor) == [True, False, True, False, True]
    assert workers.env_is_wrapped(Monitor, indices=[3, 4]) == [False, True]


@pytest.mark.parametrize("culprit", [0, 4])
def test_an_invalid_action_raises_here_and_a_reset_makes_all_good_again(
    workers: VecEnv, here: VecEnv, culprit: int
) -> None:
    workers.seed(1)
    workers.reset()
    actions = np.zeros((5, 7), np.float32)
    actions[culprit] = np.nan
    with pytest.raises(ValueError, match="An action must be 7 finite numbers"):
        workers.step(actions)
    try:
        for venv in (workers, here):
            venv.seed(2)
        np.testing.assert_equal(roll(workers), roll(here))
    finally:
        for remote in workers._remotes:  # type: ignore[attr-defined]  # leaves nothing behind for the next test
            while remote.poll(0.3):
                remote.recv()


@pytest.mark.parametrize("count", [0, -1, 6, 1.5])
def test_too_few_and_too_many_workers_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"workers is {count}; it must be from 1 to .* 5"):
        WorkerVecEnv(factories(), workers=count)


def test_a_worker_that_died_is_an_error_here_and_closing_twice_is_fine() -> None:
    venv = WorkerVecEnv(factories()[:2], workers=2)
    assert len(venv.get_attr("horizon")) == 2
    processes = list(venv._processes)
    assert all(process.is_alive() for process in processes)
    processes[1].kill()
    processes[1].join()
    with pytest.raises((ChildProcessError, BrokenPipeError)):
        venv.reset()
    with pytest.raises(ChildProcessError, match="A worker process with environments in it was killed by signal 9"):
        venv.step(np.zeros((2, 7), np.float32))
    venv.close()
    venv.close()
    assert not any(process.is_alive() for process in processes)


def wrapped_with(_: np.ndarray, venv: VecEnv) -> VecEnv:
    return venv


def test_a_worker_that_dies_before_it_has_read_what_it_was_sent_is_an_error_here() -> None:
    # More than a pipe holds, so that it is still being sent when the worker dies.
    large = partial(wrapped_with, np.zeros(2**20))

    def spawned() -> list[psutil.Process]:
        found = psutil.Process().children()
        return [child for child in found if child not in before and "spawn_main" in " ".join(child.cmdline())]

    def kill_the_first() -> None:
        while not spawned():
            time.sleep(0.001)
        spawned()[0].kill()

    before = psutil.Process().children()

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    with pytest.raises(ChildProcessError, match="A worker process with environments in it was killed by signal 9"):
        WorkerVecEnv(factories()[:1], workers=1, wrap=large)
    killer.join()
    assert not spawned()
