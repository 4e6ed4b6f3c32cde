"""SMAK-Net: embeddings from attention at several depths of a convolutional pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from torch import Tensor, nn

from encoders.base import FrameBatch, LossAndMetrics, Sampling
from encoders.errors import check_at_least, check_choice, check_norm
from encoders.losses import grouped_n_pairs_loss
from encoders.networks.backbones import BackboneConfig, BackboneEncoder
from encoders.networks.layers import conv_block
from encoders.registry import register

Levels: TypeAlias = Literal["12", "13", "23", "123"]
Normalisation: TypeAlias = Literal["sigmoid", "softmax"]

LEVELS: tuple[Levels, ...] = get_args(Levels)
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)

_INCEPTION: dict[str, Any] = {
    "backbone": "inception_v3",
    "image_size": 299,
    "shallow": 64,
    "width": 128,
    "first_kernel": 5,
    "hidden": 512,
    "dropout": 0.2,
}

PAPER: dict[str, dict[str, Any]] = {
    "smak": _INCEPTION,
    "extended": {**_INCEPTION, "extended": True},
    "softmax": {**_INCEPTION, "normalisation": "softmax"},
    "resnet": {**_INCEPTION, "backbone": "resnet50_v2", "first_kernel": 3, "squeeze": 176},
}
"""Settings of the four columns of the paper's table I, for ``make("smak", **PAPER[name])``.

The layer sizes stand in figures that the paper's text does not repeat. These were chosen to meet its
parameter counts (1082k, 1580k, 1082k, 1080k) under what the text does say: few and narrow shallow
channels, one width for everything that is compared with g, one more convolution before each of L1, L2, L3
and g in the extended network (four 3x3 convolutions at these widths are the 480k of difference), and
another pipeline behind ResNet, whose 2048 channels are squeezed by a 1x1 convolution first.

