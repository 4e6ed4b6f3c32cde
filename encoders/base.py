"""The interface of every encoder: frames to embeddings, a loss on batches of frames, a folder on disk."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import sys
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from encoders.device import whole_float32
from encoders.files import write_atomically
from encoders.weights import digest_of

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"
DIGEST = "digest"
"""In the config on disk: the digest of the settings and the weights beside them."""

MOST_PIXELS = 4096
"""Width and height of a frame at most."""

MOST_CHANNELS = 1024
"""Channels of a frame at most."""

MOST = 2**20
"""Every whole number in a config at most: widths, lengths and counts beyond it are mistakes."""


class LossAndMetrics(NamedTuple):
    """A loss to step on and figures to log.

    Attributes:
        loss: () float with a gradient.
        metrics: Name -> () float without one.
    """

    loss: Tensor
    metrics: dict[str, Tensor]


class FrameBatch(NamedTuple):
    """Frames with their place in the videos they come from.

    Triplets, view pairs and frame pairs are all read off the three indices, so that every frame
    is embedded once however many of them it is part of.

    Attributes:
        frames: (N, C, H, W) uint8.
        video: (N,) int64, which video.
        view: (N,) int64, which camera.
        time: (N,) int64, which frame of the video.
    """

    frames: Tensor
    video: Tensor
    view: Tensor
    time: Tensor

    def to(self, device: torch.device) -> Self:
        """The same batch on a device."""
        return type(self)(*(part.to(device) for part in self))


@dataclass(frozen=True)
class Sampling:
    """The batches that an encoder's loss needs.

    Attributes:
        videos: Videos in a batch.
        frames: Moments drawn from each video.
        span: Frames that the moments of one video lie within.
        views: Cameras that see each moment.
        least: Successive frames that a video must have for its moments to hold what the loss compares.
    """

    videos: int
    frames: int
    span: int
    views: int
    least: int = 2


@dataclass(frozen=True)
class EncoderConfig:
    """Settings of every encoder; numbers must be finite, and integers at most ``MOST``.

    Attributes:
        image_size: Width and height of a frame, pixels, 1 to ``MOST_PIXELS``.
        channels: Channels of a frame, 1 to ``MOST_CHANNELS``.
    """

    image_size: int = 64
    channels: int = 3

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, wanted = getattr(self, field.name), type(field.default)
            if wanted is int and abs(value) > MOST:
                raise ValueError(f"{field.name} is {value}; whole numbers are at most {MOST}.")
            if wanted is float and not abs(value) <= sys.float_info.max:
                raise ValueError(f"{field.name} {value} is not finite; give a finite number.")
        if not (1 <= self.image_size <= MOST_PIXELS and 1 <= self.channels <= MOST_CHANNELS):
            raise ValueError(
                f"image_size is {self.image_size} and channels {self.channels}; both must be at least 1, and at most "
                f"{MOST_PIXELS} and {MOST_CHANNELS}."
            )


class Encoder(nn.Module):
    """Base of all encoders.

    A subclass sets ``name`` (by ``register``), ``Config``, ``embedding_dim``, ``sampling``,
    ``forward`` and ``loss``. Calling it checks the frames (``check_input``); a loss that does not call it checks
    them itself.

    Attributes:
        config: What it was made with.
        distance_scale: Median embedding distance between successive frames of validation videos,
            measured by ``fit``; NaN before. Rewards are given in units of it.
    """

    name: ClassVar[str]
    Config: ClassVar[type[EncoderConfig]]
    distance_scale: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("distance_scale", torch.tensor(float("nan")))
        self._bfloat16 = False
        self.register_forward_pre_hook(_check_input)

    @property
    def device(self) -> torch.device:
        """Where it calculates: where its ``to`` has put it."""
        return self.distance_scale.device

    @property
    @abstractmethod
    def embedding_dim(self) -> int:
        """Length of an embedding."""

    @property
    @abstractmethod
    def sampling(self) -> Sampling:
        """The kind of batch it learns from."""

    @abstractmethod
    def forward(self, frames: Tensor) -> Tensor:
        """Embeds frames with a gradient: (B, C, H, W) uint8 -> (B, D) float32."""

    @abstractmethod
    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """The loss that trains it."""

    def attention_maps(self, frames: Tensor) -> Mapping[str, Tensor]:
        """Attention maps: (B, C, H, W) uint8 -> name -> (B, h, w) float32 in [0, 1]; nothing for most encoders."""
        return {}

    def extract(self, frames: Tensor) -> Tensor:
        """Features of a frozen part, extracted once for all training steps; ``loss`` takes them in place of frames.

        Args:
            frames: (B, C, H, W) uint8.

        Returns:
            (B, F, h, w) float16.

        Raises:
            ValueError: If nothing in it is frozen.
        """
        raise ValueError(f"Encoder {self.name!r} has no frozen part to extract features with; set feature_copies to 0.")

    def load_pretrained(self) -> None:
        """Fills in standard weights that its config names; ``make`` calls it, ``load`` has no need of it."""

    def check_frames(self, shape: tuple[int, ...]) -> None:
        """Refuses frames that it was not made for.

        Args:
            shape: (..., C, H, W).

        Raises:
            ValueError: If channels or size differ from the config.
        """
        wanted = (self.config.channels, self.config.image_size, self.config.image_size)
        if tuple(shape[-3:]) != wanted:
            last = len(shape) > 2 and tuple(shape[-3:]) == (*wanted[1:], wanted[0])
            remedy = (
                "Move the channels first"
                if last
                else "Make one with this image_size and channels, or resize the frames"
            )
            raise ValueError(
                f"Encoder {self.name!r} was made for frames of shape (B, {', '.join(map(str, wanted))}); "
                f"got {tuple(shape)}. {remedy}."
            )

    def check_input(self, frames: Tensor) -> None:
        """Refuses what is no batch of the frames that it was made for.

        Args:
            frames: (B, C, H, W) uint8.

        Raises:
            ValueError: If they have another type or shape: scaled to 0 to 1, say, or with channels last.
        """
        if frames.dtype != torch.uint8 or frames.ndim != 4:
            raise ValueError(
                f"Encoder {self.name!r} takes uint8 frames of shape (B, C, H, W), from 0 to 255; got {frames.dtype} of "
                f"shape {tuple(frames.shape)}. Give them as they are, without scaling or casting them."
            )
        self.check_frames(tuple(frames.shape))

    @torch.no_grad()
    def embed(self, frames: Tensor) -> Tensor:
        """Embeds frames without a gradient, in evaluation mode, on the encoder's device.

        Args:
            frames: (B, C, H, W) uint8, on any device.

        Returns:
            (B, D) float32, on the CPU.

        Raises:
            ValueError: If the frames have another type or shape, or an embedding is not finite.
        """
        Encoder.check_input(self, frames)
        # Walking over all modules costs as much as embedding a frame; a frozen encoder needs it never.
        training, device = self.training, self.device
        if training:
            self.eval()
        try:
            with whole_float32(device), torch.autocast(device.type, torch.bfloat16, enabled=self._bfloat16):
                embeddings: Tensor = self(frames.to(device)).float().cpu()
        finally:
            if training:
                self.train()
        if not torch.isfinite(embeddings).all():
            raise ValueError(
                f"Encoder {self.name!r} gave an embedding that is not finite; its weights are damaged: train it again."
            )
        return embeddings

    def frozen(self, bfloat16: bool = False) -> Self:
        """A copy for embedding alone: no gradients, batch norms folded, the same embeddings faster.

        Args:
            bfloat16: Whether convolutions and linear layers calculate in bfloat16: twice as fast where the processor
                has instructions for it, embeddings to two or three digits.
        """
        copied = copy.deepcopy(self).eval().requires_grad_(False)
        copied._bfloat16 = bfloat16
        fold_batch_norms(copied)
        return copied.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def embed_video(self, frames: NDArray[np.uint8], batch: int = 256) -> NDArray[np.float32]:
        """Embeds channel-last frames in batches: (T, H, W, C) uint8 -> (T, D) float32.

        Raises:
            ValueError: As ``embed`` does.
        """
        parts = [
            self.embed(channels_first(frames[start : start + batch])).numpy() for start in range(0, len(frames), batch)
        ]
        return np.concatenate(parts) if parts else np.empty((0, self.embedding_dim), np.float32)

    def save(self, folder: Path) -> None:
        """Writes ``config.json`` and ``weights.safetensors`` into a folder, with a digest of both in the first."""
        folder.mkdir(parents=True, exist_ok=True)
        config = {"encoder": self.name, **dataclasses.asdict(self.config)}
        weights = save({key: value.cpu().contiguous() for key, value in self.state_dict().items()})
        write_atomically(folder / WEIGHTS_FILE, weights)
        config[DIGEST] = digest_of(config, weights)
        write_atomically(folder / CONFIG_FILE, json.dumps(config, indent=2).encode())


def _check_input(encoder: nn.Module, inputs: tuple[Any, ...]) -> None:
    """The hook that looks at what an encoder is called with."""
    assert isinstance(encoder, Encoder)
    encoder.check_input(inputs[0])


def channels_first(frames: NDArray[np.uint8]) -> Tensor:
    """A tensor of channel-last frames: (B, H, W, C) uint8 -> (B, C, H, W) uint8, without a copy.

    Raises:
        ValueError: If they have another type, or are no batch of frames.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4:
        raise ValueError(
            f"Frames are uint8 of shape (B, H, W, C), from 0 to 255; got {frames.dtype} of shape {frames.shape}."
        )
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)


