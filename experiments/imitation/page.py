"""What the page of an imitation tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.report.blocks import TableBlock
from experiments.report.run_page import Curve, Picture, RunPage, figures
from rewards.audit import HELD_OUT_QUANTILE

FIGURES = {
    "true_return": "true return of the imitation",
    "demonstration_return": "true return of the demonstration",
    "random_return": "true return of random actions",
    "share": "share of the way from random actions to the demonstration",
    "state_error": "distance from the demonstration's state, standard deviations",
    "progress": "share of the demonstration that was reached, where it waits for the imitation",
    "random_state_error": "the same of random actions",
    "env_steps": "environment steps",
    "env_steps_per_second": "environment steps a second",
}

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


def imitation_page(result: Mapping[str, Any]) -> RunPage:
    """The page of a run in any environment.

    Args:
        result: What ``result.json`` is going to hold.
    """
    summary = f"The imitation's true return is {result['true_return']:.2f}; what the video's is, nobody knows."
    if result["share"] is not None:
        summary = (
            f"The imitation goes {result['share']:.0%} of the way from random actions "
            f"({result['random_return']:.2f}) to the demonstration ({result['demonstration_return']:.2f})."
        )
    return page_of(
        summary, figures("Imitation", "Deterministic policy, from where the video begins.", FIGURES, result), result
    )