The paper's drop-out "with a probability of 0.8" is read as TensorFlow had it, in which it was written: to keep a value.
"""


@dataclass(frozen=True)
class SMAKConfig(BackboneConfig):
    """Settings of SMAK-Net; the defaults suit 64 pixels on a CPU, ``PAPER`` has the paper's.

    Attributes:
        levels: Which of the maps L1, L2 and L3 are attended to.
        normalisation: ``sigmoid`` weights every position by itself; ``softmax`` makes positions compete.
        extended: Whether another convolution stands before each of L1, L2, L3 and g.
        shallow: Channels of L1.
        width: Channels of L2, L3 and g, and of the local features after their mapping.
        first_kernel: Side of the convolution to L1.
        squeeze: Channels that a 1x1 convolution brings the stem's features to first; 0 for none.
        hidden: Width of the fully connected layer before the embedding.
        embedding_dim: Length of an embedding.
        norm: Length that every embedding is scaled to; n-pairs compares products of two embeddings, so its
            square is the inverse temperature.
    """

    levels: Levels = "123"
    normalisation: Normalisation = "sigmoid"
    extended: bool = False
    shallow: int = 32
    width: int = 64
    first_kernel: int = 3
    squeeze: int = 0
    hidden: int = 128
    embedding_dim: int = 32
    norm: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("levels", self.levels, LEVELS)
        check_choice("normalisation", self.normalisation, NORMALISATIONS)
        widths = ("first_kernel", "shallow", "width", "hidden", "embedding_dim")
        check_at_least(1, {name: getattr(self, name) for name in widths})
        check_at_least(0, {"squeeze": self.squeeze})
        if self.first_kernel % 2 == 0:
            raise ValueError(f"first_kernel is {self.first_kernel}; it must be odd.")
        check_norm(self.norm)


class SpatialAttention(nn.Module):
    """Weighs the positions of a local map by their compatibility with the global feature.

    Ramachandruni et al., SMAK-Net, 2020, equation 2 and figure 2b: c = <u, l + g>, a = sigmoid(c), the mean of
    a l over positions; with softmax the weights sum to one and the mean is their sum.

    Args:
        inputs: Channels of the local map.
        width: Channels of the global feature.
        normalisation: What the weights are made with.
    """

    def __init__(self, inputs: int, width: int, normalisation: Normalisation) -> None:
        super().__init__()
        self.project = nn.Conv2d(inputs, width, 1)
        self.compatibility = nn.Conv2d(width, 1, 1)
        self._softmax = normalisation == "softmax"

    def weights(self, local: Tensor, feature: Tensor) -> Tensor:
        """The attention map: projected local features (B, W, h, w), global feature (B, W) -> (B, 1, h, w)."""
        scores: Tensor = self.compatibility(local + feature[:, :, None, None])
        if self._softmax:
            return scores.flatten(2).softmax(dim=-1).view_as(scores)
        return torch.sigmoid(scores)

    def forward(self, local: Tensor, feature: Tensor) -> tuple[Tensor, Tensor]:
        """The attended feature (B, W), and the attention map (B, 1, h, w)."""
        local = self.project(local)
        weights = self.weights(local, feature)
        attended = (weights * local).sum(dim=(2, 3))
        return (attended if self._softmax else attended / (local.shape[2] * local.shape[3])), weights


@register("smak")
class SMAK(BackboneEncoder):
    """A stem, a pipeline with the maps L1, L2, L3 and g, attention at each level, one embedding.

    Ramachandruni et al., SMAK-Net: Self-Supervised Multi-level Spatial Attention Network for Knowledge
    Representation towards Imitation Learning, 2020; trained by n-pairs across views.
    """

    Config = SMAKConfig
    config: SMAKConfig

    def __init__(self, config: SMAKConfig) -> None:
        super().__init__(config)
        features, shallow, width = self.backbone.features, config.shallow, config.width
        squeezed = config.squeeze or features
        squeeze = [conv_block(features, squeezed, 1)] if config.squeeze else []
        self.to_l1 = nn.Sequential(*squeeze, *self._deeper(squeezed, shallow, config.first_kernel))
        self.to_l2 = nn.Sequential(*self._deeper(shallow, width, stride=2))
        self.to_l3 = nn.Sequential(*self._deeper(width, width, stride=2))
        self.to_global = nn.Sequential(*self._deeper(width, width))
        self.attention = nn.ModuleDict(
            {
                level: SpatialAttention(shallow if level == "1" else width, width, config.normalisation)
                for level in config.levels
            }
        )
        self.head = nn.Sequential(
            nn.Linear(width * len(config.levels), config.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(config.hidden, config.embedding_dim),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _deeper(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
        """The convolutions to the next map: one, or two in the extended network."""
        extra = [conv_block(outputs, outputs, 3)] if self.config.extended else []
        return [conv_block(inputs, outputs, kernel, stride), *extra]

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding."""
        return self.config.embedding_dim

    @property
    def sampling(self) -> Sampling:
        """Two views of each of many moments: every other moment is a negative."""
        return Sampling(videos=4, frames=16, span=64, views=2)

    def _attend(self, frames: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The concatenated attended features, and the attention map of each level."""
        maps: dict[str, Tensor] = {}
        current: Tensor = self.backbone(frames)
        for level, layer in (("1", self.to_l1), ("2", self.to_l2), ("3", self.to_l3)):
            current = layer(current)
            maps[level] = current
        feature = self.to_global(current).mean(dim=(2, 3))
        attended, weights = {}, {}
        for level, module in self.attention.items():
            attended[level], weights[level] = module(maps[level], feature)
        return torch.cat(list(attended.values()), dim=1), weights

    def forward(self, frames: Tensor) -> Tensor:
        """Embeds frames with a gradient: (B, C, H, W) uint8 -> (B, D) float32 of length ``norm``."""
        attended, _ = self._attend(frames)
        return F.normalize(self.head(attended), dim=1) * self.config.norm

    @torch.no_grad()
    def attention_maps(self, frames: Tensor) -> Mapping[str, Tensor]:
        """Attention maps of each level: (B, C, H, W) uint8 -> ``L1`` and so on, each (B, h, w) float32 in [0, 1]."""
        self.check_input(frames)
        training = self.training
        self.eval()
        _, weights = self._attend(frames)
        self.train(training)
        return {f"L{level}": value[:, 0] for level, value in weights.items()}

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """N-pairs loss within each video: its other moments, seen from the other view, are the negatives."""
        embeddings = self(batch.frames)
        # The sampler gives the two views of a moment in the same order.
        first, second = embeddings[batch.view == 0], embeddings[batch.view == 1]
        loss = grouped_n_pairs_loss(first, second, batch.video[batch.view == 0])
        distance = (first - second).square().sum(1).mean().detach()
        return LossAndMetrics(loss, {"pair_distance": distance})
