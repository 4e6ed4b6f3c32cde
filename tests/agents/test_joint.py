"""Encoders that the agent trains, on the Kuka: what the agent sees, what is trained, and what stays as it is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_recordings import recorded_out, tiny

import encoders
from agents import factory
from agents.auxiliary import AuxiliaryConfig
from agents.extractor import trained_encoder
from agents.trajectories import arrays_of, check_buffer
from experiments.imitation.pipeline import Task
from experiments.kuka.config import ImitateConfig
from experiments.kuka.imitation import make_learner
from experiments.kuka.run import EXPERIMENT, check_inputs, check_joint
from rewards.goal import Goal, Scales
from rewards.huber import HuberConfig

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded_out(tmp_path_factory.mktemp("joint"))


def same(first: encoders.Encoder, second: encoders.Encoder) -> dict[str, bool]:
    other = second.state_dict()
    return {key: torch.equal(value, other[key]) for key, value in first.state_dict().items()}


@pytest.mark.parametrize("algo", ["ppo", "a2c", "sac"])
@pytest.mark.parametrize(("encoder", "settings"), [("tcn", ("positive_range=1", "negative_range=2")), ("smak", ())])
def test_the_policys_encoder_trains_and_the_rewards_stays(
    out: Path, encoder: str, settings: tuple[str, ...], algo: str
) -> None:
    config = tiny(out, encoder=encoder, encoder_settings=settings, encoder_mode="joint", algo=algo)
    (result,) = EXPERIMENT.run_all(config)
    assert result["status"] == "completed" and result["encoder_mode"] == "joint"
    folder = config.run_folder(0)
    rewards = encoders.load(folder / "encoder")
    shared = encoders.load(config.shared_encoder(0))
    assert all(same(shared, rewards).values())
    policys = encoders.load(folder / "agent" / "encoder")
    changed = [key for key, equal in same(rewards, policys).items() if not equal]
    trained = {key for key, _ in rewards.named_parameters()}
    if algo == "sac":
        # It learns only after its first 1,600 steps.
        assert not changed
    else:
        # Softmaxes and biases before them leave out a few.
        assert len(trained & set(changed)) > 0.8 * len(trained)
    assert json.loads((folder / "config.json").read_text())["encoder_mode"] == "joint"


def learner(joint: bool, out: Path, encoder: encoders.Encoder) -> tuple[ImitateConfig, object]:
    config = tiny(out)
    shape = (config.horizon + 1, 2)
    goal = Goal(
        pixels=np.zeros((*shape, 32, 32, 3)),
        embeddings=np.ones((config.horizon + 1, 2 * encoder.embedding_dim), np.float32),
        joints=np.zeros((config.horizon + 1, 7)),
        links=np.zeros((config.horizon + 1, 7, 3)),
    )
    scales = Scales(embedding=1.0, pixels=1.0, joints=1.0)
    task = Task(goal, scales, encoder, {"joint_positions": np.zeros(7)})
    return config, make_learner(config.scene, task, "tcn_huber", HuberConfig(), envs=2, workers=1, joint=joint)


def test_a_joint_agent_sees_pixels_and_is_given_the_same_reward(out: Path) -> None:
    torch.manual_seed(0)
    encoder = encoders.make("tcn", image_size=32)
    _, frozen = learner(False, out, encoder)
    _, joint = learner(True, out, encoder)
    first, second = frozen.reset(), joint.reset()
    assert set(first) - set(second) == {"embedding"} and set(second) - set(first) == {"pixels"}
    assert second["pixels"].shape == (2, 2, 32, 32, 3) and second["pixels"].dtype == np.uint8
    agent = factory.make("ppo", joint, 15, seed=0, encoder=encoder)
    seen = {key: torch.as_tensor(value) for key, value in second.items()}
    features = agent.policy.extract_features(seen)
    # Before any training the agent's encoder says what the reward's does.
    assert np.allclose(features[:, : 2 * encoder.embedding_dim].detach().numpy(), first["embedding"], atol=1e-4)
    with torch.no_grad():
        for part in trained_encoder(agent).parameters():
            part.add_(1.0)
    rng = np.random.default_rng(0)
    for _ in range(5):
        actions = rng.uniform(-1, 1, (2, 7)).astype(np.float32)
        rewards = [venv.step(actions)[1] for venv in (frozen, joint)]
        assert np.array_equal(*rewards)


def test_an_agent_with_an_encoder_is_loaded_with_it(out: Path, tmp_path: Path) -> None:
    encoder = encoders.make("tcn", image_size=32)
    _, venv = learner(True, out, encoder)
    agent = factory.make("a2c", venv, 15, seed=0, encoder=encoder)
    factory.save_agent(agent, "a2c", 15, tmp_path / "agent")
    loaded = factory.load_agent(tmp_path / "agent", venv)
    observation = venv.reset()
    assert np.array_equal(
        agent.predict(observation, deterministic=True)[0], loaded.predict(observation, deterministic=True)[0]
    )


def test_joint_without_an_encoder_is_refused(out: Path) -> None:
    with pytest.raises(ValueError, match="encoder 'none' has nothing to train"):
        tiny(out, encoder="none", reward="oracle", encoder_mode="joint")
    with pytest.raises(ValueError, match="Unknown encoder mode 'both'"):
        tiny(out, encoder_mode="both")


def test_a_stem_that_is_frozen_stays_frozen_in_the_agent(out: Path) -> None:
    encoder = encoders.make("tcn", image_size=32, backbone="efficientnet_lite0", freeze=True)
    _, venv = learner(True, out, encoder)
    agent = factory.make("ppo", venv, 15, seed=0, encoder=encoder)
    trained = {key for key, part in trained_encoder(agent).named_parameters() if part.requires_grad}
    assert trained and not any(key.startswith("backbone.stem") for key in trained)


def test_a_rollout_is_as_long_as_the_encoder_needs() -> None:
    assert factory.part_of(50, 5) == 5
    assert factory.part_of(50, 5, least=9) == 10
    assert factory.part_of(50, 50, least=9) == 50
    with pytest.raises(ValueError, match="needs 9 steps of one trajectory, and an episode has 8"):
        factory.part_of(8, 5, least=9)


def test_an_encoder_that_cannot_be_trained_with_the_agent_is_refused_before_any_work(out: Path) -> None:
    with pytest.raises(ValueError, match="'pooled' has nothing to train"):
        check_inputs(tiny(out, encoder="pooled", encoder_mode="joint"))
    with pytest.raises(ValueError, match="an episode has 15"):
        check_inputs(tiny(out, encoder="tcn", encoder_mode="joint", encoder_settings=("negative_range=20",)))
    with pytest.raises(ValueError, match="learns from 2 views of a moment, and the agent that is to train it sees 1"):
        check_joint(tiny(out, encoder="smak", encoder_mode="joint", demo=(out / "one.mp4",)), encoders.make("smak"))


def test_frozen_runs_keep_the_identity_that_they_had_before_there_were_modes(out: Path) -> None:
    assert not {"encoder_mode", "auxiliary"} & set(tiny(out).identity(0))
    joint = tiny(out, encoder_mode="joint")
    assert {"encoder_mode", "auxiliary"} <= set(joint.identity(0))
    assert "own_optimizer" not in joint.identity(0)["auxiliary"]
    own = replace(joint, auxiliary=AuxiliaryConfig(own_optimizer=True))
    assert own.identity(0)["auxiliary"]["own_optimizer"]


def test_the_guides_agent_with_a_replay_buffer_takes_half_a_gigabyte() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/joint-training.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", guide, re.S)
    before, _, _ = snippet.partition("agent = A2C")
    (sac,) = re.findall(r"^# (agent = SAC\(.*\))$", snippet, re.M)
    names: dict[str, Any] = {}
    exec(f"{before}from stable_baselines3 import SAC\n{sac}", names)
    agent = names["agent"]
    names["env"].close()
    assert sum(array.nbytes for array in arrays_of(agent.replay_buffer)) < 0.55e9
    check_buffer(agent, trained_encoder(agent))
