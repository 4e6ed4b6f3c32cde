"""A command with all processes that it starts: watched, killed one by one, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

POLL_SECONDS = 0.05


class Member(NamedTuple):
    """A process of a tree.

    Attributes:
        process: Itself.
        role: ``parent``, ``forkserver``, ``resource tracker``, or ``worker``.
    """

    process: psutil.Process
    role: str


class Tree:
    """A command that runs in a session of its own, so that its processes are found after their parent's death.

    Args:
        command: What is run.
        log: File that its output is added to.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._start = log.stat().st_size if log.exists() else 0
        with log.open("a") as output:
            self.parent = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self.started

    @property
    def said(self) -> str:
        """Output of this run of the command."""
        return self.log.read_bytes()[self._start :].decode(errors="replace")

    def members(self) -> list[Member]:
        """Its living processes."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess, ProcessLookupError):
                if os.getsid(process.pid) == self.parent.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(Member(process, self._role(process)))
        return found

    def _role(self, process: psutil.Process) -> str:
        words = " ".join(process.cmdline())
        if process.pid == self.parent.pid:
            return "parent"
        if "resource_tracker" in words:
            return "resource tracker"
        if "forkserver" in words and process.ppid() == self.parent.pid:
            return "forkserver"
        return "worker"

    def signal(self, number: signal.Signals) -> None:
        """Signals every process, as a terminal does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.parent.pid, number)

    def wait(self, seconds: float) -> int | None:
        """The exit status of the command, or None if it goes on after so many seconds."""
        try:
            return self.parent.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def wait_for(self, pattern: str, folder: Path, seconds: float) -> bool:
        """Waits for a file to appear below a folder, or for the end of the command; whether the file is there."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if any(folder.rglob(pattern)):
                return True
            if self.parent.poll() is not None:
                return False
            time.sleep(POLL_SECONDS)
        return False

    def left(self, seconds: float) -> list[str]:
        """Roles of the processes that are still there so many seconds after the command's end."""
        deadline = time.monotonic() + seconds
        while (members := self.members()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return [member.role for member in members]

    def end(self) -> None:
        """Kills whatever is left."""
        self.signal(signal.SIGKILL)
        for member in self.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                member.process.kill()
        self.parent.wait()
