"""What the bytes of a file show about its completeness, for any container."""

from __future__ import annotations

from dataclasses import dataclass

Span = tuple[int, int]
"""A stretch of bytes: the first one, and the one after the last."""


@dataclass(frozen=True)
class Wholeness:
    """The completeness of a file by its bytes.

    Attributes:
        cut: Whether its end is missing; None where the container does not tell.
        damaged: Stretches of bytes that are not what was written, as far as the container tells.
        header: Whether what describes the streams is among them.
        packets: Packets that are there of every stream; empty where they were not counted.
    """

    cut: bool | None = None
    damaged: tuple[Span, ...] = ()
    header: bool = False
    packets: tuple[int, ...] = ()
