"""Cameras, looks and the renderer."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pybullet
import pytest
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from envs.kuka import HOME, KukaReach
from envs.kuka_scene import CAMERAS, FAR, LOOKS, NEAR, SHAPES, Camera, Distractor, Look, backdrop

UNSEEN = [2.0, 2.0, 2.0]
"""A target that no camera sees."""

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
    assert differing(env.scene.render(CAMERAS["orbit"], 64, turn), start["orbit"]) < 0.01


def test_the_wrist_camera_moves_with_the_arm(make_kuka: MakeKuka) -> None:
    env = make_kuka(look="bare")
    env.reset(seed=0)
    floor = env.frame("wrist")
    env.set_pose(HOME + np.array([0, 0.8, 0, 0, 0, 0, 0]))
    assert differing(env.frame("wrist"), floor) > 0.1


def test_the_target_is_seen_in_plain_and_not_in_bare_or_at_night(make_kuka: MakeKuka) -> None:
    for look, seen in (("plain", True), ("bare", False), ("night", False)):
        env = make_kuka(look=look)
        frames = [env.reset(options={"goal": goal})[0]["pixels"] for goal in (GOAL, UNSEEN)]
        assert (differing(*frames) > 0.001) is seen
        assert seen or np.array_equal(*frames)


@pytest.mark.parametrize("camera", ["front", "side", "top", "orbit"])
def test_the_target_is_drawn_where_the_camera_projects_it(make_kuka: MakeKuka, camera: str) -> None:
    env, size = make_kuka(camera=camera, image_size=128), 128
    without = env.reset(options={"goal": UNSEEN})[0]["pixels"].astype(int)
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


def test_a_look_of_your_own_is_drawn_like_a_named_one(make_kuka: MakeKuka) -> None:
    named, own = (make_kuka(look=look, image_size=48) for look in ("night", LOOKS["night"]))
    np.testing.assert_array_equal(named.reset(seed=0)[0]["pixels"], own.reset(seed=0)[0]["pixels"])


def test_the_three_shapes_of_the_target_are_three_pictures(make_kuka: MakeKuka) -> None:
    pictures = {}
    for shape in SHAPES:
        env = make_kuka(look=replace(Look(), target_shape=shape), image_size=128)
        without = env.reset(options={"goal": UNSEEN})[0]["pixels"]
        pictures[shape] = env.reset(options={"goal": GOAL})[0]["pixels"]
        # Half a side, or the radius, of 5 cm: a box covers most, as in the square around a circle.
        drawn = abs(pictures[shape].astype(int) - without).max(axis=2) > 8
        assert 30 < drawn.sum() < 400
    covered = {shape: differing(picture, without) for shape, picture in pictures.items()}
    assert covered["box"] > 1.2 * covered["ball"]
    for first, second in itertools.combinations(SHAPES, 2):
        assert differing(pictures[first], pictures[second]) > 0.0005


@pytest.mark.parametrize("shape", SHAPES)
def test_a_distractor_is_drawn_at_its_place_in_its_size_and_colour(make_kuka: MakeKuka, shape: str) -> None:
    place, size = [-0.5, 0.6, 0.1], 128
    thing = Distractor(shape, (place[0], place[1], place[2]), 0.1, (0.0, 1.0, 0.0))
    bare = LOOKS["bare"]
    without = make_kuka(look=bare, image_size=size).reset(seed=0)[0]["pixels"].astype(int)
    with_it = make_kuka(look=replace(bare, distractors=(thing,)), image_size=size).reset(seed=0)[0]["pixels"]
    rows, columns = np.nonzero(abs(with_it - without).max(axis=2) > 8)
    view = pybullet.computeViewMatrix(CAMERAS["front"].eye, CAMERAS["front"].target, [0.0, 0.0, 1.0])
    row, column = pixel(view, CAMERAS["front"].field_of_view, size, place)
    # A box shows more of its nearer half.
    assert rows.mean() + 0.5 == pytest.approx(row, abs=2.5)
    assert columns.mean() + 0.5 == pytest.approx(column, abs=2.5)
    # A shaded green, darker or lighter by the light.
    colours = with_it[rows, columns].astype(int)
    assert (colours[:, 1] > colours[:, 0] + 20).mean() > 0.9
    below = pixel(view, CAMERAS["front"].field_of_view, size, [place[0], place[1], 0.0])[0]
    assert below - 2 < rows.max() < below + 12


def test_several_distractors_are_all_drawn_and_hold_nothing_up(make_kuka: MakeKuka) -> None:
    things = tuple(Distractor("box", (x, 0.7, 0.1), 0.1, (1.0, 0.0, 1.0)) for x in (-0.6, -0.2, 0.2))
    counts = []
    for shown in range(4):
        env = make_kuka(look=replace(LOOKS["bare"], distractors=things[:shown]), image_size=96)
        frame = env.reset(seed=0)[0]["pixels"].astype(int)
        counts.append(int(((frame[:, :, 0] > 60) & (frame[:, :, 2] > 60) & (frame[:, :, 1] < 30)).sum()))
    assert counts[0] == 0
    assert min(np.diff(counts)) > 50
    # Through the middle of the arm: it moves as if nothing were there.
    inside = Distractor("ball", (0.0, 0.0, 0.8), 0.5, (1.0, 0.0, 1.0))
    ends = []
    for distractors in ((), (inside,)):
        env = make_kuka(look=replace(LOOKS["bare"], distractors=distractors), camera=None)
        env.reset(seed=0)
        for _ in range(5):
            observation = env.step(np.full(7, 0.5, np.float32))[0]
        ends.append(observation["joint_positions"])
    np.testing.assert_array_equal(ends[0], ends[1])


@pytest.mark.parametrize("camera", ["front", "orbit"])
def test_a_frame_is_drawn_into_what_is_given_over_all_that_was_there(make_kuka: MakeKuka, camera: str) -> None:
    env = make_kuka()
    env.reset(seed=0)
    frames = np.full((2, 48, 48, 3), 7, np.uint8)
    drawn = env.scene.render(CAMERAS[camera], 48, 0.5, frames[1])
    assert np.shares_memory(drawn, frames[1])
    np.testing.assert_array_equal(frames[1], env.scene.render(CAMERAS[camera], 48, 0.5))
    assert (frames[0] == 7).all()


def test_observed_frames_are_those_of_their_cameras_and_of_one_step_alone(make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=("orbit", "side"), image_size=48)
    first = env.reset(seed=0)[0]["pixels"]
    kept = first.copy()
    second = env.step(np.ones(7, np.float32))[0]["pixels"]
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(second, [env.frame(name) for name in ("orbit", "side")])


def test_a_swaying_camera_rises_and_sinks(make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=None)
    env.reset(seed=0)
    front = CAMERAS["front"]
    swaying = replace(front, sway=0.2)
    assert swaying.moves
    np.testing.assert_array_equal(env.scene.render(swaying, 48, 0.0), env.frame(front, 48))
    for seconds, height in ((np.pi / 2, 0.2), (3 * np.pi / 2, -0.2), (np.pi / 6, 0.1)):
        there = replace(front, eye=(front.eye[0], front.eye[1], front.eye[2] + height))
        picture = env.scene.render(swaying, 48, float(seconds))
        assert differing(picture, env.frame(there, 48)) < 0.01
        assert differing(picture, env.frame(front, 48)) > 0.02


def test_a_camera_moves_if_it_is_on_the_wrist_orbits_or_sways() -> None:
    assert {name for name, camera in CAMERAS.items() if camera.moves} == {"orbit", "wrist"}
    eye = (1.0, 0.0, 1.0)
    assert not Camera(eye=eye).moves
    assert Camera(eye=eye, orbit=-0.1).moves
    assert Camera(eye=eye, sway=0.1).moves
    assert Camera(eye=eye, on_wrist=True).moves
