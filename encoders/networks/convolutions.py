"""The convolutions of agents on pixels, from frames to feature maps, and the decoder back to frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from encoders.base import EncoderConfig

DEPTH = 4
"""Convolutions; the first has stride 2, the second that of the config, the others 1."""

SMALLEST = 8
"""Pixels of the smallest frame that leaves more than one position of the map."""


@dataclass(frozen=True)
class ConvolutionsConfig(EncoderConfig):
    """Settings shared by all encoders on these convolutions.

    Attributes:
        channels: Channels of an observation; a stack of RGB frames has three of each.
        width: Channels of every convolution.
        second_stride: Stride of the second convolution: 1 as in SAC+AE, or 2, a quarter of the work.
    """

    channels: int = 9
    width: int = 32
    second_stride: Literal[1, 2] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size < SMALLEST:
            raise ValueError(f"image_size is {self.image_size}; the convolutions take {SMALLEST} pixels or more.")
        if self.second_stride not in (1, 2) or self.width < 1 or self.channels < 1:
            raise ValueError(
                f"second_stride is {self.second_stride}, width {self.width} and channels {self.channels}; "
                "second_stride must be 1 or 2, the others at least 1."
            )

    @property
    def sides(self) -> tuple[int, int, int]:
        """Side of the frame and of the maps after the first and the second convolution; the last is the map's."""
        first = -(-self.image_size // 2)
        return self.image_size, first, -(-first // self.second_stride)


def frame_convolutions(channels: int, config: ConvolutionsConfig) -> nn.Sequential:
    """Four convolutions with same padding: (B, channels, S, S) float -> (B, width, s, s), s the last of ``sides``."""
    strides = (2, config.second_stride, *[1] * (DEPTH - 2))
    inputs = (channels, *[config.width] * (DEPTH - 1))
    layers = [
        part
        for size, stride in zip(inputs, strides, strict=True)
        for part in (nn.Conv2d(size, config.width, 3, stride, 1), nn.ReLU(inplace=True))
    ]
    return nn.Sequential(*layers)


class FrameDecoder(nn.Module):
    """Transposed convolutions back to frames: (B, inputs, s, s) float -> (B, channels, S, S) float.

    Args:
        inputs: Channels of the map.
        channels: Channels of the frame.
        config: Of the convolutions.
    """

    def __init__(self, inputs: int, channels: int, config: ConvolutionsConfig) -> None:
        super().__init__()
        frame, first, second = config.sides
        width = config.width

        def up(outputs: int, stride: int, side: int, wanted: int) -> nn.ConvTranspose2d:
            missing = wanted - ((side - 1) * stride + 1)
            return nn.ConvTranspose2d(width, outputs, 3, stride, 1, output_padding=missing)

        self.layers = nn.Sequential(
            nn.Conv2d(inputs, width, 3, 1, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.ReLU(inplace=True),
            up(width, config.second_stride, second, first),
            nn.ReLU(inplace=True),
            up(channels, 2, first, frame),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """The frame, about -0.5 to 0.5."""
        frames: Tensor = self.layers(maps)
        return frames


def initialise_convolutions(module: nn.Module) -> None:
    """Delta-orthogonal weights for convolutions and orthogonal ones for linear layers, as SAC+AE has them.

    Yarats et al., Improving Sample Efficiency in Model-Free Reinforcement Learning from Images, 2021; Xiao et al.,
    Dynamical Isometry and a Mean Field Theory of CNNs, 2018.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.orthogonal_(part.weight)
            nn.init.zeros_(part.bias)
        elif isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.zeros_(part.weight)
            middle = part.kernel_size[0] // 2
            with torch.no_grad():
                nn.init.orthogonal_(part.weight[:, :, middle, middle], nn.init.calculate_gain("relu"))
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def quantised(frames: Tensor, bits: int = 5) -> Tensor:
    """Frames as reconstruction targets: reduced to their highest bits and centred.

    Kingma and Dhariwal, Glow, 2018, section 6; without the noise inside a level, which a mean squared error averages
    out.

    Args:
        frames: (B, C, H, W) uint8.
        bits: Kept of every value.

    Returns:
        (B, C, H, W) float32 in [-0.5, 0.5].
    """
    levels = 2**bits
    return (torch.floor(frames.to(torch.float32) * (levels / 256)) + 0.5) / levels - 0.5
