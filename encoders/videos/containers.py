"""Containers of video checked by their own bytes: whether a file is all there, and where it was overwritten.

FFmpeg finds its way on after damage without a word, so this is asked first. MP4 and Matroska (which WebM is) are made
of elements that fit into one another; Matroska may carry checksums of them. An MPEG transport stream is made of packets
of one length, and a GIF has an end mark.
"""

from __future__ import annotations

import mmap
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EBML, SEGMENT, CLUSTER, INFO, TRACKS, CRC = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1549A966, 0x1654AE6B, 0xBF
LEVELS = {
    *(CLUSTER, INFO, TRACKS, 0x114D9B74, 0x1C53BB6B, 0x1254C367, 0x1941A469, 0x1043A770, 0xEC, CRC),
    *(0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF),
}
"""Elements of Matroska within a segment, and within a cluster (RFC 9559, Section 5)."""

TS_PACKETS = ((188, 0), (192, 4), (204, 0))
"""Bytes of a packet of a transport stream, and of what stands before it: plain, with a time code, with parity."""

TS_SYNC = 0x47

TS_BLOCK = 2**16
"""Packets that are checked at a time."""

Span = tuple[int, int]


@dataclass(frozen=True)
class Wholeness:
    """What the bytes of a file say about it.

    Attributes:
        cut: Whether its end is missing; None where the container does not tell.
        damaged: Stretches of bytes (start, stop) that are not what was written, as far as the container tells.
        header: Whether what describes the streams is among them.
    """

    cut: bool | None = None
    damaged: tuple[Span, ...] = ()
    header: bool = False


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
            return _check_matroska(content)
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
    """Where the last box of an MP4 file ends by its own account."""
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


@dataclass(frozen=True)
class _Element:
    """An element of EBML: its name, and where its content begins and ends; no end where it has not noted any."""

    name: int
    start: int
    stop: int | None


def _element(content: mmap.mmap, at: int) -> _Element | None:
    """The element at a place, or None where none can be."""
    place = at + _length(content[at])
    if place >= len(content):
        return None
    start = place + _length(content[place])
    bits = 7 * (start - place)
    size = int.from_bytes(content[place:start], "big") & ((1 << bits) - 1)
    endless = size == (1 << bits) - 1
    return _Element(int.from_bytes(content[at:place], "big"), start, None if endless else start + size)


def _length(byte: int) -> int:
    """Bytes of a number of variable length, by its first one."""
    return 9 - byte.bit_length()


def _check_matroska(content: mmap.mmap) -> Wholeness:
    """Goes from element to element, into clusters; after a place where none fits, on at the next cluster."""
    header = _element(content, 0)
    segment = _element(content, header.stop) if header and header.stop and header.stop < len(content) else None
    if header is None or header.name != EBML or segment is None or segment.name != SEGMENT:
        return Wholeness(header=True)
    whole = len(content) if segment.stop is None else segment.stop
    cut, stop = whole > len(content), min(whole, len(content))
    damaged: list[Span] = []
    described = False
    at, inside = segment.start, stop
    while at < stop:
        part = _element(content, at)
        inside = inside if at < inside else stop
        fits = part is not None and part.name in LEVELS and (part.stop is not None or part.name == CLUSTER)
        if part is None or not fits or (part.stop is not None and part.stop > (whole if inside == stop else inside)):
            following = content.find(CLUSTER.to_bytes(4, "big"), at + 1, stop)
            damaged.append((at, stop if following < 0 else following))
            # A segment without a noted end is cut where its last element is not all there.
            cut = cut or (following < 0 and segment.stop is None)
            at = inside = damaged[-1][1]
        elif part.stop is not None and part.stop > len(content) and part.name != CLUSTER:
            # Cut in the middle of an element.
            return Wholeness(True, tuple(damaged), described)
        else:
            end = len(content) if part.stop is None else part.stop
            if part.stop is not None and end <= stop and not _sum_is_right(content, part.start, end):
                damaged.append((at, end))
                described = described or part.name in (INFO, TRACKS)
            cut = cut or end > len(content)
            inside = min(end, stop) if part.name == CLUSTER and part.stop is not None else inside
            at = part.start if part.name == CLUSTER else end
    return Wholeness(cut, tuple(damaged), described)


def _sum_is_right(content: mmap.mmap, start: int, stop: int) -> bool:
    """Whether the content of an element agrees with its checksum; true if it has none."""
    if stop - start < 6 or content[start] != CRC or content[start + 1] != 0x84:
        return True
    return zlib.crc32(content[start + 6 : stop]) == int.from_bytes(content[start + 2 : start + 6], "little")


def _check_transport(content: mmap.mmap) -> Wholeness:
    """Looks at the head of every packet: it begins with one byte, and counts the packets of its stream to 16."""
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
