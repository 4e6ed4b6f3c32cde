"""An imitation in any environment of a Gymnasium id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from agents import factory
from encoders.base import Encoder
from encoders.clips.clips import Clips
from encoders.clips.recordings import open_recordings, recordings_in
from experiments.any_environment.clips import with_own
from experiments.any_environment.config import ImitationConfig
from experiments.any_environment.environment import Environment, find
from experiments.any_environment.learner import (
    Place,
    Rollouts,
    compared,
    compared_play,
    extent,
    make_learner,
    mean_action,
    pace_warning,
    random_actions,
    recorded_starts,
    rollouts,
    tracking_reward,
)
from experiments.any_environment.motion import clips_of, moving
from experiments.any_environment.page import imitation_page
from experiments.any_environment.shared import Shared
from experiments.any_environment.teacher import check_actions, teacher_algo
from experiments.any_environment.trusted import check_given_teacher
from experiments.any_environment.videos import most_alike, of_video
from experiments.imitation.audit import LIKENESS_VIDEOS, Evidence, spread
from experiments.imitation.demonstration import Demonstration, Start, goal_of, measure_scales
from experiments.imitation.parallel import ParallelPipeline
from experiments.imitation.pipeline import Evaluation, Task, experiment
from experiments.runs.choices import NO_ENCODER
from rewards.clock import PROGRESS
from rewards.targets import positions

REFERENCE_EPISODES = 20
"""Episodes of random actions that are a run's reference."""

DEMONSTRATION_SHARE = 0.1
"""Of the episodes that an encoder learns from, how many are the demonstration itself, over and over."""

SHOWN = 192
"""Width and height of frames that people look at, pixels, at least."""


class GymnasiumImitation(ParallelPipeline[ImitationConfig]):
    """An imitation in any environment of a Gymnasium id.

    Args:
        config: The run.
        seed: Its seed.
    """

    @property
    def gamma(self) -> float:
        """As configured."""
        return self.config.gamma

    @property
    def rollout(self) -> int | None:
        """As configured."""
        return self.config.rollout or None

    @property
    def truth(self) -> bool:
        """The environment's reward is the true one."""
        return True

    @cached_property
    def environment(self) -> Environment:
        """Where."""
        return find(self.config.env)

    @cached_property
    def shared(self) -> Shared:
        """What all runs of this configuration share."""
        return Shared(self.config, self.environment)

    @property
    def horizon(self) -> int:
        """Steps of an episode."""
        return self.environment.horizon

    @property
    def fps(self) -> float:
        """As the environment has it."""
        return self.environment.fps

    def record(self) -> None:
        """Random play."""
        self.shared.play  # noqa: B018 - recorded when it is asked for

    @property
    def demonstration(self) -> Demonstration:
        """The video, or a teacher's film; with the teacher's other episodes, which the embedding is learned from."""
        self.shared.others  # noqa: B018 - recorded when it is asked for
        return self.shared.demonstration

    def validation_clips(self, least: int) -> Clips:
        """Held-out episodes.

        Raises:
            ValueError: If all are too short.
        """
        held_out = self.shared.episodes[1]
        clips = clips_of(held_out, least)
        if not len(clips):
            raise ValueError(
                f"The loss of {self.config.encoder!r} compares {least} successive moments, and held-out episodes have "
                f"at most {max(len(episode.frames) for episode in held_out)} in which something moves; narrow the "
                "encoder's ranges, such as --encoder-settings negative_range=3 positive_range=1."
            )
        return clips

    def training_clips(self, least: int) -> Clips:
        """Episodes, and the video, where enough moves in it, as often as makes it a share of all."""
        recorded, frames = clips_of(self.shared.episodes[0], least), self.shared.demonstration.frames[:, 0]
        video = frames[moving(frames, self.shared.least_change)][None]
        copies = max(1, round(DEMONSTRATION_SHARE * len(recorded))) if video.shape[1] >= least else 0
        clips = Clips([*recorded.videos, *[video] * copies], (*recorded.names, *["the video"] * copies))
        folder = self.config.clips
        return clips if folder is None else with_own(clips, folder, self.config.env.image_size, least, self.fps)

    def evidence(self) -> Evidence:
        """Held-out episodes, without what stands still."""
        learned, held_out = self.shared.episodes
        clips, recorded = clips_of(held_out, 1), clips_of(learned, 1)
        states = [self.shared.standard.units(episode.states) for episode in held_out]
        known = states if self.environment.observed else None
        some = recorded.subset(spread(len(recorded), LIKENESS_VIDEOS).tolist())
        return Evidence(clips, clips, clips, some, states=known, places=known)

    def start(self, encoder: Encoder | None) -> tuple[Start | None, float]:
        """Where the film begins, or in the recorded state that looks most like the video's first frame."""
        demonstration = self.shared.demonstration
        if demonstration.start is not None:
            return demonstration.start, 0.0
        states, distance = most_alike(demonstration.frames[0, 0], self.shared.play, encoder)
        return states or None, distance

    def place(self, task: Task) -> Place:
        """What makes the learner's environments."""
        return Place(self.environment, self.shared.standard, task)

    def learner(self, task: Task, bfloat16: bool) -> VecEnv:
        """The environments that the agent learns in."""
        place, play = self.place(task), self.shared.play
        own = compared_play(self.config, place, play)
        starts = recorded_starts(self.config, place, play, own)
        return make_learner(self.config, place, starts, self._far(task, own), bfloat16, self.seed)

    def _far(self, task: Task, own: NDArray[np.float64]) -> float:
        return extent(compared(self.config, task)[1], own)

    def restart_of(self, agent: BaseAlgorithm) -> Callable[[int], None]:
        """Episodes that begin along the video have no common length; the steps before one tell it from all others."""
        venv = agent.env
        assert venv is not None

        def restart(steps: int) -> None:
            venv.env_method("start_with", steps)

        return restart

    def evaluate(self, agent: BaseAlgorithm, task: Task) -> Evaluation:
        """Whole episodes from where the video begins, beside random actions."""
        place, demonstration = self.place(task), self.shared.demonstration
        progress = None
        if self.config.clock == PROGRESS:
            far = self._far(task, compared_play(self.config, place, self.shared.play))
            progress = tracking_reward(self.config, task, far)
        own = rollouts(place, mean_action(agent), self.config.episodes, self.evaluation_seed, progress=progress)
        random = self._random(place, self.seed)
        moments = positions(len(demonstration.frames), self.horizon + 1, demonstration.times)
        shown = demonstration.frames[np.round(moments).astype(int), 0][1:]
        figures = {
            "true_return": own.true_return,
            "true_returns": own.true_returns,
            "random_return": random.true_return,
            "demonstration_return": demonstration.true_return,
            "share": share(own.true_return, random.true_return, demonstration.true_return),
            "state_error": own.state_error,
            "random_state_error": random.state_error,
            "progress": own.progress,
        }
        return Evaluation(figures, own.distances, enlarged(shown), enlarged(own.frames[1:]))

    def _random(self, place: Place, seed: int) -> Rollouts:
        actions = random_actions(self.environment, seed)
        return rollouts(place, actions, REFERENCE_EPISODES, seed, drawn=False)

    def warnings(self, task: Task, known: dict[str, Any]) -> dict[str, str]:
        """Of a video that may wait for ever."""
        waiting = pace_warning(self.config, task, known["video_distance"])
        return {} if waiting is None else {"pace": waiting}

    def random_figures(self) -> tuple[float, float]:
        """True return of random actions on this demonstration, as score and as return."""
        demonstration = self.demonstration
        task = Task(
            goal_of(demonstration, None, self.horizon),
            measure_scales(None, self.evidence().validation),
            None,
            demonstration.start,
        )
        random = self._random(self.place(task), 0)
        return random.true_return, random.true_return

    def facts(self) -> dict[str, Any]:
        """Where, and what is imitated."""
        demo = self.config.demo
        return {
            **super().facts(),
            "env": self.config.env.id,
            "clock": self.config.clock,
            "demo": None if demo is None else str(demo),
        }


