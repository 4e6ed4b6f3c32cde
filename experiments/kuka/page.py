"""The page of an imitation run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.report.blocks import TableBlock
from experiments.report.run_page import Curve, Picture, RunPage, figures
from rewards.audit import HELD_OUT_QUANTILE

FIGURES = {
    "link_error_m": "link error, m",
    "final_link_error_m": "link error at the end, m",
    "stay_still_link_error_m": "link error of standing still, m",
    "joint_error_rad": "joint error, rad",
    "final_joint_error_rad": "joint error at the end, rad",
    "triplet_accuracy_margin": "triplets in order with margin",
    "triplet_accuracy": "triplets in order",
    "env_steps": "environment steps",
    "env_steps_per_second": "environment steps a second",
}

CURVES = (
    Curve("learned_return", "learned return", "Mean over the episodes of an update. What the agent was given."),
    Curve(
        "true_return",
        "true return",
        "Mean over the episodes of an update. By the true joint angles, which the agent never saw.",
    ),
)

PICTURES = (
    Picture("side_by_side.mp4", "Side by side", "Demonstration, robot, and the distance between them."),
    Picture("storyboard.png", "Moments", "The demonstration above, the robot below."),
    Picture("distance_matrix.png", "The demonstration by itself", "Distance of its frames."),
)


def imitation_page(result: Mapping[str, Any]) -> RunPage:
    """The page of a run.

    Args:
        result: What ``result.json`` is going to hold.
    """
    audit = TableBlock(
        "Audit of the reward",
        "Rank correlation of minus the reward with the true distance on held-out videos: 1 is perfect order.",
        ["pairs of frames", "rank correlation"],
        [
            ["all", result["reward_rank_correlation"]],
            ["within a video", result["reward_rank_correlation_within_videos"]],
            ["across videos", result["reward_rank_correlation_across_videos"]],
        ],
    )
    likeness = TableBlock(
        "Likeness of the video",
        "Distance to the nearest recorded state, by the encoder or, without one, by the pixels: far above that of "
        "held-out videos, the video shows what the simulation cannot.",
        ["frames", "distance"],
        [
            ["of the video, median", result["video_distance"]],
            [f"{HELD_OUT_QUANTILE:.0%} of held-out videos within", result["held_out_distance"]],
        ],
    )
    link, still = result["link_error_m"], result["stay_still_link_error_m"]
    summary = "What really happened in this video is not known; the distance of the looks is all there is."
    if link is not None:
        summary = f"The arm stays within {link * 100:.1f} cm of the demonstration; standing still {still * 100:.1f} cm."
    table = figures("Imitation", "Deterministic policy, 10 episodes.", FIGURES, result)
    return RunPage(summary, table, CURVES, PICTURES, (audit, likeness))
