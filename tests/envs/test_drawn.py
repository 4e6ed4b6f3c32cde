"""Frames of any environment, beside its state."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from envs.drawn import DrawnObservation, checked_picture
from envs.kuka import KukaReach


class Painted(gym.Env[Any, Any]):
    """Renders and observes whatever it is told to."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    action_space = spaces.Discrete(2)

    def __init__(
        self, picture: Any, space: spaces.Space[Any], observation: Any, mode: str | None = "rgb_array"
    ) -> None:
        self.picture, self.observation, self.render_mode = picture, observation, mode
        self.observation_space = space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.observation, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation, 0.0, False, False, {}

    def render(self) -> Any:
        return self.picture


VECTOR = spaces.Box(-np.inf, np.inf, (3,))
RED = np.full((40, 40, 3), (255, 0, 0), np.uint8)


def test_what_is_rendered_is_observed_beside_the_state() -> None:
    env = DrawnObservation(Painted(RED, VECTOR, np.array([1.0, 2.0, 3.0])), size=16)
    observation, _ = env.reset()
    assert env.observation_space.contains(observation)
    assert observation["state"].tolist() == [1.0, 2.0, 3.0]
    assert (observation["pixels"] == (255, 0, 0)).all()
    assert observation["pixels"].shape == (16, 16, 3)


def test_a_wide_picture_is_cropped_in_its_middle_as_videos_are() -> None:
    wide = np.zeros((32, 64, 3), np.uint8)
    wide[:, 16:48] = 200
    observation, _ = DrawnObservation(Painted(wide, VECTOR, np.zeros(3)), size=32).reset()
    assert (observation["pixels"] == 200).all()


def test_pixels_by_name_come_before_what_is_rendered_and_the_rest_is_one_vector() -> None:
    space = spaces.Dict({"speed": spaces.Box(-1, 1, (2,)), "pixels": spaces.Box(0, 255, (20, 20, 3), np.uint8)})
    own = {"speed": np.array([0.5, -0.5], np.float32), "pixels": np.full((20, 20, 3), 9, np.uint8)}
    observation, _ = DrawnObservation(Painted(RED, space, own, mode=None), size=20).reset()
    assert (observation["pixels"] == 9).all()
    assert observation["state"].tolist() == [0.5, -0.5]


def test_a_box_of_bytes_is_the_picture_and_leaves_no_state() -> None:
    space = spaces.Box(0, 255, (24, 24, 3), np.uint8)
    env = DrawnObservation(Painted(RED, space, np.full((24, 24, 3), 7, np.uint8), mode=None), size=24)
    assert set(env.observation_space.spaces) == {"pixels"}  # type: ignore[attr-defined]
    assert (env.reset()[0]["pixels"] == 7).all()


def test_what_is_hidden_is_not_in_the_state() -> None:
    env = DrawnObservation(KukaReach(camera=None, render_mode="rgb_array"), size=16, hidden=("goal",))
    assert env.reset(seed=0)[0]["state"].shape == (14,)
    with pytest.raises(ValueError, match=r"no observation \['target'\] to hide"):
        DrawnObservation(KukaReach(camera=None, render_mode="rgb_array"), hidden=("target",))
    env.close()


def test_discrete_observations_become_a_vector() -> None:
    observation, _ = DrawnObservation(Painted(RED, spaces.Discrete(3), 2), size=16).reset()
    assert observation["state"].tolist() == [0.0, 0.0, 1.0]


def test_without_frames_nothing_is_drawn() -> None:
    env = DrawnObservation(Painted(None, VECTOR, np.zeros(3), mode=None), drawn=False)
    assert set(env.reset()[0]) == {"state"}


def test_an_environment_without_a_render_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="has the render mode None; make it with render_mode='rgb_array'"):
        DrawnObservation(Painted(RED, VECTOR, np.zeros(3), mode=None))


@pytest.mark.parametrize(
    ("picture", "complaint"),
    [
        (None, "gives None"),
        (np.zeros((8, 8, 3)), "values of type float64"),
        (np.zeros((8, 8, 9), np.uint8), r"the shape \(8, 8, 9\)"),
        (np.zeros(8, np.uint8), r"the shape \(8,"),
        (np.zeros((0, 8, 3), np.uint8), r"the shape \(0, 8, 3\)"),
    ],
)
def test_what_is_no_picture_is_refused(picture: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"of Painted.*{complaint}|Painted {complaint}"):
        DrawnObservation(Painted(picture, VECTOR, np.zeros(3)), size=8).reset()


def test_grey_and_transparent_pictures_will_do() -> None:
    assert checked_picture(np.full((2, 2), 5, np.uint8), "x").tolist() == np.full((2, 2, 3), 5).tolist()
    assert checked_picture(np.full((2, 2, 4), 5, np.uint8), "x").shape == (2, 2, 3)
