"""Teachers that others have trained."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import A2C, PPO, SAC

from encoders.training.fit import FitConfig
from experiments.any_environment.config import ImitationConfig, TeacherConfig
from experiments.any_environment.environment import EnvironmentConfig, find
from experiments.any_environment.play import PlayConfig
from experiments.any_environment.run import EXPERIMENT, check_inputs
from experiments.any_environment.shared import Shared
from experiments.any_environment.trusted import trusted_policy

CONFIG = ImitationConfig(
    algo="ppo",
    env=EnvironmentConfig("Pendulum-v1", horizon=20, image_size=32),
    envs=2,
    workers=1,
    threads=1,
    steps=80,
    episodes=2,
    play=PlayConfig(episodes=6, validation=2, demonstrations=0),
    fit=FitConfig(steps=2, validate_every=2, validation_batches=1),
    encoder="none",
    reward="oracle",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PPO that was trained on the environment's own observations."""
    path = tmp_path_factory.mktemp("agents") / "ppo.zip"
    PPO("MlpPolicy", "Pendulum-v1", n_steps=64, batch_size=64, n_epochs=1, seed=0, device="cpu").learn(64).save(path)
    return path


def given(path: Path, algo: str = "ppo", env: str = "Pendulum-v1") -> ImitationConfig:
    teacher = TeacherConfig(trusted_zip=path, algo=algo, attempts=2)
    return replace(CONFIG, env=replace(CONFIG.env, id=env), teacher=teacher)


def test_a_trusted_agent_is_filmed(saved: Path, tmp_path: Path) -> None:
    config = replace(given(saved), out=tmp_path)
    result = EXPERIMENT.run_all(config)[0]
    # What it does by itself, in the episodes that are filmed.
    agent, env = PPO.load(saved, device="cpu"), gym.make("Pendulum-v1")
    returns = []
    for seed in np.random.default_rng([0, 1]).integers(2**31, size=2):
        observation, total = env.reset(seed=int(seed))[0], 0.0
        for _ in range(20):
            observation, reward, *_ = env.step(agent.predict(observation, deterministic=True)[0])
            total += float(reward)
        returns.append(total)
    assert result["demonstration_return"] == pytest.approx(max(returns), rel=1e-4)
    assert not (tmp_path / "teachers").exists()


def test_another_file_by_the_same_name_is_another_teacher(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "agent.zip"
    path.write_bytes(saved.read_bytes())
    before, run = given(path).film_file, given(path).identity(0)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more", "")
    assert given(path).film_file != before
    assert given(path).identity(0) != run


def test_a_sac_needs_no_replay_buffer_and_its_actions_are_scaled(tmp_path: Path) -> None:
    SAC("MlpPolicy", "Pendulum-v1", seed=0, device="cpu").save(tmp_path / "sac.zip")
    config = given(tmp_path / "sac.zip", "auto")
    policy = trusted_policy(config, find(config.env))
    state = np.array([0.6, 0.8, 1.0], np.float32)
    own = SAC.load(tmp_path / "sac.zip", device="cpu", buffer_size=1).predict(state, deterministic=True)[0]
    # The environment takes -2 to 2, the pipeline -1 to 1.
    np.testing.assert_allclose(policy({"state": state}), own / 2, rtol=1e-5)


def test_discrete_actions_are_the_agents_own(tmp_path: Path) -> None:
    agent = A2C("MlpPolicy", "CartPole-v1", seed=0, device="cpu")
    agent.save(tmp_path / "a2c.zip")
    config = given(tmp_path / "a2c.zip", "a2c", "CartPole-v1")
    policy = trusted_policy(config, find(config.env))
    for state in np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32):
        assert policy({"state": state}) == agent.predict(state, deterministic=True)[0]


