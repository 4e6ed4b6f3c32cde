"""Audits of encoder, reward and video on held-out recordings, before any agent is trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from encoders.base import Encoder
from encoders.clips.clips import Clips, load_clips
from encoders.metrics import sample_triplets, triplet_accuracy
from envs.embedding import embed_views
from experiments.kuka.config import NEGATIVE_RANGE, POSITIVE_RANGE, ImitateConfig
from experiments.kuka.recordings import Truth, read_truth
from rewards import sources
from rewards.audit import Likeness, RewardAudit, audit_reward, measure_likeness
from rewards.goal import Scales

TRIPLETS_A_VIDEO = 100
TRIPLET_MARGIN = 2.0

LIKENESS_VIDEOS = 40
"""Training videos that a demonstration is compared with; both kinds among them."""

LIKENESS_STATES = 1000
LIKENESS_FRAMES = 200
"""States of them at most, and frames of the demonstration and of the held-out videos together."""

LIKENESS_NUMBERS = 2**23
"""Most numbers in all states together: without an encoder they are pixels, which are many."""


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
    source = sources.known()[config.reward]
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


def judge_likeness(
    config: ImitateConfig, encoder: Encoder | None, frames: NDArray[np.uint8], held_out: Clips
) -> Likeness:
    """Distance of a demonstration to recorded states; deterministic, on a bounded number of frames.

    Args:
        config: The run.
        encoder: Fitted, or None to compare pixels.
        frames: The demonstration, (T, V, S, S, 3) uint8.
        held_out: Held-out recordings by the same cameras.
    """
    scene, training = config.scene, config.record.training
    chosen = [training[index] for index in _spread(len(training), LIKENESS_VIDEOS)]
    recordings = load_clips(config.recordings_folder, chosen, scene.cameras, scene.image_size)
    demonstration = embed_views(encoder, frames[_spread(len(frames), LIKENESS_FRAMES)])
    states = min(LIKENESS_STATES, max(len(chosen), LIKENESS_NUMBERS // demonstration.shape[1]))
    return measure_likeness(
        demonstration,
        _embed_some(encoder, held_out, LIKENESS_FRAMES // len(held_out)),
        np.concatenate(_embed_some(encoder, recordings, states // len(chosen))),
    )


def _embed_some(encoder: Encoder | None, clips: Clips, count: int) -> list[NDArray[np.float32]]:
    """Embeddings of 1 to ``count`` moments of every recording, with all its views."""
    moments = [_spread(video.shape[1], max(1, count)) for video in clips.videos]
    return [
        embed_views(encoder, np.stack([video[view, times] for view in range(len(video))], axis=1))
        for video, times in zip(clips.videos, moments, strict=True)
    ]


def _spread(length: int, count: int) -> NDArray[np.intp]:
    """At most ``count`` evenly spaced indices, from first to last."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(np.intp))
