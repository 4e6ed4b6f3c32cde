"""Runs on the cartpole, small: every kind of observation, cut and resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_swingups import LATENT, SHIFTED, TINY, seeing, shrink
from stable_baselines3.common.vec_env import DummyVecEnv

import encoders
from agents import pixel_sac
from agents.pixel_sac import LearningConfig, Preset
from agents.training import read_curve
from encoders.videos.video import read_video
from experiments.cartpole import swingup
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.landmarks import Landmarks
from experiments.cartpole.observation import Frames, State
from experiments.cartpole.pretraining import first_encoder, new_encoder
from experiments.cartpole.second_encoder import Distilled, Gated
from experiments.cartpole.swingup import train_all


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Frames of 16 pixels, episodes of 8 steps."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        yield


@pytest.fixture(scope="module")
def joint(small: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[SwingUpConfig, dict[str, Any]]:
    config = replace(TINY, out=tmp_path_factory.mktemp("joint"))
    (result,) = train_all(config)
    return config, result


def test_a_run_leaves_everything_that_a_run_leaves(joint: tuple[SwingUpConfig, dict[str, Any]]) -> None:
    config, result = joint
    folder = config.run_folder(0)
    assert result["status"] == "completed"
    assert (result["agent_steps"], result["frames"]) == (48, 6_000)
    assert len(result["returns"]) == 2
    assert result["true_return"] == pytest.approx(np.mean(result["returns"]))
    assert json.loads((folder / "result.json").read_text()) == {**result, "digest": ANY}
    assert {"config.json", "provenance.json", "curves.png", "keypoints.png"} <= {path.name for path in folder.iterdir()}
    assert [row["env_steps"] for row in read_curve(folder / "progress.csv")] == [8, 16, 24, 32, 40, 48]
    assert len(read_video(folder / "swingup.mp4")) == 8
    page = (folder / "report.html").read_text()
    assert f"returns {result['true_return']:.0f} on average" in page
    assert (page.count("<video"), page.count("<img"), page.count('<figure class="chart"')) == (1, 1, 1)
    assert encoders.load(folder / "encoder").name == "imm"


def test_a_cut_run_ends_in_the_same_weights(
    joint: tuple[SwingUpConfig, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = joint
    cut = replace(TINY, out=tmp_path)
    train = swingup.SharedEncoderSAC.train

    def until(agent: Any, **given: int) -> None:
        if agent.num_timesteps == 44:
            raise KeyboardInterrupt
        train(agent, **given)

    monkeypatch.setattr(swingup.SharedEncoderSAC, "train", until)
    with pytest.raises(KeyboardInterrupt):
        train_all(cut)
    monkeypatch.setattr(swingup.SharedEncoderSAC, "train", train)
    (result,) = train_all(replace(cut, resume=True))
    assert result["agent_steps"] == 48
    ours, theirs = (load_file(config.run_folder(0) / "agent" / "policy.safetensors") for config in (cut, whole))
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    "config",
    [
        replace(TINY, observe=State()),
        replace(TINY, observe=Landmarks(noise=0.5, places=3)),
        seeing(mode="frozen"),
        seeing(start="recorded"),
        replace(TINY, observe=SHIFTED),
        replace(seeing(encoder="tcn", settings=("videos=2", "negative_range=4")), steps=16),
    ],
    ids=lambda config: config.observe.name,
)
def test_other_kinds_of_runs(config: SwingUpConfig, tmp_path: Path) -> None:
    config = replace(config, out=tmp_path)
    (result,) = train_all(config)
    assert result["status"] == "completed"
    assert (config.run_folder(0) / "swingup.mp4").exists()
    if config.fits:
        fitted, own = config.shared_encoder(0), config.run_folder(0) / "encoder"
        same = (fitted / "weights.safetensors").read_bytes() == (own / "weights.safetensors").read_bytes()
        assert same == (config.frames.mode == "frozen")


@pytest.mark.parametrize("role", [Distilled, Gated])
def test_a_second_encoder_stays_as_it_is_and_a_cut_run_goes_on(
    role: type[Distilled | Gated], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe = replace(SHIFTED, second=role("imm", ("keypoints=2",)))
    configs = [replace(TINY, observe=observe, out=tmp_path / name) for name in ("whole", "cut")]
    whole, cut = configs
    (result,) = train_all(whole)
    assert result["second_encoder"] == "imm"
    assert encoders.load(whole.run_folder(0) / "encoder").name == "autoencoder"
    assert (whole.run_folder(0) / "keypoints.png").exists()
    # It is the one that an agent on frozen keypoints alone sees, and is shared with it.
    alone = replace(seeing(mode="frozen"), out=whole.out)
    shared, kept = alone.shared_encoder(0), whole.run_folder(0) / "second_encoder"
    assert (shared / "weights.safetensors").read_bytes() == (kept / "weights.safetensors").read_bytes()
    train = swingup.SharedEncoderSAC.train

    def until(agent: Any, **given: int) -> None:
        if agent.num_timesteps == 44:
            raise KeyboardInterrupt
        train(agent, **given)

    monkeypatch.setattr(swingup.SharedEncoderSAC, "train", until)
    with pytest.raises(KeyboardInterrupt):
        train_all(cut)
    monkeypatch.setattr(swingup.SharedEncoderSAC, "train", train)
    train_all(replace(cut, resume=True))
    ours, theirs = (load_file(config.run_folder(0) / "agent" / "policy.safetensors") for config in configs)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0, equal_nan=True)


def test_an_agent_sees_the_second_encoders_embedding_beside_its_frames() -> None:
    config = replace(TINY, observe=replace(LATENT, second=Gated("imm", ("keypoints=2",))))
    assert config.through_second is not None
    second = new_encoder(config.through_second).frozen()
    env = swingup.make_env(config, second, 0)
    observation, _ = env.reset()
    assert observation["pixels"].shape == (9, 16, 16)
    wanted = second.embed(torch.from_numpy(observation["pixels"][None]))[0].numpy()
    np.testing.assert_array_equal(observation["embedding"], wanted)
    assert env.observation_space.contains(observation)
    env.close()


def test_a_given_encoder_is_used(joint: tuple[SwingUpConfig, dict[str, Any]], tmp_path: Path) -> None:
    folder = joint[0].run_folder(0) / "encoder"
    config = replace(seeing(settings=(), folder=folder, mode="frozen"), out=tmp_path, steps=16)
    train_all(config)
    given, kept = (path / "weights.safetensors" for path in (folder, config.run_folder(0) / "encoder"))
    assert given.read_bytes() == kept.read_bytes()


def spread_after_first_updates(mean_start: bool) -> float:
    learning = LearningConfig(mean_start=mean_start)
    config = SwingUpConfig(
        Frames(shift=4, precision="float32"), preset="cpu", steps=1_250, learning=learning, device="cpu"
    )
    venv = DummyVecEnv([lambda: swingup.make_env(config, None, seed=1)])
    agent = swingup.new_agent(config, venv, first_encoder(config, 1), 1)
    agent.learn(config.steps)
    venv.close()
    frames = torch.as_tensor(agent.replay_buffer.sample(128).observations)  # type: ignore[union-attr]
    with torch.no_grad():
        return float(agent.critic.features_extractor(frames).std(dim=0).mean())


@pytest.mark.slow
def test_an_encoder_tells_frames_apart_after_its_first_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pixel_sac.PRESETS, "cpu", Preset(64, 2, 64, 256, 16))
    spread = spread_after_first_updates(mean_start=True)
    assert spread > 0.1
    assert spread > 2 * spread_after_first_updates(mean_start=False)


def test_a_finished_run_that_goes_on_for_more_steps_is_the_longer_run(small: None, tmp_path: Path) -> None:
    # Its buffer is full long before the end, as that of the longer run is.
    run = replace(TINY, steps=32, learning=LearningConfig(learning_starts=12, buffer_size=16))
    short, straight = replace(run, out=tmp_path / "short"), replace(run, out=tmp_path / "straight", steps=48)
    (first,) = train_all(short)
    (extended,) = train_all(replace(short, steps=48, resume=True))
    (whole,) = train_all(straight)
    assert (extended["agent_steps"], extended["returns"]) == (48, whole["returns"])
    folders = [config.run_folder(0) for config in (short, straight)]
    ours, theirs = ([{**row, "seconds": 0} for row in read_curve(folder / "progress.csv")] for folder in folders)
    assert ours == theirs
    weights = [load_file(folder / "agent" / "policy.safetensors") for folder in folders]
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=0, atol=0, equal_nan=True)
    assert json.loads((folders[0] / "result_32.json").read_text()) == {**first, "digest": ANY}
