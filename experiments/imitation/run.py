"""An imitation in any environment, stage by stage; a stage that is done is not repeated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from agents import factory
from agents.checkpoint import restore_checkpoint
from agents.training import CURVE_FILE, read_curve
from encoders.base import Encoder, channels_first
from encoders.clips.clips import Clips
from encoders.device import agent_device, choose_device
from encoders.errors import check_figures
from encoders.files import write_atomically
from encoders.precision import uses_bfloat16
from encoders.training.fit import calibrate, fit
from envs.embedding import embed_views
from experiments.imitation import learner
from experiments.imitation.audit import judge_likeness, judge_order, judge_reward
from experiments.imitation.config import ImitationConfig, new_encoder
from experiments.imitation.demonstration import (
    Demonstration,
    goal_of,
    most_alike,
    of_film,
    of_video,
    scales_of,
)
from experiments.imitation.environment import Environment, find
from experiments.imitation.motion import Episode, clips_of, episodes_of, least_change, moving
from experiments.imitation.page import imitation_page
from experiments.imitation.play import Policy, Recording, load_or_record, random_play
from experiments.imitation.teacher import (
    Standard,
    acting,
    check_actions,
    filmed,
    other_demonstrations,
    taught,
    teacher_algo,
)
from experiments.report import figures, run_page
from experiments.runs.choices import NO_ENCODER
from experiments.runs.experiment import Experiment
from experiments.runs.folder import Stopwatch, console
from experiments.runs.learning import learn_to_end, progress_bar
from experiments.runs.pretraining import check_distance_scale, given_encoder, shared_encoder
from experiments.runs.tracking import tracking_of
from rewards.audit import Likeness
from rewards.targets import positions

DEMONSTRATION_SHARE = 0.1
"""Of the episodes that an encoder learns from, how many are the demonstration itself, over and over."""

REFERENCE_EPISODES = 20
"""Episodes of random actions that are a run's reference."""


def check_inputs(config: ImitationConfig) -> None:
    """Refuses inputs that would fail later.

    Raises:
        ValueError: If the environment, the video or the encoder cannot be used, an agent does not take the
            environment's actions, or the reward needs a truth that is not there.
    """
    environment = find(config.env)
    check_actions(config.algo, environment, "--algo")
    factory.part_of(environment.horizon, environment.horizon)
    if config.demo is None:
        teacher_algo(config, environment)
    else:
        of_video(config.demo, config.env.image_size, config.demo_start, config.demo_stop)
    if config.source.key == "joint_positions" and (config.demo is not None or not environment.observed):
        raise ValueError(
            f"reward {config.reward!r} needs the true state, and nothing tells it of this video; use 'tcn_huber'."
        )
    if config.encoder_folder is not None:
        encoder_in(config, config.encoder_folder)
    if config.encoder != NO_ENCODER and (views := new_encoder(config).sampling.views) > 1:
        raise ValueError(
            f"The encoder {config.encoder!r} learns from {views} views of a moment, and an environment shows one; "
            "choose an objective of a single view."
        )


