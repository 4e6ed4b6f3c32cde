"""Arrays of recordings in npz files, read with their shapes checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from encoders.files import FileError, read_arrays


@dataclass(frozen=True)
class Layout:
    """The expected shape and type of an array.

    Attributes:
        shape: Its shape.
        dtype: Type that it is given in. Floating-point numbers may be stored in any precision, and must be finite.
    """

    shape: tuple[int, ...]
    dtype: DTypeLike = np.float64

    @property
    def size(self) -> int:
        """Bytes of such an array."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


def read_layout(path: Path, what: str, remedy: str, layout: Mapping[str, Layout]) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file that are asked for.

    Args:
        path: The file.
        what: What it is, as the user calls it.
        remedy: What to do, as the end of a sentence.
        layout: What every array must be. The file may hold others, as long as it is not much larger for them.

    Raises:
        FileError: If it cannot be read, takes far more memory than these arrays, or lacks one; or if one has another
            shape or type, or a number that is not finite.
    """
    # Twice the arrays, and the headers of a few.
    found = read_arrays(path, what, remedy, 2 * sum(array.size for array in layout.values()) + 4096)
    return {name: _checked(found, name, array, f"The {what} {path}", remedy) for name, array in layout.items()}


def _checked(found: Mapping[str, NDArray[Any]], name: str, layout: Layout, file: str, remedy: str) -> NDArray[Any]:
    if name not in found:
        raise FileError(f"{file} lacks {name}; {remedy}.")
    array, dtype = found[name], np.dtype(layout.dtype)
    if array.shape != layout.shape:
        raise FileError(f"{file} holds {name} of shape {array.shape}, and {layout.shape} is asked for; {remedy}.")
    if array.dtype.kind != dtype.kind or array.dtype.itemsize > dtype.itemsize:
        raise FileError(f"{file} holds {name} of {array.dtype}, and {dtype} is asked for; {remedy}.")
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise FileError(f"{file} holds {name} with numbers that are not finite; {remedy}.")
    return array.astype(dtype, copy=False)
