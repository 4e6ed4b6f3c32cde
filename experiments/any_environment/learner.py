"""The learner's environments, where any id names them: where they begin, what they reward, how they are judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from envs.drawn import PIXELS, STATE
from envs.embedding import VecEmbeddingObservation, embed_views, upcoming
from envs.phase import VecPhaseObservation, phase
from envs.pixels import SeededEpisodes
from envs.starts import DemonstrationStarts, Starts, StartsAt, nearest
from experiments.any_environment.config import ImitationConfig
from experiments.any_environment.environment import Environment
from experiments.any_environment.play import Recording, moments_of
from experiments.any_environment.standard import Standard, make_standard
from experiments.imitation.audit import spread
from experiments.imitation.parallel import rewarded
from experiments.imitation.pipeline import Task
from rewards.clock import FIXED
from rewards.huber import huber_reward
from rewards.lost import lost_distance
from rewards.progress import VecProgressReward, reach
from rewards.sources import tracked
from rewards.wrappers import VecTrackingReward

STATES = 10
"""Recorded states for a moment of the video at most."""

MOMENTS = 500
"""Recorded moments whose distances from one another are measured."""


@dataclass(frozen=True)
class Place:
    """Where an agent imitates: makes its environments.

    Attributes:
        environment: Which.
        standard: Units of its state.
        task: What is to be done there.
    """

    environment: Environment
    standard: Standard
    task: Task

    def make(
        self, drawn: bool, starts: Starts | None = None, share: float = 0.0, seed: int | None = None
    ) -> gym.Env[Any, Any]:
        """One environment, with its own reward.

        Args:
            drawn: Whether frames are observed.
            starts: States along the demonstration.
            share: Of the episodes that begin in them.
            seed: Of all its episodes; none leaves them to the resets.
        """
        env = make_standard(self.environment, self.standard, drawn)
        if self.task.start is not None:
            env = StartsAt(env, self.task.start)
        if starts is not None:
            env = DemonstrationStarts(env, starts, share)
        return Monitor(env if seed is None else SeededEpisodes(env, seed))


def compared(config: ImitationConfig, task: Task) -> tuple[str, NDArray[np.floating], float]:
    """The observation that the reward compares, what it should be at every step, and the distance that counts as 1."""
    return tracked(config.reward, task.goal, task.scales, truth=STATE)


def compared_play(config: ImitationConfig, place: Place, play: Recording) -> NDArray[np.float64]:
    """What the reward compares, of every recorded moment; (N, D)."""
    key, _, _ = compared(config, place.task)
    if key == STATE:
        return place.standard.units(moments_of(play.states))
    frames = moments_of(play.frames)[:, None]
    return embed_views(None if key == PIXELS else place.task.encoder, frames).astype(np.float64)


def extent(path: NDArray[np.floating], own: NDArray[np.float64]) -> float:
    """What counts as far from a video: its extent, or that of recorded play if that is more.

    Of a video in which hardly anything moves, all else would be many times as far as it is long, and a reward in shares
    of that would be no more than noise near it.

    Args:
        path: What the video shows at every step, (T, ...).
        own: What recorded play shows, (N, D), in the same units.

    Returns:
        The largest distance between two moments of the video, or the median one between recorded moments.
    """
    return max(lost_distance(path, 1.0), float(np.median(pdist(own[spread(len(own), MOMENTS)]))))


def recorded_starts(config: ImitationConfig, place: Place, play: Recording, own: NDArray[np.float64]) -> Starts | None:
    """Recorded states that look like the video, for every step of it; None where none is wanted or can be set.

    Args:
        config: The run.
        place: The learner's.
        play: Recorded, with its states.
        own: What the reward compares of them.
    """
    if not config.starts or not play.snapshots:
        return None
    _, path, _ = compared(config, place.task)
    flat = np.asarray(path, np.float64).reshape(len(path), -1)
    # An episode that begins with the last frame has no step left.
    at = nearest(flat[:-1], own, STATES, lost_distance(flat, config.lost))
    if not any(map(len, at)):
        return None
    used = np.unique(np.concatenate(at))
    states = {name: moments_of(values)[used] for name, values in play.snapshots.items()}
    return Starts(states, tuple(np.searchsorted(used, indices) for indices in at))


def tracking_reward(config: ImitationConfig, task: Task, far: float) -> Callable[[VecEnv], VecEnv]:
    """The reward, around environments that observe what it compares and the phase.

    It is the Huber reward in shares of what it is at ``lost`` of what counts as far, so that its size is the same
    whatever is compared. With the clock ``progress`` it tells the phase and the video's next embedding too.

    Args:
        config: The run.
        task: What is to be done.
        far: What counts as far from the video, in the units of what is compared.
    """
    key, path, scale = compared(config, task)
    largest = -float(huber_reward(np.array([config.lost * far]), np.zeros(1), config.huber, scale))
    huber = replace(config.huber, alpha=config.huber.alpha / largest, beta=config.huber.beta / largest)
    if config.clock == FIXED:
        return partial(VecTrackingReward, key=key, path=path, config=huber, scale=scale)
    horizon, embeddings = task.goal.horizon, task.goal.embeddings
    told = {"phase": phase(np.arange(horizon + 1), horizon)}
    if task.encoder is not None and embeddings is not None:
        told["demonstration"] = upcoming(embeddings)
    return partial(VecProgressReward, key=key, path=path, config=huber, scale=scale, threshold=reach(path), told=told)


def pace_warning(config: ImitationConfig, task: Task, distance: float) -> str | None:
    """A warning where a video that waits for the agent may wait for ever.

    Args:
        config: The run.
        task: The learner's.
        distance: Of the video from the nearest recorded moments, median, in the units of the embedding or of pixels.
    """
    key, path, _ = compared(config, task)
    if config.clock == FIXED or key == STATE or distance < (within := reach(path)):
        return None
    return (
        f"The video goes on where the agent is within {within:.3g} of it, and the nearest recorded moments are "
        f"{distance:.3g} from it: it may wait for ever. Record more like it, by --play.episodes, or use --clock fixed."
    )


def make_learner(
    config: ImitationConfig, place: Place, starts: Starts | None, far: float, bfloat16: bool, seed: int
) -> VecEnv:
    """The vectorised environment of the learner; ``far`` is as of ``tracking_reward``."""
    task = place.task
    key, _, _ = compared(config, task)
    drawn = task.encoder is not None or key == PIXELS
    # What is only used in the parent does not travel to the workers.
    sent = replace(place, task=replace(task, encoder=None))
    factories: list[Callable[[], gym.Env[Any, Any]]] = [
        partial(sent.make, drawn, starts, config.starts, seed * config.envs + number) for number in range(config.envs)
    ]
    effort = config.effort if isinstance(place.environment.action_space, spaces.Box) else 0.0
    reward = tracking_reward(config, task, far)
    return rewarded(factories, config.workers, task, key, reward, bfloat16=bfloat16, phase=True, effort=effort)


@dataclass(frozen=True)
class Rollouts:
    """What a policy does from where the video begins.

    Attributes:
        true_returns: The environment's own, one an episode.
        state_errors: Mean distance from the demonstration's state over time, standard deviations a number of the state,
            one an episode; None without truth.
        distances: Of embeddings (without an encoder, of pixels) after every step of the first episode.
        frames: Of the first episode, (horizon + 1, S, S, 3) uint8.
        progress: Mean share of the demonstration that was reached; None where the time alone moves it on.
    """

    true_returns: list[float]
    state_errors: list[float] | None
    distances: NDArray[np.float64]
    frames: NDArray[np.uint8]
    progress: float | None = None

    @property
    def true_return(self) -> float:
        """Their mean."""
        return float(np.mean(self.true_returns))

    @property
    def state_error(self) -> float | None:
        """Their mean."""
        return None if self.state_errors is None else float(np.mean(self.state_errors))


Actor = Callable[[dict[str, NDArray[Any]]], Any]
"""Observations of one environment in a batch -> its action in a batch."""


def rollouts(
    place: Place,
    actor: Callable[[int], Actor],
    episodes: int,
    seed: int,
    drawn: bool = True,
    progress: Callable[[VecEnv], VecEnv] | None = None,
) -> Rollouts:
    """Plays whole episodes from where the video begins.

    Args:
        place: The learner's.
        actor: Gives what acts in an episode, by its number.
        episodes: How many.
        seed: Of the first reset.
        drawn: Whether frames are needed, by the policy or to be shown.
        progress: Tells the policy which moment of the video it is at, where that is not the time.
    """
    task, goal = place.task, place.task.goal
    venv: VecEnv = VecPhaseObservation(DummyVecEnv([partial(place.make, drawn)]), goal.horizon)
    if drawn and task.encoder is not None and goal.embeddings is not None:
        venv = VecEmbeddingObservation(venv, task.encoder, goal.embeddings, keep_pixels=True)
    if progress is not None:
        venv = progress(venv)
    returns, errors, frames, shares = [], [], [], []
    venv.seed(seed)
    observation: Any = venv.reset()
    for episode in range(episodes):
        act, states = actor(episode), []
        for step in range(goal.horizon):
            if episode == 0 and drawn:
                frames.append(observation[PIXELS][0])
            observation, _, _, infos = venv.step(act(observation))
            last = infos[0]["terminal_observation"] if step == goal.horizon - 1 else None
            if goal.joints is not None:
                states.append(observation[STATE][0] if last is None else last[STATE])
            if episode == 0 and drawn and last is not None:
                frames.append(last[PIXELS])
        returns.append(float(infos[0]["episode"]["r"]))
        if progress is not None:
            shares.append(infos[0]["progress"])
        if goal.joints is not None:
            apart = np.square(np.stack(states) - goal.joints[1:]).mean(axis=-1)
            errors.append(float(np.sqrt(apart).mean()))
    venv.close()
    shown = np.stack(frames) if drawn else np.empty((0, 1, 1, 3), np.uint8)
    path = goal.pixels if task.encoder is None or goal.embeddings is None else goal.embeddings
    apart = (
        np.linalg.norm(embed_views(task.encoder, shown[1:, None]) - path[1:].reshape(goal.horizon, -1), axis=1)
        if drawn
        else np.zeros(0)
    )
    return Rollouts(
        returns,
        errors if goal.joints is not None else None,
        np.asarray(apart, np.float64),
        shown,
        float(np.mean(shares)) if shares else None,
    )


def mean_action(agent: BaseAlgorithm) -> Callable[[int], Actor]:
    """An agent's deterministic policy, which sees what it was trained on."""
    assert isinstance(agent.observation_space, spaces.Dict)
    keys = list(agent.observation_space.spaces)
    return lambda _: lambda observation: agent.predict({key: observation[key] for key in keys}, deterministic=True)[0]


def random_actions(environment: Environment, seed: int) -> Callable[[int], Actor]:
    """Actions that are drawn anew at every step, all alike."""
    rng, space = np.random.default_rng(seed), environment.action_space

    def act(_: dict[str, NDArray[Any]]) -> Any:
        if isinstance(space, spaces.Discrete):
            return np.array([space.start + rng.integers(space.n)])
        return rng.uniform(-1.0, 1.0, (1, *space.shape)).astype(np.float32)

    return lambda _: act
