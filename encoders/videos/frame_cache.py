"""Videos on disk, decoded on access and cached within a memory limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.videos.synchrony import LengthError, match_views
from encoders.videos.video_index import VideoIndex, index_video

CHUNK = 64
"""Frames that are decoded and kept together."""


class FrameCache:
    """A least-recently-used cache of chunks of decoded and scaled frames.

    Args:
        limit_bytes: Most memory that the kept frames take. One chunk is kept however large it is.
        size: Width and height that frames are scaled to, pixels.
    """

    def __init__(self, limit_bytes: int, size: int) -> None:
        self.limit_bytes = limit_bytes
        self.size = size
        self.used_bytes = 0
        self.decoded_chunks = 0
        self._chunks: OrderedDict[tuple[Path, int], NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()

    def chunk(self, index: VideoIndex, number: int) -> NDArray[np.uint8]:
        """Frames ``number * CHUNK`` and on of a video, (at most CHUNK, S, S, 3) uint8."""
        key = (index.path, number)
        with self._lock:
            if key in self._chunks:
                self._chunks.move_to_end(key)
                return self._chunks[key]
        # Decoding leaves the lock to others: it takes long, and happens in FFmpeg without Python's own lock.
        start = number * CHUNK
        frames = index.decode(start, min(start + CHUNK, len(index)), self.size)
        with self._lock:
            self.decoded_chunks += 1
            if key not in self._chunks:
                self._chunks[key] = frames
                self.used_bytes += frames.nbytes
            while self.used_bytes > self.limit_bytes and len(self._chunks) > 1:
                _, oldest = self._chunks.popitem(last=False)
                self.used_bytes -= oldest.nbytes
        return frames

    def clear(self) -> None:
        """Drops all frames to free their memory."""
        with self._lock:
            self._chunks.clear()
            self.used_bytes = 0


class FileVideo:
    """The synchronised views of one recording, indexed like an array of shape (V, T, S, S, 3) uint8.

    Their moments are those of the first view, up to the end of the shortest; the other views are matched by time.

    ``video[view]`` are all frames of a view, ``video[view, moments]`` those of a list of moments;
    ``np.asarray(video)`` decodes everything.

    Args:
        paths: One file a view.
        cache: Where decoded frames are kept.

    Attributes:
        cache: The same.

    Raises:
        ValueError: If a file is missing or damaged, or the views differ in size, or in length by more than a little.
    """

    def __init__(self, paths: Sequence[Path], cache: FrameCache) -> None:
        self._views = [index_video(path) for path in paths]
        self.cache = cache
        self._check("pixels (height, width)", paths, [view.size for view in self._views])
        timelines = [view.timeline for view in self._views]
        try:
            self._moments = match_views(
                f"one recording in {paths[0].parent}",
                [path.name for path in paths],
                [timeline.times for timeline in timelines],
                [timeline.duration for timeline in timelines],
            )
        except LengthError:
            self._check("frames", paths, [len(view) for view in self._views])
            self._check("seconds", paths, [round(timeline.duration, 2) for timeline in timelines])
            raise

    def _check(self, what: str, paths: Sequence[Path], values: Sequence[object]) -> None:
        """Refuses views that differ in something."""
        if len(set(values)) > 1:
            described = ", ".join(f"{path.name} has {value}" for path, value in zip(paths, values, strict=True))
            raise ValueError(
                f"The views of one recording in {paths[0].parent} differ in {what}: {described}; cut or scale them to "
                "the same."
            )

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Views, frames, height, width, channels, after scaling."""
        return len(self._views), len(self._moments[0]), self.cache.size, self.cache.size, 3

    @property
    def times(self) -> NDArray[np.float64]:
        """When its moments are shown, (T,) seconds since the first."""
        return self._views[0].timeline.times[self._moments[0]]

    @property
    def longest(self) -> int:
        """Frames of the longest view, before views are matched."""
        return max(len(view) for view in self._views)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, one a view."""
        return tuple(view.path for view in self._views)

    @property
    def source_pixels(self) -> int:
        """Pixels of a frame before scaling: what decoding it costs."""
        height, width = self._views[0].size
        return height * width

    @property
    def lead(self) -> float:
        """Frames decoded on the way to a frame, on average over all frames of all views."""
        return float(np.mean([view.lead for view in self._views]))

    def decode(self, views: Sequence[int], start: int, stop: int) -> NDArray[np.uint8]:
        """Frames ``start`` to ``stop`` (exclusive) of some views, (views, N, S, S, 3) uint8, past the cache.

        Raises:
            ValueError: If one of them cannot be decoded.
        """
        shown = []
        for view in views:
            wanted = self._moments[view][start:stop]
            first = int(wanted[0])
            frames = self._views[view].decode(first, int(wanted[-1]) + 1, self.cache.size)
            # Views of one rate need each of these frames once.
            shown.append(frames if len(frames) == len(wanted) else frames[wanted - first])
        return np.stack(shown)

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, key: int | tuple[int, Any]) -> NDArray[np.uint8]:
        view, moments = key if isinstance(key, tuple) else (key, slice(None))
        if not -len(self._views) <= view < len(self._views):
            raise IndexError(f"view {view} of {len(self._views)}")
        index = self._views[view]
        wanted = self._moments[view][moments]
        frames = np.empty((len(wanted), *self.shape[2:]), np.uint8)
        for number in np.unique(wanted // CHUNK):
            inside = wanted // CHUNK == number
            frames[inside] = self.cache.chunk(index, int(number))[wanted[inside] - number * CHUNK]
        return frames

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self[view] for view in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = np.stack(list(self))
        return whole if dtype is None else whole.astype(dtype, copy=False)


class Stretch:
    """A stretch of frames, decoded once on first access, indexed like an array (V, T, S, S, 3) uint8.

    Args:
        shape: Views, frames, height, width, channels.
        decode: Gives the array.
    """

    def __init__(self, shape: tuple[int, int, int, int, int], decode: Callable[[], NDArray[np.uint8]]) -> None:
        self.shape = shape
        self._decode = decode
        self._frames: NDArray[np.uint8] | None = None
        self._lock = Lock()

    def load(self) -> NDArray[np.uint8]:
        """The array; waits if another thread is decoding it.

        Raises:
            ValueError: If a frame cannot be decoded.
        """
        with self._lock:
            if self._frames is None:
                self._frames = self._decode()
            return self._frames

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        return self.load()[key]

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return iter(self.load())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.load(), dtype)
