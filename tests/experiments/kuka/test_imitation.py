"""The parts of an imitation run: demonstration, goal, the learner's environment, evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import gymnasium as gym
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_recordings import TINY, recorded_out, tiny
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

import encoders
from agents import factory
from encoders.base import Encoder, EncoderConfig, FrameBatch, LossAndMetrics, Sampling
from encoders.clips.clips import load_clips
from encoders.videos.video import write_video
from envs.kuka import HOME
from envs.phase import phase
from experiments.kuka.demonstrations import Demonstration, make_goal, measure_scales, read_demonstration, read_views
from experiments.kuka.imitation import FixedStart, evaluate, film, make_learner
from experiments.kuka.recordings import Truth, make_env
from rewards.goal import Goal, Scales
from rewards.huber import HuberConfig, huber_reward

HORIZON = 15
HUBER = HuberConfig()
SCALES = Scales(embedding=0.5, pixels=300.0, joints=0.3)
ACTIONS = np.random.default_rng(0).uniform(-1, 1, (HORIZON + 3, 2, 7)).astype(np.float32)


class Counting(Encoder):
    """Its embedding is how often it was asked, over and over."""

    name = "counting"
    Config = EncoderConfig

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.passes = 0

    @property
    def embedding_dim(self) -> int:
        """Four numbers."""
        return 4

    @property
    def sampling(self) -> Sampling:
        """Never asked for."""
        raise NotImplementedError

    def forward(self, frames: Tensor) -> Tensor:
        """Counts."""
        self.passes += 1
        return torch.full((len(frames), 4), float(self.passes))

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """Never asked for."""
        raise NotImplementedError


class Small(Counting):
    """Its embedding is the frame, scaled down."""

    name = "small"

    @property
    def embedding_dim(self) -> int:
        """Eight by eight colours."""
        return 3 * 8 * 8

    def forward(self, frames: Tensor) -> Tensor:
        """Averages."""
        return torch.nn.functional.adaptive_avg_pool2d(frames.float(), 8).flatten(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(recorded_out(tmp_path_factory.getbasetemp())).recordings_folder


@pytest.fixture(scope="module")
def network() -> Encoder:
    torch.manual_seed(0)
    return encoders.make("tcn", image_size=32, embedding_dim=8, hidden=16).eval()


@pytest.fixture(scope="module")
def demonstration(folder: Path, network: Encoder) -> Demonstration:
    videos = tuple(folder / f"heldout_0001_{camera}.mp4" for camera in TINY.cameras)
    return read_demonstration(videos, TINY, network, np.random.default_rng(0))


@pytest.fixture(scope="module")
def goal(demonstration: Demonstration, network: Encoder) -> Goal:
    return make_goal(demonstration, network, HORIZON)


def learner(goal: Goal, encoder: Encoder, reward: str) -> VecEnv:
    return make_learner(TINY, goal, encoder, reward, HUBER, SCALES, envs=2, workers=1)


def test_a_recorded_demonstration_is_read_with_its_start_and_truth(demonstration: Demonstration) -> None:
    assert demonstration.frames.shape == (16, 2, 32, 32, 3)
    assert demonstration.truth is not None
    np.testing.assert_array_equal(demonstration.start, demonstration.truth.joint_positions[0])


def test_views_of_different_length_are_refused(folder: Path, network: Encoder) -> None:
    videos = (folder / "demo_0000_front.mp4", folder / "play_0000_side.mp4")
    with pytest.raises(ValueError, match=r"differ in length: .*16.*20"):
        read_demonstration(videos, TINY, network, np.random.default_rng(0))


def test_a_video_of_variable_rate_is_spread_by_its_time(tmp_path: Path) -> None:
    # 30 frames in the first second, then one a second: brighter with time.
    times = np.concatenate([np.arange(30) / 30, 1.0 + np.arange(16)])
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 32
        stream.codec_context.time_base = Fraction(1, 30)
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), round(10 * time), np.uint8), format="rgb24")
            frame.pts = round(30 * time)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frames, shown = read_views([tmp_path / "a.mp4"], 32)
    np.testing.assert_allclose(shown, times, atol=1e-3)
    goal = make_goal(Demonstration(frames, HOME, None, shown), None, 16)
    np.testing.assert_allclose(goal.pixels.mean(axis=(1, 2, 3, 4)), 10 * np.arange(17), atol=3)


@pytest.mark.parametrize("length", [2, 9, 16, 40])
def test_a_goal_is_spread_over_the_horizon_whatever_the_videos_length(network: Encoder, length: int) -> None:
    rng = np.random.default_rng(length)
    frames = rng.integers(0, 256, (length, 2, 32, 32, 3), np.uint8)
    truth = Truth(rng.normal(size=(length, 7)), rng.normal(size=(length, 7, 3)))
    goal = make_goal(Demonstration(frames, truth.joint_positions[0], truth), network, HORIZON)
    assert goal.horizon == HORIZON
    assert goal.embeddings is not None
    assert goal.embeddings.shape == (HORIZON + 1, 2 * 8)
    assert goal.pixels.shape == (HORIZON + 1, 2, 32, 32, 3)
    for mine, whole in ((goal.joints, truth.joint_positions), (goal.links, truth.link_positions)):
        assert mine is not None
        assert len(mine) == HORIZON + 1
        np.testing.assert_allclose(mine[[0, -1]], whole[[0, -1]])
    np.testing.assert_allclose(goal.pixels[[0, -1]], frames[[0, -1]])
    # Several views are scaled to the norm of one.
    np.testing.assert_allclose(np.linalg.norm(goal.embeddings, axis=1), 10, rtol=1e-4)
    if length == HORIZON + 1:
        np.testing.assert_allclose(goal.pixels, frames)


def test_a_goal_without_truth_has_neither_joints_nor_links(demonstration: Demonstration, network: Encoder) -> None:
    goal = make_goal(replace(demonstration, truth=None), network, HORIZON)
    assert goal.joints is None
    assert goal.links is None


def test_the_start_of_a_foreign_video_is_found_by_its_looks(tmp_path: Path) -> None:
    network = Small(EncoderConfig(image_size=32)).eval()
    config = replace(TINY, cameras=("front",))
    env = make_env(config)
    pose = HOME + np.array([0.5, -0.3, 0.4, 0.2, 0.0, -0.3, 0.1])
    shots = film(env, np.linspace(pose, HOME, 25), "front", 48)
    wide = np.zeros((25, 48, 64, 3), np.uint8)
    wide[:, :, 8:56] = shots
    write_video(tmp_path / "foreign.mp4", wide, 30)
    read = read_demonstration((tmp_path / "foreign.mp4",), config, network, np.random.default_rng(0))
    assert read.truth is None
    assert read.frames.shape == (25, 1, 32, 32, 3)
    assert read.start.shape == (7,)
    assert (read.start >= env.joint_lower).all()
    assert (read.start <= env.joint_upper).all()
    # Nearer in looks than each of many random poses.
    env.np_random = np.random.default_rng(1)
    poses = [read.start, *(env.random_pose() for _ in range(200))]
    embedded = network.embed_video(film(env, np.stack(poses), "front", 32))
    distances = np.linalg.norm(embedded - network.embed_video(read.frames[:1, 0]), axis=1)
    assert distances.argmin() == 0
    goal = make_goal(read, network, HORIZON)
    assert goal.embeddings is not None
    assert goal.embeddings.shape == (HORIZON + 1, 192)
    env.close()


def test_scales_are_the_median_steps_of_the_videos(folder: Path, network: Encoder) -> None:
    clips = load_clips(folder, TINY.validating, TINY.cameras, 32)
    scales = measure_scales(network, clips)
    steps = []
    for video in map(np.asarray, clips.videos):
        for time in range(1, video.shape[1]):
            difference = video[:, time].astype(float) - video[:, time - 1]
            steps.append(np.sqrt((difference**2).sum()))
    assert scales.pixels == pytest.approx(np.median(steps), rel=1e-5)
    assert scales.joints > 0


def test_one_forward_pass_a_step_serves_all_environments_views_and_last_frames(demonstration: Demonstration) -> None:
    encoder = Counting(EncoderConfig(image_size=32)).eval()
    venv = learner(make_goal(demonstration, encoder, HORIZON), encoder, "tcn_huber")
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
    env = FixedStart(arm, goal.start)
    try:
        assert set(venv.observation_space.spaces) == {  # type: ignore[attr-defined]
            "joint_positions",
            "joint_velocities",
            "embedding",
            "demonstration",
        }
        first = venv.reset()
        assert isinstance(first, dict)
        np.testing.assert_allclose(first["joint_positions"][0], goal.start, atol=1e-5)
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
    venv = make_learner(config, make_goal(one, network, HORIZON), network, "pixels", HUBER, SCALES, 1, 1)
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
    goal = make_goal(demonstration, None, HORIZON)
    scales = replace(SCALES, embedding=None)
    venv = make_learner(TINY, goal, None, reward, HUBER, scales, envs=2, workers=1)
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
        evaluation = evaluate(factory.make("ppo", venv, HORIZON, 0), TINY, goal, None, seed=0, episodes=1)
    finally:
        venv.close()
    assert evaluation.link_error_m is not None
    assert evaluation.distances.shape == (HORIZON,)
    assert (evaluation.distances > 0).all()


def test_a_reward_on_embeddings_without_an_encoder_is_refused(demonstration: Demonstration) -> None:
    goal = make_goal(demonstration, None, HORIZON)
    with pytest.raises(ValueError, match=r"compares embeddings, and there is no encoder; use 'pixels' or 'oracle'"):
        make_learner(TINY, goal, None, "tcn_huber", HUBER, replace(SCALES, embedding=None), envs=2, workers=1)


def test_one_process_and_two_step_alike(goal: Goal, network: Encoder) -> None:
    rewards = []
    for workers in (1, 2):
        venv = make_learner(TINY, goal, network, "oracle", HUBER, SCALES, envs=2, workers=workers)
        try:
            venv.reset()
            rewards.append(np.stack([venv.step(actions)[1] for actions in ACTIONS]))
        finally:
            venv.close()
    np.testing.assert_array_equal(rewards[0], rewards[1])


def test_the_oracle_without_truth_is_refused_with_the_way_out(demonstration: Demonstration, network: Encoder) -> None:
    goal = make_goal(replace(demonstration, truth=None), network, HORIZON)
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
    return evaluate(agent, TINY, goal, network, seed=0, episodes=2)


def test_errors_of_standing_still_are_those_by_hand(goal: Goal, network: Encoder) -> None:
    assert goal.links is not None
    assert goal.joints is not None
    env = make_env(TINY)
    env.set_pose(goal.start)
    still = np.linalg.norm(env.link_positions() - goal.links[1:], axis=-1).mean()
    env.close()
    evaluation = judged(Replay(np.zeros((HORIZON, 7), np.float32)), goal, network)
    assert evaluation.stay_still_link_error_m == pytest.approx(still, rel=1e-6)
    assert evaluation.link_error_m == pytest.approx(still, rel=0.05)
    assert evaluation.joint_error_rad == pytest.approx(np.abs(goal.start - goal.joints[1:]).mean(), rel=0.05)
    assert evaluation.final_joint_error_rad == pytest.approx(np.abs(goal.start - goal.joints[-1]).mean(), rel=0.05)
    np.testing.assert_allclose(evaluation.joint_positions[0], goal.start, atol=1e-6)
    assert evaluation.joint_positions.shape == (HORIZON + 1, 7)
    assert evaluation.distances.shape == (HORIZON,)


def test_doing_what_was_demonstrated_has_no_error(goal: Goal, network: Encoder) -> None:
    actions = ACTIONS[:HORIZON, 0]
    arm = make_env(TINY, TINY.cameras, HORIZON)
    env = FixedStart(arm, goal.start)
    pixels = [env.reset()[0]["pixels"]]
    links, joints = [arm.link_positions()], [arm.joint_positions()]
    for action in actions:
        pixels.append(env.step(action)[0]["pixels"])
        links.append(arm.link_positions())
        joints.append(arm.joint_positions())
    env.close()
    own = Demonstration(np.stack(pixels), goal.start, Truth(np.stack(joints), np.stack(links)))
    evaluation = judged(Replay(actions), make_goal(own, network, HORIZON), network)
    assert evaluation.link_error_m == pytest.approx(0, abs=1e-6)
    assert evaluation.final_link_error_m == pytest.approx(0, abs=1e-6)
    assert evaluation.joint_error_rad == pytest.approx(0, abs=1e-6)
    assert evaluation.stay_still_link_error_m > 0.01
    np.testing.assert_allclose(evaluation.distances, 0, atol=1e-3)


def test_without_truth_only_the_looks_are_judged(demonstration: Demonstration, network: Encoder) -> None:
    goal = make_goal(replace(demonstration, truth=None), network, HORIZON)
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
