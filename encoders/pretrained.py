"""Weights that others trained: reading their files into a stem, and the range of frames they expect."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

# Layers that a message lists before it only counts the rest.
_LISTED = 4

# What decoding a damaged file raises; an unpickler stumbles over any of them, depending on where it goes wrong.
_DAMAGE = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    SafetensorError,
    TypeError,
    UnpicklingError,
    ValueError,
    struct.error,
)


class Normalise(nn.Module):
    """Brings an encoder's frames to the range that a stem's weights expect.

    Args:
        mean: Of each channel, for pixels in [0, 1].
        std: Of each channel, for pixels in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Not part of any weight file, and no setting of an encoder: both belong to the architecture.
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, C, H, W) float in [-0.5, 0.5] -> (B, C, H, W) float, (pixel - mean) / std of pixels in [0, 1]."""
        return (frames + (0.5 - self.mean)) / self.std


def load_stem_weights(module: nn.Module, path: Path, source: str) -> None:
    """Loads a standard weight file: every layer that the module has, by name; the file may hold more.

    Args:
        module: What the weights go into, in place.
        path: A file of ``torch.save`` (weights by name, or a dictionary with them under ``state_dict``), or a
            ``.safetensors`` file.
        source: Where the standard file is to be had, for messages.

    Raises:
        ValueError: If the file is missing or damaged, or lacks a layer of the module or has it in another shape.
    """
    found = _read(path, source)
    wanted = module.state_dict()
    # Files from before PyTorch 0.4.1 do not have this count, and with a set momentum batch norms never use it.
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    missing = [name for name in needed if name not in found]
    stem = type(module).__name__
    if missing:
        raise ValueError(f"{path} lacks layers of {stem}: {_listing(missing)}. Standard weights: {source}.")
    misshapen = [
        f"{name} is {tuple(found[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in needed
        if found[name].shape != wanted[name].shape
    ]
    if misshapen:
        raise ValueError(
            f"{path} has layers of other shapes than {stem}: {_listing(misshapen)}. Standard weights: {source}."
        )
    module.load_state_dict(wanted | {name: value for name, value in found.items() if name in wanted})


def _read(path: Path, source: str) -> dict[str, Tensor]:
    if not path.is_file():
        raise ValueError(f"There is no weight file {path}. Standard weights: {source}.")
    # Read apart from decoding: a disk or permission at fault is no damage of the file.
    data = path.read_bytes()
    try:
        if path.suffix == ".safetensors":
            return load(data)
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        raise ValueError(f"{path} is damaged, or no weight file; get it again. Standard weights: {source}.") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not weights by name. Standard weights: {source}.")
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _listing(items: list[str]) -> str:
    rest = len(items) - _LISTED
    return ", ".join(items[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
