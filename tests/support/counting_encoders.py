"""Small encoders that count their forward passes."""

from __future__ import annotations

import torch
from torch import Tensor

from encoders.base import Encoder, EncoderConfig, FrameBatch, LossAndMetrics, Sampling


class Counting(Encoder):
    """Its embedding is how often it was asked, over and over."""

    name = "counting"
    Config = EncoderConfig

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.passes = 0

    @property
    def embedding_dim(self) -> int:
        """Four numbers."""
        return 4

    @property
    def sampling(self) -> Sampling:
        """Never asked for."""
        raise NotImplementedError

    def forward(self, frames: Tensor) -> Tensor:
        """Counts."""
        self.passes += 1
        return torch.full((len(frames), 4), float(self.passes))

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """Never asked for."""
        raise NotImplementedError


class Small(Counting):
    """Its embedding is the frame, scaled down."""

    name = "small"

    @property
    def embedding_dim(self) -> int:
        """Eight by eight colours."""
        return 3 * 8 * 8

    def forward(self, frames: Tensor) -> Tensor:
        """Averages."""
        return torch.nn.functional.adaptive_avg_pool2d(frames.float(), 8).flatten(1)
