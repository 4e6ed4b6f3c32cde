"""A run on a game, stage by stage: the mask, the training, the evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from agents import factory, players
from agents.checkpoint import restore_checkpoint
from agents.extractor import trained_encoder
from agents.training import CURVE_FILE, read_curve
from encoders.device import agent_device
from encoders.models.attention import Attention
from envs.atari import AtariConfig, AtariVecEnv
from experiments.atari.config import AtariRunConfig
from experiments.atari.figures import film_mask, reconstruction_sheet
from experiments.atari.page import game_page
from experiments.atari.pretraining import frozen_mask, given_mask, new_attention, random_play
from experiments.report import figures, run_page
from experiments.runs.choices import NO_ENCODER
from experiments.runs.experiment import Experiment
from experiments.runs.folder import Stopwatch
from experiments.runs.learning import OwnLoss, learn_to_end, printed
from experiments.runs.tracking import tracking_of

EVALUATION_ENVS = 8


def games(config: AtariRunConfig) -> int:
    """Number of evaluation games, rounded up to a multiple of the parallel environments."""
    envs = min(EVALUATION_ENVS, config.episodes)
    return -(-config.episodes // envs) * envs


def result_line(result: Mapping[str, Any]) -> dict[str, str]:
    """A line of the final table of all seeds."""
    return {
        "score": f"{result['game_score']:,.0f}",
        "random policy": f"{result['random_score']:,.0f}",
        "steps/s": f"{result['env_steps_per_second'] or float('nan'):,.0f}",
    }


def check_inputs(config: AtariRunConfig) -> None:
    """Refuses an unusable mask before any work.

    Raises:
        ValueError: If ``encoder_folder`` holds none that fits.
    """
    if config.encoder_folder is not None:
        given_mask(config, config.encoder_folder)


def _stages(config: AtariRunConfig, seed: int, folder: Path, watch: Stopwatch) -> dict[str, Any]:
    torch.set_num_threads(1)
    with watch.stage("mask"):
        attention = _attention(config, seed)
    with watch.stage("train"):
        agent = train(config, seed, folder, attention)
    with watch.stage("evaluate"):
        scores = evaluate(agent, config.game, config.atari, config.episodes, seed=10_000 * (seed + 1))
        random_scores = evaluate(None, config.game, config.atari, config.episodes, seed=20_000 * (seed + 1))
        if attention is not None:
            trained = trained_encoder(agent)
            assert isinstance(trained, Attention)
            trained.save(folder / "encoder")
            film_mask(agent, trained, config.game, config.atari, seed, folder / "mask.mp4")
            clips = random_play(config.game, config.atari, 1_000, seed)
            reconstruction_sheet(trained, clips, np.random.default_rng(seed), folder / "reconstruction.png")
    curve = read_curve(folder / CURVE_FILE)
    return {
        "status": "completed",
        "game": config.rom,
        "algo": config.algo,
        "encoder": config.encoder,
        "encoder_settings": list(config.encoder_settings),
        "encoder_mode": None if attention is None else config.encoder_mode,
        "mask": None if attention is None or config.encoder_mode == "joint" else config.mask_name,
        "seed": seed,
        "env_steps": agent.num_timesteps,
        "game_score": float(np.mean(scores)),
        "scores": scores,
        "random_score": float(np.mean(random_scores)),
        "precision": "bfloat16" if config.bfloat16 else "float32",
        "env_steps_per_second": curve[-1]["env_steps"] / curve[-1]["seconds"] if curve else None,
        "wall_seconds": watch.seconds,
    }


def _attention(config: AtariRunConfig, seed: int) -> Attention | None:
    if config.encoder == NO_ENCODER:
        return None
    if config.encoder_mode == "frozen":
        return frozen_mask(config, seed)
    torch.manual_seed(seed)
    return new_attention(config)


def train(config: AtariRunConfig, seed: int, folder: Path, attention: Attention | None) -> BaseAlgorithm:
    """Trains the agent, or resumes it, and writes its curve, checkpoints and weights."""
    frozen = config.encoder_mode == "frozen"
    venv = AtariVecEnv(config.game, players.GAME_ALGORITHMS[config.algo].envs, config.atari)
    device = agent_device(config.device, trains_convolutions=True)
    agent = players.make(config.algo, venv, attention, frozen, seed, config.bfloat16, device)
    restore_checkpoint(agent, folder / "checkpoint")
    learn_to_end(
        agent,
        folder,
        seed,
        steps=config.steps,
        row_steps=config.row_steps,
        checkpoint_steps=config.checkpoint_steps,
        report=printed(lambda row: f"{row['env_steps']:,.0f} steps: {row['true_return']:.0f}"),
        own_loss=None if attention is None or frozen else OwnLoss(config.auxiliary, config.bfloat16),
        restart=lambda steps: _seed_games(venv, seed, steps),
        tracking=tracking_of(config, seed),
    )
    card = {"algo": config.algo, "game": config.rom, "frozen": frozen, "bfloat16": config.bfloat16}
    factory.save_policy(agent, card, folder / "agent")
    figures.plot_curves(read_curve(folder / CURVE_FILE), f"{config.variant}, seed {seed}", folder / "curves.png")
    return agent


def _seed_games(venv: AtariVecEnv, seed: int, steps: int) -> None:
    """Seeds the games that restart after so many steps, differently for every run."""
    venv.seed(int(np.random.default_rng([seed, steps]).integers(2**30)))


def evaluate(agent: BaseAlgorithm | None, game: str, config: AtariConfig, episodes: int, seed: int) -> list[float]:
    """Scores of whole games, played with sampled actions, as A2C's are.

    Args:
        agent: The trained agent; None plays at random.
        game: Its name.
        config: How it is played.
        episodes: Games at least; the same number from each of a few played at once, or short games would count more
            often.
        seed: Of the games and the actions.
    """
    envs = min(EVALUATION_ENVS, episodes)
    each = -(-episodes // envs)
    venv = AtariVecEnv(game, envs, config, training=False, seed=seed)
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    scores: list[list[float]] = [[] for _ in range(envs)]
    observations: Any = venv.reset()
    while min(map(len, scores)) < each:
        actions = rng.integers(venv.actions, size=envs) if agent is None else agent.predict(observations)[0]
        observations, _, _, infos = venv.step(actions)
        for mine, info in zip(scores, infos, strict=True):
            if "episode" in info and len(mine) < each:
                mine.append(info["episode"]["r"])
    return [score for mine in scores for score in mine]


EXPERIMENT = Experiment(
    check_inputs,
    _stages,
    run_page.writer(game_page),
    lambda config: f"{config.variant}: mean score of {games(config)} games",
    result_line,
)
"""Training and evaluation on a game, run as ``play_atari.py`` runs it."""