class Shared:
    """What all runs of a configuration share: recorded play, the teacher, and its film; each is made when asked for.

    Args:
        config: The run.
        environment: Where.
    """

    def __init__(self, config: ImitationConfig, environment: Environment) -> None:
        self._config = config
        self._environment = environment

    @cached_property
    def play(self) -> Recording:
        """Random actions."""
        config, environment = self._config, self._environment
        return load_or_record(
            config.play_file, environment, config.play.episodes, config.play.seed, lambda: random_play(environment)
        )

    @cached_property
    def standard(self) -> Standard:
        """Units of the state."""
        return Standard.of(self.play)

    @cached_property
    def teacher(self) -> Policy:
        """What acts in the film."""
        return acting(taught(self._config, self._environment, self.standard), self.standard)

    @cached_property
    def demonstration(self) -> Demonstration:
        """The video to imitate."""
        config = self._config
        if config.demo is not None:
            return of_video(config.demo, config.env.image_size, config.demo_start, config.demo_stop)
        return of_film(filmed(config, self._environment, lambda: self.teacher))

    @cached_property
    def others(self) -> Recording | None:
        """The teacher's other episodes."""
        if self._config.demo is not None:
            return None
        return other_demonstrations(self._config, self._environment, lambda: self.teacher)

    @cached_property
    def least_change(self) -> float:
        """The change of a picture that counts as movement."""
        return least_change(self.play.frames)

    @cached_property
    def episodes(self) -> tuple[list[Episode], list[Episode]]:
        """What an encoder learns from, and what is held out, of play and of the teacher's other episodes alike.

        Raises:
            ValueError: If too little moves in what is held out.
        """
        held = self._config.play.validation
        play = episodes_of(self.play, self.least_change)
        others = [] if self.others is None else episodes_of(self.others, self.least_change)
        some = round(len(others) * held / len(play))
        learned, held_out = [*play[held:], *others[some:]], [*play[:held], *others[:some]]
        held_out = [episode for episode in held_out if len(episode.frames) > 1]
        if len(held_out) < 2:
            raise ValueError(
                f"Of {held} held-out episodes of play {len(held_out)} show any movement; record more, by "
                "--play.episodes and --play.validation."
            )
        return learned, held_out


