"""The origin of a fitted encoder, recorded in its folder so that no other fit is mistaken for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from encoders.base import CONFIG_FILE, Encoder
from encoders.clips.clips import Clips
from encoders.device import CPU
from encoders.files import FileError, read_object, write_json
from encoders.videos.frame_cache import FileVideo

ORIGIN_FILE = "fit.json"

ENDS = 2**20
"""Bytes at either end of a video file that identify it, together with its size: where a container keeps the
sizes of all its frames."""


def origin_of(
    encoder: Encoder,
    training: Clips | None,
    validation: Clips,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Everything that determines a fit.

    Args:
        encoder: As it is before.
        training: Clips to learn from; None where nothing is learned.
        validation: Clips to choose by and to measure on.
        settings: Of the training.
        seed: Of the batches.

    Returns:
        Name -> value, as JSON has it; clips and weights as digests.
    """
    content = {
        "encoder": {"name": encoder.name, **asdict(encoder.config)},
        "initial weights": _weights_digest(encoder),
        "training clips": None if training is None else clips_digest(training),
        "validation clips": clips_digest(validation),
        "settings": None if settings is None else dict(settings),
        "seed": seed,
    }
    # Another device rounds differently; folders from before it could be another one do not name the processor.
    if encoder.device.type != CPU:
        content["device"] = encoder.device.type
    found: dict[str, Any] = json.loads(json.dumps(content))
    return found


def claim_folder(folder: Path, origin: Mapping[str, Any]) -> None:
    """Records in a folder what is being fitted into it.

    Args:
        folder: Made if it is not there.
        origin: What ``origin_of`` gave.

    Raises:
        ValueError: If the folder holds an encoder that was made from something else, or does not say from what; the
            message names what differs.
    """
    path = folder / ORIGIN_FILE
    remedy = f"name another folder, or delete {folder} to fit anew"
    if not path.exists():
        if (folder / CONFIG_FILE).exists() or (folder / "checkpoint").exists():
            raise FileError(
                f"{folder} holds an encoder and no {ORIGIN_FILE} that says what it was made from; {remedy}."
            )
        write_json(path, dict(origin))
        return
    found = read_object(path, "record of a fit", remedy)
    names = [*origin, *(name for name in found if name not in origin)]
    differing = [text for name in names for text in _differences(name, found.get(name), origin.get(name))]
    if differing:
        raise ValueError(
            f"{folder} holds a fit that differs: {'; '.join(differing)}. Name another folder, or delete it."
        )


def _differences(name: str, there: Any, here: Any) -> Iterator[str]:
    """Differences between two values, as texts."""
    if there == here:
        return
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(set(there) | set(here)):
            yield from _differences(f"{name} {key}", there.get(key), here.get(key))
    elif name.endswith(("clips", "weights")):
        yield f"the {name} are others"
    else:
        yield f"{name} is {there!r} there and {here!r} here"


def _weights_digest(encoder: Encoder) -> str:
    """A digest of everything that an encoder holds but its distance scale, which a fit measures."""
    digest = hashlib.sha256()
    for name, value in encoder.state_dict().items():
        if name != "distance_scale":
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def clips_digest(clips: Clips) -> str:
    """A digest of clips: names, shapes, and all frames of those in memory; of files their sizes and both ends."""
    digest = hashlib.sha256()
    for name, video in zip(clips.names, clips.videos, strict=True):
        digest.update(f"{name} {tuple(video.shape)}".encode())
        if isinstance(video, FileVideo):
            for path in video.paths:
                digest.update(file_ends(path))
        else:
            for view in video:
                digest.update(np.ascontiguousarray(view).data)
    return digest.hexdigest()


def file_ends(path: Path) -> bytes:
    """The size of a file, its beginning and its end: what tells it from others without reading all of it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        beginning = file.read(ENDS)
        file.seek(max(size - ENDS, 0))
        return f"{size}".encode() + beginning + file.read()
