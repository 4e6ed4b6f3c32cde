"""Self-supervised attention: a mask over what changed in a frame, relative to another of its trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from torch import Tensor, nn

from encoders.base import Encoder, EncoderConfig, FrameBatch, LossAndMetrics, Sampling
from encoders.losses import source_frames, thresholded_reconstruction_loss
from encoders.registry import register

KERNELS = (8, 4, 3)
STRIDES = (4, 2, 1)
WIDTHS = (32, 64, 32)
"""Channels of the three convolutions of feature encoder and mask generator: 84 pixels become a 7 x 7 map."""

STRIDE = 8
"""Pixels from one position of the map to the next."""

CENTRE = 17.5
"""Pixel at which the first position's view of 36 pixels has its middle."""

SMOOTHING = 0.5
"""Standard deviation of the Gaussian that a mask is smoothed with before its peaks are looked for, positions."""

SMALLEST = 36
"""Pixels of the smallest frame that leaves a position of the map."""


@dataclass(frozen=True)
class AttentionConfig(EncoderConfig):
    """Settings of the attention module.

    Attributes:
        image_size: Width and height of a frame, pixels.
        channels: Channels of an observation; a stack of frames has those of all of them.
        latest: Channels at the end that make up the latest frame, which is all that the mask sees and that is
            reconstructed; 0 for all channels.
        threshold: Squared errors of the reconstruction below this are ignored (delta); pixels are from 0 to 1.
        sparsity: Weight of the mean mask (lambda_m). The published code has 1e-3, which leaves masks half open for
            thousands of steps; with too much of it a mask closes over small things that move.
        policy_gradient: Whether the agent's own loss may change the mask when both are trained together. The
            paper's text does not say; its published Atari configuration lets it.
    """

    image_size: int = 84
    channels: int = 4
    latest: int = 0
    threshold: float = 1e-2
    sparsity: float = 3e-3
    policy_gradient: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size < SMALLEST:
            raise ValueError(f"image_size is {self.image_size}; the attention module takes {SMALLEST} pixels or more.")
        if not 0 <= self.latest <= self.channels:
            raise ValueError(f"latest is {self.latest}; it must be from 0 to channels, {self.channels}.")
        if not 0.0 <= self.threshold < 1.0 or not 0.0 <= self.sparsity < float("inf"):
            raise ValueError(
                f"threshold {self.threshold} must be from 0 to 1 and sparsity {self.sparsity} finite, not negative."
            )


class Reconstruction(NamedTuple):
    """Reconstructions of a target frame.

    Attributes:
        mixed: (B, C, S, S) float, from the target's foreground and the source's background.
        auto: (B, C, S, S) float, from the target alone.
        mask: (B, 1, h, w) float, the target's.
    """

    mixed: Tensor
    auto: Tensor
    mask: Tensor


def mix_features(source: Tensor, target: Tensor, source_mask: Tensor, target_mask: Tensor) -> Tensor:
    """Features of the target's foreground on the source's background.

    Wu, Khetarpal and Precup, Self-Supervised Attention-Aware Reinforcement Learning, 2021:
    (1 - mask_s) (1 - mask_t) features_s + mask_t features_t.

    Args:
        source: (B, F, h, w) float.
        target: (B, F, h, w) float.
        source_mask: (B, 1, h, w) float in [0, 1].
        target_mask: (B, 1, h, w) float in [0, 1].

    Raises:
        ValueError: If the shapes do not go together.
    """
    if source.shape != target.shape or source_mask.shape != target_mask.shape or source_mask.shape[1] != 1:
        raise ValueError(
            f"Features must have one shape and masks one channel; got {tuple(source.shape)}, {tuple(target.shape)}, "
            f"{tuple(source_mask.shape)}, {tuple(target_mask.shape)}."
        )
    return (1 - source_mask) * (1 - target_mask) * source + target_mask * target


def map_size(image_size: int) -> int:
    """Side of the convolutions' feature map, positions."""
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        image_size = (image_size - kernel) // stride + 1
    return image_size


def map_convolutions(channels: int, normalised: bool = False) -> nn.Sequential:
    """The convolutions from frames to the feature map, shared in shape with the paper's agents.

    Args:
        channels: Of the frames.
        normalised: Whether a layer norm over channels and positions follows each.
    """
    inputs = (channels, *WIDTHS)
    layers: list[nn.Module] = []
    for index, (kernel, stride) in enumerate(zip(KERNELS, STRIDES, strict=True)):
        norm = [nn.GroupNorm(1, inputs[index + 1])] if normalised else []
        layers += [nn.Conv2d(inputs[index], inputs[index + 1], kernel, stride), *norm, nn.ReLU()]
    return nn.Sequential(*layers)


