"""Trouble other than kills: a full disk, a read-only folder, Ctrl-C, a second run."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments.robustness.kill_runs import COMMANDS
from experiments.robustness.process_tree import Tree
from experiments.robustness.run_differences import differences

RUN_SECONDS = 600.0
"""Seconds that a run may take at most."""

STOP_SECONDS = 3.0
"""Seconds within which Ctrl-C ends a command."""

REFUSAL_SECONDS = 30.0
"""Seconds within which a second command on the same folder is refused, its start included."""

CHECKPOINT = "checkpoint/state.json"

SURVIVED, FAILED, SKIPPED = "survived", "FAILED", "skipped"

MEGABYTE = 2**20


@dataclass
class Trouble:
    """The outcome of a kind of trouble.

    Attributes:
        outcome: ``survived``, ``FAILED`` or ``skipped``.
        message: What the command said of it, or why it failed or was skipped.
        seconds: How long the command took to end.
    """

    outcome: str
    message: str
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing failed."""
        return self.outcome != FAILED


def full_disk(work: str, expected: Path, out: Path) -> Trouble:
    """A disk that holds half of what a run writes, and is made larger after the run has failed."""
    size = sum(path.stat().st_size for path in expected.rglob("*") if path.is_file())
    with _disk(out, max(MEGABYTE, size // 2)) as mounted:
        if not mounted:
            return Trouble(SKIPPED, "a disk of its own takes the right to mount")
        tree = _to_its_end(work, out / "run", out)
        problem = _complaint(tree, "No space left on device")
        if problem:
            return Trouble(FAILED, problem, tree.seconds)
        _mount("-o", f"remount,size={4 * size + 2**27}", str(out))
        return _goes_on(work, expected, out, tree)


def read_only_folder(work: str, expected: Path, out: Path) -> Trouble:
    """A disk that becomes read-only in the middle of a run, between two commands, and writable again."""
    with _disk(out, 2**29) as mounted:
        if not mounted:
            return Trouble(SKIPPED, "a disk of its own takes the right to mount")
        tree = Tree(COMMANDS[work](out / "run"), out.with_suffix(".log"))
        found = tree.wait_for(CHECKPOINT, out, RUN_SECONDS)
        tree.end()
        if not found:
            return Trouble(FAILED, f"there was no checkpoint; {tree.log} says why")
        if not _made_read_only(out):
            return Trouble(FAILED, f"{out} cannot be made read-only: something still writes there")
        tree = _to_its_end(work, out / "run", out)
        _mount("-o", "remount,rw", str(out))
        problem = _complaint(tree, "Read-only file system")
        return Trouble(FAILED, problem, tree.seconds) if problem else _goes_on(work, expected, out, tree)


def interrupt(work: str, expected: Path, out: Path) -> Trouble:
    """Ctrl-C in the middle of a training."""
    tree = Tree(COMMANDS[work](out / "run"), out.with_suffix(".log"))
    try:
        if not tree.wait_for(CHECKPOINT, out, RUN_SECONDS):
            return Trouble(FAILED, f"there was no checkpoint; {tree.log} says why")
        before = tree.seconds
        tree.signal(signal.SIGINT)
        status = tree.wait(10 * STOP_SECONDS)
        spent = tree.seconds - before
        left = tree.left(STOP_SECONDS)
    finally:
        tree.end()
    message = _last_line(tree.said)
    problems = [
        f"it took {spent:.1f} s" * (spent > STOP_SECONDS),
        f"the exit status is {status}" * (status != 128 + signal.SIGINT),
        f"{left} went on" * bool(left),
        "it prints a traceback" * ("Traceback" in tree.said),
        f"it does not say how to go on: {message}" * ("same command" not in message),
    ]
    if any(problems):
        return Trouble(FAILED, "; ".join(filter(None, problems)), spent)
    gone_on = _goes_on(work, expected, out, tree)
    return Trouble(gone_on.outcome, gone_on.message, round(spent, 2))


def second_command(work: str, expected: Path, out: Path) -> Trouble:
    """The same command twice at a time."""
    first = Tree(COMMANDS[work](out / "run"), out.with_suffix(".log"))
    try:
        if not first.wait_for("*.lock", out, RUN_SECONDS):
            return Trouble(FAILED, "the first command makes no lock")
        second = Tree(COMMANDS[work](out / "run"), out.with_suffix(".second.log"))
        status = second.wait(REFUSAL_SECONDS)
        spent, went_on = second.seconds, first.parent.poll() is None
        second.end()
        message = _last_line(second.said)
        if status != 2 or not went_on or "Traceback" in second.said or str(out) not in " ".join(second.said.split()):
            return Trouble(FAILED, f"the second ends with {status} after {spent:.0f} s: {message}", spent)
        status = first.wait(RUN_SECONDS)
    finally:
        first.end()
    apart = differences(expected, out / "run")
    if status != 0 or apart:
        return Trouble(FAILED, f"the first ends with {status}: {apart[:3]}", spent)
    return Trouble(SURVIVED, message, round(spent, 2))


TROUBLES: dict[str, Callable[[str, Path, Path], Trouble]] = {
    "full disk": full_disk,
    "read-only folder": read_only_folder,
    "interrupt": interrupt,
    "second command": second_command,
}
"""Kinds of trouble by name: (work, folder of the undisturbed run, folder) -> what came of it."""


def _to_its_end(work: str, run: Path, out: Path) -> Tree:
    tree = Tree(COMMANDS[work](run), out.with_suffix(".log"))
    try:
        tree.wait(RUN_SECONDS)
    finally:
        tree.end()
    return tree


def _complaint(tree: Tree, reason: str) -> str:
    """What is wrong with the error of a command that could not write; empty if nothing is."""
    said = " ".join(tree.said.split())
    if tree.parent.returncode not in (1, 2):
        return f"it ended with {tree.parent.returncode}: {_last_line(tree.said)}"
    if reason not in said:
        return f"it does not say {reason!r}: {_last_line(tree.said)}"
    return "it prints a traceback" if "Traceback" in tree.said else ""


def _goes_on(work: str, expected: Path, out: Path, failed: Tree) -> Trouble:
    """The same command again, when the trouble is over."""
    message = _last_line(failed.said)
    again = _to_its_end(work, out / "run", out)
    if again.parent.returncode != 0:
        return Trouble(FAILED, f"going on ends with {again.parent.returncode}: {_last_line(again.said)}")
    apart = differences(expected, out / "run")
    return Trouble(FAILED, "; ".join(apart[:3])) if apart else Trouble(SURVIVED, message, round(failed.seconds, 2))


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


@contextmanager
def _disk(folder: Path, size: int) -> Iterator[bool]:
    """A disk in memory at a folder; false where it cannot be mounted."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mounted = shutil.which("mount") is not None and _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _made_read_only(disk: Path) -> bool:
    """Remounts a disk read-only; retries while killed processes still hold files open."""
    until = time.monotonic() + STOP_SECONDS
    while not _mount("-o", "remount,ro", str(disk)):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _mount(*words: str) -> bool:
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0
