"""Looks and cameras drawn at random."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from envs.kuka import KukaReach
from envs.kuka_looks import MOST_DISTRACTORS, fixed_camera, moving_camera, random_look
from envs.kuka_scene import SHAPES, Camera, Look

UNSEEN = [2.0, 2.0, 2.0]
"""A target that no camera sees."""

MakeKuka = Callable[..., KukaReach]
DRAWS = (random_look, fixed_camera, moving_camera)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def differing(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    return float((abs(first.astype(int) - second).max(axis=2) > 8).mean())


@pytest.mark.parametrize("draw", DRAWS)
def test_the_same_seed_draws_the_same(draw: Callable[[np.random.Generator], Look | Camera]) -> None:
    assert draw(rng(3)) == draw(rng(3))
    first, again = rng(4), rng(4)
    assert [draw(first) for _ in range(5)] == [draw(again) for _ in range(5)]


@pytest.mark.parametrize("draw", DRAWS)
def test_twenty_draws_all_differ(draw: Callable[[np.random.Generator], Look | Camera]) -> None:
    assert len({draw(rng(seed)) for seed in range(20)}) == 20
    one = rng(0)
    assert len({draw(one) for _ in range(20)}) == 20


def test_every_part_of_a_look_is_drawn_from_its_whole_range() -> None:
    looks = [random_look(rng(seed)) for seed in range(200)]
    assert {len(look.distractors) for look in looks} == set(range(MOST_DISTRACTORS + 1))
    assert {look.target_shape for look in looks} == set(SHAPES)
    assert {thing.shape for look in looks for thing in look.distractors} == set(SHAPES)
    colours = np.array([[*look.links, look.wall, *look.floor, look.target] for look in looks])
    assert 0.0 <= colours.min() <= colours.max() <= 1.0
    # Neighbouring links, and the floor's two squares, do not share their colours.
    assert colours.std(axis=0).min() > 0.15
    assert abs(np.corrcoef(colours[:, :, 0].T) - np.eye(colours.shape[1])).max() < 0.4
    lights = np.array([look.light for look in looks])
    assert (lights[:, 2] > 0).all()
    assert lights[:, :2].std(axis=0).min() > 0.3


def test_distractors_stand_on_the_floor_around_the_arm() -> None:
    angles = []
    for seed in range(200):
        for thing in random_look(rng(seed)).distractors:
            x, y, z = thing.position
            assert z == thing.size
            assert 0.3 < math.hypot(x, y) < 1.5
            angles.append(math.atan2(y, x))
    quarters = np.histogram(angles, 4, (-math.pi, math.pi))[0]
    assert quarters.min() > len(angles) / 8


def test_every_drawn_look_renders_and_looks_different(make_kuka: MakeKuka) -> None:
    frames = []
    for seed in range(12):
        env = make_kuka(look=random_look(rng(seed)), camera=None)
        env.reset(options={"goal": [0.1, -0.45, 0.75]})
        frames.append(env.frame("front", 48))
        assert frames[-1].std() > 5
    for index, frame in enumerate(frames):
        assert all(differing(frame, other) > 0.5 for other in frames[:index])


def test_drawn_cameras_see_the_arm_and_the_target(make_kuka: MakeKuka) -> None:
    plain, invisible = Look(), replace(Look(), target_visible=False)
    with_target, without = (make_kuka(look=look, camera=None) for look in (plain, invisible))
    without.reset(options={"goal": UNSEEN})
    around = np.round(np.array([plain.wall, *plain.floor]) * 255)
    for seed in range(10):
        for draw in (fixed_camera, moving_camera):
            camera = draw(rng(seed))
            frame = without.frame(camera, 64)
            empty = (frame[:, :, None] == around).all(axis=3).any(axis=2)
            assert 0.03 < 1 - empty.mean() < 0.9
            # Not cut off by the border: the arm reaches it at its foot at most.
            assert empty[0].all()
            # The arm may stand before one of two places beside it.
            seen = 0.0
            for goal in ([0.1, -0.45, 0.75], [-0.3, 0.4, 0.8]):
                with_target.reset(options={"goal": goal})
                seen = max(seen, differing(with_target.frame(camera, 64), frame))
            assert seen > 0.0005


def test_fixed_cameras_stand_and_moving_ones_move() -> None:
    for seed in range(50):
        assert not fixed_camera(rng(seed)).moves
        moving = moving_camera(rng(seed))
        assert moving.moves
        assert abs(moving.orbit) >= 0.1
    directions = [np.sign(moving_camera(rng(seed)).orbit) for seed in range(50)]
    assert abs(np.mean(directions)) < 0.5


def test_the_moving_view_changes_with_time_and_the_fixed_one_does_not(make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=None, look=random_look(rng(0)))
    env.reset(seed=0)
    for seed in range(3):
        fixed, moving = fixed_camera(rng(seed)), moving_camera(rng(seed))
        starts = [env.scene.render(camera, 48, 0.0) for camera in (fixed, moving)]
        for seconds in (0.5, 2.0, 7.0):
            np.testing.assert_array_equal(env.scene.render(fixed, 48, seconds), starts[0])
            assert differing(env.scene.render(moving, 48, seconds), starts[1]) > 0.05
        np.testing.assert_array_equal(env.scene.render(moving, 48, 0.0), starts[1])


def test_the_viewpoints_of_the_two_cameras_differ() -> None:
    for seed in range(50):
        drawn = rng(seed)
        first, second = fixed_camera(drawn), moving_camera(drawn)
        assert np.linalg.norm(np.subtract(first.eye, second.eye)) > 0.5
