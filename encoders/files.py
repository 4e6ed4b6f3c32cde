"""Files that appear whole: written beside their place, then renamed into it."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that a reader, or a crash, never sees half of it.

    Args:
        path: The file; what stood there is replaced.
        content: Every byte of it.

    Raises:
        ValueError: If the file cannot be written (a full disk, a folder without permission).
    """
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written: {error.strerror}. Free the disk or choose another folder."
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise ValueError(
            f"{path} cannot be written: {error.strerror}. Free the disk or choose another folder."
        ) from error


def write_json(path: Path, content: Any) -> None:
    """Writes figures as indented JSON, whole, in a folder that is made for them.

    Args:
        path: The file; what stood there is replaced.
        content: Mappings, lists, numbers and texts; what is none of these (a path) is written as text.

    Raises:
        ValueError: If the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content, indent=2, default=str).encode())


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Writes rows under a heading as CSV, whole.

    Args:
        path: The file; what stood there is replaced.
        rows: One mapping a line.
        columns: Names in the heading, in order; a row has no others.

    Raises:
        ValueError: If a row has another column, or the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