class Named(gym.Env[Any, Any]):
    """Observes two vectors by name, in another order than that of the letters."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    observation_space = spaces.Dict({"speed": spaces.Box(-1, 1, (1,)), "place": spaces.Box(-5, 5, (2,))})
    action_space = spaces.Box(-3, 1, (1,))

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, False, False, {}

    def render(self) -> Any:
        return np.zeros((32, 32, 3), np.uint8)


def test_an_agent_that_observes_by_name_is_given_its_observations_by_name(tmp_path: Path) -> None:
    gym.register("NamedParts-v0", Named, max_episode_steps=20)
    for policy_name, wrap in (("MultiInputPolicy", lambda env: env), ("MlpPolicy", gym.wrappers.FlattenObservation)):
        agent = PPO(policy_name, wrap(gym.make("NamedParts-v0")), seed=0, device="cpu")
        agent.save(tmp_path / "agent.zip")
        config = given(tmp_path / "agent.zip", env="NamedParts-v0")
        policy = trusted_policy(config, find(config.env))
        observation = Named.observation_space.sample()
        flat = np.asarray(spaces.flatten(Named.observation_space, observation), np.float32)
        own = agent.predict(observation if policy_name == "MultiInputPolicy" else flat, deterministic=True)[0]
        # From [-3, 1] to [-1, 1].
        np.testing.assert_allclose(policy({"state": flat}), (own + 1) / 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: given(path, env="CartPole-v1"), r"observes Box\(\[-1.*CartPole-v1' has Box\(\[-4\.8"),
        (lambda path: given(path, "sac"), r"ppo\.zip is damaged or of another kind.*another algorithm by --teacher"),
        (lambda path: given(path.parent / "none.zip"), r"There is no agent at .*none\.zip"),
    ],
)
def test_an_agent_that_does_not_fit_is_refused_before_any_work(
    make: Callable[[Path], ImitationConfig], complaint: str, saved: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=complaint):
        EXPERIMENT.run_all(replace(make(saved), out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_an_agent_of_other_actions_is_refused(tmp_path: Path) -> None:
    env = gym.wrappers.RescaleAction(gym.make("Pendulum-v1"), np.float32(-1), np.float32(1))
    PPO("MlpPolicy", env, seed=0, device="cpu").save(tmp_path / "agent.zip")
    with pytest.raises(ValueError, match=r"has the actions Box\(-1\.0, 1\.0.*takes Box\(-2\.0, 2\.0"):
        check_inputs(given(tmp_path / "agent.zip"))


def test_a_file_that_is_no_agent_is_refused_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "poor.zip").write_bytes(b"no zip at all")
    with pytest.raises(ValueError, match=r"poor\.zip is damaged or of another kind \(\w+\); name a zip") as raised:
        check_inputs(given(tmp_path / "poor.zip"))
    assert "pickle" not in str(raised.value)


def test_a_zip_is_not_loaded_as_a_folder(saved: Path) -> None:
    with pytest.raises(ValueError, match=r"runs the code in it. If you trust it, name it by --teacher\.trusted-zip"):
        TeacherConfig(folder=saved)
    with pytest.raises(ValueError, match=r"ppo\.zip, which runs the code in it .*--teacher\.trusted-zip"):
        check_inputs(replace(CONFIG, teacher=TeacherConfig(folder=saved.parent)))
    with pytest.raises(ValueError, match="both name a teacher"):
        TeacherConfig(folder=saved.parent, trusted_zip=saved)
    with pytest.raises(ValueError, match=r"There is no record of an agent's units at .*teachers/NAME/agent"):
        check_inputs(replace(CONFIG, teacher=TeacherConfig(folder=saved.parent.parent)))


def test_an_agent_of_this_project_is_filmed_from_its_folder(tmp_path: Path) -> None:
    trained = replace(CONFIG, out=tmp_path, teacher=TeacherConfig(algo="ppo", steps=320, attempts=2))
    environment = find(CONFIG.env)
    film = Shared(trained, environment).demonstration
    folder = trained.teacher_folder / "agent"
    # Other play has other units, and the teacher has kept its own.
    other = replace(CONFIG.play, seed=3)
    again = replace(trained, out=tmp_path / "again", play=other, teacher=TeacherConfig(folder=folder, attempts=2))
    check_inputs(again)
    assert (Shared(again, environment).standard.mean != Shared(trained, environment).standard.mean).any()
    assert again.teacher_key != trained.teacher_key
    np.testing.assert_array_equal(Shared(again, environment).demonstration.frames, film.frames)
    with pytest.raises(ValueError, match=r"has units of another state than one of 4 finite numbers"):
        check_inputs(replace(again, env=replace(again.env, id="CartPole-v1")))
    (folder / "units.json").write_text('{"mean": [0, "x", 1], "spread": [1, 1, 1]}')
    with pytest.raises(ValueError, match=r"units\.json is damaged"):
        check_inputs(again)
