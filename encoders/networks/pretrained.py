"""Pretrained weights: loading standard files into a stem, and the input range they expect."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from encoders.files import FileError, read_bytes, reading
from encoders.weights import MOST_BYTES, listing


class Normalise(nn.Module):
    """Scales an encoder's frames to the range that a stem's weights expect.

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
    """Loads a standard weight file by layer name; the file may hold more layers than the module.

    Args:
        module: What the weights go into, in place.
        path: A file of ``torch.save`` (weights by name, or a dictionary with them under ``state_dict``), or a
            ``.safetensors`` file.
        source: Where the standard file is to be had, for messages.

    Raises:
        FileError: If the file is missing or damaged, or lacks a layer of the module, or has it in another shape or as
            values that are no real numbers in floating point.
    """
    found = _read(path, source)
    wanted = module.state_dict()
    # Files from before PyTorch 0.4.1 do not have this count, and with a set momentum batch norms never use it.
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    missing = [name for name in needed if name not in found]
    stem = type(module).__name__
    if missing:
        raise FileError(f"{path} lacks layers of {stem}: {listing(missing)}. Standard weights: {source}.")
    misshapen = [
        f"{name} is {tuple(found[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in needed
        if found[name].shape != wanted[name].shape
    ]
    if misshapen:
        raise FileError(
            f"{path} has layers of other shapes than {stem}: {listing(misshapen)}. Standard weights: {source}."
        )
    # Half precision will do; integers, truth values and complex numbers would be cast in silence.
    strange = [
        f"{name} is {str(found[name].dtype).removeprefix('torch.')}"
        for name in wanted
        if name in found and not _like(found[name], wanted[name])
    ]
    if strange:
        raise FileError(
            f"{path} has layers of {stem} that are no dense weights in floating point: {listing(strange)}. Standard "
            f"weights: {source}."
        )
    module.load_state_dict(wanted | {name: value for name, value in found.items() if name in wanted})


def _like(found: Tensor, wanted: Tensor) -> bool:
    """Whether a tensor can replace another: dense, in memory, and both floating point or of one type."""
    dense = found.layout == torch.strided and found.device.type == "cpu"
    return dense and (found.dtype == wanted.dtype or (found.is_floating_point() and wanted.is_floating_point()))


def _read(path: Path, source: str) -> dict[str, Tensor]:
    what, remedy = "weight file", f"get it again: {source}"
    data = read_bytes(path, what, remedy, MOST_BYTES)
    with reading(path, what, remedy, also=(SafetensorError,)):
        if path.suffix == ".safetensors":
            return load(data)
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise FileError(f"{path} holds a {type(content).__name__}, not weights by name. Standard weights: {source}.")
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}
