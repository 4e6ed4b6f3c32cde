"""Differences between the folders of two runs that should be equal except for times."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import torch

from experiments.robustness.damage_originals import fingerprint

TIMES = ("seconds", "wall_seconds", "train_seconds", "env_steps_per_second", "updates_per_second", "digest")
"""Columns and keys that tell how long something took, or go by that."""

PRESENT = (".png", ".html", ".md")
"""Suffixes of files that only have to exist: figures and pages contain times."""

LEFT_OUT = ("tensorboard", "logs", "log.txt")
"""Parts of a path that hold logs, not results."""


def differences(expected: Path, found: Path) -> list[str]:
    """Every file that is missing, different or extra in one of two runs.

    Args:
        expected: Folder of the run that was left alone.
        found: Folder of the other run.
    """
    ours, theirs = _files(expected), _files(found)
    apart = [f"{name} is missing" for name in sorted(ours.keys() - theirs.keys())]
    apart += [f"{name} is left over" for name in sorted(theirs.keys() - ours.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        apart += [f"{name}: {what}" for what in _compared(ours[name], theirs[name], expected, found)]
    return apart


def _files(folder: Path) -> dict[str, Path]:
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path
        for name, path in found.items()
        if not any(part in LEFT_OUT or part.startswith(".") for part in Path(name).parts)
    }


def litter(folder: Path) -> list[str]:
    """Files that unfinished writes have left behind."""
    hidden = [path.relative_to(folder) for path in folder.rglob(".*") if not path.name.endswith(".lock")]
    return sorted(str(path) for path in hidden)


def _compared(expected: Path, found: Path, old: Path, new: Path) -> list[str]:
    if expected.suffix in PRESENT:
        return []
    if expected.suffix == ".json":
        pair = [_timeless(json.loads(path.read_text())) for path in (expected, found)]
        if expected.name in ("provenance.json", "stages.json"):
            pair = [sorted(part) for part in pair]
        if expected.parent.name == "checkpoint":
            # That of archives, which have dates in them.
            pair = [{key: value for key, value in part.items() if key != "digest"} for part in pair]
        # A run knows the folder that it is in.
        ours, theirs = json.dumps(pair[0]).replace(str(old), ""), json.dumps(pair[1]).replace(str(new), "")
        return [] if ours == theirs else [f"{ours[:200]} became {theirs[:200]}"]
    if expected.suffix == ".pt":
        same = fingerprint(_tensors(expected)) == fingerprint(_tensors(found))
        return [] if same else ["other tensors"]
    if expected.suffix == ".csv":
        ours_rows, theirs_rows = (_rows(path) for path in (expected, found))
        apart = [f"{row} became {other}" for row, other in zip(ours_rows, theirs_rows, strict=False) if row != other]
        more = f"{len(ours_rows)} rows became {len(theirs_rows)}"
        return [*apart[:1], *[more] * (len(ours_rows) != len(theirs_rows))]
    return [] if expected.read_bytes() == found.read_bytes() else ["other bytes"]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(part) for key, part in value.items() if key not in TIMES}
    return [_timeless(part) for part in value] if isinstance(value, list) else value


def _tensors(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _rows(path: Path) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(path.read_text(), newline=""))
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]
