"""Checks of Matroska and WebM files from their bytes: nesting of elements, checksums, counts of blocks."""

from __future__ import annotations

import mmap
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from encoders.videos.wholeness import Span, Wholeness

EBML, SEGMENT, CLUSTER, INFO, TRACKS, CRC = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1549A966, 0x1654AE6B, 0xBF
TRACK, TRACK_NUMBER, SIMPLE_BLOCK, GROUP, BLOCK = 0xAE, 0xD7, 0xA3, 0xA0, 0xA1
SEEKS, CUES, TAGS = 0x114D9B74, 0x1C53BB6B, 0x1254C367
LEVELS = {
    *(CLUSTER, INFO, TRACKS, SEEKS, CUES, TAGS, 0x1941A469, 0x1043A770, 0xEC, CRC),
    *(0xE7, 0x5854, 0xA7, 0xAB, SIMPLE_BLOCK, GROUP, 0xAF),
}
"""Elements of Matroska within a segment, and within a cluster (RFC 9559, Section 5)."""

MASTERS = {INFO, TRACKS, SEEKS, CUES, TAGS, GROUP, TRACK, 0xE0, 0xE1, 0x4DBB, 0xBB, 0xB7, 0x7373, 0x63C0, 0x67C8}
"""Elements that contain only other elements."""

BLOCK_HEAD = 3
"""Bytes of a block between the number of its track and its content: a time and flags."""


@dataclass(frozen=True)
class _Element:
    """An EBML element: its name, and where its content begins and ends; the end may be unknown."""

    name: int
    start: int
    stop: int | None


def check_matroska(content: mmap.mmap) -> Wholeness:
    """Walks through the elements and into clusters; after an error it goes on at the next cluster."""
    header = _element(content, 0)
    segment = _element(content, header.stop) if header and header.stop and header.stop < len(content) else None
    if header is None or header.name != EBML or segment is None or segment.name != SEGMENT:
        return Wholeness(header=True)
    whole = len(content) if segment.stop is None else segment.stop
    cut, stop = whole > len(content), min(whole, len(content))
    damaged: list[Span] = []
    described, begun = False, False
    tracks: list[int] = []
    blocks: Counter[int] = Counter()
    at, inside = segment.start, stop
    while at < stop:
        part = _element(content, at)
        inside = inside if at < inside else stop
        fits = part is not None and part.name in LEVELS and (part.stop is not None or part.name == CLUSTER)
        if part is None or not fits or (part.stop is not None and part.stop > (whole if inside == stop else inside)):
            following = content.find(CLUSTER.to_bytes(4, "big"), at + 1, stop)
            damaged.append((at, stop if following < 0 else following))
            described = described or not begun
            # A segment without a noted end is cut where its last element is not all there.
            cut = cut or (following < 0 and segment.stop is None)
            at = inside = damaged[-1][1]
        elif part.stop is not None and part.stop > len(content) and part.name != CLUSTER:
            # Cut in the middle of an element.
            cut = True
            break
        else:
            end = len(content) if part.stop is None else part.stop
            if part.stop is not None and end <= stop and not _is_sound(content, part, end):
                damaged.append((at, end))
                # A cluster has a sum of all its blocks.
                described = described or not (begun or part.name == CLUSTER)
            if part.name == TRACKS:
                tracks += _track_numbers(content, part.start, end)
            elif part.name in (SIMPLE_BLOCK, GROUP):
                begun = True
                number = _block_track(content, part, end)
                if number in tracks:
                    blocks[number] += 1
                elif number is not None and tracks:
                    damaged.append((at, end))
            cut = cut or end > len(content)
            inside = min(end, stop) if part.name == CLUSTER and part.stop is not None else inside
            at = part.start if part.name == CLUSTER else end
    return Wholeness(cut, tuple(damaged), described, tuple(blocks[track] for track in tracks))


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
    """Length of a variable-length number from its first byte, bytes."""
    return 9 - byte.bit_length()


def _within(content: mmap.mmap, start: int, stop: int) -> Iterator[tuple[_Element, int]]:
    """The child elements of an element, each with its end, up to the first invalid one."""
    while start < stop:
        part = _element(content, start)
        if part is None or part.stop is None or part.stop > stop:
            return
        yield part, part.stop
        start = part.stop


def _track_numbers(content: mmap.mmap, start: int, stop: int) -> Iterator[int]:
    """The track numbers that a range of bytes declares."""
    for track, end in _within(content, start, stop):
        if track.name == TRACK:
            for part, last in _within(content, track.start, end):
                if part.name == TRACK_NUMBER:
                    yield int.from_bytes(content[part.start : last], "big")


def _block_track(content: mmap.mmap, part: _Element, stop: int) -> int | None:
    """Number of the track that a block belongs to; None if it has no content."""
    start = part.start
    if part.name == GROUP:
        blocks = [(block.start, end) for block, end in _within(content, start, stop) if block.name == BLOCK]
        if not blocks:
            # A group is there for its block.
            return 0
        start, stop = blocks[0]
    head = start + _length(content[start])
    if head + BLOCK_HEAD >= stop:
        return None
    return int.from_bytes(content[start:head], "big") & ((1 << 7 * (head - start)) - 1)


def _is_sound(content: mmap.mmap, part: _Element, stop: int) -> bool:
    """Whether an element agrees with its checksum and its child elements fill it."""
    if not _sum_is_right(content, part.start, stop):
        return False
    if part.name not in MASTERS:
        return True
    filled = part.start
    for child, filled in _within(content, part.start, stop):
        if not _is_sound(content, child, filled):
            return False
    return filled == stop


def _sum_is_right(content: mmap.mmap, start: int, stop: int) -> bool:
    """Whether the content of an element agrees with its checksum; true if it has none."""
    if stop - start < 6 or content[start] != CRC or content[start + 1] != 0x84:
        return True
    return zlib.crc32(content[start + 6 : stop]) == int.from_bytes(content[start + 2 : start + 6], "little")
