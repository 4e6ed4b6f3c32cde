"""The figures of a training in wandb or trackio, through Stable-Baselines3's own logger."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from stable_baselines3.common.logger import KVWriter

from encoders.files import read_object, write_json
from experiments.runs.choices import NO_TRACKER, Tracker

TRACKING_FILE = "tracking.json"

NEW_RUN = "delete it, and the tracker begins a new run"
"""What to do about a damaged file that says which of a tracker's runs this one is."""


class Tracking(NamedTuple):
    """Where the figures of a run go.

    Attributes:
        tracker: Whose package is used.
        project: What the tracker files the run under.
        config: What makes the run this one, shown beside its figures.
    """

    tracker: Tracker
    project: str
    config: Mapping[str, Any]


class TrackedConfig(Protocol):
    """What a tracker needs to know of a run's configuration."""

    @property
    def track(self) -> Tracker:
        """Who follows the training."""

    @property
    def track_project(self) -> str:
        """What the tracker files the run under."""

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes a run this run and no other."""


def tracking_of(config: TrackedConfig, seed: int) -> Tracking | None:
    """Where the figures of a run go, if anywhere."""
    if config.track == NO_TRACKER:
        return None
    return Tracking(config.track, config.track_project, config.identity(seed))


class TrackerOutputFormat(KVWriter):
    """Writes the numbers that are logged to a tracker's run.

    Args:
        tracker: Its package, in which a run has begun.
    """

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Writes what was logged since the last time."""
        figures = {key: float(value) for key, value in key_values.items() if isinstance(value, Real)}
        if figures:
            self._tracker.log(figures, step=step)

    def close(self) -> None:
        """Ends the tracker's run; it can be gone on with."""
        self._tracker.finish()


@contextmanager
def tracked(tracking: Tracking | None, folder: Path) -> Iterator[list[KVWriter]]:
    """What writes the figures of a run to its tracker, as long as it is trained.

    A run that goes on is found again by its name there, which is kept in its folder.

    Args:
        tracking: Where they go; None for nowhere: nothing is imported then.
        folder: The run's.

    Raises:
        ValueError: If the tracker cannot begin, or the file with the name is damaged.
    """
    if tracking is None:
        yield []
        return
    key = _key(folder)
    library = import_module(tracking.tracker)
    # wandb's own: it finds a run by its id, would leave its files in the current folder, and refuses more steps.
    more = {"id": key, "dir": str(folder), "allow_val_change": True} if tracking.tracker == "wandb" else {}
    try:
        library.init(
            project=tracking.project,
            name=f"{folder.parent.name}-{folder.name}-{key}",
            config=json.loads(json.dumps(tracking.config, default=str)),
            resume="allow",
            **more,
        )
    except getattr(library, "Error", OSError) as error:
        raise ValueError(f"{tracking.tracker} cannot begin: {error} Mend it, or leave --track out.") from error
    writer = TrackerOutputFormat(library)
    try:
        yield [writer]
    finally:
        writer.close()


def _key(folder: Path) -> str:
    """What tells the run in a folder from all others of a project."""
    path = folder / TRACKING_FILE
    if not path.exists():
        write_json(path, {"id": uuid.uuid4().hex[:12]})
    return str(read_object(path, "tracker's name of the run", NEW_RUN, ("id",))["id"])
