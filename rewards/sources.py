"""Rewards by name: what each one compares with the demonstration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.errors import check_choice
from encoders.plugins import Kind, Known
from rewards.goal import Goal, Scales


@dataclass(frozen=True)
class Source:
    """The source of a tracking reward: observation, path and scale.

    Attributes:
        key: The observation that is compared.
        path: What it should be at every step, (horizon + 1, ...), from a goal; None where that cannot be known.
        scale: The distance that counts as 1.
        trained: Whether the encoder is trained, or left untrained.
    """

    key: str
    path: Callable[[Goal], NDArray[np.floating] | None]
    scale: Callable[[Scales], float | None]
    trained: bool = True


SOURCES: dict[str, Source] = {
    "tcn_huber": Source("embedding", lambda goal: goal.embeddings, lambda scales: scales.embedding),
    "oracle": Source("joint_positions", lambda goal: goal.joints, lambda scales: scales.joints),
    "pixels": Source("pixels", lambda goal: goal.pixels, lambda scales: scales.pixels),
    "random": Source("embedding", lambda goal: goal.embeddings, lambda scales: scales.embedding, trained=False),
}
"""The reward on embeddings, and its controls: true joint distance, raw pixel distance, an untrained encoder."""

_KIND: Kind[Source] = Kind(
    "reward", "a Source of rewards.sources", lambda value: isinstance(value, Source), lambda source: source.path
)


def register(name: str, source: Source) -> None:
    """Makes a reward known by a name.

    Args:
        name: The name that ``--reward`` takes.
        source: What it compares.

    Raises:
        ValueError: If the name is taken by another one.
    """
    _KIND.add(SOURCES, name, source)


def known() -> Mapping[str, Source]:
    """Every reward by its name, those of other packages too."""
    return Known(_KIND, SOURCES, register)


def names() -> list[str]:
    """Every reward's name."""
    return list(known())


def tracked(
    name: str, goal: Goal, scales: Scales, truth: str = "joint_positions"
) -> tuple[str, NDArray[np.floating], float]:
    """What a named reward tracks: the observation's key, its path over time, and its scale.

    Args:
        name: One of ``names()``.
        goal: What is to be imitated.
        scales: The distances that count as 1.
        truth: The observation that the oracle compares with ``goal.joints``.

    Raises:
        ValueError: If the name is unknown, or the goal does not tell what this reward needs.
    """
    check_choice("reward", name, known())
    source = known()[name]
    path, scale = source.path(goal), source.scale(scales)
    if path is None and source.key == "joint_positions":
        raise ValueError(f"reward {name!r} needs the true joint angles, and this video comes without; use 'tcn_huber'.")
    if path is None or scale is None:
        raise ValueError(f"reward {name!r} compares embeddings, and there is no encoder; use 'pixels' or 'oracle'.")
    return truth if source.key == "joint_positions" else source.key, path, scale
