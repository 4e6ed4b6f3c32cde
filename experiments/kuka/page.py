"""The page of an imitation by the Kuka."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.imitation.page import page_of
from experiments.report.run_page import RunPage, figures

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


def imitation_page(result: Mapping[str, Any]) -> RunPage:
    """The page of a run.

    Args:
        result: What ``result.json`` is going to hold.
    """
    link, still = result["link_error_m"], result["stay_still_link_error_m"]
    summary = "What really happened in this video is not known; the distance of the looks is all there is."
    if link is not None:
        summary = f"The arm stays within {link * 100:.1f} cm of the demonstration; standing still {still * 100:.1f} cm."
    return page_of(summary, figures("Imitation", "Deterministic policy, 10 episodes.", FIGURES, result), result)
