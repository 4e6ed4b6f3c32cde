"""The page of a single run: its figures, its curves, and how it looks beside the demonstration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.training import CURVE_FILE, read_curve
from encoders.files import read_object
from experiments.report.blocks import Block, ImageBlock, Report, TableBlock, TextBlock, VideoBlock
from experiments.report.charts import ChartBlock, Series
from experiments.report.page import write_report
from rewards.audit import HELD_OUT_QUANTILE

FILE = "report.html"


def write(folder: Path, title: str, result: dict[str, Any]) -> None:
    """Writes ``report.html`` into a run's folder.

    Args:
        folder: It holds everything but ``result.json`` already.
        title: What was run.
        result: What ``result.json`` is going to hold.
    """
    curve = read_curve(folder / CURVE_FILE)
    steps = [point["env_steps"] for point in curve]
    charts = [
        ChartBlock(
            name.capitalize(),
            f"Mean over the episodes of an update, n = 1 run. {about}",
            "environment steps",
            f"{name} of an episode",
            (Series(name, steps, [point[key] for point in curve]),),
        )
        for name, key, about in (
            ("learned return", "learned_return", "What the agent was given."),
            ("true return", "true_return", "By the true joint angles, which the agent never saw."),
        )
    ]
    blocks: list[Block] = [
        TableBlock("Imitation", "Deterministic policy, 10 episodes.", ["figure", "value"], _figures(result)),
        *charts,
        TableBlock(
            "Audit of the reward",
            "Rank correlation of minus the reward with the true distance on held-out videos: 1 is perfect order.",
            ["pairs of frames", "rank correlation"],
            [
                ["all", result["reward_rank_correlation"]],
                ["within a video", result["reward_rank_correlation_within_videos"]],
                ["across videos", result["reward_rank_correlation_across_videos"]],
            ],
        ),
        TableBlock(
            "Likeness of the video",
            "Distance to the nearest recorded state, by the encoder or, without one, by the pixels: far above that of "
            "held-out videos, the video shows what the world cannot.",
            ["frames", "distance"],
            [
                ["of the video, median", result["video_distance"]],
                [f"{HELD_OUT_QUANTILE:.0%} of held-out videos within", result["held_out_distance"]],
            ],
        ),
        TextBlock("How it looks"),
        VideoBlock("Side by side", "Demonstration, robot, and the distance between them.", folder / "side_by_side.mp4"),
        ImageBlock("Moments", "The demonstration above, the robot below.", folder / "storyboard.png"),
        ImageBlock("The demonstration by itself", "Distance of its frames.", folder / "distance_matrix.png"),
    ]
    link, still = result["link_error_m"], result["stay_still_link_error_m"]
    summary = "What really happened in this video is not known; the distance of the looks is all there is."
    if link is not None:
        summary = f"The arm stays within {link * 100:.1f} cm of the demonstration; standing still {still * 100:.1f} cm."
    origin = read_object(folder / "provenance.json", "provenance", "delete it and add --resume to go on")
    write_report(Report(title, summary, origin, blocks), folder / FILE)


def _figures(result: dict[str, Any]) -> list[list[object]]:
    """The figures of a result that are single numbers."""
    names = {
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
    return [[label, result[key]] for key, label in names.items()]
