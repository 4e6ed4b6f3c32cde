"""A pool of decoded stretches to draw batches from, for folders too large to decode before the first batch.

A shuffle buffer, as streaming data loaders have: threads decode stretches of the videos in random order, one
enters the pool every so many batches, and when the memory is full the oldest one leaves. A batch is drawn from
what is in the pool. Which stretches these are follows from the videos, the bound of memory, the seed and the number
of the batch alone, never from how fast anything went, so the same training always sees the same batches, and one
that was cut goes on with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np

from encoders.base import Sampling
from encoders.clips.clips import Clips
from encoders.videos.frame_cache import FileVideo, Stretch

SMALL_PIXELS = 2**30
"""Videos of fewer pixels in all their frames, before scaling, are decoded in seconds: they need no pool if the
memory holds them."""

FIRST_PIXELS = 2**27
"""Pixels that are decoded before the first batch: 145 frames of 1280 x 720, about a second of one core."""

BATCH_PIXELS = 2**23
"""Pixels that are decoded for each further batch: 9 frames of 1280 x 720, about 50 ms of one core, half of what a
step of the small stem takes at 64 pixels. More would show more of the videos, and wait for it."""

THREADS = 2
"""Threads that decode."""

LONG_PIECES = 64
"""Pieces are made longer than the sampler needs only as far as the memory holds this many of them."""


@dataclass(frozen=True)
class Piece:
    """Consecutive frames of one video as some of its cameras saw them; one entry of a pool.

    Attributes:
        video: Which video.
        views: Its cameras.
        start: First frame.
        stop: Frame after the last one.
    """

    video: int
    views: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Schedule:
    """The schedule of a pool: which pieces it holds at each step, by their order of arrival.

    Attributes:
        length: Frames of a piece. All moments that a batch has of a video lie within a piece, so it is as long as
            the stretch that the sampler draws them from; longer where as many frames must be decoded on the way to
            the first one. A shorter video is one piece.
        first: Pieces that are there for the first batch.
        every: Batches from one arrival to the next.
        capacity: Pieces in the pool at most; one, however large it is.
        ahead: Further pieces that are decoded before it is their turn.
        whole: Whether the memory holds all videos: then none leaves, and the pool ends with every frame in it.
    """

    length: int
    first: int
    every: int
    capacity: int
    ahead: int
    whole: bool

    def resident(self, batch: int) -> range:
        """Numbers of the pieces that a batch is drawn from."""
        arrived = self.first + batch // self.every
        if self.whole:
            arrived = min(arrived, self.capacity)
        return range(max(0, arrived - self.capacity), arrived)


def plan_pool(videos: Sequence[FileVideo], sampling: Sampling) -> Schedule | None:
    """The schedule for these videos; None where they need no pool.

    Args:
        videos: They share the memory of the first one's cache.
        sampling: What an encoder draws from a video.
    """
    memory_bytes = videos[0].cache.limit_bytes
    whole = sum(int(np.prod(video.shape)) for video in videos) <= memory_bytes
    pixels = sum(video.shape[0] * video.shape[1] * video.source_pixels for video in videos)
    if whole and pixels <= SMALL_PIXELS:
        return None
    lead = float(np.mean([video.lead for video in videos]))
    moment_bytes = sampling.views * int(np.prod(videos[0].shape[2:]))
    length = max(sampling.span, min(round(lead), memory_bytes // moment_bytes // LONG_PIECES))
    length = min(length, max(video.shape[1] for video in videos))
    if whole:
        pieces = cover(videos, sampling.views, length)
        capacity, ahead, cameras = len(pieces), 2 * THREADS, len(pieces[0].views)
    else:
        slots = memory_bytes // moment_bytes // length
        ahead = max(1, min(2 * THREADS, slots // 8))
        capacity, cameras = max(1, slots - ahead), sampling.views
    cost = cameras * (length + lead) * float(np.mean([video.source_pixels for video in videos]))
    return Schedule(
        length=length,
        first=int(np.clip(FIRST_PIXELS / cost, 1, capacity)),
        every=max(1, round(cost / BATCH_PIXELS)),
        capacity=capacity,
        ahead=ahead,
        whole=whole,
    )


def cover(videos: Sequence[FileVideo], views: int, length: int) -> list[Piece]:
    """Pieces that hold every frame once; the last one of a video takes the remainder.

    Args:
        videos: What is cut.
        views: Cameras that the sampler looks through: pieces of one if it is a single one, of all if there are more.
        length: Frames of a piece.
    """
    pieces = []
    for index, video in enumerate(videos):
        everyone = tuple(range(len(video)))
        starts = list(range(0, max(video.shape[1] - length, 0) + 1, length))
        for cameras in [(view,) for view in everyone] if views == 1 else [everyone]:
            pieces += [
                Piece(index, cameras, start, stop)
                for start, stop in zip(starts, [*starts[1:], video.shape[1]], strict=True)
            ]
    return pieces


def random_piece(videos: Sequence[FileVideo], views: int, length: int, seed: int, number: int) -> Piece:
    """A piece of an endless sequence: epochs over all videos in random order, each time a random stretch.

    Args:
        videos: What is cut.
        views: Cameras of a piece, drawn at random.
        length: Frames of a piece.
        seed: Seed of the row.
        number: Place in the row.
    """
    turn, place = divmod(number, len(videos))
    index = int(np.random.default_rng([seed, 3, turn]).permutation(len(videos))[place])
    rng = np.random.default_rng([seed, 4, number])
    cameras, frames = videos[index].shape[:2]
    start = int(rng.integers(max(frames - length, 0) + 1))
    chosen = rng.choice(cameras, min(views, cameras), replace=False)
    return Piece(index, tuple(chosen.tolist()), start, min(start + length, frames))


@dataclass(frozen=True)
class _Entry:
    """A piece in the pool or on the way to it."""

    name: str
    stretch: Stretch
    decoding: Future[Any]


class ClipPool:
    """The source of a training's batches: the clips themselves, or stretches of them decoded ahead.

    Args:
        clips: Arrays, or videos on disk; of the latter a pool is made if they do not fit into their memory or
            have more than ``SMALL_PIXELS``.
        sampling: How batches are drawn.
        seed: Seed of the order of the pieces.

    Attributes:
        schedule: Of the pool; None where the clips are drawn from as they are.
    """

    def __init__(self, clips: Clips, sampling: Sampling, seed: int) -> None:
        self._clips = clips
        self._videos = [video for video in clips.videos if isinstance(video, FileVideo)]
        self._sampling = sampling
        self._seed = seed
        self.schedule = plan_pool(self._videos, sampling) if 0 < len(self._videos) == len(clips) else None
        self._cover: list[Piece] = []
        if self.schedule is not None and self.schedule.whole:
            pieces = cover(self._videos, sampling.views, self.schedule.length)
            order = np.random.default_rng([seed, 3]).permutation(len(pieces))
            self._cover = [pieces[place] for place in order]
        self._held: dict[int, _Entry] = {}
        self._threads = ThreadPoolExecutor(THREADS, "decode")

    def __enter__(self) -> Self:
        if self.schedule is not None:
            # The pool takes the memory that the cache may have.
            self._videos[0].cache.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._held.clear()

    def at(self, batch: int) -> Clips:
        """The clips to draw a batch from; frames that are not decoded yet are decoded when they are asked for.

        Args:
            batch: Number of the batch; any to begin with, and never smaller than the last one.

        Returns:
            The clips as they were given, or one short video a piece: moments count from the start of the piece.
        """
        if self.schedule is None:
            return self._clips
        resident = self.schedule.resident(batch)
        for number in [number for number in self._held if number < resident.start]:
            self._held.pop(number).decoding.cancel()
        decoded = resident.stop + self.schedule.ahead
        if self.schedule.whole:
            decoded = min(decoded, len(self._cover))
        for number in range(resident.start, decoded):
            if number not in self._held:
                self._held[number] = self._enter(self.piece(number))
        entries = [self._held[number] for number in resident]
        return Clips([entry.stretch for entry in entries], tuple(entry.name for entry in entries))

    def piece(self, number: int) -> Piece:
        """A piece by its number in the order of arrival."""
        assert self.schedule is not None
        if self.schedule.whole:
            return self._cover[number]
        return random_piece(self._videos, self._sampling.views, self.schedule.length, self._seed, number)

    def _enter(self, piece: Piece) -> _Entry:
        video = self._videos[piece.video]
        shape = (len(piece.views), piece.stop - piece.start, *video.shape[2:])
        stretch = Stretch(shape, partial(video.decode, piece.views, piece.start, piece.stop))
        # An error is raised again where the frames are asked for.
        return _Entry(self._clips.names[piece.video], stretch, self._threads.submit(stretch.load))
