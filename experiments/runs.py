"""A run's folder: claimed before work, resumed or refused, with its result at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rich.console import Console

from encoders.errors import check_figures
from encoders.files import write_atomically
from experiments.provenance import provenance
from experiments.recordings import check_claim, claim

console = Console()


class RunConfig(Protocol):
    """What a run's folder needs to know of its configuration."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """One run a seed."""

    @property
    def resume(self) -> bool:
        """Whether a run that is there is gone on with."""

    @property
    def variant(self) -> str:
        """Name of everything but the seed."""

    def run_folder(self, seed: int) -> Path:
        """Where the run of a seed is."""

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes a run this run and no other."""


Config = TypeVar("Config", bound=RunConfig)


class Stopwatch:
    """Seconds by stage, kept in a file so that a resumed run still knows what its stages took.

    A process that is killed has no time to note those of the stage that it was in.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seconds: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announces a stage and adds its time."""
        console.print(f"[bold]{name}[/]")
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
            write_atomically(self._path, json.dumps(self.seconds, indent=2).encode())


def make_folder(folder: Path, flag: str) -> None:
    """Makes a folder that the user names.

    Args:
        folder: Which.
        flag: What names it on the command line.

    Raises:
        ValueError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder} cannot be made: {error.strerror}; choose another {flag}.") from error


def completed(folder: Path) -> bool:
    """Whether the run in a folder has ended well."""
    path = folder / "result.json"
    return path.exists() and bool(json.loads(path.read_text())["status"] == "completed")


def check_run_folder(config: RunConfig, seed: int) -> None:
    """Refuses a run's folder that is taken; writes nothing.

    Raises:
        ValueError: If it holds another run, or holds this one and ``resume`` is off.
    """
    folder = config.run_folder(seed)
    check_claim(folder, "config.json", config.identity(seed))
    if (folder / "config.json").exists() and not config.resume:
        state = "complete" if completed(folder) else "unfinished"
        raise ValueError(f"{folder} holds this run already, {state}; add --resume, or choose another --out.")


def claim_run_folder(config: RunConfig, seed: int) -> None:
    """Marks a run's folder with its configuration and where it comes from.

    Raises:
        ValueError: If it cannot be written.
    """
    folder = config.run_folder(seed)
    fresh = not (folder / "config.json").exists()
    claim(folder, "config.json", config.identity(seed))
    if fresh:
        write_atomically(folder / "provenance.json", json.dumps(provenance(), indent=2).encode())


def run_seeds(config: Config, run: Callable[[Config, int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs every seed, after the folders of all have been checked and then claimed.

    Args:
        config: The runs.
        run: Runs one seed, and gives the content of its ``result.json``.

    Raises:
        ValueError: If a folder is taken or cannot be written, before any run; and as ``run``.
    """
    for seed in config.seeds:
        check_run_folder(config, seed)
    for seed in config.seeds:
        claim_run_folder(config, seed)
    return [run(config, seed) for seed in config.seeds]


def run_stages(
    config: RunConfig,
    seed: int,
    stages: Callable[[Path, Stopwatch], dict[str, Any]],
    show: Callable[[Path, dict[str, Any]], None],
) -> dict[str, Any]:
    """Runs what is left of a run and writes ``result.json``, last; a complete one is only read.

    Args:
        config: The run.
        seed: Its seed.
        stages: What it does in its folder; gives the result.
        show: Writes the page of a result.

    Returns:
        The content of ``result.json``.

    Raises:
        ValueError: As ``stages``, or if a figure of the result is no number; it is noted in ``result.json`` too.
    """
    folder = config.run_folder(seed)
    path = folder / "result.json"
    if completed(folder):
        result: dict[str, Any] = json.loads(path.read_text())
        return result
    console.rule(f"{config.variant}, seed {seed}")
    try:
        result = stages(folder, Stopwatch(folder / "stages.json"))
        check_figures(f"{config.variant}, seed {seed},", result)
    except ValueError as error:
        failed = {"status": "failed", "reason": str(error)}
        write_atomically(path, json.dumps(failed, indent=2).encode())
        raise
    show(folder, result)
    write_atomically(path, json.dumps(result, indent=2).encode())
    return result
