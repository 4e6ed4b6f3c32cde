"""What the page of an imitation in any environment tells."""

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
    Curve("learned_return", "learned return", "Mean over the episodes of an update. What the agent was given."),
    Curve("true_return", "true return", "Mean over the episodes of an update. What the agent never saw."),
)

PICTURES = (
    Picture("side_by_side.mp4", "Side by side", "Demonstration, imitation, and the distance between them."),
    Picture("storyboard.png", "Moments", "The demonstration above, the imitation below."),
    Picture("distance_matrix.png", "The demonstration by itself", "Distance of its frames."),
)


def imitation_page(result: Mapping[str, Any]) -> RunPage:
    """The page of a run.

    Args:
        result: What ``result.json`` is going to hold.
    """
    audit = TableBlock(
        "Audit before the training",
        "Order of held-out play in time, rank correlation of minus the reward with the true distance, and how near the "
        "video is to what was recorded.",
        ["figure", "value"],
        [
            ["triplets of held-out play in order", result["triplet_accuracy"]],
            ["rank correlation of the reward", result["reward_rank_correlation"]],
            ["distance of the video to the nearest recorded moment, median", result["video_distance"]],
            [f"{HELD_OUT_QUANTILE:.0%} of held-out frames within", result["held_out_distance"]],
            ["distance of the start from the video's first frame", result["start_distance"]],
        ],
    )
    summary = f"The imitation's true return is {result['true_return']:.2f}; what the video's is, nobody knows."
    if result["share"] is not None:
        summary = (
            f"The imitation goes {result['share']:.0%} of the way from random actions "
            f"({result['random_return']:.2f}) to the demonstration ({result['demonstration_return']:.2f})."
        )
    table = figures("Imitation", "Deterministic policy, from where the video begins.", FIGURES, result)
    return RunPage(summary, table, CURVES, PICTURES, (audit,))
