"""Pretraining of masks: the attention module is fitted to frames of a random policy."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import encoders
from encoders.clips.clips import Clips
from encoders.device import choose_device
from encoders.errors import check_choice
from encoders.files import write_atomically
from encoders.models.attention import Attention
from encoders.training.fit import fit
from envs.atari import AtariConfig, AtariVecEnv
from experiments.atari.config import AtariRunConfig
from experiments.runs.pretraining import check_given, shared_encoder

GAMES_AT_ONCE = 16
GAME_FRAMES = 250
"""Fewest frames of each parallel game; starting an emulator takes as long as so many frames."""


def random_play(game: str, config: AtariConfig, frames: int, seed: int) -> Clips:
    """Observations of a random policy, as clips; each is a stretch of one game.

    Args:
        game: Its name.
        config: How it is played.
        frames: Observations in all.
        seed: Of the actions and of the games' beginnings.

    Returns:
        Clips of (1, T, S, S, stack) uint8.
    """
    rng = np.random.default_rng(seed)
    games = min(GAMES_AT_ONCE, max(1, frames // GAME_FRAMES))
    venv = AtariVecEnv(game, games, config, training=False, seed=seed)
    stretches: list[list[NDArray[np.uint8]]] = [[] for _ in range(games)]
    videos: list[NDArray[np.uint8]] = []
    observations = venv.reset()
    for _ in range(max(1, frames // games)):
        for stretch, observation in zip(stretches, observations, strict=True):
            stretch.append(observation.transpose(1, 2, 0))
        observations, _, dones, _ = venv.step(rng.integers(venv.actions, size=games))  # type: ignore[assignment]
        for index in np.flatnonzero(dones):
            videos.append(np.stack(stretches[index])[None])
            stretches[index] = []
    videos += [np.stack(stretch)[None] for stretch in stretches if stretch]
    venv.close()
    videos = [video for video in videos if video.shape[1] > 1]
    return Clips(videos, tuple(f"{game} {index}" for index in range(len(videos))))


def frozen_mask(config: AtariRunConfig, seed: int) -> Attention:
    """The attention module of a run with a frozen mask: given, loaded, or trained now.

    Raises:
        ValueError: If the given one is no attention module, or was made for other frames.
    """
    if config.encoder_folder is not None:
        return given_mask(config, config.encoder_folder)
    folder = config.mask_folder(seed)
    return _attention(shared_encoder(folder, lambda: _fitted_mask(config, seed, folder)), folder)


def _fitted_mask(config: AtariRunConfig, seed: int, folder: Path) -> Attention:
    # A fixed number of threads gives the same sums every time.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    attention = new_attention(config).to(choose_device(config.device))
    if config.mask == "untrained":
        attention.save(folder)
        return attention.eval()
    parts = [
        random_play(game, config.atari, config.training.frames, 1_000 * seed + rank)
        for rank, game in enumerate(config.mask_games)
    ]
    training, validation = (
        _joined([_share(part, first, last) for part in parts]) for first, last in ((0.0, 0.9), (0.9, 1.0))
    )
    curve: list[dict[str, float]] = []
    fit(attention, training, validation, config.training.fit, seed, folder, curve.append)
    write_atomically(folder / "curve.json", json.dumps(curve, indent=2).encode())
    return attention


def new_attention(config: AtariRunConfig) -> Attention:
    """An attention module for a run's frames, with weights from torch's generator."""
    return _attention(encoders.make("attention", **asdict(config.attention)), config.out)


def given_mask(config: AtariRunConfig, folder: Path) -> Attention:
    """The attention module in a folder that the user names.

    Raises:
        ValueError: If it is another encoder, was made for other frames, or has a distance scale that is none.
    """
    attention = _attention(encoders.load(folder), folder)
    size = config.atari.image_size
    # An untrained mask has no distance scale, and needs none.
    check_given(attention, folder, (config.atari.stack, size, size), fitted=False)
    return attention


def _attention(encoder: encoders.Encoder, folder: Path) -> Attention:
    check_choice(f"encoder in {folder}", encoder.name, ["attention"])
    assert isinstance(encoder, Attention)
    return encoder


def _share(clips: Clips, first: float, last: float) -> Clips:
    """A share of the clips in their order; at least one."""
    start, stop = round(first * len(clips)), round(last * len(clips))
    return clips.subset(range(min(start, len(clips) - 1), max(stop, start + 1)))


def _joined(parts: list[Clips]) -> Clips:
    """All clips; ``sample_batch`` draws them alike, so games with more and shorter ones are seen more often."""
    return Clips(
        [video for part in parts for video in part.videos], tuple(name for part in parts for name in part.names)
    )
