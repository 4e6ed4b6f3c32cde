"""Originals for the damage check: how an undamaged file is made, and what a reader finds in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Original:
    """Files of one kind that belong together; all functions are importable by name, for other processes.

    Attributes:
        name: The kind, as a table shows it.
        make: Writes them into a folder.
        read: Reads a folder of them through the project's own ways in, and gives what it found; it may write there.
        sound: Whether a damaged file is still a file of its kind by every rule that its format has: (undamaged,
            damaged) -> answer. Nothing shows that such a file is wrong.
        files: Patterns of the files that are damaged.
        weight: How often it is drawn, relative to others.
    """

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]
    sound: Callable[[Path, Path], bool]
    files: tuple[str, ...] = ("**/*",)
    weight: int = 1


def checksummed(undamaged: Path, damaged: Path) -> bool:
    """Formats with a checksum: nothing that was changed is sound."""
    return False


def fingerprint(found: Any) -> Any:
    """A comparable, picklable form of what was read: arrays and tensors become digests of their bytes."""
    if isinstance(found, torch.Tensor):
        # Types that numpy lacks, such as bfloat16, have bytes all the same.
        raw = found.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        return [str(found.dtype), list(found.shape), hashlib.sha256(raw.tobytes()).hexdigest()]
    if isinstance(found, np.ndarray):
        ordered = np.ascontiguousarray(found)
        return [str(found.dtype), list(found.shape), hashlib.sha256(ordered.tobytes()).hexdigest()]
    if isinstance(found, Mapping):
        return {str(key): fingerprint(value) for key, value in found.items()}
    if isinstance(found, Sequence) and not isinstance(found, str | bytes):
        return [fingerprint(value) for value in found]
    # As text, not a number is equal to itself.
    return repr(found)
