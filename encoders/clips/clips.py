"""Clips: videos of one or several synchronised views, and batches drawn from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import FrameBatch, Sampling
from encoders.files import read_table
from encoders.videos.frame_cache import FileVideo, FrameCache, Stretch

MEMORY_BYTES = 2**30
"""Memory that decoded frames take at most, unless told otherwise."""

LABELS_FILE = "labels.csv"

_VIEW_FILE = re.compile(r"(?P<name>.+)_view(?P<view>\d+)\.[^.]+")


@dataclass(frozen=True)
class Clips:
    """Videos or stretches of videos, in memory or on disk.

    Attributes:
        videos: One a recording, (V, T, H, W, 3) uint8, or (V, T, h, w, F) float16 features of a stem; views and
            frames may differ between them.
        names: One name a video, for messages.
    """

    videos: Sequence[NDArray[Any] | FileVideo | Stretch]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.videos)

    def subset(self, indices: Sequence[int]) -> Clips:
        """The videos at these indices."""
        return Clips(tuple(self.videos[i] for i in indices), tuple(self.names[i] for i in indices))


def load_clips(
    folder: Path, names: Sequence[str], cameras: Sequence[str], size: int, memory_bytes: int = MEMORY_BYTES
) -> Clips:
    """Opens ``NAME_CAMERA.mp4`` for every name and camera; frames are decoded when they are asked for.

    Args:
        folder: Where the files are.
        names: One name a video.
        cameras: The views, in order.
        size: Width and height to scale to, pixels.
        memory_bytes: Memory that decoded frames take at most.

    Raises:
        ValueError: If a file is missing or damaged, or the views of a video differ in length or size.
    """
    return _open([[folder / f"{name}_{camera}.mp4" for camera in cameras] for name in names], names, size, memory_bytes)


def open_folder(folder: Path, size: int, memory_bytes: int = MEMORY_BYTES) -> Clips:
    """Opens every recording of a folder: ``NAME_view0.mp4``, ``NAME_view1.mp4`` and on, of any container.

    Args:
        folder: Where the files are.
        size: Width and height to scale to, pixels.
        memory_bytes: Memory that decoded frames take at most.

    Raises:
        ValueError: If there are fewer than two recordings, one lacks a view that others have, a file is
            damaged or there twice, or the views of a recording differ in length or size.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}; name one with NAME_view0.mp4, NAME_view1.mp4 and so on.")
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        match = _VIEW_FILE.fullmatch(path.name)
        if match and path.is_file():
            files, view = found.setdefault(match["name"], {}), int(match["view"])
            if view in files:
                raise ValueError(f"In {folder}, {files[view].name} and {path.name} are the same view; remove one.")
            files[view] = path
    if len(found) < 2:
        raise ValueError(
            f"{folder} holds {len(found)} recording(s) named NAME_view0.mp4, NAME_view1.mp4 and so on; "
            "at least 2 are needed."
        )
    views = sorted(set().union(*found.values()))
    for name, files in found.items():
        missing = [view for view in views if view not in files]
        if missing:
            raise ValueError(
                f"{folder} has no {name}_view{missing[0]}, and other recordings have that view; add or remove it."
            )
    return _open([[files[view] for view in views] for files in found.values()], list(found), size, memory_bytes)


def _open(paths: Sequence[Sequence[Path]], names: Sequence[str], size: int, memory_bytes: int) -> Clips:
    cache = FrameCache(memory_bytes, size)
    # Reading packets waits for the disk; two threads keep two files busy.
    with ThreadPoolExecutor(2) as pool:
        return Clips(tuple(pool.map(lambda views: FileVideo(views, cache), paths)), tuple(names))


@dataclass(frozen=True)
class Labels:
    """Binary attributes of every frame, used only to judge embeddings.

    Attributes:
        attributes: Names of the attributes.
        videos: One array a video, (T, A) bool.
    """

    attributes: tuple[str, ...]
    videos: tuple[NDArray[np.bool_], ...]

    def subset(self, indices: Sequence[int]) -> Labels:
        """The labels of the videos at these indices."""
        return Labels(self.attributes, tuple(self.videos[i] for i in indices))


