"""An imitation on the cartpole: its recordings, its film, its agent and their returns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents import factory
from agents.shared_sac import SharedEncoderSAC
from encoders.base import Encoder
from encoders.clips.clips import Clips
from encoders.files import read_object
from encoders.training.fit import FitConfig
from envs.cartpole import Cartpole
from envs.embedding import EmbeddingObservation, VecVectorObservation
from envs.observations import JOINT_STATE as OWN_STATE
from envs.phase import PhaseObservation
from envs.pixels import PixelObservation, SeededEpisodes, StateObservation
from envs.starts import DemonstrationStarts
from experiments.cartpole import swingup
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.demonstration import Film, filmed
from experiments.cartpole.figures import FILM_SIZE
from experiments.cartpole.imitation_config import EMBEDDING, STATE, CartpoleImitationConfig
from experiments.cartpole.page import imitation_page
from experiments.cartpole.pretraining import encoder_in, new_encoder, recorded
from experiments.cartpole.recordings import Recording, observed_joints
from experiments.cartpole.starts import recorded_starts
from experiments.cartpole.swingup import EVALUATION_SEED
from experiments.imitation.audit import LIKENESS_VIDEOS, Evidence, spread
from experiments.imitation.demonstration import Demonstration, Start
from experiments.imitation.pipeline import Evaluation, Pipeline, Task, experiment
from experiments.runs.folder import completed
from experiments.runs.pretraining import check_distance_scale
from experiments.runs.tracking import tracking_of
from rewards.lost import EndWhenLost, lost_reward
from rewards.sources import tracked
from rewards.wrappers import TrackingReward

ALIKE = ("observe", "preset", "task", "action_repeat", "learning")
"""What a teacher's configuration has in common with the one that would be trained in its place."""


class CartpoleImitation(Pipeline[CartpoleImitationConfig]):
    """An imitation of a swing-up, by the agents of the swing-up experiment.

    Args:
        config: The run.
        seed: Its seed.
    """

    @property
    def horizon(self) -> int:
        """Steps of the agent in an episode."""
        return self.config.reward_run.horizon

    @property
    def fps(self) -> float:
        """In the simulation's own time."""
        return swingup.fps(self.config.reward_run)

    @property
    def fit(self) -> FitConfig:
        """As the swing-up experiment has it."""
        return self.config.reward_run.frames.pretraining.fit

    @property
    def encoder_folder(self) -> Path | None:
        """As the swing-up experiment has it."""
        return self.config.reward_run.frames.folder if self.config.source.trained else None

    @cached_property
    def recording(self) -> Recording:
        """Random actions."""
        return recorded(self.config.reward_run, self.seed)

    @cached_property
    def film(self) -> Film:
        """The teacher's swing-up."""
        return filmed(self.config)

    def record(self) -> None:
        """Random actions."""
        self.recording  # noqa: B018 - recorded when it is asked for

    @cached_property
    def demonstration(self) -> Demonstration:
        """The film."""
        film = self.film
        return Demonstration(film.pixels[:, None], states=film.joints, true_return=film.true_return)

    def training_clips(self, least: int) -> Clips:
        """Most episodes."""
        return self.recording.clips[0]

    def validation_clips(self, least: int) -> Clips:
        """The others."""
        return self.recording.clips[1]

    def evidence(self) -> Evidence:
        """Episodes that were not learned from."""
        learned, held_out = self.recording.clips
        joints = list(observed_joints(self.recording.joints)[len(learned) :])
        some = learned.subset(spread(len(learned), LIKENESS_VIDEOS).tolist())
        return Evidence(held_out, held_out, held_out, some, states=joints, places=joints)

    def start(self, encoder: Encoder | None) -> tuple[Start, float]:
        """Where the task begins, as the film did: always alike."""
        return {}, 0.0

    def learner(self, task: Task, bfloat16: bool) -> VecEnv:
        """One environment; episodes begin along the video, and end where it is lost."""
        return make_learner(self.config, task, self.seed)

    def new_agent(self, venv: VecEnv, task: Task) -> SharedEncoderSAC:
        """As the swing-up experiment has it."""
        run = self.config.agent_run
        torch.manual_seed(self.seed)
        return swingup.new_agent(run, venv, new_encoder(run) if run.trains_encoder else None, self.seed)

    def learn(self, agent: BaseAlgorithm) -> None:
        """As the swing-up experiment does, but that episodes have no common length."""
        venv = agent.env
        assert venv is not None

        def start_with(steps: int) -> None:
            # The steps before an episode tell it from all others.
            venv.env_method("start_with", steps)

        swingup.learn(
            self.config.agent_run,
            cast(SharedEncoderSAC, agent),
            self.seed,
            self.folder,
            lambda row: (
                f"{row['env_steps']:,.0f} steps: learned {row['learned_return']:.0f}, true {row['true_return']:.0f}"
            ),
            tracking=tracking_of(self.config, self.seed),
            restart=start_with,
            true_key="replaced_return",
        )

    def save(self, agent: BaseAlgorithm) -> None:
        """Writes policy and card."""
        card = {"learner": self.config.learner, "reward": self.config.reward}
        factory.save_policy(agent, card, self.folder / "agent")

    def evaluate(self, agent: BaseAlgorithm, task: Task) -> Evaluation:
        """Whole episodes with the mean action: returns, and the pictures and distances of the first one."""
        config = self.config
        venv = make_learner(config, task, EVALUATION_SEED + self.seed, ends=False)
        large = Cartpole(config.swingup.task, FILM_SIZE, stack=1, camera=config.swingup.frames.camera)
        physics = venv.get_attr("physics")[0]
        observation: Any = venv.reset()
        true: list[float] = []
        learned: list[float] = []
        pictures, distances = [], []
        while len(true) < config.episodes:
            action = agent.predict(observation, deterministic=True)[0]
            observation, _, dones, infos = venv.step(action)
            if not true:
                distances.append(infos[0]["distance"])
                if not dones[0]:
                    pictures.append(large.reset(options={"joints": physics.data.qpos})[0]["pixels"])
            if dones[0]:
                true.append(float(infos[0]["replaced_return"]))
                learned.append(float(infos[0]["episode"]["r"]))
        venv.close()
        large.close()
        # The environment has been reset by the time the last step can be drawn.
        pictures.append(pictures[-1])
        figures = {
            "agent_steps": agent.num_timesteps,
            "episodes": config.episodes,
            "demonstration_return": self.film.true_return,
            "true_return": float(np.mean(true)),
            "learned_return": float(np.mean(learned)),
            "true_returns": true,
            "learned_returns": learned,
        }
        return Evaluation(figures, np.array(distances), self.film.large[1:], np.stack(pictures))

    def random_figures(self) -> tuple[float, float]:
        """True return of random actions, as score and as return."""
        score = float(np.mean(swingup.random_returns(self.config.reward_run, self.config.episodes)))
        return score, score

    def facts(self) -> dict[str, Any]:
        """What the agent observes."""
        return {"learner": self.config.learner}


