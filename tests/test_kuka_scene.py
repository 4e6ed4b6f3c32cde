"""Cameras, looks and the renderer."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pybullet
import pytest
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from envs.kuka import HOME, KukaReach
from envs.kuka_scene import CAMERAS, FAR, LOOKS, NEAR, backdrop

MakeKuka = Callable[..., KukaReach]
GOAL = [0.1, -0.45, 0.75]


def differing(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    return float((abs(first.astype(int) - second).max(axis=2) > 8).mean())


def pixel(view: tuple[float, ...], field_of_view: float, size: int, point: list[float]) -> tuple[float, float]:
    projection = pybullet.computeProjectionMatrixFOV(field_of_view, 1.0, NEAR, FAR)
    clip = np.reshape(projection, (4, 4)).T @ np.reshape(view, (4, 4)).T @ np.array([*point, 1.0])
    x, y = clip[:2] / clip[3]
    return float((1 - y) / 2 * size), float((1 + x) / 2 * size)


@pytest.mark.parametrize(
    ("camera", "likeness"),
    # The hand fills half of the wrist camera's picture, where a decimated triangle is many pixels wide.
    [("front", 0.97), ("side", 0.97), ("top", 0.97), ("orbit", 0.97), ("wrist", 0.93)],
)
def test_the_fast_picture_is_like_the_reference_picture(make_kuka: MakeKuka, camera: str, likeness: float) -> None:
    fast, reference = (make_kuka(image_size=84, render_quality=quality) for quality in ("fast", "reference"))
    fast.reset(seed=0)
    reference.reset(seed=0)
    similarities = []
    for _ in range(15):
        reference.set_pose(fast.random_pose())
        similarities.append(structural_similarity(fast.frame(camera), reference.frame(camera), channel_axis=2))
    assert np.mean(similarities) >= likeness


def test_the_similarity_tells_one_pose_from_another(make_kuka: MakeKuka) -> None:
    env = make_kuka(image_size=84)
    env.reset(seed=0)
    frames = []
    for _ in range(8):
        env.random_pose()
        frames.append(env.frame("front"))
    apart = [structural_similarity(a, b, channel_axis=2) for a, b in itertools.pairwise(frames)]
    assert np.mean(apart) < 0.9


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("robot", ["iiwa", "iiwa_gripper"])
def test_every_camera_gives_a_picture_of_any_size(make_kuka: MakeKuka, camera: str, robot: str) -> None:
    env = make_kuka(robot=robot, camera=camera, look="bare", image_size=8)
    env.reset(seed=0)
    for size in (8, 33, 84, 130):
        frame = env.frame(camera, size)
        assert frame.shape == (size, size, 3)
        assert frame.dtype == np.uint8
    # The arm is in the picture, and there is something around it.
    around = np.round(np.array([LOOKS["bare"].wall, *LOOKS["bare"].floor]) * 255)
    empty = (frame[:, :, None] == around).all(axis=3).any(axis=2)
    assert 0.03 < 1 - empty.mean() < 0.9


def test_cameras_see_different_pictures(make_kuka: MakeKuka) -> None:
    env = make_kuka()
    env.reset(seed=0)
    frames = [env.frame(camera) for camera in ("front", "side", "top", "wrist")]
    for index, frame in enumerate(frames):
        assert all(differing(frame, other) > 0.1 for other in frames[:index])


def test_the_orbiting_camera_moves_with_time_and_the_others_stand(make_kuka: MakeKuka) -> None:
    env = make_kuka()
    env.reset(seed=0)
    start = {camera: env.frame(camera) for camera in ("front", "orbit")}
    np.testing.assert_array_equal(start["orbit"], start["front"])
    for _ in range(20):
        env.step(np.zeros(7, np.float32))
    assert differing(env.frame("front"), start["front"]) < 0.01
    assert differing(env.frame("orbit"), start["orbit"]) > 0.1
    env.reset(seed=0)
    np.testing.assert_array_equal(env.frame("orbit"), start["orbit"])
    turn = 2 * np.pi / CAMERAS["orbit"].orbit
    assert differing(env.scene.render("orbit", 64, turn), start["orbit"]) < 0.01


def test_the_wrist_camera_moves_with_the_arm(make_kuka: MakeKuka) -> None:
    env = make_kuka(look="bare")
    env.reset(seed=0)
    floor = env.frame("wrist")
    env.set_pose(HOME + np.array([0, 0.8, 0, 0, 0, 0, 0]))
    assert differing(env.frame("wrist"), floor) > 0.1


def test_the_target_is_seen_in_plain_and_not_in_bare_or_at_night(make_kuka: MakeKuka) -> None:
    for look, seen in (("plain", True), ("bare", False), ("night", False)):
        env = make_kuka(look=look)
        frames = [env.reset(options={"goal": goal})[0]["pixels"] for goal in (GOAL, [5.0, 5.0, 5.0])]
        assert (differing(*frames) > 0.001) is seen
        assert seen or np.array_equal(*frames)


@pytest.mark.parametrize("camera", ["front", "side", "top", "orbit"])
def test_the_target_is_drawn_where_the_camera_projects_it(make_kuka: MakeKuka, camera: str) -> None:
    env, size = make_kuka(camera=camera, image_size=128), 128
    without = env.reset(options={"goal": [5.0, 5.0, 5.0]})[0]["pixels"].astype(int)
    with_target = env.reset(options={"goal": GOAL})[0]["pixels"]
    rows, columns = np.nonzero(abs(with_target - without).max(axis=2) > 8)
    upwards = [1.0, 0.0, 0.0] if camera == "top" else [0.0, 0.0, 1.0]
    view = pybullet.computeViewMatrix(CAMERAS[camera].eye, CAMERAS[camera].target, upwards)
    row, column = pixel(view, CAMERAS[camera].field_of_view, size, GOAL)
    assert len(rows) > 10
    assert rows.mean() + 0.5 == pytest.approx(row, abs=1.5)
    assert columns.mean() + 0.5 == pytest.approx(column, abs=1.5)


def test_looks_colour_the_wall_and_the_floor(make_kuka: MakeKuka) -> None:
    for name, look in LOOKS.items():
        env = make_kuka(look=name, camera="side")
        corner = env.reset(seed=0)[0]["pixels"][0, 0]
        np.testing.assert_allclose(corner / 255, look.wall, atol=0.003)
    assert len({look.wall for look in LOOKS.values()}) == 2


def test_every_floor_square_is_drawn_where_the_camera_projects_it() -> None:
    look, size = LOOKS["plain"], 200
    view = pybullet.computeViewMatrix([1.3, -0.9, 1.5], [0.2, 0.4, 0.0], [0.1, 0.0, 1.0])
    frame = backdrop(look, view, 60.0, size)
    checked = 0
    for i in range(-3, 4):
        for j in range(-3, 4):
            row, column = pixel(view, 60.0, size, [(i + 0.5) * look.square, (j + 0.5) * look.square, 0.0])
            if 0 <= row < size and 0 <= column < size:
                # Squares at i + j = -1, 1, 3, ... have the first colour.
                colour = np.round(np.array(look.floor[(i + j + 1) % 2]) * 255)
                np.testing.assert_array_equal(frame[int(row), int(column)], colour)
                checked += 1
    assert checked > 10


def test_the_horizon_divides_wall_and_floor() -> None:
    look = LOOKS["night"]
    view = pybullet.computeViewMatrix([0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    frame = backdrop(look, view, 60.0, 64)
    wall = np.round(np.array(look.wall) * 255)
    assert (frame[:32] == wall).all()
    assert not (frame[-8:] == wall).all(axis=2).any()
