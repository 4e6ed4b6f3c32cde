"""The cartpole: dm_control's own physics and reward, drawn fast, with a clean exit."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.vec_env import DummyVecEnv

from envs.cartpole import CONTROL_STEPS, TASKS, Cartpole, block_means
from envs.pixels import PixelObservation, SeededEpisodes, StateObservation

SEEDED = (
    [0.017886284738779068, -0.9999904632568359, -0.004365084692835808],
    [-0.002773882122710347, -0.9999936819076538, 0.003547582309693098],
)
"""Joint positions that the episode of seed 3 and the one after it begin with."""


def test_follows_gymnasium() -> None:
    env = Cartpole(image_size=32, render_mode="rgb_array")
    check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("task", TASKS)
def test_rewards_are_those_of_dm_control(task: str) -> None:
    from dm_control import suite

    env = Cartpole(task, action_repeat=4, pixels=False)
    own = suite.load("cartpole", task, task_kwargs={"random": np.random.RandomState(5)})
    env.reset(seed=5)
    own.reset()
    rng = np.random.default_rng(0)
    for _ in range(20):
        action = rng.uniform(-1, 1, 1).astype(np.float32)
        observation, reward, *_ = env.step(action)
        steps = [own.step(action.astype(np.float64)) for _ in range(4)]
        assert reward == pytest.approx(sum(step.reward for step in steps))
        np.testing.assert_allclose(observation["joint_positions"], steps[-1].observation["position"], rtol=1e-6)
        np.testing.assert_allclose(observation["joint_velocities"], steps[-1].observation["velocity"], rtol=1e-6)
    env.close()


@pytest.mark.parametrize("repeat", [8, 300])
def test_the_horizon_truncates_and_never_terminates(repeat: int) -> None:
    env = Cartpole(action_repeat=repeat, pixels=False)
    env.reset(seed=0)
    ends = [env.step(np.zeros(1, np.float32))[2:4] for _ in range(env.horizon)]
    assert ends[:-1] == [(False, False)] * (env.horizon - 1)
    assert ends[-1] == (False, True)
    assert env.physics.data.time == pytest.approx(CONTROL_STEPS * 0.01)
    env.close()


def test_a_stack_holds_successive_frames_the_newest_last() -> None:
    env = Cartpole(image_size=32, stack=3)
    first, _ = env.reset(seed=0)
    assert first["pixels"].shape == (32, 32, 9)
    np.testing.assert_array_equal(first["pixels"][..., :3], first["pixels"][..., 6:])
    second = env.step(np.ones(1, np.float32))[0]
    third = env.step(np.ones(1, np.float32))[0]
    np.testing.assert_array_equal(second["pixels"][..., 3:], third["pixels"][..., :6])
    assert not np.array_equal(third["pixels"][..., 3:6], third["pixels"][..., 6:])
    env.close()


@pytest.mark.parametrize("camera", ["fixed", "lookatcart"])
def test_landmarks_are_where_cart_and_pole_are_drawn(camera: str) -> None:
    env = Cartpole(image_size=64, stack=1, camera=camera)
    for place, angle in ((0.0, 2.5), (0.6, 0.7), (-0.5, -1.2)):
        seen = env.reset(options={"joints": (place, angle)})[0]["pixels"].astype(float)
        for x, y in env.landmarks():
            column, row = round(x), round(y)
            near = seen[row - 2 : row + 3, column - 2 : column + 3]
            # Cart and pole are sand-coloured, everything else is blue or black.
            assert (near[..., 0] - near[..., 2]).max() > 40
    env.close()


def test_a_seed_settles_the_episode_and_options_the_state() -> None:
    env = Cartpole(pixels=False)
    starts = [env.reset(seed=seed)[0]["joint_positions"] for seed in (3, 3, 4)]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])
    placed = env.reset(options={"joints": (0.3, 0.1), "velocities": (1.0, 2.0)})[0]
    np.testing.assert_allclose(placed["joint_positions"], [0.3, np.cos(0.1), np.sin(0.1)], rtol=1e-6)
    np.testing.assert_allclose(placed["joint_velocities"], [1.0, 2.0])
    env.close()


def test_fast_frames_show_what_the_reference_shows() -> None:
    fast, reference = (Cartpole(image_size=84, stack=1, render_quality=name) for name in ("fast", "reference"))
    state = {"joints": (0.4, 0.6)}
    seen = [env.reset(options=state)[0]["pixels"].astype(float) for env in (fast, reference)]
    sandy = [picture[..., 0] - picture[..., 2] > 40 for picture in seen]
    assert (sandy[0] & sandy[1]).sum() / (sandy[0] | sandy[1]).sum() > 0.7
    for env in (fast, reference):
        env.close()


def test_fast_frames_tell_movements_of_less_than_a_pixel() -> None:
    env = Cartpole(stack=1)
    # A frame of 64 pixels is 3.3 metres wide; a cart whose edge passes no pixel centre would look as before.
    seen = [env.reset(options={"joints": (place, 0.0)})[0]["pixels"] for place in np.arange(0.0, 0.05, 0.0125)]
    assert len({picture.tobytes() for picture in seen}) >= 3
    env.close()


def test_landmarks_do_not_depend_on_the_quality() -> None:
    envs = [Cartpole(stack=1, render_quality=name) for name in ("fast", "reference")]
    places = []
    for env in envs:
        env.reset(options={"joints": (0.4, 0.6)})
        places.append(env.landmarks())
        env.close()
    np.testing.assert_allclose(places[0], places[1], atol=1e-6)


def test_blocks_of_pixels_are_averaged() -> None:
    picture = np.array([[[0, 10, 255], [4, 10, 255]], [[8, 11, 255], [12, 11, 254]]], np.uint8)
    np.testing.assert_array_equal(block_means(picture, 2), [[[6, 11, 255]]])


def test_memory_does_not_grow_with_episodes() -> None:
    env = Cartpole(image_size=32, stack=1)

    def play(episodes: int) -> int:
        for _ in range(episodes):
            env.reset(seed=0)
            env.step(np.zeros(1, np.float32))
        return psutil.Process().memory_info().rss

    before = play(200)
    assert play(800) - before < 4e6
    env.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"task": "swing_up"}, "Did you mean 'swingup'"),
        ({"camera": "fix"}, "Did you mean 'fixed'"),
        ({"render_quality": "quick"}, "Allowed: fast, reference"),
        ({"image_size": 4}, "from 8 to 480"),
        ({"image_size": 32.5}, "image_size is 32.5; it must be a whole number from 8 to 480"),
        ({"image_size": True}, "image_size is True; it must be a whole number"),
        ({"action_repeat": 2.5}, "both whole numbers"),
        ({"stack": float("inf")}, "both whole numbers"),
        ({"action_repeat": 0}, "from 1 to 1000"),
        ({"stack": 0}, "stack at least 1"),
        ({"render_mode": "humen"}, "Did you mean 'human'.*Allowed: rgb_array, human"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cartpole(**wrong)  # type: ignore[arg-type]


def test_wrong_options_are_refused() -> None:
    env = Cartpole(pixels=False)
    with pytest.raises(ValueError, match="Did you mean 'joints'"):
        env.reset(options={"joint": (0, 0)})
    with pytest.raises(ValueError, match=r"must be \(2,\)"):
        env.reset(options={"joints": (0, 0, 0)})
    with pytest.raises(ValueError, match="must be finite"):
        env.reset(options={"joints": (0, np.nan)})
    env.close()


def test_observations_of_one_kind() -> None:
    env = Cartpole(image_size=16, stack=2)
    pixels, state = PixelObservation(env), StateObservation(env)
    both, _ = env.reset(seed=1)
    assert pixels.observation_space.shape == (6, 16, 16)
    np.testing.assert_array_equal(pixels.reset(seed=1)[0], both["pixels"].transpose(2, 0, 1))
    np.testing.assert_array_equal(
        state.reset(seed=1)[0], np.concatenate([both["joint_positions"], both["joint_velocities"]])
    )
    with pytest.raises(ValueError, match="must observe pixels"):
        PixelObservation(Cartpole(pixels=False))
    env.close()


def test_episodes_are_seeded_by_their_number() -> None:
    def starts(first: int, count: int, seed: int = 0) -> list[list[float]]:
        env = SeededEpisodes(Cartpole(pixels=False), seed, first)
        return [env.reset()[0]["joint_positions"].tolist() for _ in range(count)]

    assert starts(0, 4)[2:] == starts(2, 2)
    assert starts(0, 2) != starts(0, 2, seed=1)
    assert len({str(start) for start in starts(0, 4)}) == 4


def test_environments_without_a_seed_differ_in_every_episode_and_seeded_ones_do_not() -> None:
    venv = DummyVecEnv([lambda: Cartpole(pixels=False)] * 4)  # type: ignore[list-item, return-value]
    for _ in range(2):
        starts = venv.reset()
        assert isinstance(starts, dict)
        assert len(np.unique(starts["joint_velocities"], axis=0)) == 4
    for env in venv.envs:
        env.reset(seed=1)
    following = venv.reset()
    assert isinstance(following, dict)
    assert len(np.unique(following["joint_velocities"], axis=0)) == 1
    venv.close()


def test_a_seeded_episode_begins_as_it_always_has() -> None:
    env = Cartpole(pixels=False)
    np.testing.assert_allclose(env.reset(seed=3)[0]["joint_positions"], SEEDED[0], rtol=1e-6)
    np.testing.assert_allclose(env.reset()[0]["joint_positions"], SEEDED[1], rtol=1e-6)
    env.close()


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5])
def test_a_seed_out_of_range_is_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match=f"seed is {seed}; it must be a whole number from 0 to 4294967295"):
        Cartpole(pixels=False).reset(seed=seed)


@pytest.mark.parametrize("action", [[2.0], [-1.01], [np.inf], [1e308], [np.nan], [0.0, 0.0], 0.0], ids=str)
def test_an_action_out_of_range_or_shape_is_refused_and_nothing_moves(action: Any) -> None:
    env = Cartpole(pixels=False)
    start = env.reset(seed=0)[0]["joint_positions"]
    with pytest.raises(ValueError, match=r"An action must be 1 finite numbers in \[-1, 1\]; got .*Clip it"):
        env.step(np.asarray(action))
    assert env.physics.data.qpos[0] == pytest.approx(start[0])
    assert env.physics.data.time == 0.0
    env.close()


def test_steps_before_a_reset_and_after_the_end_are_refused() -> None:
    env = Cartpole(pixels=False, action_repeat=500)
    with pytest.raises(ValueError, match=r"call reset\(\) first"):
        env.step(np.zeros(1, np.float32))
    env.reset(seed=0)
    env.step(np.zeros(1, np.float32))
    assert env.step(np.zeros(1, np.float32))[3]
    with pytest.raises(ValueError, match=r"it is over; call reset\(\) first"):
        env.step(np.zeros(1, np.float32))
    env.close()


def test_a_closed_environment_is_a_value_error_whatever_is_asked_of_it() -> None:
    env = Cartpole(image_size=16, stack=1, render_mode="rgb_array")
    env.reset(seed=0)
    env.close()
    env.close()
    step: Callable[[], object] = lambda: env.step(np.zeros(1, np.float32))  # noqa: E731
    for ask in (step, env.reset, env.render, env.landmarks, lambda: env.physics):
        with pytest.raises(ValueError, match="This Cartpole is closed; make a new one"):
            ask()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_are_refused(copied: Callable[[Cartpole], object]) -> None:
    with pytest.raises(TypeError, match=r"This Cartpole cannot be copied or pickled.*Make another"):
        copied(Cartpole(pixels=False))


@pytest.mark.parametrize(("repeat", "fps"), [(8, 12.5), (2, 50.0), (4, 25.0)])
def test_films_are_as_fast_as_the_cartpole_is(repeat: int, fps: float) -> None:
    env = Cartpole(pixels=False, action_repeat=repeat)
    assert env.metadata["render_fps"] == pytest.approx(fps)
    env.close()


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_an_id_and_its_specification_the_horizon(task: str) -> None:
    name = f"Cartpole{task.title().replace('_', '')}-v0"
    env = gym.make(name, pixels=False, action_repeat=250)
    assert isinstance(env.unwrapped, Cartpole) and env.unwrapped.task == task
    assert env.spec is not None and env.spec.max_episode_steps == 4
    again = gym.make(env.spec)
    again.reset(seed=0)
    assert [again.step(np.zeros(1, np.float32))[3] for _ in range(4)] == [False, False, False, True]
    env.close()
    again.close()
