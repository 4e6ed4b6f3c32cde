"""Files: read with one kind of error that names them, and written atomically."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import struct
import tempfile
import tokenize
import tomllib
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_TEXT = 2**26
"""Largest text file, bytes: tables, configs and presets."""

MOST_CELL = 2**20
"""Longest cell of a table, characters."""

DAMAGE: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    MemoryError,
    BufferError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    csv.Error,
    zlib.error,
    zipfile.BadZipFile,
    LZMAError,
    UnpicklingError,
)
"""Errors that libraries raise about a damaged file; which one may change with their version."""


class FileError(ValueError):
    """A file that cannot be used; the message names it, and the way out."""


@contextmanager
def reading(path: Path, what: str, remedy: str, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns whatever a library raises about a file into one error that names the file and the way out.

    Args:
        path: The file.
        what: What it is, as the user calls it, such as "encoder config".
        remedy: What to do, as the end of a sentence, such as "fit the encoder again".
        also: Exceptions of the library's own.

    Raises:
        FileError: In place of any of ``DAMAGE`` and ``also``; one that is raised inside goes on as it is.
    """
    try:
        yield
    except FileError:
        raise
    except FileNotFoundError as error:
        raise FileError(f"There is no {what} at {path}; {remedy}.") from error
    except PermissionError as error:
        raise FileError(f"The {what} {path} cannot be read: {error.strerror}; {remedy}.") from error
    except (*DAMAGE, *also) as error:
        # The library's own words stay in the chain: some of them advise to load without its safeguards.
        raise FileError(
            f"The {what} {path} is damaged or of another kind ({type(error).__name__}); {remedy}."
        ) from error


def check_regular(path: Path, what: str, remedy: str, most: int | None = None) -> None:
    """Refuses anything but a regular file, before it is opened: a pipe would block forever.

    Args:
        path: The file.
        what: What it is, as the user calls it.
        remedy: What to do, as the end of a sentence.
        most: Bytes at most.

    Raises:
        FileError: If it is missing, no plain file, or larger.
    """
    with reading(path, what, remedy):
        found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise FileError(f"The {what} {path} is no plain file; {remedy}.")
    if most is not None and found.st_size > most:
        raise FileError(f"The {what} {path} has {found.st_size} bytes, more than the {most} it may have; {remedy}.")


def read_bytes(path: Path, what: str, remedy: str, most: int = MOST_TEXT) -> bytes:
    """The content of a plain file.

    Raises:
        FileError: If it is missing, no plain file, larger than ``most`` bytes, or cannot be read.
    """
    check_regular(path, what, remedy, most)
    with reading(path, what, remedy):
        return path.read_bytes()


def read_text(path: Path, what: str, remedy: str) -> str:
    """The text of a file in UTF-8, with or without the byte order mark that spreadsheets write.

    Raises:
        FileError: If it cannot be read, or is no UTF-8.
    """
    content = read_bytes(path, what, remedy)
    with reading(path, what, remedy):
        return content.decode("utf-8-sig")


def read_json(path: Path, what: str, remedy: str) -> Any:
    """The value in a JSON file.

    Raises:
        FileError: If it cannot be read, is no JSON, or is nested too deep.
    """
    text = read_text(path, what, remedy)
    with reading(path, what, remedy):
        return json.loads(text)