class Stages:
    """The stages of one run.

    Args:
        config: The run.
        seed: Its seed.
        folder: Its folder.
        environment: Where.
    """

    def __init__(self, config: ImitationConfig, seed: int, folder: Path, environment: Environment) -> None:
        self._config = config
        self._seed = seed
        self._folder = folder
        self._environment = environment
        self._shared = Shared(config, environment)

    def run(self, watch: Stopwatch) -> dict[str, Any]:
        """All of them; gives the content of ``result.json``."""
        config, seed, shared = self._config, self._seed, self._shared
        # Frames are too small to be scaled by several threads.
        torch.set_num_threads(1)
        with watch.stage("record"):
            play = shared.play
        with watch.stage("demonstrate"):
            demonstration, _ = shared.demonstration, shared.others
        torch.set_num_threads(config.threads)
        with watch.stage("fit"):
            encoder = None if config.encoder == NO_ENCODER else fitted_encoder(config, seed, shared)
            if encoder is not None:
                encoder.save(self._folder / "encoder")
        with watch.stage("audit"):
            audited, world = self._audit(encoder, play, demonstration)
        with watch.stage("train"):
            frames = channels_first(demonstration.frames)
            bfloat16 = encoder is not None and uses_bfloat16(config.precision, encoder, frames)
            agent = self._train(world, play, bfloat16)
        with watch.stage("evaluate"):
            own = learner.evaluate(world, learner.mean_action(agent), config.episodes, 10_000 * (seed + 1))
            random = learner.evaluate(
                world, learner.random_actions(self._environment, seed), REFERENCE_EPISODES, seed, drawn=False
            )
            self._show(demonstration, own)
        agent.env.close()  # type: ignore[union-attr]
        curve = read_curve(self._folder / CURVE_FILE)
        return {
            "status": "completed",
            "env": config.env.id,
            "encoder": config.encoder,
            "encoder_settings": list(config.encoder_settings),
            "algo": config.algo,
            "reward": config.reward,
            "seed": seed,
            "demo": None if config.demo is None else str(config.demo),
            "env_steps": agent.num_timesteps,
            "true_return": own.true_return,
            "true_returns": own.true_returns,
            "random_return": random.true_return,
            "demonstration_return": demonstration.true_return,
            "share": share(own.true_return, random.true_return, demonstration.true_return),
            "state_error": own.state_error,
            "random_state_error": random.state_error,
            "final_distance": float(own.distances[-1]),
            **audited,
            "precision": "bfloat16" if bfloat16 else "float32",
            "env_steps_per_second": curve[-1]["env_steps"] / curve[-1]["seconds"],
            "wall_seconds": watch.seconds,
        }

    def _audit(
        self, encoder: Encoder | None, play: Recording, demonstration: Demonstration
    ) -> tuple[dict[str, Any], learner.World]:
        """What is known before training, and the learner's environments."""
        config, seed, shared = self._config, self._seed, self._shared
        learned, held_out = shared.episodes
        scales, standard = scales_of(encoder, held_out), shared.standard
        order = None if encoder is None else judge_order(encoder, held_out, np.random.default_rng([seed, 1]))
        reward = judge_reward(config, encoder, scales, standard, held_out, np.random.default_rng([seed, 2]))
        likeness = judge_likeness(encoder, demonstration.frames, held_out, learned)
        start, start_distance = demonstration.start, 0.0
        if start is None:
            states, start_distance = most_alike(demonstration.frames[0], play, encoder)
            start = states or None
        audited = {
            "triplet_accuracy": order,
            "reward_rank_correlation": None if reward is None else reward.rank_correlation,
            "video_distance": likeness.distance,
            "held_out_distance": likeness.held_out,
            "start_distance": start_distance,
            "starts_where_the_video_does": start is not None,
        }
        check_figures("The audit", audited)
        write_atomically(self._folder / "audit.json", json.dumps(audited, indent=2).encode())
        self._tell(audited, [None if reward is None else reward.warning, _warning(likeness)])
        truth = learner.demonstration_states(demonstration, standard)
        goal = goal_of(demonstration, encoder, self._environment.horizon, truth)
        figures.plot_distance_matrix(
            embed_views(encoder, demonstration.frames[:, None]), self._folder / "distance_matrix.png"
        )
        return audited, learner.World(self._environment, standard, start, goal, scales, encoder)

    def _tell(self, audited: Mapping[str, Any], warnings: list[str | None]) -> None:
        if audited["triplet_accuracy"] is not None:
            console.print(f"  triplets of held-out play in order {audited['triplet_accuracy']:.1%}")
        if audited["reward_rank_correlation"] is not None:
            console.print(f"  rank correlation of reward and true distance {audited['reward_rank_correlation']:.3f}")
        console.print(
            f"  distance of the video to the nearest recorded moment {audited['video_distance']:.3g}; of held-out play "
            f"within {audited['held_out_distance']:.3g}"
        )
        if not audited["starts_where_the_video_does"]:
            warnings.append(
                f"The state of {self._config.env.id} cannot be set, so episodes begin where it begins; the video's "
                f"first frame is {audited['start_distance']:.3g} from the nearest recorded moment."
            )
        for warning in filter(None, warnings):
            console.print(f"  [bold yellow]warning:[/] {warning}")

    def _train(self, world: learner.World, play: Recording, bfloat16: bool) -> BaseAlgorithm:
        """Trains the agent, or brings a trained one back, and writes its curve, checkpoints and weights."""
        config, seed, folder = self._config, self._seed, self._folder
        starts = learner.recorded_starts(config, world, play)
        # The workers have the cores; threads that wait for one of them would wait for milliseconds at every layer.
        torch.set_num_threads(1)
        venv = learner.make_learner(config, world, starts, bfloat16, seed)
        horizon = self._environment.horizon
        device = agent_device(config.device, trains_convolutions=False)
        agent = factory.make(config.algo, venv, horizon, seed, gamma=config.gamma, device=device)
        restore_checkpoint(agent, folder / "checkpoint")

        def restart(steps: int) -> None:
            # Episodes that begin along the video have no common length; the steps before one tell it from all others.
            venv.env_method("start_with", steps)

        with progress_bar(
            config.steps,
            agent.num_timesteps,
            lambda row: f"learned return {row['learned_return']:.2f}, true {row['true_return']:.2f}",
        ) as report:
            learn_to_end(
                agent,
                folder,
                seed,
                steps=config.steps,
                row_steps=config.envs * horizon,
                checkpoint_steps=config.steps // 10,
                report=report,
                tracking=tracking_of(config, seed),
                restart=restart,
            )
        factory.save_agent(agent, config.algo, horizon, folder / "agent")
        figures.plot_curves(read_curve(folder / CURVE_FILE), f"{config.variant}, seed {seed}", folder / "curves.png")
        return agent

    def _show(self, demonstration: Demonstration, own: learner.Evaluation) -> None:
        """The video and the imitation side by side."""
        horizon, config = self._environment.horizon, self._config
        moments = positions(len(demonstration.frames), horizon + 1, demonstration.times)
        watched = demonstration.frames[np.round(moments).astype(int)][1:]
        figures.storyboard(watched, own.frames[1:], self._folder / "storyboard.png")
        figures.side_by_side(
            _enlarged(watched),
            _enlarged(own.frames[1:]),
            own.distances,
            self._environment.fps,
            self._folder / "side_by_side.mp4",
            config.encoder != NO_ENCODER,
        )