def read_labels(folder: Path, clips: Clips) -> Labels | None:
    """Reads ``labels.csv``: the columns ``name``, ``frame`` and one of 0 or 1 an attribute.

    Args:
        folder: Where the file is, or is not.
        clips: What it labels.

    Returns:
        The labels in the order of the clips, or None without the file.

    Raises:
        ValueError: If a frame of the clips has no label, or two, or a label is not 0 or 1.
    """
    path = folder / LABELS_FILE
    if not path.exists():
        return None
    columns, lines = read_table(path, "table of labels", "write it as CSV in UTF-8, one row a frame")
    if columns[:2] != ("name", "frame") or len(columns) < 3:
        raise ValueError(f"{path} has the columns {columns}; they must be name, frame and at least one attribute.")
    table: dict[tuple[str | None, ...], list[str | None]] = {}
    for line in lines:
        cells = [*line, *[None] * (len(columns) - len(line))]
        key = tuple(cells[:2])
        if key in table:
            raise ValueError(f"{path} labels frame {key[1]} of {key[0]} twice; remove one of them.")
        table[key] = cells[2:]
    videos = []
    for name, video in zip(clips.names, clips.videos, strict=True):
        rows = []
        for frame in range(video.shape[1]):
            values = table.pop((name, str(frame)), None)
            if values is None:
                raise ValueError(f"{path} has no label for frame {frame} of {name}, which has {video.shape[1]} frames.")
            if len(values) != len(columns) - 2 or not set(values) <= {"0", "1"}:
                raise ValueError(
                    f"{path} labels frame {frame} of {name} with {values}; labels must be 0 or 1, one an attribute."
                )
            rows.append([value == "1" for value in values])
        for frame in range(video.shape[1], video.longest if isinstance(video, FileVideo) else 0):
            # A view that films longer than another one may be labelled to its end.
            table.pop((name, str(frame)), None)
        videos.append(np.array(rows))
    known = set(clips.names)
    beyond = next((key for key in table if key[0] in known), None)
    if beyond is not None:
        raise ValueError(f"{path} labels frame {beyond[1]} of {beyond[0]}, which has no such frame.")
    return Labels(columns[2:], tuple(videos))


def sample_batch(clips: Clips, sampling: Sampling, rng: np.random.Generator) -> FrameBatch:
    """Draws moments from a stretch of each of a few videos.

    Args:
        clips: The videos.
        sampling: How many videos, moments and views, and how long the stretch.
        rng: Source of the draw.

    Returns:
        A batch of at most ``videos * frames * views`` frames; ``view`` counts the drawn views, 0 and up.

    Raises:
        ValueError: If a drawn video has fewer views than asked for.
    """
    frames, video, view, time = [], [], [], []
    for position in range(sampling.videos):
        index = int(rng.integers(len(clips)))
        clip = clips.videos[index]
        if len(clip) < sampling.views:
            raise ValueError(
                f"{clips.names[index]} has {len(clip)} view(s) and this encoder's objective needs {sampling.views}; "
                "record more cameras, or choose a single-view objective."
            )
        span = min(sampling.span, clip.shape[1])
        start = int(rng.integers(clip.shape[1] - span + 1))
        moments = start + np.sort(rng.choice(span, min(sampling.frames, span), replace=False))
        for order, camera in enumerate(rng.choice(len(clip), sampling.views, replace=False)):
            frames.append(clip[camera, moments])
            video.append(np.full(len(moments), position))
            view.append(np.full(len(moments), order))
            time.append(moments)
    pixels = torch.from_numpy(np.concatenate(frames)).permute(0, 3, 1, 2)
    return FrameBatch(pixels, *(torch.from_numpy(np.concatenate(part)) for part in (video, view, time)))