def read_object(path: Path, what: str, remedy: str, keys: Sequence[str] = ()) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: The file.
        what: What it is, as the user calls it.
        remedy: What to do, as the end of a sentence.
        keys: Names that it must hold.

    Raises:
        FileError: If it cannot be read, is no JSON object, or one of the names is missing.
    """
    content = read_json(path, what, remedy)
    if not isinstance(content, dict):
        raise FileError(f"The {what} {path} holds no JSON object; {remedy}.")
    missing = [key for key in keys if key not in content]
    if missing:
        raise FileError(f"The {what} {path} lacks {', '.join(missing)}; {remedy}.")
    return content


def read_toml(path: Path, what: str, remedy: str) -> tuple[str, dict[str, Any]]:
    """The text of a TOML file, and what it says.

    Raises:
        FileError: If it cannot be read or is no TOML; the line is named where one is at fault.
    """
    text = read_text(path, what, remedy)
    with reading(path, what, remedy):
        try:
            return text, tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise FileError(f"The {what} {path} is no TOML: {error}; {remedy}.") from error


def read_table(path: Path, what: str, remedy: str) -> tuple[tuple[str, ...], list[list[str]]]:
    """The heading of a CSV file, and its other lines that are not empty, of any number of cells.

    Raises:
        FileError: If it cannot be read, or a column comes twice.
    """
    text = read_text(path, what, remedy)
    limit = csv.field_size_limit()
    with reading(path, what, remedy):
        csv.field_size_limit(MOST_CELL)
        try:
            lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        finally:
            csv.field_size_limit(limit)
    heading = tuple(lines[0]) if lines else ()
    twice = sorted({name for name in heading if heading.count(name) > 1})
    if twice:
        raise FileError(f"The {what} {path} has the column {twice[0]!r} twice; {remedy}.")
    return heading, [line for line in lines[1:] if line]


def read_rows(path: Path, what: str, remedy: str) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The heading and the rows of a CSV file.

    Returns:
        The names of the columns, and one mapping of all of them a row.

    Raises:
        FileError: If it cannot be read, a column comes twice, or a row has more or fewer cells than the heading.
    """
    heading, lines = read_table(path, what, remedy)
    for number, line in enumerate(lines, 2):
        if len(line) != len(heading):
            raise FileError(
                f"The {what} {path} has {len(line)} cells in row {number} and {len(heading)} in its heading; {remedy}."
            )
    return heading, [dict(zip(heading, line, strict=True)) for line in lines]


class _Arrays(Mapping[str, NDArray[Any]]):
    """The arrays of an npz file, each read when it is asked for; they cannot be written to."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def __getitem__(self, name: str) -> NDArray[Any]:
        return _array(self._archive.read(f"{name}.npy"))

    def __iter__(self) -> Iterator[str]:
        return (name.removesuffix(".npy") for name in self._archive.namelist())

    def __len__(self) -> int:
        return len(self._archive.namelist())


@contextmanager
def open_arrays(path: Path, what: str, remedy: str, most: int) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The arrays of numbers in an npz file, one at a time; nothing is allocated before its size is known to be allowed.

    Args:
        path: The file.
        what: What it is, as the user calls it.
        remedy: What to do, as the end of a sentence.
        most: Bytes that all arrays may take together.

    Yields:
        The arrays by name.

    Raises:
        FileError: If it cannot be read, would take more memory, holds anything but real numbers and truth values, or
            in place of any of ``DAMAGE`` that is raised while it is open.
    """
    check_regular(path, what, remedy)
    with reading(path, what, remedy), zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > most:
            raise FileError(f"The {what} {path} would take {size} bytes, more than the {most} it may; {remedy}.")
        yield _Arrays(archive)


def read_arrays(path: Path, what: str, remedy: str, most: int) -> dict[str, NDArray[Any]]:
    """All arrays of numbers in an npz file, as ``open_arrays`` gives them, to be kept.

    Raises:
        FileError: If it cannot be read, would take more memory, or holds anything but real numbers and truth values.
    """
    with open_arrays(path, what, remedy, most) as arrays:
        return {name: array.copy() for name, array in arrays.items()}


def _array(content: bytes) -> NDArray[Any]:
    """The array in the bytes of an npy file, without a copy; its size must be that of its header."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, by_columns, dtype = header(file)
    if dtype.kind not in "biuf" or any(side < 0 for side in shape):
        raise ValueError(f"an array of {dtype} and shape {shape} holds no real numbers")
    count = 1
    for side in shape:
        count *= side
    if count * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"{len(content) - file.tell()} bytes are no array of {dtype} and shape {shape}")
    return np.frombuffer(content, dtype, count, file.tell()).reshape(shape, order="F" if by_columns else "C")


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that a reader, or a crash, never sees half of it.

    Args:
        path: The file; what stood there is replaced.
        content: Every byte of it.

    Raises:
        ValueError: If the file cannot be written (a full disk, a folder without permission).
    """
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written: {error.strerror}. Free the disk or choose another folder."
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise ValueError(
            f"{path} cannot be written: {error.strerror}. Free the disk or choose another folder."
        ) from error


def write_json(path: Path, content: Any) -> None:
    """Writes a value as indented JSON, atomically; its folder is made if needed.

    Args:
        path: The file; what stood there is replaced.
        content: Mappings, lists, numbers and texts; what is none of these (a path) is written as text.

    Raises:
        ValueError: If the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content, indent=2, default=str).encode())


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Writes rows under a heading as CSV, atomically.

    Args:
        path: The file; what stood there is replaced.
        rows: One mapping a line.
        columns: Names in the heading, in order; a row has no others.

    Raises:
        ValueError: If a row has another column, or the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