def share(own: float, random: float, demonstration: float | None) -> float | None:
    """Where a return lies between those of random actions, 0, and of the demonstration, 1; None if that is unknown."""
    if demonstration is None or demonstration == random:
        return None
    return (own - random) / (demonstration - random)


def encoder_in(config: ImitationConfig, folder: Path) -> Encoder:
    """The encoder in a folder that the user names.

    Raises:
        ValueError: If it is damaged, of another name, made for other frames, or was never fitted.
    """
    return given_encoder(folder, config.encoder, (3, config.env.image_size, config.env.image_size))


def fitted_encoder(config: ImitationConfig, seed: int, shared: Shared) -> Encoder:
    """The encoder of a seed, on its device: loaded if it is there, else trained (or only calibrated, for the control).

    Raises:
        ValueError: If it is damaged, or has a distance scale that is none.
    """
    device = choose_device(config.device)
    if config.encoder_folder is not None:
        return encoder_in(config, config.encoder_folder).to(device)
    folder = config.shared_encoder(seed)

    def prepare() -> Encoder:
        torch.manual_seed(seed)
        encoder = new_encoder(config).to(device)
        learned, held_out = shared.episodes
        validation = clips_of(held_out, encoder.sampling.least)
        if not len(validation):
            raise ValueError(
                f"The loss of {config.encoder!r} compares {encoder.sampling.least} successive moments, and held-out "
                f"episodes have at most {max(len(episode.frames) for episode in held_out)} in which something moves; "
                "narrow the encoder's ranges, such as --encoder-settings negative_range=3 positive_range=1."
            )
        if not config.source.trained:
            return calibrate(encoder, validation, folder)
        training = _with_video(clips_of(learned, encoder.sampling.least), shared, encoder.sampling.least)
        return fit(encoder, training, validation, config.fit, seed, folder)

    encoder = shared_encoder(folder, prepare).to(device)
    check_distance_scale(encoder, folder)
    return encoder


def _with_video(recorded: Clips, shared: Shared, least: int) -> Clips:
    """Recorded clips, and the video, where enough moves in it, as often as makes it a share of all."""
    frames = shared.demonstration.frames
    video = frames[moving(frames, shared.least_change)][None]
    copies = max(1, round(DEMONSTRATION_SHARE * len(recorded))) if video.shape[1] >= least else 0
    return Clips([*recorded.videos, *[video] * copies], (*recorded.names, *["the video"] * copies))


def _enlarged(frames: NDArray[np.uint8], side: int = 192) -> NDArray[np.uint8]:
    """Frames as large as people like to look at them, pixel by pixel."""
    times = max(1, side // frames.shape[1])
    return frames.repeat(times, axis=1).repeat(times, axis=2)


def _warning(likeness: Likeness) -> str | None:
    return likeness.warning


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


def _stages(config: ImitationConfig, seed: int, folder: Path, watch: Stopwatch) -> dict[str, Any]:
    return Stages(config, seed, folder, find(config.env)).run(watch)


EXPERIMENT = Experiment(
    check_inputs=check_inputs,
    stages=_stages,
    write_page=lambda folder, title, result: run_page.write(folder, title, imitation_page(result)),
    title=lambda config: f"{config.variant}: {config.episodes} episodes",
    line=result_line,
)
"""Imitations in any environment, as runs."""
