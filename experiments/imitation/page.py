"""What the page of an imitation tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.report.blocks import TableBlock
from experiments.report.run_page import Curve, Picture, RunPage
from rewards.audit import HELD_OUT_QUANTILE

CURVES = (
    Curve("learned_return", "learned return", "Mean over the latest episodes. What the agent was given."),
    Curve("true_return", "true return", "Mean over the latest episodes. What the agent never saw."),
)

PICTURES = (
    Picture("side_by_side.mp4", "Side by side", "Demonstration, imitation, and the distance between them."),
    Picture("storyboard.png", "Moments", "The demonstration above, the imitation below."),
    Picture("distance_matrix.png", "The demonstration by itself", "Distance of its frames."),
)


def page_of(summary: str, table: TableBlock, result: Mapping[str, Any]) -> RunPage:
    """The page of an imitation, wherever it took place.

    Args:
        summary: What came out, in a sentence.
        table: The figures of the evaluation.
        result: What ``result.json`` is going to hold.
    """
    audit = TableBlock(
        "Audit of the reward",
        "Rank correlation of minus the reward with the true distance on held-out videos, where that is known: 1 is "
        "perfect order.",
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
            ["of the start from the video's first frame", result["start_distance"]],
        ],
    )
    return RunPage(summary, table, CURVES, PICTURES, (audit, likeness))
