"""Verdicts on readers of damaged files: refused by name, read right, reported with numbers, or mishandled."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import av

from experiments.robustness.damage_originals import Original, fingerprint

Found = TypeVar("Found")

ADVICE = ("allow_pickle", "weights_only")
"""Words of libraries that advise to load without their safeguards; no user may see them."""


class Verdict(NamedTuple):
    """The outcome for a file.

    Attributes:
        outcome: ``refused`` by an error that names the file or its folder, ``right``, ``reported`` with numbers what is
            other, ``undetectable`` (other, and sound by every rule of the format), ``wrong`` (other, in silence),
            ``other exception``, ``crash``, ``hang``, or ``memory``.
        reason: The message.
        megabytes: By how much the process's largest memory grew.
    """

    outcome: str
    reason: str = ""
    megabytes: float = 0.0


class Escaped:
    """Captures what escapes a reader: its exception, warnings, logs and output."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.said = io.StringIO()
        self._stack = contextlib.ExitStack()
        self._warned: list[warnings.WarningMessage] = []

    @property
    def words(self) -> str:
        """Warnings, log and output."""
        return "\n".join([self.said.getvalue(), *(str(warning.message) for warning in self._warned)])

    def __enter__(self) -> Self:
        warned = self._stack.enter_context(warnings.catch_warnings(record=True))
        assert warned is not None
        self._warned = warned
        warnings.simplefilter("always")
        self._stack.enter_context(contextlib.redirect_stdout(self.said))
        self._stack.enter_context(contextlib.redirect_stderr(self.said))
        handler = logging.StreamHandler(self.said)
        logging.getLogger().addHandler(handler)
        self._stack.callback(logging.getLogger().removeHandler, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._stack.close()
        if isinstance(error, Exception):
            self.error = error
            return True
        return False


def quietly(call: Callable[[], Found]) -> Found:
    """The value or the error of a call, with its output suppressed."""
    with Escaped() as escaped:
        return call()
    assert escaped.error is not None
    raise escaped.error


def judge(original: Original, folder: Path, file: str, undamaged: Path, expected: object) -> Verdict:
    """Reads a folder with a damaged file in it.

    Args:
        original: What it was.
        folder: With the damaged file.
        file: The damaged one, relative to the folder.
        undamaged: The same file, undamaged.
        expected: Fingerprint of what the undamaged folder holds.
    """
    damaged, found = folder / file, None
    content = damaged.read_bytes()
    with Escaped() as escaped:
        found = fingerprint(original.read(folder))
    error = escaped.error
    if error is not None:
        reason = f"{type(error).__name__}: {error}".replace(str(folder), "")
        if _out_of_memory(error):
            return Verdict("memory", reason)
        names = str(damaged) in str(error) or str(damaged.parent) in str(error)
        helpful = isinstance(error, ValueError) and names and not any(word in str(error) for word in ADVICE)
        return Verdict("refused" if helpful else "other exception", reason)
    if found == expected:
        return Verdict("right")
    words = escaped.words
    bare = words.replace(str(damaged), "").replace(str(damaged.parent), "")
    if bare != words and any(sign.isdigit() for sign in bare):
        return Verdict("reported", bare.strip())
    # A reader that goes on with a file may have written it.
    damaged.write_bytes(content)
    return Verdict("undetectable" if original.sound(undamaged, damaged) else "wrong", _difference(expected, found))


def _out_of_memory(error: BaseException | None) -> bool:
    """Whether a call ran out of memory; FFmpeg says so too of sizes that it refuses without allocating."""
    while error is not None:
        ffmpeg = isinstance(error, av.FFmpegError)
        short = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        if not ffmpeg and (short or "can't allocate memory" in str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _difference(expected: Any, found: Any, name: str = "") -> str:
    """The first place where two fingerprints differ."""
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        for key in expected:
            if expected[key] != found[key]:
                return _difference(expected[key], found[key], f"{name}/{key}")
    return f"{name}: {str(expected)[:80]} became {str(found)[:80]}"
