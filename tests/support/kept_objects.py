"""A leak, where another process can import it."""

from __future__ import annotations

from pathlib import Path

from experiments.robustness.leak_check import growth


def keep_memory_and_files(folder: Path) -> dict[str, dict[str, float]]:
    """What 20 times 8 MB and an open file come to, in a process that has no freed memory to use again."""
    kept: list[object] = []
    return growth(
        lambda: kept.append((bytearray(b"x" * 2**23), (folder / "file").open("w"))),
        times=20,
        warm_up=2,
    )
