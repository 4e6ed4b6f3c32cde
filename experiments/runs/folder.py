"""The folder of a run: claimed before work, resumed or refused, with the result at the end."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from filelock import FileLock, Timeout
from rich.console import Console
from rich.markup import escape

from encoders.device import plain_memory_errors
from encoders.errors import check_figures
from encoders.files import FileError, read_object, write_atomically
from encoders.weights import digest_of
from experiments.runs.choices import Tracker, check_tracker
from experiments.runs.claims import check_claim, claim, read_claim
from experiments.runs.provenance import provenance

RESULT_FILE = "result.json"
CONFIG_FILE = "config.json"
PROVENANCE_FILE = "provenance.json"
STAGES_FILE = "stages.json"
STATE_FILE = "checkpoint/state.json"

GO_ON = "delete it and add --resume to go on from the last checkpoint"
"""What to do about a damaged file that the run writes again."""

PATIENCE = 3.0
"""Seconds that another process may take to leave a run's folder: one that was just killed needs a moment."""

console = Console()


class RunConfig(Protocol):
    """The part of a configuration that the folder of a run needs."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """One run a seed."""

    @property
    def steps(self) -> int:
        """Steps of the training."""

    @property
    def resume(self) -> bool:
        """Whether an existing run is resumed."""

    @property
    def track(self) -> Tracker:
        """Who follows the training."""

    @property
    def device(self) -> str:
        """Where encoders and agents calculate."""

    @property
    def variant(self) -> str:
        """Name of everything but the seed."""

    def bound_to(self, steps: int) -> str:
        """Why a run of so many steps cannot be extended, as a sentence; empty if it can."""

    def run_folder(self, seed: int) -> Path:
        """Folder of the run of a seed."""

    def identity(self, seed: int) -> dict[str, Any]:
        """The settings that determine the result of a run."""


Config = TypeVar("Config", bound=RunConfig)


class Stopwatch:
    """Seconds by stage, kept in a file so that a resumed run still knows what its stages took.

    A process that is killed has no time to note those of the stage that it was in.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seconds = read_seconds(path)

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


def read_seconds(path: Path) -> dict[str, float]:
    """Seconds by stage that a stopwatch wrote; empty if there are none yet.

    Raises:
        ValueError: If the file is damaged.
    """
    if not path.exists():
        return {}
    seconds = read_object(path, "stages' times", GO_ON)
    for name, value in seconds.items():
        if type(value) not in (int, float) or not 0 <= value < math.inf:
            raise FileError(f"The stages' times {path} have {value!r} for {name}, no number of seconds; {GO_ON}.")
    return seconds


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


