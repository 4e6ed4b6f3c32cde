"""The parts of an imitation run: demonstration, goal, the learner's environment, evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from counting_encoders import Counting
from numpy.typing import NDArray
from small_recordings import TINY
from stable_baselines3.common.vec_env import VecEnv

from agents import factory
from encoders.base import Encoder, EncoderConfig
from envs.kuka import HOME
from envs.phase import phase
from envs.starts import StartsAt
from experiments.imitation.demonstration import Demonstration, goal_of
from experiments.imitation.pipeline import Task
from experiments.kuka.imitation import evaluate, make_learner
from experiments.kuka.recordings import make_env
from rewards.goal import Goal, Scales
from rewards.huber import HuberConfig, huber_reward

HORIZON = 15

HUBER = HuberConfig()

SCALES = Scales(embedding=0.5, pixels=300.0, joints=0.3)

ACTIONS = np.random.default_rng(0).uniform(-1, 1, (HORIZON + 3, 2, 7)).astype(np.float32)


def task(goal: Goal, encoder: Encoder | None) -> Task:
    """To imitate from where the demonstration begins; without truth, from home."""
    scales = SCALES if encoder is not None else replace(SCALES, embedding=None)
    return Task(goal, scales, encoder, {"joint_positions": HOME if goal.joints is None else goal.joints[0]})


def learner(goal: Goal, encoder: Encoder | None, reward: str, workers: int = 1) -> VecEnv:
    return make_learner(TINY, task(goal, encoder), reward, HUBER, envs=2, workers=workers)


def test_one_forward_pass_a_step_serves_all_environments_views_and_last_frames(demonstration: Demonstration) -> None:
    encoder = Counting(EncoderConfig(image_size=32)).eval()
    venv = learner(goal_of(demonstration, encoder, HORIZON), encoder, "tcn_huber")
    try:
        counts = [venv.reset()["embedding"]]  # type: ignore[call-overload, index]
        for actions in ACTIONS:
            observations, _, dones, infos = venv.step(actions)
            counts.append(observations["embedding"])  # type: ignore[call-overload, index]
            for index in np.flatnonzero(dones):
                np.testing.assert_array_equal(infos[index]["terminal_observation"]["embedding"], counts[-1][index])
    finally:
        venv.close()
    assert np.ptp(counts, axis=(1, 2)).max() == 0
    passes = np.array(counts)[:, 0, 0] * np.sqrt(2)
    np.testing.assert_allclose(np.diff(passes), 1, atol=1e-4)


@pytest.mark.parametrize("reward", ["tcn_huber", "pixels", "oracle"])
def test_every_reward_is_the_huber_reward_of_what_it_names(goal: Goal, network: Encoder, reward: str) -> None:
    venv = learner(goal, network, reward)
    arm = make_env(TINY, TINY.cameras, HORIZON)
    assert goal.joints is not None
    env = StartsAt(arm, {"joint_positions": goal.joints[0]})
    try:
        assert set(venv.observation_space.spaces) == {  # type: ignore[attr-defined]
            "joint_positions",
            "joint_velocities",
            "embedding",
            "demonstration",
        }
        first = venv.reset()
        assert isinstance(first, dict)
        np.testing.assert_allclose(first["joint_positions"][0], goal.joints[0], atol=1e-5)
        pixels, own_joints = env.reset()[0]["pixels"], arm.joint_positions()
        total = true = 0.0
        for step, actions in enumerate(ACTIONS[:HORIZON], start=1):
            observations, rewards, dones, infos = venv.step(actions)
            assert set(observations) == set(first)
            observation, *_ = env.step(actions[0])
            pixels, own_joints = observation["pixels"], observation["joint_positions"]
            assert goal.joints is not None
            oracle = huber_reward(own_joints, goal.joints[step], HUBER, SCALES.joints)
            if reward == "oracle":
                expected = oracle
            elif reward == "pixels":
                expected = huber_reward(pixels.ravel(), goal.pixels[step].ravel(), HUBER, SCALES.pixels)
            else:
                assert goal.embeddings is not None
                embedding = np.concatenate([network.embed_video(view[None])[0] for view in pixels]) / np.sqrt(2)
                expected = huber_reward(embedding, goal.embeddings[step], HUBER, SCALES.embedding)
            assert rewards[0] == pytest.approx(float(expected), rel=2e-3)
            total, true = total + float(expected), true + float(oracle)
        assert dones.all()
        last = infos[0]["terminal_observation"]
        assert set(last) == set(first)
        np.testing.assert_allclose(last["joint_positions"], own_joints, atol=1e-5)
        assert infos[0]["episode"]["r"] == pytest.approx(true, rel=1e-3)
        assert infos[0]["learned_return"] == pytest.approx(total, rel=2e-3)
    finally:
        venv.close()
        env.close()


def test_one_camera_trains_on_pixels_without_showing_them(
    folder: Path, network: Encoder, demonstration: Demonstration
) -> None:
    config = replace(TINY, cameras=("front",))
    one = replace(demonstration, frames=demonstration.frames[:, :1])
    venv = make_learner(config, task(goal_of(one, network, HORIZON), network), "pixels", HUBER, 1, 1)
    try:
        assert "pixels" not in venv.observation_space.spaces  # type: ignore[attr-defined]
        assert "pixels" not in venv.reset()
        _, rewards, _, _ = venv.step(ACTIONS[0, :1])
        assert rewards[0] < 0
    finally:
        venv.close()


@pytest.mark.parametrize("reward", ["pixels", "oracle"])
def test_a_learner_without_an_encoder_observes_its_state_and_the_phase(
    demonstration: Demonstration, reward: str
) -> None:
    goal = goal_of(demonstration, None, HORIZON)
    venv = learner(goal, None, reward)
    try:
        observations = venv.reset()
        assert isinstance(observations, dict)
        assert set(observations) == {"joint_positions", "joint_velocities", "phase"}
        np.testing.assert_array_equal(observations["phase"], np.tile(phase(0, HORIZON), (2, 1)))
        for step, actions in enumerate(ACTIONS[:HORIZON], start=1):
            observations, rewards, dones, infos = venv.step(actions)
            assert (rewards < 0).all()
            assert isinstance(observations, dict)
            np.testing.assert_array_equal(observations["phase"][0], phase(step % HORIZON, HORIZON))
        assert dones.all()
        last = infos[0]["terminal_observation"]
        assert set(last) == set(observations)
        np.testing.assert_array_equal(last["phase"], phase(HORIZON, HORIZON))
        evaluation = evaluate(factory.make("ppo", venv, HORIZON, 0), TINY, task(goal, None), seed=0, episodes=1)
    finally:
        venv.close()
    assert evaluation.link_error_m is not None
    assert evaluation.distances.shape == (HORIZON,)
    assert (evaluation.distances > 0).all()


def test_a_reward_on_embeddings_without_an_encoder_is_refused(demonstration: Demonstration) -> None:
    goal = goal_of(demonstration, None, HORIZON)
    with pytest.raises(ValueError, match=r"compares embeddings, and there is no encoder; use 'pixels' or 'oracle'"):
        learner(goal, None, "tcn_huber")


def test_one_process_and_two_step_alike(goal: Goal, network: Encoder) -> None:
    rewards = []
    for workers in (1, 2):
        venv = learner(goal, network, "oracle", workers)
        try:
            venv.reset()
            rewards.append(np.stack([venv.step(actions)[1] for actions in ACTIONS]))
        finally:
            venv.close()
    np.testing.assert_array_equal(rewards[0], rewards[1])


def test_the_oracle_without_truth_is_refused_with_the_way_out(demonstration: Demonstration, network: Encoder) -> None:
    goal = goal_of(replace(demonstration, states=None, links=None), network, HORIZON)
    with pytest.raises(ValueError, match=r"needs the true joint angles.*use 'tcn_huber'"):
        learner(goal, network, "oracle")


@dataclass
class Replay:
    """Does the same actions in every episode, whatever it sees."""

    actions: NDArray[np.float32]
    step: int = 0
    observation_space: gym.spaces.Dict = field(default_factory=lambda: gym.spaces.Dict({}))

    def predict(self, observation: object, deterministic: bool = False) -> tuple[NDArray[np.float32], None]:
        """The next action."""
        assert deterministic
        self.step += 1
        return self.actions[(self.step - 1) % len(self.actions)], None


def judged(agent: Any, goal: Goal, network: Encoder) -> Any:
    return evaluate(agent, TINY, task(goal, network), seed=0, episodes=2)


def test_errors_of_standing_still_are_those_by_hand(goal: Goal, network: Encoder) -> None:
    assert goal.links is not None
    assert goal.joints is not None
    env = make_env(TINY)
    env.set_pose(goal.joints[0])
    still = np.linalg.norm(env.link_positions() - goal.links[1:], axis=-1).mean()
    env.close()
    evaluation = judged(Replay(np.zeros((HORIZON, 7), np.float32)), goal, network)
    assert evaluation.stay_still_link_error_m == pytest.approx(still, rel=1e-6)
    assert evaluation.link_error_m == pytest.approx(still, rel=0.05)
    assert evaluation.joint_error_rad == pytest.approx(np.abs(goal.joints[0] - goal.joints[1:]).mean(), rel=0.05)
    assert evaluation.final_joint_error_rad == pytest.approx(np.abs(goal.joints[0] - goal.joints[-1]).mean(), rel=0.05)
    np.testing.assert_allclose(evaluation.joint_positions[0], goal.joints[0], atol=1e-6)
    assert evaluation.joint_positions.shape == (HORIZON + 1, 7)
    assert evaluation.distances.shape == (HORIZON,)


def test_doing_what_was_demonstrated_has_no_error(goal: Goal, network: Encoder) -> None:
    actions = ACTIONS[:HORIZON, 0]
    arm = make_env(TINY, TINY.cameras, HORIZON)
    assert goal.joints is not None
    env = StartsAt(arm, {"joint_positions": goal.joints[0]})
    pixels = [env.reset()[0]["pixels"]]
    links, joints = [arm.link_positions()], [arm.joint_positions()]
    for action in actions:
        pixels.append(env.step(action)[0]["pixels"])
        links.append(arm.link_positions())
        joints.append(arm.joint_positions())
    env.close()
    own = Demonstration(np.stack(pixels), states=np.stack(joints), links=np.stack(links))
    evaluation = judged(Replay(actions), goal_of(own, network, HORIZON), network)
    assert evaluation.link_error_m == pytest.approx(0, abs=1e-6)
    assert evaluation.final_link_error_m == pytest.approx(0, abs=1e-6)
    assert evaluation.joint_error_rad == pytest.approx(0, abs=1e-6)
    assert evaluation.stay_still_link_error_m > 0.01
    np.testing.assert_allclose(evaluation.distances, 0, atol=1e-3)


def test_without_truth_only_the_looks_are_judged(demonstration: Demonstration, network: Encoder) -> None:
    goal = goal_of(replace(demonstration, states=None, links=None), network, HORIZON)
    evaluation = judged(Replay(ACTIONS[:HORIZON, 0]), goal, network)
    assert evaluation.link_error_m is None
    assert evaluation.stay_still_link_error_m is None
    assert evaluation.joint_error_rad is None
    assert (evaluation.distances > 0).all()


def test_an_agent_is_evaluated_in_the_environment_it_learns_in(goal: Goal, network: Encoder) -> None:
    venv = learner(goal, network, "tcn_huber")
    try:
        agent = factory.make("sac", venv, HORIZON, 0)
        one, same = judged(agent, goal, network), judged(agent, goal, network)
    finally:
        venv.close()
    assert one.link_error_m >= 0
    assert one.final_link_error_m >= 0
    assert one.link_error_m == same.link_error_m
    np.testing.assert_array_equal(one.joint_positions, same.joint_positions)
