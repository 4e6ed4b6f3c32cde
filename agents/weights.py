"""Weights in files: identified by a digest, never cast to another type."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from encoders.files import FileError


def content_digest(content: bytes) -> str:
    """SHA-256 of the content of a file."""
    return hashlib.sha256(content).hexdigest()


def check_types(loaded: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path, remedy: str) -> None:
    """Refuses weights that loading would cast: int8, bool and complex ones would lose, and be taken without a word.

    Args:
        loaded: From a file.
        own: Of the network that they are for.
        path: The file.
        remedy: What to do, as the end of a sentence.

    Raises:
        FileError: If one has another type.
    """
    for name in sorted(set(loaded) & set(own)):
        if loaded[name].dtype != own[name].dtype:
            raise FileError(f"The weights {name} in {path} are {loaded[name].dtype}, not {own[name].dtype}; {remedy}.")
