"""KukaReach-v0: its interface."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pybullet
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_agents

import envs  # noqa: F401 - registers KukaReach-v0
from envs.kuka import CONTROLS, HOME, KukaReach
from envs.kuka_meshes import MODELS

MakeKuka = Callable[..., KukaReach]
CAMERA_CHOICES = [None, "front", ("side", "wrist")]
STILL = np.zeros(7, np.float32)


@pytest.mark.parametrize("camera", CAMERA_CHOICES)
@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("robot", MODELS)
def test_gymnasium_and_stable_baselines_accept_it(robot: str, control: str, camera: str | tuple[str, ...]) -> None:
    settings: dict[str, Any] = {"robot": robot, "control": control, "camera": camera, "image_size": 40}
    env = gym.make("KukaReach-v0", render_mode="rgb_array", **settings).unwrapped
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_env(env, skip_render_check=False)
        check_env_for_agents(env, warn=False)
    finally:
        env.close()


def test_close_frees_the_client_and_a_second_close_is_fine() -> None:
    env = KukaReach()
    client = env.client
    assert pybullet.isConnected(physicsClientId=client)
    env.close()
    assert not pybullet.isConnected(physicsClientId=client)
    env.close()


def test_a_dropped_environment_frees_its_client() -> None:
    env = KukaReach(camera=None)
    client = env.client
    env.reset(seed=0)
    del env
    gc.collect()
    assert not pybullet.isConnected(physicsClientId=client)


def test_closing_frees_no_client_that_another_environment_has_got_since() -> None:
    first = KukaReach(camera=None)
    first.close()
    second = KukaReach(camera=None)
    first.close()
    del first
    gc.collect()
    assert pybullet.isConnected(physicsClientId=second.client)
    second.reset(seed=0)
    second.close()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_are_refused_and_the_first_is_left_alone(
    make_kuka: MakeKuka, copied: Callable[[KukaReach], object]
) -> None:
    env = make_kuka(camera=None)
    start = env.reset(seed=0)[0]["joint_positions"]
    with pytest.raises(TypeError, match=r"This KukaReach cannot be copied or pickled.*Make another"):
        copied(env)
    gc.collect()
    np.testing.assert_array_equal(env.joint_positions().astype(np.float32), start)


def test_environments_without_a_seed_differ_in_every_episode(make_kuka: MakeKuka) -> None:
    several = [make_kuka(camera=None) for _ in range(3)]
    for _ in range(2):
        assert len({str(env.reset()[0]["goal"]) for env in several}) == 3
    assert len({str(env.reset(seed=4)[0]["goal"]) for env in several}) == 1


@pytest.mark.parametrize("seed", [-1, 1.5, "1"])
def test_a_seed_that_is_no_whole_number_is_refused(make_kuka: MakeKuka, seed: Any) -> None:
    with pytest.raises(ValueError, match=f"seed is {seed!r}; it must be a whole number from 0 on"):
        make_kuka(camera=None).reset(seed=seed)


def test_a_step_before_the_first_reset_is_refused(make_kuka: MakeKuka) -> None:
    with pytest.raises(ValueError, match=r"call reset\(\) first"):
        make_kuka(camera=None).step(STILL)


@pytest.mark.parametrize("size", [7, 32.5, -1])
def test_a_frame_of_no_possible_size_is_refused(make_kuka: MakeKuka, size: Any) -> None:
    with pytest.raises(ValueError, match=f"size is {size}; it must be a whole number from 8 to 2048"):
        make_kuka().frame("front", size)


def test_the_specification_has_the_environments_own_horizon_and_makes_it_again() -> None:
    env = gym.make("KukaReach-v0", camera=None, horizon=80)
    assert env.spec is not None and env.spec.max_episode_steps == 80
    again = gym.make(env.spec)
    for made in (env, again):
        made.reset(seed=0)
        assert [made.step(STILL)[2:4] for _ in range(80)] == [(False, False)] * 79 + [(False, True)]
        made.close()


def test_pybullet_does_not_name_itself() -> None:
    code = "import os, envs.kuka\nos.write(2, b'heard')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=Path(__file__).parents[2], check=True)
    assert (done.stdout, done.stderr) == (b"", b"heard")


def test_a_closed_environment_is_a_value_error_whatever_is_asked_of_it(make_kuka: MakeKuka) -> None:
    env = make_kuka(render_mode="rgb_array")
    env.reset(seed=0)
    env.close()
    for ask in (lambda: env.step(STILL), env.reset, env.render, lambda: env.frame("front"), env.hand_position):
        with pytest.raises(ValueError, match="closed"):
            ask()


def test_an_environment_that_could_not_be_made_leaves_no_client(
    make_kuka: MakeKuka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_before = [client for client in range(50) if pybullet.isConnected(physicsClientId=client)]
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "below"))
    with pytest.raises(ValueError, match="cannot be written"):
        make_kuka()
    assert [client for client in range(50) if pybullet.isConnected(physicsClientId=client)] == open_before


@pytest.mark.parametrize(
    "wrong",
    [
        {"robot": "iwa"},
        {"control": "positon"},
        {"camera": "frnt"},
        {"camera": ("front", "sid")},
        {"render_quality": "fats"},
        {"render_mode": "rgb_aray"},
        {"look": "plan"},
    ],
    ids=str,
)
def test_a_wrong_name_is_answered_with_the_nearest(make_kuka: MakeKuka, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"Unknown {next(iter(wrong))} .*Did you mean"):
        make_kuka(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_size": 7},
        {"image_size": 4096},
        {"image_size": 32.5},
        {"image_size": True},
        {"horizon": 0},
        {"horizon": 2.5},
        {"horizon": float("nan")},
        {"camera": ()},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused(make_kuka: MakeKuka, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_kuka(**wrong)


@pytest.mark.parametrize(
    "action", [STILL + 1.1, STILL - 1.01, STILL + np.nan, STILL + np.inf, np.zeros(6), np.zeros((1, 7)), 0.0], ids=str
)
def test_an_action_out_of_range_or_shape_is_refused_and_nothing_moves(make_kuka: MakeKuka, action: Any) -> None:
    env = make_kuka(camera=None, control="torque", horizon=1)
    start, _ = env.reset(seed=0)
    with pytest.raises(ValueError, match="An action must be 7 finite numbers"):
        env.step(action)
    np.testing.assert_allclose(env.joint_positions(), start["joint_positions"], rtol=1e-6)


def test_goals_are_drawn_anew_within_reach_and_above_the_floor(make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=None)
    env.reset(seed=0)
    goals = np.array([env.reset()[0]["goal"] for _ in range(30)])
    assert len(np.unique(goals, axis=0)) == 30
    assert goals[:, 2].min() > 0.2
    assert np.linalg.norm(goals - [0, 0, 0.36], axis=1).max() < 1.0


def test_reset_options_set_the_pose_and_the_goal(make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=None)
    np.testing.assert_allclose(env.reset()[0]["joint_positions"], HOME, atol=1e-6)
    pose = [0.3, -0.2, 0.1, -1.0, 0.2, 0.5, -0.4]
    goal = env.hand_of(np.array(pose))
    observation, _ = env.reset(options={"joint_positions": pose, "goal": goal})
    np.testing.assert_allclose(observation["joint_positions"], pose, atol=1e-6)
    np.testing.assert_allclose(observation["joint_velocities"], 0.0)
    np.testing.assert_allclose(observation["goal"], goal, rtol=1e-6)
    assert env.step(STILL)[1] > -0.01


@pytest.mark.parametrize(
    "options",
    [
        {"gaol": [0, 0, 1]},
        {"goal": [0, 0]},
        {"goal": [0, 0, np.nan]},
        {"joint_positions": [0] * 6},
        {"joint_positions": [100] * 7},
        {"goal": [0, 0, 1e308]},
    ],
    ids=str,
)
def test_unknown_and_impossible_reset_options_are_refused(make_kuka: MakeKuka, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        make_kuka(camera=None).reset(options=options)


def test_the_camera_decides_about_pixels(make_kuka: MakeKuka) -> None:
    shapes = {None: None, "front": (24, 24, 3), ("side", "top"): (2, 24, 24, 3), ("side",): (1, 24, 24, 3)}
    for camera, shape in shapes.items():
        env = make_kuka(camera=camera, image_size=24)
        observation, _ = env.reset(seed=0)
        assert getattr(observation.get("pixels"), "shape", None) == shape
        assert env.observation_space.contains(observation)
    np.testing.assert_array_equal(make_kuka(image_size=24).reset(seed=0)[0]["pixels"].shape, (24, 24, 3))
    both = make_kuka(camera=("side", "top"), image_size=24)
    pixels = both.reset(seed=0)[0]["pixels"]
    np.testing.assert_array_equal(pixels[1], both.frame("top"))


def test_render_gives_the_first_camera_or_warns_without_a_mode(make_kuka: MakeKuka) -> None:
    for camera, seen in [(None, "front"), ("top", "top"), (("side", "top"), "side")]:
        env = make_kuka(camera=camera, render_mode="rgb_array")
        env.reset(seed=0)
        np.testing.assert_array_equal(env.render(), env.frame(seen))
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert make_kuka().render() is None
    with pytest.raises(ValueError, match="Did you mean 'front'"):
        env.frame("frnt")
