"""Weights on disk, checked by their header before anything is allocated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor, nn

from encoders.files import FileError, check_regular, read_bytes, reading

MOST_BYTES = 2**34
"""Bytes that the weights of one module may take, 16 GiB."""

LISTED = 4
"""Names in a message before the rest is only counted."""


def declared_weights(build: Callable[[], nn.Module]) -> dict[str, Tensor] | None:
    """Shapes and types of a module's weights, on torch's meta device: no memory, no random numbers.

    Args:
        build: Makes the module.

    Returns:
        Tensors without values by name; None for a module whose constructor reads values of tensors, which only
        making it can tell.
    """
    try:
        with torch.device("meta"):
            return dict(build().state_dict())
    except (NotImplementedError, RuntimeError):
        return None


def check_size(weights: Mapping[str, Tensor], what: str) -> None:
    """Refuses weights too large for memory.

    Raises:
        ValueError: If they take more than ``MOST_BYTES``.
    """
    size = sum(value.numel() * value.element_size() for value in weights.values())
    if size > MOST_BYTES:
        raise ValueError(
            f"The weights of {what} would take {size / 2**30:,.0f} GiB, and {MOST_BYTES / 2**30:.0f} are "
            "allowed; choose smaller widths."
        )


def read_weights(
    path: Path, wanted: Mapping[str, Tensor] | None, what: str, remedy: str
) -> tuple[bytes, dict[str, Tensor]]:
    """The content of a safetensors file.

    Args:
        path: The file.
        wanted: What it must hold, names and shapes; None if that is not known yet.
        what: What it is, as the user calls it.
        remedy: What to do, as the end of a sentence.

    Returns:
        Its bytes, and its tensors by name.

    Raises:
        FileError: If it cannot be read, or holds other names or shapes; of a file that declares more than it should,
            nothing is allocated.
    """
    check_regular(path, what, remedy)
    with reading(path, what, remedy, also=(SafetensorError,)), safe_open(path, "pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    if wanted is not None:
        _check_shapes(path, shapes, wanted, what, remedy)
    content = read_bytes(path, what, remedy, MOST_BYTES)
    with reading(path, what, remedy, also=(SafetensorError,)):
        return content, load(content)


def check_weights(
    path: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], what: str, remedy: str
) -> None:
    """Refuses weights of other names, shapes or types than a module has; torch would cast types in silence.

    Args:
        path: Where they were found, for messages.
        found: Tensors by name.
        wanted: The module's.
        what: What the file is, as the user calls it.
        remedy: What to do, as the end of a sentence.

    Raises:
        FileError: If they differ; it names the first few.
    """
    _check_shapes(path, {name: tuple(value.shape) for name, value in found.items()}, wanted, what, remedy)
    cast = [
        f"{name} is {_type(value)} instead of {_type(wanted[name])}"
        for name, value in found.items()
        if value.dtype != wanted[name].dtype
    ]
    if cast:
        raise FileError(f"The {what} {path} do not fit: {listing(cast)}; {remedy}.")


def _check_shapes(
    path: Path, found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, Tensor], what: str, remedy: str
) -> None:
    wrong = [f"{name} is missing" for name in wanted if name not in found]
    wrong += [f"{name} is unknown" for name in found if name not in wanted]
    wrong += [
        f"{name} is {shape} instead of {tuple(wanted[name].shape)}"
        for name, shape in found.items()
        if name in wanted and shape != tuple(wanted[name].shape)
    ]
    if wrong:
        raise FileError(f"The {what} {path} do not fit: {listing(wrong)}; {remedy}.")


def _type(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def listing(items: list[str]) -> str:
    """The first few items, and how many more there are."""
    rest = len(items) - LISTED
    return ", ".join(items[:LISTED]) + (f" and {rest} more" if rest > 0 else "")


def digest_of(values: Mapping[str, Any], *contents: bytes) -> str:
    """One digest of values and file contents, to detect any change.

    Args:
        values: As JSON takes them.
        contents: Bytes of files.

    Returns:
        SHA-256, hexadecimal.
    """
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
