"""MuJoCo's pictures: small, the same for a state in every environment, and like the environment's own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from encoders.videos.pictures import resize
from envs.fast_drawing import FastDrawing
from envs.mujoco_gl import choose_renderer
from envs.snapshots import SnapshotStarts

choose_renderer(drawn=False)


def made(name: str, size: int = 32) -> gym.Env[Any, Any]:
    import shimmy  # noqa: F401 - registers dm_control's

    return SnapshotStarts(FastDrawing(gym.make(name, render_mode="rgb_array", disable_env_checker=True), size))


@pytest.mark.parametrize("name", ["InvertedPendulum-v5", "Reacher-v5", "dm_control/reacher-easy-v0"])
def test_a_state_looks_the_same_in_every_environment(name: str) -> None:
    first, second = made(name), made(name)
    first.reset(seed=0)
    first.render()
    for _ in range(5):
        first.step(first.action_space.sample())
    snapshot = first.get_wrapper_attr("take_snapshot")()
    second.reset(seed=7)
    second.render()
    pictures = []
    for env in (first, second, first):
        env.reset(seed=3, options=snapshot)
        pictures.append(env.render())
    np.testing.assert_array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(pictures[0], pictures[2])
    assert pictures[0].shape == (64, 64, 3)
    first.close()
    second.close()


@pytest.mark.parametrize("name", ["InvertedPendulum-v5", "dm_control/finger-spin-v0"])
def test_pictures_are_like_those_that_the_environment_draws(name: str) -> None:
    fast = made(name)
    slow = gym.make(name, render_mode="rgb_array", disable_env_checker=True)
    fast.reset(seed=0)
    slow.reset(seed=0)
    ours, theirs = (resize(np.asarray(env.render())[None], 32)[0].astype(int) for env in (fast, slow))
    # dm_control's sky is left out, and black.
    drawn = ours.sum(axis=-1) > 0
    assert drawn.mean() > 0.03
    assert np.abs(ours - theirs)[drawn].mean() < 25
    fast.close()
    slow.close()


def test_an_environment_that_is_not_on_mujoco_renders_as_it_does() -> None:
    fast = FastDrawing(gym.make("Acrobot-v1", render_mode="rgb_array"), 32)
    fast.reset(seed=0)
    assert fast.render().shape == (500, 500, 3)
    fast.close()


def test_whoever_forgets_to_close_it_sees_no_traceback() -> None:
    program = """
import gymnasium as gym
from envs.fast_drawing import FastDrawing
from envs.mujoco_gl import choose_renderer
choose_renderer()
envs = [FastDrawing(gym.make("InvertedPendulum-v5", render_mode="rgb_array"), 16) for _ in range(2)]
for env in envs:
    env.reset(seed=0)
    env.render()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Traceback" not in ended.stderr
