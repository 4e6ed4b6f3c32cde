"""Checks of video containers from their bytes: whether a file is complete, and where it was overwritten.

FFmpeg finds its way on after damage without a word, so this is asked first. MP4 and Matroska (which WebM is) are made
of elements that fit into one another; Matroska may carry checksums of them. An MPEG transport stream is made of packets
of one length, and a GIF has an end mark.
"""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from encoders.videos.matroska import check_matroska
from encoders.videos.wholeness import Span, Wholeness

TS_PACKETS = ((188, 0), (192, 4), (204, 0))
"""Bytes of a packet of a transport stream, and of what stands before it: plain, with a time code, with parity."""

TS_SYNC = 0x47

TS_BLOCK = 2**16
"""Packets that are checked at a time."""


def check_container(path: Path, kind: str) -> Wholeness:
    """Reads a file's structure.

    Args:
        path: A file that is not empty.
        kind: FFmpeg's name of its container.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if kind.startswith("mov"):
            return Wholeness(_boxes_end(content) > len(content))
        if kind.startswith("matroska"):
            return check_matroska(content)
        if kind == "mpegts":
            return _check_transport(content)
        if kind == "gif":
            return Wholeness(not content[-64:].rstrip(b"\0").endswith(b";"))
        if kind == "ogg":
            # The last page says that it is the last.
            last = content.rfind(b"OggS")
            return Wholeness(not (0 <= last < len(content) - 5 and content[last + 5] & 4))
    return Wholeness()


def _boxes_end(content: mmap.mmap) -> int:
    """Where the last box of an MP4 file ends according to its header."""
    at = 0
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(content[at + 8 : at + 16], "big")
        if size == 0:
            return len(content)
        if size < 8:
            break
        at += size
    return at


def _check_transport(content: mmap.mmap) -> Wholeness:
    """Checks the header of every packet: its first byte, and its counter within the stream."""
    for length, before in TS_PACKETS:
        count = len(content) // length
        if count and all(content[length * place + before] == TS_SYNC for place in range(min(count, 5))):
            break
    else:
        return Wholeness()
    damaged: list[Span] = []
    counters: dict[int, int] = {}
    for first in range(0, count, TS_BLOCK):
        many = min(TS_BLOCK, count - first)
        packets = np.frombuffer(content[first * length : (first + many) * length], np.uint8).reshape(many, length)
        sync, high, low, flags, field, signal = (packets[:, before + place].astype(int) for place in range(6))
        streams = (high & 0x1F) << 8 | low
        # Padding, and packets without content, do not count; a packet may come twice, and a cut may be announced.
        counts = (sync == TS_SYNC) & (streams != 0x1FFF) & (flags & 0x10 > 0)
        announced = (flags & 0x20 > 0) & (field > 0) & (signal & 0x80 > 0)
        bad = (sync != TS_SYNC) | (high & 0x80 > 0)
        for stream in np.unique(streams[counts]):
            places = np.flatnonzero(counts & (streams == stream))
            numbers = flags[places] & 0x0F
            steps = np.diff(numbers, prepend=counters.get(int(stream), numbers[0] - 1)) % 16
            counters[int(stream)] = int(numbers[-1])
            bad[places[(steps > 1) & ~announced[places]]] = True
        # A counter that jumps tells of the packets before it.
        damaged += [
            ((first + place - 1) * length, (first + place + 1) * length) for place in np.flatnonzero(bad).tolist()
        ]
    return Wholeness(len(content) % length > 0, tuple(damaged))
