"""Claims of folders: each belongs to one configuration, and is refused to any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from encoders.files import read_object, write_atomically


def claim(folder: Path, file: str, content: object) -> None:
    """Marks a folder as belonging to a configuration.

    Raises:
        ValueError: If it cannot be written, or belongs to another configuration.
    """
    check_claim(folder, file, content)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder} cannot be written: {error.strerror}. Choose another folder.") from error
    if not (folder / file).exists():
        write_atomically(folder / file, json.dumps(content, indent=2, default=str).encode())


def check_claim(folder: Path, file: str, content: object) -> None:
    """Refuses a folder that ``claim`` marked for another configuration; writes nothing.

    Raises:
        ValueError: If it belongs to another configuration.
    """
    path = folder / file
    if not path.exists():
        return
    old, new = read_claim(path), json.loads(json.dumps(content, default=str))
    if old != new:
        changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        raise ValueError(f"{folder} holds another run: {', '.join(changed)} differ(s). Choose another --out.")


def read_claim(path: Path) -> dict[str, Any]:
    """The configuration that a folder was marked with.

    Raises:
        ValueError: If it is damaged.
    """
    remedy = f"if {path.parent} is yours and of this very configuration, delete the file; else choose another --out"
    return read_object(path, "configuration", remedy)
