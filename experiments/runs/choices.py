"""Choices that the runs of all suites share: no encoder, its modes, and keys of shared folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

NO_ENCODER = "none"
"""In place of an encoder's name: a learner that observes its own state and the phase only."""

ENCODER_MODES = ("frozen", "joint")
"""Modes of an encoder: frozen while the agent trains, or trained jointly with it."""


def key_of(content: dict[str, Any]) -> str:
    """A short name of a configuration, for folders that runs share."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


def check_unsettled(shape: Mapping[str, int], settings: Mapping[str, Any]) -> None:
    """Refuses encoder settings that follow from the frames.

    Raises:
        ValueError: If one of them is given.
    """
    twice = sorted(set(shape) & set(settings))
    if twice:
        raise ValueError(f"The frames settle {', '.join(twice)}; leave them out of the encoder's settings.")
