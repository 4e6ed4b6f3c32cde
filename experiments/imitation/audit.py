"""Judging a reward and a video before any agent is trained: without any truth, and with it where there is some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.base import Encoder
from encoders.clips.clips import Clips
from encoders.errors import check_figures
from encoders.metrics import sample_triplets, triplet_accuracy
from envs.drawn import PIXELS
from envs.embedding import embed_views
from experiments.imitation.settings import NEGATIVE_RANGE, POSITIVE_RANGE, ImitationSettings
from rewards.audit import Likeness, RewardAudit, audit_reward, measure_likeness
from rewards.goal import Scales

TRIPLETS_A_VIDEO = 100
TRIPLET_MARGIN = 2.0

LIKENESS_VIDEOS = 40
"""Recordings that a demonstration is compared with; all kinds among them."""

LIKENESS_STATES = 1000
LIKENESS_FRAMES = 200
"""States of them at most, and frames of the demonstration and of the held-out videos together."""

LIKENESS_NUMBERS = 2**23
"""Most numbers in all states together: without an encoder they are pixels, which are many."""

Truths = Sequence[NDArray[np.float64]]


@dataclass(frozen=True)
class Evidence:
    """What a reward and a video are judged by.

    Attributes:
        held_out: Not learned from.
        validation: What chose the encoder's weights.
        judged: What the reward is judged on; of these.
        recorded: Learned from; as many as are compared with the video.
        states: What the oracle compares, of every moment of ``judged``, (T, D); None if unknown.
        places: What tells how far moments truly are from one another, of the same, (T, ..., K).
    """

    held_out: Clips
    validation: Clips
    judged: Clips
    recorded: Clips
    states: Truths | None
    places: Truths | None


def judge_order(encoder: Encoder | None, clips: Clips, rng: np.random.Generator) -> dict[str, float | None]:
    """Shares of triplets of held-out videos that are in the order of time, with a margin and without.

    None without an encoder, and where all videos are too short.

    Args:
        encoder: Fitted.
        clips: Not learned from.
        rng: Source of the triplets.
    """
    scores = []
    for video in clips.videos:
        if encoder is not None and video.shape[1] >= NEGATIVE_RANGE + 2:
            triplets = sample_triplets(video.shape[1], TRIPLETS_A_VIDEO, POSITIVE_RANGE, NEGATIVE_RANGE, rng)
            scores.append(triplet_accuracy(embed_views(encoder, _moments(video)), triplets, TRIPLET_MARGIN))
    return {
        "triplet_accuracy_margin": float(np.mean([score.margin for score in scores])) if scores else None,
        "triplet_accuracy": float(np.mean([score.plain for score in scores])) if scores else None,
    }


def judge_reward(
    config: ImitationSettings, encoder: Encoder | None, scales: Scales, evidence: Evidence, rng: np.random.Generator
) -> RewardAudit | None:
    """How well the reward follows the true distance in held-out videos; None where nothing is known of the truth."""
    if evidence.states is None or evidence.places is None:
        return None
    source, places = config.source, evidence.places
    scale = source.scale(scales)
    assert scale is not None  # a reward on embeddings without an encoder is refused with the configuration
    if source.key == "joint_positions":
        return audit_reward(evidence.states, places, config.huber, scale, rng)
    videos = [_moments(video) for video in evidence.judged.videos]
    if source.key == PIXELS:
        # Every third frame: pairs of raw frames are large.
        thinned = [embed_views(None, video[::3]) for video in videos]
        return audit_reward(thinned, [path[::3] for path in places], config.huber, scale, rng, pairs=1000)
    return audit_reward([embed_views(encoder, video) for video in videos], places, config.huber, scale, rng)


def judge_likeness(encoder: Encoder | None, frames: NDArray[np.uint8], evidence: Evidence) -> Likeness:
    """Distance of a demonstration to recorded states; deterministic, on a bounded number of frames.

    Args:
        encoder: Fitted, or None to compare pixels.
        frames: The demonstration, (T, V, S, S, C) uint8.
        evidence: Recorded by the same cameras.
    """
    demonstration = embed_views(encoder, frames[spread(len(frames), LIKENESS_FRAMES)])
    recorded, held_out = evidence.recorded, evidence.held_out
    states = min(LIKENESS_STATES, max(len(recorded), LIKENESS_NUMBERS // demonstration.shape[1]))
    return measure_likeness(
        demonstration,
        _embed_some(encoder, held_out, LIKENESS_FRAMES // len(held_out)),
        np.concatenate(_embed_some(encoder, recorded, states // len(recorded))),
    )


def _moments(video: Any) -> NDArray[np.uint8]:
    """(V, T, ...) -> (T, V, ...)."""
    return np.swapaxes(np.asarray(video), 0, 1)


def _embed_some(encoder: Encoder | None, clips: Clips, count: int) -> list[NDArray[np.float32]]:
    """Embeddings of 1 to ``count`` moments of every recording, with all its views."""
    moments = [spread(video.shape[1], max(1, count)) for video in clips.videos]
    return [
        embed_views(encoder, np.stack([video[view, times] for view in range(len(video))], axis=1))
        for video, times in zip(clips.videos, moments, strict=True)
    ]


def spread(length: int, count: int) -> NDArray[np.intp]:
    """At most ``count`` evenly spaced indices, from first to last."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(np.intp))


def audited(
    config: ImitationSettings,
    seed: int,
    encoder: Encoder | None,
    frames: NDArray[np.uint8],
    evidence: Evidence,
    scales: Scales,
) -> tuple[dict[str, Any], dict[str, str]]:
    """All that is known before the training.

    Args:
        config: The run.
        seed: Its seed.
        encoder: Fitted, or None.
        frames: The demonstration, (T, V, S, S, C) uint8.
        evidence: What it is judged by.
        scales: The distances that count as 1.

    Returns:
        The figures by their names in ``result.json``, and warnings of the reward and of the video.

    Raises:
        ValueError: If a figure is no number.
    """
    order = judge_order(encoder, evidence.held_out, np.random.default_rng([seed, 1]))
    reward = judge_reward(config, encoder, scales, evidence, np.random.default_rng([seed, 2]))
    likeness = judge_likeness(encoder, frames, evidence)
    figures = {
        **order,
        "reward_rank_correlation": None if reward is None else reward.rank_correlation,
        "reward_rank_correlation_within_videos": None if reward is None else reward.within_videos,
        "reward_rank_correlation_across_videos": None if reward is None else reward.across_videos,
        "video_distance": likeness.distance,
        "held_out_distance": likeness.held_out,
    }
    check_figures("The audit", figures)
    warnings = {"reward": reward and reward.warning, "video": likeness.warning}
    return figures, {name: text for name, text in warnings.items() if text}
