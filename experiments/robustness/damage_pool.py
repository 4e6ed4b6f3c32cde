"""Readers of damaged files in processes of their own, which may crash, hang or ask for all memory."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from experiments.robustness.damage_originals import Original, fingerprint
from experiments.robustness.damage_verdicts import Verdict, judge, quietly
from experiments.robustness.damages import INVERTED_MOOV, damage, inverted

HANG_SECONDS = 20.0

PREPARING_SECONDS = 120.0
"""Seconds that a process may take to read the undamaged files first."""

MORE_MEGABYTES = 64.0
"""Memory that a damaged file may take beyond what the undamaged one does."""

ADDRESS_BYTES = 4 * 2**30
"""Memory that a reader's process may ask for, beyond what it has when it starts; more fails at once."""


class Task(NamedTuple):
    """A file to damage and to read.

    Attributes:
        number: Its own; seeds the damage.
        original: Which of the originals.
        file: The file, relative to the original's folder.
        damage: The kind.
        place: The byte, for the damage that has one.
    """

    number: int
    original: int
    file: str
    damage: str
    place: int = -1

    def content(self, undamaged: bytes, seed: int) -> bytes:
        """The damaged bytes."""
        if self.damage == INVERTED_MOOV:
            return inverted(undamaged, self.place)
        return damage(undamaged, self.damage, np.random.default_rng([seed, self.number]))


def _serve(connection: Connection, originals: tuple[Original, ...], folder: Path, seed: int) -> None:
    """In a process of its own: tasks in, verdicts out, until the tasks end."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ADDRESS_BYTES, size + ADDRESS_BYTES))
    scratch = Path(f"{folder}-{mp.current_process().name}")
    expected: dict[int, object] = {}
    with contextlib.suppress(EOFError):
        while True:
            task: Task = connection.recv()
            original, source = originals[task.original], folder / str(task.original)
            if task.original not in expected:
                expected[task.original] = fingerprint(quietly(partial(original.read, _copied(source, scratch))))
            work = _copied(source, scratch)
            (work / task.file).write_bytes(task.content((source / task.file).read_bytes(), seed))
            connection.send(None)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            verdict = judge(original, work, task.file, source / task.file, expected[task.original])
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            if grown > MORE_MEGABYTES:
                verdict = Verdict("memory", f"{verdict.outcome}: {verdict.reason}")
            connection.send(verdict._replace(megabytes=grown))
            if verdict.outcome == "memory":
                # The largest memory of a process never falls: the next file is measured in another one.
                return


def _copied(source: Path, scratch: Path) -> Path:
    shutil.rmtree(scratch, ignore_errors=True)
    return Path(shutil.copytree(source, scratch))


class _Reader:
    """A process that reads, and the file that it is at."""

    def __init__(self, start: Callable[[Connection], Any]) -> None:
        self.connection, theirs = mp.Pipe()
        self.process = start(theirs)
        self.process.start()
        theirs.close()
        self.task: Task | None = None
        self.deadline = 0.0

    def give(self, task: Task) -> None:
        self.task = task
        self.deadline = time.monotonic() + PREPARING_SECONDS
        self.connection.send(task)

    def verdict(self, hang_seconds: float) -> Verdict | None:
        """The verdict on the file, once it is known."""
        try:
            if self.connection.poll():
                found: Verdict | None = self.connection.recv()
                self.deadline = time.monotonic() + hang_seconds
                return found
        except (EOFError, ConnectionResetError):
            self.process.join()
            return Verdict("crash", f"exit code {self.process.exitcode}")
        if time.monotonic() > self.deadline:
            return Verdict("hang", f"more than {hang_seconds:g} s")
        return None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def read_all(
    originals: tuple[Original, ...],
    tasks: Iterable[Task],
    folder: Path,
    seed: int,
    workers: int,
    hang_seconds: float = HANG_SECONDS,
) -> Iterator[tuple[Task, Verdict]]:
    """Reads damaged files side by side; a process that dies or hangs is followed by another.

    Args:
        originals: All of them.
        tasks: Files.
        folder: Holds the undamaged files of every original in a folder named by its number.
        seed: Of all damage.
        workers: Processes.
        hang_seconds: Time after which reading one file is a hang.

    Yields:
        Every task with its verdict, as they end.
    """
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["experiments.robustness.damage_check"])

    def start(connection: Connection) -> Any:
        return context.Process(target=_serve, args=(connection, originals, folder, seed), daemon=True)

    waiting = iter(tasks)
    readers = {_Reader(start) for _ in range(workers)}
    try:
        while readers:
            for reader in list(readers):
                if reader.task is None:
                    task = next(waiting, None)
                    if task is None:
                        reader.end()
                        readers.remove(reader)
                    else:
                        reader.give(task)
            wait([reader.connection for reader in readers], timeout=0.5)
            for reader in list(readers):
                verdict = reader.verdict(hang_seconds)
                if verdict is not None and reader.task is not None:
                    yield reader.task, verdict
                    reader.task = None
                    if verdict.outcome in ("crash", "hang", "memory"):
                        reader.end()
                        readers.remove(reader)
                        readers.add(_Reader(start))
    finally:
        for reader in readers:
            reader.end()
