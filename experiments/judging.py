"""Judging an encoder and a reward on held-out recordings, before any agent is trained."""

from __future__ import annotations

import numpy as np

from encoders.base import Encoder
from encoders.clips import Clips
from encoders.metrics import sample_triplets, triplet_accuracy
from envs.embedding import embed_pixels
from experiments.imitation import Scales
from experiments.recordings import Truth, read_truth
from experiments.settings import NEGATIVE_RANGE, POSITIVE_RANGE, ImitateConfig
from rewards.audit import RewardAudit, audit_reward

TRIPLETS_A_VIDEO = 100
TRIPLET_MARGIN = 2.0


def _truths(config: ImitateConfig, names: list[str]) -> list[Truth]:
    camera = config.record.cameras[0]
    truths = []
    for name in names:
        truth = read_truth(config.recordings_folder / f"{name}_{camera}.mp4", camera)
        if truth is None:
            raise ValueError(
                f"{config.recordings_folder} has no {name}_truth.npz; delete {name}.json to record it again."
            )
        truths.append(truth)
    return truths


def judge_triplets(encoder: Encoder, clips: Clips, rng: np.random.Generator) -> dict[str, float]:
    """Triplet accuracies on held-out videos: 100 triplets of each, at margin 2 and without."""
    scores = []
    for video in clips.videos:
        triplets = sample_triplets(video.shape[1], TRIPLETS_A_VIDEO, POSITIVE_RANGE, NEGATIVE_RANGE, rng)
        embeddings = embed_pixels(encoder, np.swapaxes(np.asarray(video), 0, 1))
        scores.append(triplet_accuracy(embeddings, triplets, TRIPLET_MARGIN))
    return {
        "triplet_accuracy_margin": float(np.mean([score.margin for score in scores])),
        "triplet_accuracy": float(np.mean([score.plain for score in scores])),
    }


def judge_reward(
    config: ImitateConfig, encoder: Encoder, scales: Scales, held_out: Clips, play: Clips, rng: np.random.Generator
) -> RewardAudit:
    """The audit of the reward that the agent will see, on held-out demonstrations and validation videos."""
    names = config.record.names["heldout"] + config.record.validating
    truths = _truths(config, names)
    videos = [np.swapaxes(np.asarray(video), 0, 1) for video in (*held_out.videos, *play.videos)]
    if config.reward == "oracle":
        return audit_reward(
            [truth.joint_positions for truth in truths],
            [truth.link_positions for truth in truths],
            config.huber,
            scales.joints,
            rng,
        )
    if config.reward == "pixels":
        # Every third frame: pairs of raw frames are large.
        return audit_reward(
            [video[::3].reshape(len(video[::3]), -1) for video in videos],
            [truth.link_positions[::3] for truth in truths],
            config.huber,
            scales.pixels,
            rng,
            pairs=1000,
        )
    embeddings = [embed_pixels(encoder, video) for video in videos]
    return audit_reward(embeddings, [truth.link_positions for truth in truths], config.huber, scales.embedding, rng)