def centred(frames: Tensor) -> Tensor:
    """Float frames as stems take them: (B, C, H, W) uint8 -> float32 in [-0.5, 0.5], channels last in memory.

    Raises:
        ValueError: If the frames are not uint8; others would be changed in place.
    """
    if frames.dtype != torch.uint8:
        raise ValueError(f"Frames are uint8, from 0 to 255; got {frames.dtype}.")
    # Put in order while a value takes one byte; then in place, since fresh memory costs more than arithmetic.
    ordered = frames.contiguous(memory_format=torch.channels_last)
    return ordered.to(torch.float32).div_(255.0).sub_(0.5)


def fold_batch_norms(module: nn.Module) -> None:
    """Folds every batch norm into the convolution before it, in place: the same output, at half the time.

    Args:
        module: In evaluation mode; convolutions and batch norms that follow one another in a
            ``Sequential`` are folded.

    Raises:
        ValueError: If the module is in training mode, in which batch norms depend on the batch.
    """
    if module.training:
        raise ValueError("Batch norms can be folded in evaluation mode only; call eval() first.")
    for child in module.children():
        fold_batch_norms(child)
    if isinstance(module, nn.Sequential):
        for index, (first, second) in enumerate(itertools.pairwise(list(module))):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[index] = fuse_conv_bn_eval(first, second)
                module[index + 1] = nn.Identity()