def result_line(result: Mapping[str, Any]) -> dict[str, str]:
    """A run's line in the table that ends the runs."""
    return {
        "true return": f"{result['true_return']:.0f}",
        "learned return": f"{result['learned_return']:.0f}",
        "the video's true return": f"{result['demonstration_return']:.0f}",
    }


def check_inputs(config: CartpoleImitationConfig) -> None:
    """Refuses what would fail later.

    Raises:
        ValueError: If the teacher's folder holds no complete run or one that cannot be filmed for this imitation, an
            encoder cannot learn from the cartpole's frames or has no distance scale, or nothing can be drawn here.
    """
    if config.teacher is not None:
        check_teacher(config.teacher_run, config.teacher)
    swingup.check_inputs(config.reward_run)
    swingup.check_inputs(config.agent_run)
    folder = config.reward_run.frames.folder
    if folder is not None and config.source.trained:
        check_distance_scale(encoder_in(config.reward_run, folder), folder)


def check_teacher(wanted_run: SwingUpConfig, folder: Path) -> None:
    """Refuses a run that cannot be filmed.

    Args:
        wanted_run: The run that would do.
        folder: The one that is named.

    Raises:
        ValueError: If it is not complete, or differs in what makes up the environment or the network.
    """
    if not completed(folder):
        raise ValueError(f"{folder} holds no complete run; run swingup_cartpole.py, or leave --teacher out.")
    found = read_object(
        folder / "config.json", "teacher's configuration", "name the folder of a run, or leave --teacher out", ALIKE
    )
    wanted = json.loads(json.dumps(wanted_run.identity(0), default=str))
    for name in ALIKE:
        if found[name] != wanted[name]:
            raise ValueError(f"The teacher in {folder} has {name} {found[name]!r}; it takes {wanted[name]!r} here.")


def make_learner(
    config: CartpoleImitationConfig,
    task: Task,
    seed: int,
    ends: bool = True,
) -> VecEnv:
    """The environment as the learner sees it, with the distance from the video as reward.

    Args:
        config: The run.
        task: The video, and the reward's encoder.
        seed: Seed of the episodes.
        ends: Whether episodes begin along the video and end when it is lost, as in training; else all are whole, and
            the reward is the Huber reward as it is.
    """
    goal = task.goal
    assert task.encoder is not None and goal.embeddings is not None
    key, path, scale = tracked(config.reward, goal, task.scales)
    floor = lost_reward(path, config.lost, config.huber, scale)
    embeddings, frozen = goal.embeddings, task.encoder.frozen()
    embedded = key == "embedding" or config.learner == EMBEDDING
    starts = recorded_starts(config, key, path, frozen, seed) if ends else None

    def make_env() -> gym.Env[Any, Any]:
        env: gym.Env[Any, Any] = swingup.make_cartpole(config.reward_run, embedded or config.sees_frames)
        if embedded:
            env = EmbeddingObservation(env, frozen, embeddings, keep_pixels=config.sees_frames)
        env = TrackingReward(env, key, path, config.huber, scale)
        env = EndWhenLost(env, floor) if ends else env
        if config.learner == STATE:
            env = PhaseObservation(env, config.reward_run.horizon)
        env = env if starts is None else DemonstrationStarts(env, starts, config.starts)
        env = SeededEpisodes(env, seed)
        if config.sees_frames:
            env = PixelObservation(env)
        elif config.learner == STATE:
            env = StateObservation(env, (*OWN_STATE, "phase"))
        return Monitor(env)

    venv = DummyVecEnv([make_env])
    return VecVectorObservation(venv, left_out=OWN_STATE) if config.learner == EMBEDDING else venv


EXPERIMENT = experiment(
    CartpoleImitation,
    check_inputs,
    imitation_page,
    lambda config: f"{config.variant}: {config.episodes} episodes",
    result_line,
)
"""Imitation of a swing-up, run as ``imitate_cartpole.py`` runs it."""
