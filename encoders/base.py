"""What every encoder is: frames in, embeddings out, a loss on batches of frames, a folder on disk."""

from __future__ import annotations

import copy
import dataclasses
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from encoders.errors import check_choice
from encoders.files import write_atomically
from encoders.layers import fold_batch_norms

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"


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


@dataclass(frozen=True)
class Sampling:
    """How a batch is drawn for an encoder.

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
    """What every encoder is configured with.

    Attributes:
        image_size: Width and height of a frame, pixels.
        channels: Channels of a frame.
    """

    image_size: int = 64
    channels: int = 3

    def __post_init__(self) -> None:
        if min(self.image_size, self.channels) < 1:
            raise ValueError(f"image_size is {self.image_size} and channels {self.channels}; both must be at least 1.")


class Encoder(nn.Module):
    """Base of all encoders.

    A subclass sets ``name`` (by ``register``), ``Config``, ``embedding_dim``, ``sampling``,
    ``forward`` and ``loss``.

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
        """Where it looks: (B, C, H, W) uint8 -> name -> (B, h, w) float32 in [0, 1]; nothing for most encoders."""
        return {}

    def extract(self, frames: Tensor) -> Tensor:
        """What a frozen part makes of frames, once for all training steps; ``loss`` takes it in place of frames.

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
            raise ValueError(
                f"Encoder {self.name!r} was made for frames of shape (B, {', '.join(map(str, wanted))}); "
                f"got {tuple(shape)}. Make one with this image_size and channels, or resize the frames."
            )

    @torch.no_grad()
    def embed(self, frames: Tensor) -> Tensor:
        """Embeds frames without a gradient, in evaluation mode.

        Args:
            frames: (B, C, H, W) uint8.

        Returns:
            (B, D) float32.

        Raises:
            ValueError: If the frames have another shape, or an embedding is not finite.
        """
        if frames.ndim != 4 or frames.dtype != torch.uint8:
            raise ValueError(
                f"embed takes uint8 frames of shape (B, C, H, W); got {frames.dtype} of shape {tuple(frames.shape)}."
            )
        self.check_frames(tuple(frames.shape))
        # Walking over all modules costs as much as embedding a frame; a frozen encoder needs it never.
        training = self.training
        if training:
            self.eval()
        try:
            with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
                embeddings: Tensor = self(frames).float()
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
        """Embeds channel-last frames in batches: (T, H, W, C) uint8 -> (T, D) float32."""
        parts = [
            self.embed(channels_first(frames[start : start + batch])).numpy() for start in range(0, len(frames), batch)
        ]
        return np.concatenate(parts)

    def save(self, folder: Path) -> None:
        """Writes ``config.json`` and ``weights.safetensors`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        config = {"encoder": self.name, **dataclasses.asdict(self.config)}
        weights = {key: value.contiguous() for key, value in self.state_dict().items()}
        write_atomically(folder / WEIGHTS_FILE, save(weights))
        write_atomically(folder / CONFIG_FILE, json.dumps(config, indent=2).encode())

    def load_weights(self, folder: Path) -> None:
        """Loads ``weights.safetensors``, strictly.

        Raises:
            ValueError: If the file is missing, damaged, or holds other names or shapes.
        """
        path = folder / WEIGHTS_FILE
        try:
            weights = load_file(path)
        except FileNotFoundError as error:
            raise ValueError(f"{folder} has no {WEIGHTS_FILE}; it is no complete encoder folder.") from error
        except SafetensorError as error:
            raise ValueError(f"{path} is damaged ({error}); train the encoder again.") from error
        try:
            self.load_state_dict(weights, strict=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{path} does not fit the {CONFIG_FILE} beside it: {reason}") from error


def channels_first(frames: NDArray[np.uint8]) -> Tensor:
    """A tensor of channel-last frames: (B, H, W, C) uint8 -> (B, C, H, W) uint8, without a copy."""
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


def parse_settings(texts: Sequence[str], config: type[EncoderConfig]) -> dict[str, Any]:
    """Settings of a command line: ``("objective=n_pairs", "margin=2")`` -> values of the config's types.

    Raises:
        ValueError: If a text is no ``NAME=VALUE``, the name is unknown, or the value has another type.
    """
    types: dict[str, type[Any]] = {field.name: type(field.default) for field in dataclasses.fields(config)}
    values: dict[str, Any] = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found:
            raise ValueError(f"The encoder setting {text!r} is no NAME=VALUE, such as {next(iter(types))}=...")
        check_choice("encoder setting", name, types)
        wanted = types[name]
        try:
            values[name] = {"true": True, "false": False}[value.lower()] if wanted is bool else wanted(value)
        except (ValueError, KeyError) as error:
            allowed = "true or false" if wanted is bool else f"a value of type {wanted.__name__}"
            raise ValueError(f"The encoder setting {name} is {value!r}; it must be {allowed}.") from error
    return values


def build_config(config: type[EncoderConfig], values: dict[str, Any], where: str) -> EncoderConfig:
    """Makes a config from values, refusing unknown names; every attribute of a config has a default.

    Raises:
        ValueError: If a name is no attribute of the config, or a value has another type or is refused by it.
    """
    fields = {field.name: field.default for field in dataclasses.fields(config)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ValueError(f"{where}: unknown settings {unknown}. Known: {', '.join(fields)}.")
    for name, value in values.items():
        wanted = type(fields[name])
        # A whole number will do for a float, but True will not do for a number.
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ValueError(f"{where}: {name} is {value!r}; it must be a value of type {wanted.__name__}.")
    try:
        return config(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
