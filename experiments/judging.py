"""Judging an encoder and a reward on held-out recordings, before any agent is trained."""

from __future__ import annotations

import numpy as np

from encoders.base import Encoder
from encoders.clips import Clips
from encoders.metrics import sample_triplets, triplet_accuracy
from experiments.demonstrations import embed_views
from experiments.recordings import Truth, read_truth
from experiments.settings import NEGATIVE_RANGE, POSITIVE_RANGE, ImitateConfig
from rewards.audit import RewardAudit, audit_reward
from rewards.goal import Scales
from rewards.sources import SOURCES

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


def judge_triplets(encoder: Encoder | None, clips: Clips, rng: np.random.Generator) -> dict[str, float | None]:
    """Triplet accuracies on held-out videos: 100 triplets of each, at margin 2 and without; None without an encoder."""
    if encoder is None:
        return {"triplet_accuracy_margin": None, "triplet_accuracy": None}
    scores = []
    for video in clips.videos:
        triplets = sample_triplets(video.shape[1], TRIPLETS_A_VIDEO, POSITIVE_RANGE, NEGATIVE_RANGE, rng)
        embeddings = embed_views(encoder, np.swapaxes(np.asarray(video), 0, 1))
        scores.append(triplet_accuracy(embeddings, triplets, TRIPLET_MARGIN))
    return {
        "triplet_accuracy_margin": float(np.mean([score.margin for score in scores])),
        "triplet_accuracy": float(np.mean([score.plain for score in scores])),
    }


def judge_reward(
    config: ImitateConfig,
    encoder: Encoder | None,
    scales: Scales,
    held_out: Clips,
    play: Clips,
    rng: np.random.Generator,
) -> RewardAudit:
    """The audit of the reward that the agent will see, on held-out demonstrations and validation videos."""
    source = SOURCES[config.reward]
    scale = source.scale(scales)
    assert scale is not None  # a reward on embeddings without an encoder is refused with the configuration
    truths = _truths(config, config.record.names["heldout"] + config.record.validating)
    links = [truth.link_positions for truth in truths]
    videos = [np.swapaxes(np.asarray(video), 0, 1) for video in (*held_out.videos, *play.videos)]
    if source.key == "pixels":
        # Every third frame: pairs of raw frames are large.
        thinned = [embed_views(None, video[::3]) for video in videos]
        return audit_reward(thinned, [path[::3] for path in links], config.huber, scale, rng, pairs=1000)
    if source.key == "joint_positions":
        return audit_reward([truth.joint_positions for truth in truths], links, config.huber, scale, rng)
    return audit_reward([embed_views(encoder, video) for video in videos], links, config.huber, scale, rng)