def read_result(folder: Path) -> dict[str, Any] | None:
    """The result of the run in a folder, or None where there is none.

    Raises:
        ValueError: If it is damaged.
    """
    path = folder / RESULT_FILE
    if not path.exists():
        return None
    result = read_object(path, "result", GO_ON, ("status",))
    # Results from before there were digests have none.
    digest = result.pop("digest", None)
    if digest is not None and digest != digest_of(result):
        raise FileError(f"The result {path} holds other figures than were written, by its digest; {GO_ON}.")
    return result


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Writes the result of the run in a folder, with a digest of it."""
    content = {**result, "digest": digest_of(result)}
    write_atomically(folder / RESULT_FILE, json.dumps(content, indent=2).encode())


def completed(folder: Path) -> bool:
    """Whether the run in a folder is complete.

    Raises:
        ValueError: If its result is damaged.
    """
    result = read_result(folder)
    return result is not None and bool(result["status"] == "completed")


def fewer_steps(config: RunConfig, seed: int) -> int | None:
    """The steps of the run in a folder, if nothing else differs; None otherwise."""
    path = config.run_folder(seed) / CONFIG_FILE
    if not path.exists():
        return None
    found, wanted = read_claim(path), json.loads(json.dumps(config.identity(seed), default=str))
    apart = [key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)]
    steps = found.get("steps")
    return steps if apart == ["steps"] and type(steps) is int else None


def check_run_folder(config: RunConfig, seed: int, extend: bool = True) -> None:
    """Refuses a run's folder that is taken, or damaged; writes nothing.

    Args:
        config: The run.
        seed: Its seed.
        extend: Whether the run that is there may go on for more steps than it was asked for.

    Raises:
        ValueError: If it holds another run, or holds this one and ``resume`` is off, or a file in it is damaged.
    """
    folder = config.run_folder(seed)
    before = fewer_steps(config, seed) if extend else None
    if before is None:
        check_claim(folder, CONFIG_FILE, config.identity(seed))
    else:
        _check_extension(config, folder, before)
    state = "complete" if completed(folder) else "unfinished"
    marked = (folder / CONFIG_FILE).exists()
    if marked and not config.resume:
        raise ValueError(f"{folder} holds this run already, {state}; add --resume, or choose another --out.")
    if not config.resume and ((folder / RESULT_FILE).exists() or (folder / STATE_FILE).exists()):
        raise ValueError(
            f"{folder} holds a run without its {CONFIG_FILE}; if it is this very run, add --resume, else choose "
            "another --out."
        )
    read_seconds(folder / STAGES_FILE)
    if (folder / PROVENANCE_FILE).exists():
        read_object(folder / PROVENANCE_FILE, "provenance", GO_ON)


def _check_extension(config: RunConfig, folder: Path, before: int) -> None:
    """Refuses an extension to more steps that would not equal one training.

    Raises:
        ValueError: If it would; it says why.
    """
    why = ""
    if config.bound_to(before):
        why = config.bound_to(before)
    elif config.steps < before:
        why = f"It has been asked for {before} steps already, and what is trained is not taken back."
    elif not config.resume:
        why = "Add --resume to go on for more steps."
    elif completed(folder) and not (folder / STATE_FILE).exists():
        why = f"Its last checkpoint, {folder / STATE_FILE}, is missing, so it cannot go on for more."
    if why:
        raise ValueError(
            f"{folder} holds another run: steps differ(s), {before} there and {config.steps} here. {why} "
            "Choose another --out."
        )


def claim_run_folder(config: RunConfig, seed: int) -> None:
    """Marks a run's folder with its configuration and where it comes from.

    The result of a run that goes on for more steps is kept as ``result_STEPS.json``.

    Raises:
        ValueError: If it cannot be written.
    """
    folder = config.run_folder(seed)
    before = fewer_steps(config, seed)
    if before is not None:
        _extend(config, seed, before)
        return
    marked = (folder / CONFIG_FILE).exists()
    claim(folder, CONFIG_FILE, config.identity(seed))
    # A kill may have fallen between the two files.
    if not marked or not (folder / PROVENANCE_FILE).exists():
        write_atomically(folder / PROVENANCE_FILE, json.dumps(provenance(), indent=2).encode())


def _extend(config: RunConfig, seed: int, before: int) -> None:
    """Extends a run to more steps; a kill between any two files leaves one that can be extended again."""
    folder, path = config.run_folder(seed), config.run_folder(seed) / PROVENANCE_FILE
    message = f"{folder} goes on from {before} to {config.steps} steps"
    if completed(folder):
        kept = folder / f"result_{before}.json"
        try:
            (folder / RESULT_FILE).replace(kept)
        except OSError as error:
            raise ValueError(f"{folder} cannot be written: {error.strerror}. Choose another folder.") from error
        message += f"; its result is kept as {kept.name}"
    origin = read_object(path, "provenance", GO_ON) if path.exists() else {}
    started = provenance()
    more = {"steps": f"{before} to {config.steps}", **{key: started[key] for key in ("command", "started", "commit")}}
    origin = (origin or started) | {"extensions": [*origin.get("extensions", []), more]}
    write_atomically(path, json.dumps(origin, indent=2).encode())
    identity = json.dumps(config.identity(seed), indent=2, default=str)
    write_atomically(folder / CONFIG_FILE, identity.encode())
    console.print(f"{message}.", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def alone(path: Path, who: str) -> Iterator[None]:
    """Locks out other processes; the system releases the lock of a killed one.

    Args:
        path: Of the lock.
        who: What is locked, as the start of a sentence.

    Raises:
        ValueError: If another process is there and stays, or the lock cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The lock itself would be acquired a second time by `with`, and outlive it.
        lock = FileLock(path, timeout=PATIENCE).acquire()
    except Timeout as error:
        raise ValueError(f"{who}; wait for it, or choose another --out.") from error
    except OSError as error:
        raise ValueError(f"{path.parent} cannot be written: {error.strerror}. Choose another folder.") from error
    with lock:
        yield


def run_seeds(config: Config, run: Callable[[Config, int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs every seed, after the folders of all have been checked and then claimed.

    Args:
        config: The runs.
        run: Runs one seed, and gives the content of its ``result.json``.

    Raises:
        ValueError: If a folder is taken or cannot be written, or the tracker is not installed, before any run; and as
            ``run``.
    """
    check_tracker(config.track)
    for seed in config.seeds:
        check_run_folder(config, seed)
    with ExitStack() as locks:
        for seed in config.seeds:
            folder = config.run_folder(seed)
            # A complete run is only read.
            if fewer_steps(config, seed) is not None or not completed(folder):
                lock = folder.parent / f".{folder.name}.lock"
                locks.enter_context(alone(lock, f"Another process is at work on the run in {folder}"))
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
        ValueError: As ``stages``, or if a figure of the result is no number; it is noted in ``result.json`` too, as is
            an ``OSError``: a worker that died, a disk or a GPU's memory that is full.
    """
    folder = config.run_folder(seed)
    result = read_result(folder)
    if result is not None and result["status"] == "completed":
        return result
    console.rule(escape(f"{config.variant}, seed {seed}"))
    try:
        with plain_memory_errors():
            result = stages(folder, Stopwatch(folder / STAGES_FILE))
        check_figures(f"{config.variant}, seed {seed},", result)
    except (ValueError, OSError) as error:
        failed = {"status": "failed", "reason": str(error)}
        write_result(folder, failed)
        raise
    except KeyboardInterrupt as stop:
        stop.add_note(_last_checkpoint(folder))
        raise
    show(folder, result)
    write_result(folder, result)
    return result


def _last_checkpoint(folder: Path) -> str:
    """The last checkpoint of a stopped run, as a sentence."""
    with suppress(FileError):
        steps = read_object(folder / STATE_FILE, "checkpoint", GO_ON, ("env_steps",))["env_steps"]
        return f"The last checkpoint in {folder} is after {steps:,} steps."
    return f"There is no checkpoint in {folder} yet; what comes before the training is kept."
