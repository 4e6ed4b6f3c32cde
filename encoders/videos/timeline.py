"""The presentation times of a video's frames, from its packets, and how much is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from encoders.videos.damage import Loss, misplaced, overwritten, spoiled
from encoders.videos.packets import Packet, StreamInfo

REGULAR = 0.9
"""Share of equal gaps between frames from which on a longer gap is a loss, not a variable rate."""

ROUNDED = 0.5
"""Frames by which a video of constant rate may be shorter than declared: times are rounded."""

ROUNDED_VARYING = 1.5
"""The same, of one whose rate varies: its last frame may be shown for longer than most."""

CONSTANT = ("ogg", "mpeg", "mpegvideo")
"""Containers with a constant frame rate by their standard, so that a gap is a loss."""


@dataclass(frozen=True)
class Timeline:
    """The presentation times of a video's frames.

    Attributes:
        stamps: Time stamp of every frame, in order; its number where the time stamps do not tell the frames.
        stamped: Whether they do.
        times: Seconds since the first frame, (T,).
        durations: How long every frame is shown, (T,) seconds.
        keys: Frames that are decoded without others.
        loss: What is lost of them.
    """

    stamps: tuple[int, ...]
    stamped: bool
    times: NDArray[np.float64]
    durations: NDArray[np.float64]
    keys: tuple[int, ...]
    loss: Loss

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def duration(self) -> float:
        """Seconds from the first frame's appearance to the last one's end."""
        return float(self.durations.sum())


def is_stamped(source: StreamInfo, log: Sequence[Packet], first: int | None) -> bool:
    """Whether the time stamps of packets identify the frames.

    Args:
        source: What the container says.
        log: All packets.
        first: Time stamp of the first decoded frame.
    """
    stamps = [packet.stamp for packet in log if packet.is_shown]
    return source.ordered and None not in stamps and len(set(stamps)) == len(stamps) and first in stamps


def arrange(
    source: StreamInfo,
    log: Sequence[Packet],
    stamped: bool,
    corrupt: set[int],
    shown: Sequence[int | None] | None,
    count: int,
) -> Timeline:
    """The timeline of a video whose packets are known.

    Args:
        source: What the container says.
        log: All its packets.
        stamped: Whether their time stamps tell the frames.
        corrupt: Frames that the decoder calls corrupt; see ``spoiled``.
        shown: Time stamps of the frames that were decoded, in the decoder's order; None if they were not.
        count: Frames that were decoded, where there are no stamps.

    Raises:
        FileError: If too much is lost.
    """
    hit = overwritten(log, source.wholeness.damaged)
    if hit:
        log = [replace(packet, is_broken=packet.is_broken or place in hit) for place, packet in enumerate(log)]
    bad = spoiled(log, corrupt, stamped)
    if stamped:
        order = sorted((packet.stamp or 0, place) for place, packet in enumerate(log) if packet.is_shown)
        stamps, places = tuple(stamp for stamp, _ in order), [place for _, place in order]
        times = (np.array(stamps, np.float64) - stamps[0]) * float(source.unit)
        last = log[places[-1]].length * float(source.unit)
    else:
        stamps, places, last = tuple(range(count)), list(range(count)), 0.0
        times = np.arange(count) / float(source.rate)
    gaps = np.diff(times)
    step = float(np.median(gaps)) if len(gaps) else float(1 / source.rate)
    durations = np.append(gaps, last or step)
    missing = 0.0 if stamped else max(0, sum(packet.is_shown for packet in log) - len(stamps)) / float(source.rate)
    lacking = source.lacking(len(log))
    evidence = bool(bad) or bool(source.wholeness.damaged) or lacking > 0 or source.kind in CONSTANT
    regular = bool(len(gaps)) and float(np.mean(gaps <= 1.5 * step)) >= REGULAR
    if stamped and evidence and regular:
        missing += float((gaps - step)[gaps > 1.5 * step].sum())
        durations = np.minimum(durations, 1.5 * step)
    first = log[places[0]].at if stamped else None
    beheaded = first is not None and any(stop <= first for _, stop in source.wholeness.damaged)
    start = max(0.0, stamps[0] * float(source.unit)) if stamped and source.starts_late and not beheaded else 0.0
    if source.announced is not None and source.may_lack_its_end(len(log)):
        short = source.announced - start - missing - float(durations.sum())
        missing += short if short > (ROUNDED if regular else ROUNDED_VARYING) * step else 0.0
    missing = max(missing, lacking * step)
    loss = Loss(source.path, durations, missing, round(missing / step) if step else 0, source.announced is None)
    loss.frames.update(frame for frame, place in enumerate(places) if place in bad)
    if stamped and shown is not None:
        decoded, wrong = set(shown), misplaced(shown)
        loss.frames.update(frame for frame, stamp in enumerate(stamps) if stamp not in decoded or stamp in wrong)
    loss.judge()
    keys = tuple(frame for frame, place in enumerate(places) if stamped and log[place].is_key)
    return Timeline(stamps, stamped, times, durations, keys, loss)
