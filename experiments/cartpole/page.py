"""What the pages of runs on the cartpole show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.imitation.page import page_of
from experiments.report.run_page import Curve, Picture, RunPage, figures

SWINGUP_FIGURES = {
    "true_return": "return of an episode",
    "agent_steps": "agent steps",
    "frames": "frames",
    "updates_per_second": "updates a second",
}

SWINGUP_CURVES = (Curve("true_return", "return", "Mean over the episodes since the row before, with sampled actions."),)

SWINGUP_PICTURES = (
    Picture("swingup.mp4", "An episode", "The mean action, with the agent's keypoints where it has any."),
    Picture("keypoints.png", "Keypoints", "What the keypoints were trained for."),
)

IMITATION_FIGURES = {
    "true_return": "true return of an episode",
    "learned_return": "learned return of an episode",
    "demonstration_return": "true return of the video",
    "agent_steps": "agent steps",
}


def swingup_page(result: Mapping[str, Any]) -> RunPage:
    """The page of a swing-up.

    Args:
        result: What ``result.json`` is going to hold.
    """
    summary = f"An episode of {result['task']} returns {result['true_return']:.0f} on average."
    table = figures("Evaluation", f"The mean action, {len(result['returns'])} episodes.", SWINGUP_FIGURES, result)
    return RunPage(summary, table, SWINGUP_CURVES, SWINGUP_PICTURES)


def imitation_page(result: Mapping[str, Any]) -> RunPage:
    """The page of an imitation.

    Args:
        result: What ``result.json`` is going to hold.
    """
    ours, theirs = result["true_return"], result["demonstration_return"]
    summary = f"The imitator's episodes return {ours:.0f} by the task's reward; the video's returned {theirs:.0f}."
    table = figures("Imitation", f"The mean action, {len(result['true_returns'])} episodes.", IMITATION_FIGURES, result)
    return page_of(summary, table, result)
