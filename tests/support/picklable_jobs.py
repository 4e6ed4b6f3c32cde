"""Work for jobs, where another process can import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def note(path: Path, text: str) -> None:
    print("working on", text)
    path.write_text(text)


def fail() -> None:
    raise ValueError("the disk is\nfull")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(path: Path) -> None:
    if not path.exists():
        path.write_text("died")
        die()
    path.write_text("survived")


def beat(path: Path) -> None:
    """Writes the time until it is stopped."""
    while True:
        path.write_text(str(time.time()))
        time.sleep(0.05)


def submit_beat(path: Path) -> None:
    """A launcher with one endless job."""
    from experiments.sweep.launchers import Job, local

    with local(1) as launcher:
        launcher.submit(Job("beat", Beat(path), path.with_suffix(".log"))).result()


class Beat:
    """``beat`` with its path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> None:
        """Beats."""
        beat(self.path)


def double(number: int) -> int:
    return 2 * number


def fail_at_0(number: int) -> None:
    if number == 0:
        fail()
    time.sleep(0.01)


def die_at(_: int) -> None:
    die()


def known_encoders(_: object) -> list[str]:
    import encoders

    return encoders.names()


def note_encoders(path: Path) -> None:
    path.write_text(" ".join(known_encoders(None)))
