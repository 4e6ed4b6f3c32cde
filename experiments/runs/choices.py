"""Choices that the runs of all suites share: no encoder, its modes, a tracker, and keys of shared folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any, Literal, TypeAlias, get_args

from tyro.conf import UseAppendAction

from encoders.errors import check_choice

NO_ENCODER = "none"
"""In place of an encoder's name: a learner that observes its own state and the phase only."""

ENCODER_MODES = ("frozen", "joint")
"""Modes of an encoder: frozen while the agent trains, or trained jointly with it."""


Tracker: TypeAlias = Literal["none", "wandb", "trackio"]
"""What follows a training beside TensorBoard's log."""

NO_TRACKER: Tracker = "none"

Plugins: TypeAlias = Annotated[tuple[str, ...], UseAppendAction]
"""Modules that register encoders, rewards, suites or environments; the flag is given once for each."""

PROJECT = "onlooker"
"""What a tracker files runs under, unless it is told otherwise."""


def check_tracker(name: str) -> None:
    """Refuses a tracker that is not there; nothing is imported.

    Raises:
        ValueError: If it is unknown or not installed.
    """
    check_choice("tracker", name, get_args(Tracker))
    if name == NO_TRACKER:
        return
    spec = find_spec(name)
    # A folder of that name, such as the logs that one leaves, is no package.
    if spec is None or spec.origin is None:
        raise ValueError(f"track is {name!r}, and {name} is not installed: pip install {name}, or leave --track out.")


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
