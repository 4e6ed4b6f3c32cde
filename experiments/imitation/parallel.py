"""Imitations in many environments at a time, spread over worker processes, by an agent of ``agents.factory``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from agents import factory
from encoders.base import Encoder
from encoders.device import agent_device
from encoders.training.fit import FitConfig
from envs.drawn import PIXELS
from envs.embedding import VecDropObservation, VecEmbeddingObservation
from envs.phase import VecPhaseObservation
from envs.workers import vectorised
from experiments.imitation.pipeline import Pipeline, Task
from experiments.imitation.settings import ParallelSettings
from experiments.runs.learning import OwnLoss, learn_to_end, progress_bar
from experiments.runs.tracking import tracking_of
from rewards.effort import VecEffortPenalty

Config = TypeVar("Config", bound=ParallelSettings)


class ParallelPipeline(Pipeline[Config]):
    """An imitation in many environments at a time.

    Args:
        config: The run.
        seed: Its seed.
    """

    @property
    def threads(self) -> int:
        """As configured."""
        return self.config.threads

    @property
    def precision(self) -> str:
        """As configured."""
        return self.config.precision

    @property
    def encoder_folder(self) -> Path | None:
        """As configured."""
        return self.config.encoder_folder

    @property
    def fit(self) -> FitConfig:
        """How the encoder is trained."""
        return self.config.fit

    @property
    def trains_encoder(self) -> bool:
        """Whether the agent trains a copy of the encoder."""
        return False

    @property
    def gamma(self) -> float | None:
        """Discount instead of the algorithm's own."""
        return None

    @property
    def rollout(self) -> int | None:
        """Steps of every environment between two updates, at most, instead of the algorithm's own."""
        return None

    @property
    def own_loss(self) -> OwnLoss | None:
        """Of an encoder that is trained with the agent."""
        return None

    @property
    @abstractmethod
    def truth(self) -> bool:
        """Whether the environment's own reward is the true one."""

    def new_agent(self, venv: VecEnv, task: Task) -> BaseAlgorithm:
        """An untrained agent, as its algorithm's preset has it."""
        config, joint = self.config, self.trains_encoder
        device = agent_device(config.device, trains_convolutions=joint)
        encoder = task.encoder if joint else None
        return factory.make(
            config.algo, venv, self.horizon, self.seed, encoder, gamma=self.gamma, rollout=self.rollout, device=device
        )

    def learn(self, agent: BaseAlgorithm) -> None:
        """Trains an agent to the end, a row of the curve for an episode in every environment."""
        config = self.config
        with progress_bar(
            config.steps,
            agent.num_timesteps,
            lambda row: f"learned return {row['learned_return']:.2f}, true {row['true_return']:.2f}",
        ) as report:
            learn_to_end(
                agent,
                self.folder,
                self.seed,
                steps=config.steps,
                row_steps=config.envs * self.horizon,
                checkpoint_steps=config.steps // 10,
                report=report,
                own_loss=self.own_loss,
                truth=self.truth,
                restart=self.restart_of(agent),
                tracking=tracking_of(config, self.seed),
            )

    def restart_of(self, agent: BaseAlgorithm) -> Callable[[int], None] | None:
        """What begins every environment anew after so many steps, where episodes have no common length."""
        return None

    def save(self, agent: BaseAlgorithm) -> None:
        """Writes policy and card."""
        factory.save_agent(agent, self.config.algo, self.horizon, self.folder / "agent")

    def facts(self) -> dict[str, Any]:
        """The algorithm."""
        return {"algo": self.config.algo}


def rewarded(
    factories: Sequence[Callable[[], gym.Env[Any, Any]]],
    workers: int,
    task: Task,
    compared: str,
    reward: Callable[[VecEnv], VecEnv],
    *,
    bfloat16: bool = False,
    joint: bool = False,
    phase: bool = False,
    effort: float = 0.0,
    hidden: Collection[str] = (),
) -> VecEnv:
    """The learner's environments in workers, and in each of them embeddings, then the reward.

    The encoder's one forward pass a step in each worker, or on a GPU in this process for all of them, serves
    observation and reward.

    Args:
        factories: Of the environments.
        workers: Number of processes; 1 steps all of them in this one.
        task: What is to be done. Without an encoder a learner observes its own state and the phase.
        compared: The observation that the reward compares.
        reward: The reward, around environments that observe it.
        bfloat16: Whether the encoder calculates in bfloat16.
        joint: Whether the agent trains an encoder of its own: then it observes pixels in place of embeddings, and the
            task's, which stays frozen, serves only the reward and the demonstration.
        phase: Whether the phase is observed beside embeddings too.
        effort: What an action of full force costs a step.
        hidden: Observations that the learner does not get.
    """
    encoder = task.encoder
    wrap = partial(
        _observe_and_reward,
        horizon=task.goal.horizon,
        encoder=None if encoder is None else encoder.frozen(bfloat16),
        embeddings=task.goal.embeddings,
        reward=reward,
        keep_pixels=compared == PIXELS or joint,
        dropped="embedding" if joint else PIXELS if compared == PIXELS else None,
        phase=phase,
        effort=effort,
        hidden=hidden,
    )
    return vectorised(list(factories), workers, wrap, None if encoder is None else encoder.device)


def _observe_and_reward(
    venv: VecEnv,
    horizon: int,
    encoder: Encoder | None,
    embeddings: NDArray[np.float32] | None,
    reward: Callable[[VecEnv], VecEnv],
    keep_pixels: bool,
    dropped: str | None,
    phase: bool,
    effort: float,
    hidden: Collection[str],
) -> VecEnv:
    """Wraps the environments of one worker: first observations, then the reward on them."""
    if encoder is None or embeddings is None:
        venv = VecPhaseObservation(venv, horizon, hidden)
    else:
        venv = VecPhaseObservation(venv, horizon) if phase else venv
        venv = VecEmbeddingObservation(venv, encoder, embeddings, keep_pixels, hidden)
    venv = reward(venv)
    venv = VecEffortPenalty(venv, effort) if effort else venv
    return venv if dropped is None else VecDropObservation(venv, dropped)
