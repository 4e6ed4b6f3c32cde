"""A run of no time at all, where another process can import it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.runs.choices import NO_TRACKER, Tracker
from experiments.runs.folder import Stopwatch, run_stages


@dataclass(frozen=True)
class Counting:
    """Counts to a number of steps, with a checkpoint at the end."""

    out: Path
    steps: int
    seeds: tuple[int, ...] = (0,)
    resume: bool = False
    track: Tracker = NO_TRACKER
    reason: str = ""
    sleep: float = 0.0
    variant: str = "counting"

    def bound_to(self, steps: int) -> str:
        """What the test asks for."""
        return self.reason

    def run_folder(self, seed: int) -> Path:
        """Where the run of a seed is."""
        return self.out / self.variant / f"seed_{seed}"

    def identity(self, seed: int) -> dict[str, Any]:
        """The steps and the seed."""
        return {"steps": self.steps, "seed": seed}


def counted(config: Counting, seed: int, error: Exception | None = None) -> dict[str, Any]:
    """Counts on from the checkpoint, and then fails with an error, if one is given."""

    def stages(folder: Path, watch: Stopwatch) -> dict[str, Any]:
        path = folder / "checkpoint" / "state.json"
        with watch.stage("train"):
            before = json.loads(path.read_text())["env_steps"] if path.exists() else 0
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({"env_steps": config.steps}))
            time.sleep(config.sleep)
        if error is not None:
            raise error
        return {"status": "completed", "counted": config.steps, "this_time": config.steps - before}

    return run_stages(config, seed, stages, lambda *_: None)


def count(config: Counting, seed: int) -> dict[str, Any]:
    """Counts on from the checkpoint."""
    return counted(config, seed)