class Decoder(nn.Module):
    """Transposed convolutions from the map back to a frame.

    Args:
        channels: Of the frame.
        image_size: Of the frame, pixels.
    """

    def __init__(self, channels: int, image_size: int) -> None:
        super().__init__()
        sizes = [image_size]
        for kernel, stride in zip(KERNELS, STRIDES, strict=True):
            sizes.append((sizes[-1] - kernel) // stride + 1)
        widths = (WIDTHS[2], WIDTHS[1], WIDTHS[0], 16)
        layers: list[nn.Module] = []
        for index in range(3):
            kernel, stride = KERNELS[2 - index], STRIDES[2 - index]
            # What the convolution left over at the edge comes back here.
            missing = sizes[2 - index] - ((sizes[3 - index] - 1) * stride + kernel)
            layers += [
                nn.ConvTranspose2d(widths[index], widths[index + 1], kernel, stride, output_padding=missing),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(16, channels, 3, padding=1))

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, h, w) float -> (B, C, S, S) float, about 0 to 1."""
        frames: Tensor = self.layers(features)
        return frames


@register("attention")
class Attention(Encoder):
    """A feature encoder, a mask generator and a decoder with the mask as their bottleneck.

    Wu, Khetarpal and Precup, Self-Supervised Attention-Aware Reinforcement Learning, 2021. The layers are those of
    their published code: three convolutions with layer norms each for features and mask, a sigmoid of one channel,
    three transposed convolutions. (Without the norms bright pictures saturate the sigmoid, and it stays there.) As
    there, the source's features and mask carry no gradient.
    Its embedding is the masked feature map, flattened.
    """

    Config = AttentionConfig
    config: AttentionConfig

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__(config)
        self._latest = config.latest or config.channels
        self.features = map_convolutions(self._latest, normalised=True)
        self.mask_generator = nn.Sequential(map_convolutions(self._latest, normalised=True), nn.Conv2d(WIDTHS[2], 1, 1))
        self.decoder = Decoder(self._latest, config.image_size)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding: the masked feature map."""
        side = map_size(self.config.image_size)
        return int(WIDTHS[2] * side * side)

    @property
    def sampling(self) -> Sampling:
        """Pairs of moments from trajectories."""
        return Sampling(videos=16, frames=2, span=64, views=1)

    def _frame(self, frames: Tensor) -> Tensor:
        """The latest frame of each stack: (B, C, S, S) uint8 -> (B, latest, S, S) float32 in [0, 1]."""
        latest = frames[:, -self._latest :]
        return (latest.to(torch.float32) / 255.0).contiguous(memory_format=torch.channels_last)

    def mask(self, frames: Tensor) -> Tensor:
        """The mask, with a gradient: (B, C, S, S) uint8 -> (B, 1, h, w) float32 in [0, 1].

        Raises:
            ValueError: If the frames have another type or shape.
        """
        self.check_input(frames)
        return torch.sigmoid(self.mask_generator(self._frame(frames)))

    def forward(self, frames: Tensor) -> Tensor:
        """Embeds frames with a gradient: (B, C, S, S) uint8 -> (B, D) float32."""
        frame = self._frame(frames)
        masked = torch.sigmoid(self.mask_generator(frame)) * self.features(frame)
        return masked.contiguous().flatten(1)

    @torch.no_grad()
    def attention_maps(self, frames: Tensor) -> Mapping[str, Tensor]:
        """The mask: (B, C, S, S) uint8 -> ``mask``, (B, h, w) float32 in [0, 1]."""
        return {"mask": self.mask(frames)[:, 0]}

    def reconstruct(self, frames: Tensor, source: Tensor) -> Reconstruction:
        """Reconstructs frames, each with the background of another one.

        Args:
            frames: (B, C, S, S) uint8, the targets.
            source: (B,) int64, for every target the index of its source among the frames.

        Raises:
            ValueError: If the frames have another type or shape.
        """
        self.check_input(frames)
        frame = self._frame(frames)
        features, mask = self.features(frame), torch.sigmoid(self.mask_generator(frame))
        mixed = mix_features(features.detach()[source], features, mask.detach()[source], mask)
        both = self.decoder(torch.cat([mixed, features]))
        return Reconstruction(both[: len(frames)], both[len(frames) :], mask)

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """Thresholded reconstruction, auto-encoding and sparsity; every frame of a pair is a target once."""
        source = source_frames(batch)
        result = self.reconstruct(batch.frames, source)
        target = self._frame(batch.frames)
        reconstruction = thresholded_reconstruction_loss(result.mixed, target, self.config.threshold)
        auto_encoding = thresholded_reconstruction_loss(result.auto, target, 0.0)
        sparsity = result.mask.mean()
        metrics = {"reconstruction": reconstruction, "auto_encoding": auto_encoding, "mask": sparsity}
        return LossAndMetrics(
            reconstruction + auto_encoding + self.config.sparsity * sparsity,
            {name: value.detach() for name, value in metrics.items()},
        )


def keypoints(mask: Tensor, count: int) -> Tensor:
    """Places of the strongest peaks of a mask: smoothed, thinned by non-maximum suppression, the best few.

    Args:
        mask: (B, h, w) float in [0, 1], as ``Attention`` gives it.
        count: Number of key points, k.

    Returns:
        (B, k, 2) float, (x, y) in pixels of the frame: the centre of what a position of the mask sees. Where there
        are fewer peaks, the remaining ones are NaN.

    Raises:
        ValueError: If there are more key points than positions, or none.
    """
    height, width = mask.shape[1:]
    if not 1 <= count <= height * width:
        raise ValueError(f"count is {count}; a mask of {height} x {width} has from 1 to {height * width} key points.")
    side = torch.exp(-0.5 * (torch.arange(-1.0, 2.0, device=mask.device) / SMOOTHING) ** 2).to(mask)
    kernel = torch.outer(side, side) / side.sum() ** 2
    smooth = F.conv2d(F.pad(mask[:, None], (1, 1, 1, 1), mode="replicate"), kernel[None, None])
    peaks = torch.where(smooth == F.max_pool2d(smooth, 3, 1, 1), smooth, torch.full_like(smooth, -1.0))
    value, index = peaks.flatten(1).topk(count, dim=1)
    places = torch.stack([index % width, index // width], dim=-1).to(mask) * STRIDE + CENTRE
    return torch.where(value[..., None] < 0, torch.full_like(places, float("nan")), places)
