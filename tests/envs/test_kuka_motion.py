"""KukaReach-v0: physics and rewards, and that both repeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pybullet
import pytest

from envs.kuka import CONTROLS, KukaReach
from envs.kuka_meshes import MODELS

MakeKuka = Callable[..., KukaReach]
STILL = np.zeros(7, np.float32)


def roll(env: KukaReach, seed: int, steps: int = 12) -> list[Any]:
    actions = np.random.default_rng(seed).uniform(-1, 1, (steps, 7)).astype(np.float32)
    return [env.reset(seed=seed), *(env.step(action) for action in actions)]


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("robot", MODELS)
def test_the_same_seed_gives_the_same_pixels_and_states_bit_for_bit(
    make_kuka: MakeKuka, robot: str, control: str
) -> None:
    settings = {"robot": robot, "control": control, "camera": ("orbit", "wrist"), "image_size": 32}
    env, twin = make_kuka(**settings), make_kuka(**settings)
    first = roll(env, seed=3, steps=40)
    roll(env, seed=4, steps=25)
    np.testing.assert_equal(roll(env, seed=3, steps=40), first)
    np.testing.assert_equal(roll(twin, seed=3, steps=40), first)
    assert not np.array_equal(roll(env, seed=5)[0][0]["goal"], first[0][0]["goal"])


def test_instances_do_not_disturb_one_another(make_kuka: MakeKuka) -> None:
    controls = ("position", "torque", "velocity")
    alone = [roll(make_kuka(control=control, image_size=16), seed) for seed, control in enumerate(controls)]
    together = [make_kuka(control=control, image_size=16) for control in controls]
    answers: list[list[Any]] = [[env.reset(seed=seed)] for seed, env in enumerate(together)]
    make_kuka().close()
    for step in range(12):
        for seed, env in enumerate(together):
            actions = np.random.default_rng(seed).uniform(-1, 1, (12, 7)).astype(np.float32)
            answers[seed].append(env.step(actions[step]))
    np.testing.assert_equal(answers, alone)


@pytest.mark.parametrize("control", CONTROLS)
def test_render_quality_changes_the_picture_but_not_the_physics(make_kuka: MakeKuka, control: str) -> None:
    fast, reference = (
        roll(make_kuka(control=control, render_quality=quality), seed=1) for quality in ("fast", "reference")
    )
    assert not np.array_equal(fast[5][0]["pixels"], reference[5][0]["pixels"])
    for one, other in zip(fast[1:], reference[1:], strict=True):
        np.testing.assert_array_equal(one[0]["joint_positions"], other[0]["joint_positions"])
        assert one[1] == other[1]


def test_the_horizon_truncates_and_nothing_terminates(make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=None, horizon=5)
    for _ in range(2):
        env.reset()
        ends = [env.step(STILL)[2:4] for _ in range(5)]
        assert ends == [(False, False)] * 4 + [(False, True)]


def test_the_reward_is_minus_the_distance_from_hand_to_goal(make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=None, control="velocity")
    answers = roll(env, seed=2)[1:]
    assert all(reward == -info["goal_distance"] < 0 for _, reward, _, _, info in answers)
    observation, reward = answers[-1][:2]
    hand = np.array(pybullet.getLinkState(env.arm, env.joints[-1], 0, 1, physicsClientId=env.client)[0])
    assert reward == pytest.approx(-np.linalg.norm(hand - observation["goal"]), abs=1e-6)


@pytest.mark.parametrize("control", ["position", "velocity"])
@pytest.mark.parametrize("robot", MODELS)
def test_without_an_action_the_arm_keeps_still(make_kuka: MakeKuka, robot: str, control: str) -> None:
    env = make_kuka(camera=None, robot=robot, control=control)
    start, _ = env.reset(seed=0)
    for _ in range(50):
        observation = env.step(STILL)[0]
    # A velocity motor holds no position: under a gripper's weight it creeps by up to 0.6 degrees a second.
    np.testing.assert_allclose(observation["joint_positions"], start["joint_positions"], atol=0.03)


def test_without_torque_the_arm_falls(make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=None, control="torque")
    start, _ = env.reset(seed=0)
    height = env.hand_position()[2]
    for _ in range(8):
        observation = env.step(STILL)[0]
    assert env.hand_position()[2] < height - 0.2
    assert observation["joint_positions"][1] - start["joint_positions"][1] > 0.3


@pytest.mark.parametrize(("control", "least", "most"), [("position", 0.08, 0.125), ("velocity", 0.08, 0.125)])
@pytest.mark.parametrize("joint", range(7))
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_full_action_turns_its_own_joint_its_own_way(
    make_kuka: MakeKuka, control: str, least: float, most: float, joint: int, sign: int
) -> None:
    env = make_kuka(camera=None, control=control)
    start, _ = env.reset(seed=0)
    action = STILL.copy()
    action[joint] = sign
    moved = (env.step(action)[0]["joint_positions"] - start["joint_positions"]) * sign
    assert least < moved[joint] < most
    assert abs(np.delete(moved, joint)).max() < 0.01
