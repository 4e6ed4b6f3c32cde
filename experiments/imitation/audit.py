"""Judging a reward and a video without any truth, and with it where there is some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.base import Encoder
from encoders.errors import check_figures
from encoders.metrics import sample_triplets, triplet_accuracy
from envs.drawn import PIXELS
from envs.embedding import embed_views
from experiments.imitation.config import ImitationConfig
from experiments.imitation.motion import Episode
from experiments.imitation.shared import Shared
from experiments.imitation.teacher import Standard
from rewards.audit import Likeness, RewardAudit, audit_reward, measure_likeness
from rewards.goal import Scales

TRIPLETS_AN_EPISODE = 100

POSITIVE_RANGE, NEGATIVE_RANGE = 3, 10
"""Ranges that triplets are judged at, frames."""

STATES = 1000
"""Recorded moments that a video is compared with, at most."""


def judge_order(encoder: Encoder, held_out: Sequence[Episode], rng: np.random.Generator) -> float | None:
    """Share of triplets of held-out episodes that are in the order of time; None where all episodes are too short.

    Args:
        encoder: Fitted.
        held_out: Not learned from.
        rng: Source of the triplets.
    """
    scores = []
    for episode in held_out:
        if len(episode.frames) >= NEGATIVE_RANGE + 2:
            triplets = sample_triplets(len(episode.frames), TRIPLETS_AN_EPISODE, POSITIVE_RANGE, NEGATIVE_RANGE, rng)
            scores.append(triplet_accuracy(embed_views(encoder, episode.frames[:, None]), triplets, 0.0).plain)
    return float(np.mean(scores)) if scores else None


def judge_reward(
    config: ImitationConfig,
    encoder: Encoder | None,
    scales: Scales,
    standard: Standard,
    held_out: Sequence[Episode],
    rng: np.random.Generator,
) -> RewardAudit | None:
    """How well the reward follows the true distance in held-out episodes; None where nothing is known of the truth."""
    if not held_out[0].states.shape[-1]:
        return None
    states = [(episode.states - standard.mean) / standard.spread for episode in held_out]
    scale = config.source.scale(scales)
    assert scale is not None  # a reward on embeddings without an encoder is refused with the configuration
    if config.source.key == "joint_positions":
        return audit_reward(states, states, config.huber, scale, rng)
    seen = encoder if config.source.key != PIXELS else None
    thinned = slice(None, None, 1 if seen is not None else 3)
    embeddings = [embed_views(seen, episode.frames[thinned, None]) for episode in held_out]
    return audit_reward(embeddings, [path[thinned] for path in states], config.huber, scale, rng, pairs=2000)


def judge_likeness(
    encoder: Encoder | None, video: NDArray[np.uint8], held_out: Sequence[Episode], learned: Sequence[Episode]
) -> Likeness:
    """How near a video is to recorded moments, beside how near held-out episodes are.

    Args:
        encoder: Fitted, or None to compare pixels.
        video: (T, S, S, 3) uint8.
        held_out: Not learned from.
        learned: Learned from, the video excepted.
    """
    recorded = np.concatenate([episode.frames for episode in learned])
    chosen = np.unique(np.linspace(0, len(recorded) - 1, min(STATES, len(recorded))).round().astype(int))
    return measure_likeness(
        embed_views(encoder, video[:, None]),
        [embed_views(encoder, episode.frames[::5, None]) for episode in held_out],
        embed_views(encoder, recorded[chosen, None]),
    )


def audit(
    config: ImitationConfig, seed: int, encoder: Encoder | None, shared: Shared, scales: Scales
) -> tuple[dict[str, Any], list[str]]:
    """All that is known before the training.

    Args:
        config: The run.
        seed: Its seed.
        encoder: Fitted, or None.
        shared: What its runs share.
        scales: The distances that count as 1.

    Returns:
        The figures, and warnings.

    Raises:
        ValueError: If a figure is no number.
    """
    learned, held_out = shared.episodes
    order = None if encoder is None else judge_order(encoder, held_out, np.random.default_rng([seed, 1]))
    reward = judge_reward(config, encoder, scales, shared.standard, held_out, np.random.default_rng([seed, 2]))
    likeness = judge_likeness(encoder, shared.demonstration.frames, held_out, learned)
    figures = {
        "triplet_accuracy": order,
        "reward_rank_correlation": None if reward is None else reward.rank_correlation,
        "video_distance": likeness.distance,
        "held_out_distance": likeness.held_out,
    }
    check_figures("The audit", figures)
    return figures, [text for text in (reward and reward.warning, likeness.warning) if text]
