"""Kinds of damage, as functions of a file's bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

INVERTED_MOOV = "one byte of moov inverted"
"""Damage of an mp4 alone, at every place of the box that says where its frames are."""

REDRAWS = 20
"""Draws of a damage that changed nothing, as two equal stretches that changed places, before a bit is flipped."""


def truncated(content: bytes, rng: np.random.Generator) -> bytes:
    """The beginning of a file, of any length."""
    return content[: rng.integers(len(content))]


def overwritten(content: bytes, rng: np.random.Generator) -> bytes:
    """A stretch replaced by random bytes."""
    start, stop = _stretch(len(content), rng)
    return content[:start] + rng.bytes(stop - start) + content[stop:]


def zeroed(content: bytes, rng: np.random.Generator) -> bytes:
    """A stretch replaced by zeros, as a disk leaves it that lost a block."""
    start, stop = _stretch(len(content), rng)
    return content[:start] + bytes(stop - start) + content[stop:]


def swapped(content: bytes, rng: np.random.Generator) -> bytes:
    """Two stretches of one length that changed places."""
    start, stop = _stretch(len(content) // 2, rng)
    length = stop - start
    other = int(rng.integers(stop, len(content) - length + 1))
    first, second = content[start:stop], content[other : other + length]
    return content[:start] + second + content[stop:other] + first + content[other + length :]


def bit_flipped(content: bytes, rng: np.random.Generator) -> bytes:
    """One bit that is another."""
    return _changed(content, int(rng.integers(len(content))), 1 << int(rng.integers(8)))


def byte_inverted(content: bytes, rng: np.random.Generator) -> bytes:
    """One byte, every bit of which is another."""
    return inverted(content, int(rng.integers(len(content))))


DAMAGES: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "truncated": truncated,
    "overwritten": overwritten,
    "zeroed": zeroed,
    "swapped": swapped,
    "one bit flipped": bit_flipped,
    "one byte inverted": byte_inverted,
}
"""Every kind of damage that any file can take, by name."""


def damage(content: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """A file's bytes, damaged so that at least one of them is another.

    Args:
        content: At least two bytes.
        kind: A key of ``DAMAGES``.
        rng: Source of the places.
    """
    for _ in range(REDRAWS):
        changed = DAMAGES[kind](content, rng)
        if changed != content:
            return changed
    return bit_flipped(content, rng)


def inverted(content: bytes, place: int) -> bytes:
    """The bytes with every bit of one of them another."""
    return _changed(content, place, 0xFF)


def moov(content: bytes) -> range:
    """The places of an mp4's ``moov`` box, its header included.

    Raises:
        ValueError: If there is none.
    """
    for name, start, stop in _boxes(content):
        if name == b"moov":
            return range(start, stop)
    raise ValueError("The file has no box 'moov'; give an mp4.")


def _boxes(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and the byte after the last one of an mp4's outer boxes."""
    start = 0
    while start + 8 <= len(content):
        size = int.from_bytes(content[start : start + 4], "big")
        stop = start + size if size >= 8 else len(content)
        yield content[start + 4 : start + 8], start, stop
        start = stop


def _stretch(length: int, rng: np.random.Generator) -> tuple[int, int]:
    """A stretch of one byte to a quarter of a file, short ones as likely as long ones."""
    longest = max(1, length // 4)
    size = min(longest, int(np.exp(rng.uniform(0, np.log(longest + 1)))))
    start = int(rng.integers(length - size + 1))
    return start, start + size


def _changed(content: bytes, place: int, mask: int) -> bytes:
    return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]