def check_inputs(config: ImitationConfig) -> None:
    """Refuses inputs that would fail later.

    Raises:
        ValueError: If the environment, the video, the clips or the encoder cannot be used, an agent does not take the
            environment's actions, or the reward needs a truth that is not there.
    """
    pipeline = GymnasiumImitation(config, config.seeds[0])
    environment = pipeline.environment
    check_actions(config.algo, environment, "--algo")
    factory.part_of(environment.horizon, environment.horizon)
    if config.demo is None:
        teacher_algo(config, environment)
        check_given_teacher(config, environment)
    else:
        of_video(config.demo, config.env.image_size, config.demo_start, config.demo_stop)
    if config.source.key == "joint_positions" and (config.demo is not None or not environment.observed):
        raise ValueError(
            f"reward {config.reward!r} needs the true state, and nothing tells it of this video; use 'tcn_huber'."
        )
    if config.encoder_folder is not None:
        pipeline.given_encoder(config.encoder_folder)
    if config.clips is not None:
        open_recordings(recordings_in(config.clips), config.env.image_size)
    if config.encoder != NO_ENCODER and (views := config.new_encoder().sampling.views) > 1:
        raise ValueError(
            f"The encoder {config.encoder!r} learns from {views} views of a moment, and an environment shows one; "
            "choose an objective of a single view."
        )


def share(own: float, random: float, demonstration: float | None) -> float | None:
    """Where a return lies between those of random actions, 0, and of the demonstration, 1; None if that is unknown."""
    if demonstration is None or demonstration == random:
        return None
    return (own - random) / (demonstration - random)


def enlarged(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames as large as people like to look at them, pixel by pixel."""
    times = max(1, SHOWN // frames.shape[1])
    return frames.repeat(times, axis=1).repeat(times, axis=2)


def result_line(result: Mapping[str, Any]) -> dict[str, str]:
    """What the table that ends the runs tells of one."""
    known = result["demonstration_return"] is not None
    return {
        "true return": f"{result['true_return']:.2f}",
        "random actions": f"{result['random_return']:.2f}",
        "the demonstration": f"{result['demonstration_return']:.2f}" if known else "unknown",
        "share": f"{result['share']:.0%}" if result["share"] is not None else "",
        "steps/s": f"{result['env_steps_per_second']:,.0f}",
    }


EXPERIMENT = experiment(
    GymnasiumImitation,
    check_inputs,
    imitation_page,
    lambda config: f"{config.variant}: {config.episodes} episodes",
    result_line,
)
"""Imitations in any environment, as runs."""
