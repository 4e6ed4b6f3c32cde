"""Readers that misbehave, where another process can import them."""

from __future__ import annotations

import os
import signal
import time
import warnings
from pathlib import Path

from experiments.robustness.damage_originals import Original

CONTENT = "the quick brown fox jumps over the lazy dog\n" * 8


def make(folder: Path) -> None:
    (folder / "file.txt").write_text(CONTENT)


def read(folder: Path) -> bytes:
    return (folder / "file.txt").read_bytes()


def damaged(folder: Path) -> bool:
    return read(folder) != CONTENT.encode()


def read_silently(folder: Path) -> bytes:
    return read(folder)


def refuse(folder: Path) -> bytes:
    if damaged(folder):
        raise ValueError(f"{folder / 'file.txt'} is damaged; copy it again.")
    return read(folder)


def refuse_namelessly(folder: Path) -> bytes:
    if damaged(folder):
        raise ValueError("something is damaged")
    return read(folder)


def advise(folder: Path) -> bytes:
    if damaged(folder):
        raise ValueError(f"{folder / 'file.txt'} needs weights_only=False")
    return read(folder)


def repair(folder: Path) -> str:
    return CONTENT


def tell(folder: Path) -> bytes:
    if damaged(folder):
        warnings.warn(f"Of {folder / 'file.txt'}, 3 of 8 lines are lost.", stacklevel=2)
    return read(folder)


def tell_no_numbers(folder: Path) -> bytes:
    if damaged(folder):
        warnings.warn(f"{folder / 'file.txt'} may be damaged.", stacklevel=2)
    return read(folder)


def tell_no_name(folder: Path) -> bytes:
    if damaged(folder):
        warnings.warn("3 of 8 lines are lost.", stacklevel=2)
    return read(folder)


def fail(folder: Path) -> bytes:
    if damaged(folder):
        raise KeyError("line")
    return read(folder)


def crash(folder: Path) -> bytes:
    if damaged(folder):
        os.kill(os.getpid(), signal.SIGSEGV)
    return read(folder)


def hang(folder: Path) -> bytes:
    if damaged(folder):
        time.sleep(600)
    return read(folder)


def swell(folder: Path) -> bytes:
    if damaged(folder):
        return bytes(b"x" * 300 * 2**20)[:10]
    return read(folder)


def ask_for_everything(folder: Path) -> bytes:
    if damaged(folder):
        try:
            return bytes(2**40)
        except MemoryError as error:
            raise ValueError(f"{folder / 'file.txt'} is damaged.") from error
    return read(folder)


def never(undamaged: Path, found: Path) -> bool:
    return False


def always(undamaged: Path, found: Path) -> bool:
    return True


OUTCOMES = {
    read_silently: "wrong",
    refuse: "refused",
    refuse_namelessly: "other exception",
    advise: "other exception",
    repair: "right",
    tell: "reported",
    tell_no_numbers: "wrong",
    tell_no_name: "wrong",
    fail: "other exception",
    crash: "crash",
    swell: "memory",
    ask_for_everything: "memory",
}
"""What is to be said of every reader."""

ORIGINALS = tuple(Original(reader.__name__, make, reader, never) for reader in OUTCOMES)

HANGING = Original("hang", make, hang, never)

SOUND = Original("sound", make, read_silently, always)
