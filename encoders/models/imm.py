"""IMM keypoints, learned by redrawing a frame from the appearance of another and its own keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from torch import Tensor, nn

from encoders.base import Encoder, FrameBatch, LossAndMetrics, Sampling, centred
from encoders.errors import check_choice
from encoders.losses import source_frames
from encoders.networks.backbones import Backbone, BackboneConfig
from encoders.networks.convolutions import ConvolutionsConfig, FrameDecoder, frame_convolutions
from encoders.registry import register

Features: TypeAlias = Literal["coordinates", "heat_maps"]
FEATURES: tuple[Features, ...] = get_args(Features)

RGB = 3
"""Channels of a single frame of a stack."""


@dataclass(frozen=True)
class IMMConfig(ConvolutionsConfig):
    """Settings of the keypoint network.

    Attributes:
        keypoints: Number of points, K.
        sigma: Standard deviation of a heat map, where a frame is from -1 to 1.
        single_frames: Whether the frames of a stack are looked at one by one, so that points of successive frames tell
            velocities; else the stack is one picture with K points, as in Plesner et al.
        features: What the embedding holds: ``coordinates``, or ``heat_maps``, K maps flattened.
        normalised: Whether every position of the score maps is normalised over the batch before the softmax, and
            sharpened, so that what never changes scores 0 everywhere and the points begin on what moves; for cameras
            that stand still. Without, as published, points leave the middle of the frame late or never on frames that
            hardly change.
        policy_gradient: Whether the agent's own loss may move the keypoints when both are trained together.
        perceptual: Name of a backbone in whose features the reconstruction is compared; empty for the pixels.
    """

    keypoints: int = 6
    sigma: float = 0.1
    single_frames: bool = True
    features: Features = "coordinates"
    normalised: bool = True
    policy_gradient: bool = True
    perceptual: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("features", self.features, FEATURES)
        positions = self.sides[-1] ** 2
        if not 1 <= self.keypoints <= positions:
            raise ValueError(
                f"keypoints is {self.keypoints}; the score maps of frames with {self.image_size} pixels have "
                f"{positions} positions, so it must be from 1 to {positions}."
            )
        if not 0.0 < self.sigma < 2.0:
            raise ValueError(f"sigma is {self.sigma}; it must be above 0 and below 2, the width of a frame.")
        if self.perceptual and self.channels % RGB:
            raise ValueError(
                f"channels is {self.channels} and perceptual {self.perceptual!r}; the backbone takes RGB frames, a "
                "multiple of 3: leave perceptual out for others."
            )
        if self.perceptual:
            BackboneConfig(image_size=self.image_size, channels=RGB, backbone=self.perceptual)

    @property
    def frames(self) -> int:
        """Single frames of a stack: of three channels each, or of one if the channels do not divide by three."""
        if not self.single_frames:
            return 1
        return self.channels if self.channels % RGB else self.channels // RGB

    @property
    def frame_channels(self) -> int:
        """Channels of a single frame."""
        return self.channels // self.frames


class Keypoints(NamedTuple):
    """Keypoints of a frame, from its score maps.

    Attributes:
        points: (B, K, 2) float32, (x, y), each from -1 (left, top) to 1 (right, bottom).
        scores: (B, K, h, w) float32.
        columns: (B, K, w) float32, the marginal distribution over x.
        rows: (B, K, h) float32, the marginal distribution over y.
    """

    points: Tensor
    scores: Tensor
    columns: Tensor
    rows: Tensor


def marginal_soft_argmax(scores: Tensor) -> Keypoints:
    """Expected place under the softmax of a score map's two marginals.

    Jakab, Gupta, Bilen and Vedaldi, Unsupervised Learning of Object Landmarks through Conditional Image Generation,
    2018, equation 4, as their code has it: the scores are averaged over the other axis before the softmax.

    Args:
        scores: (B, K, h, w) float.

    Returns:
        The places, and what led to them.

    Raises:
        ValueError: If ``scores`` is not four-dimensional.
    """
    if scores.ndim != 4:
        raise ValueError(f"marginal_soft_argmax takes scores of shape (B, K, h, w); got {tuple(scores.shape)}.")
    columns, rows = scores.mean(dim=2).softmax(dim=-1), scores.mean(dim=3).softmax(dim=-1)
    x = (columns * axis(scores.shape[3], scores)).sum(-1)
    y = (rows * axis(scores.shape[2], scores)).sum(-1)
    return Keypoints(torch.stack([x, y], dim=-1), scores, columns, rows)


def axis(count: int, like: Tensor) -> Tensor:
    """Centres of equal cells between -1 and 1, so that coordinates mean the same at every resolution: (count,)."""
    return (torch.arange(count, dtype=like.dtype, device=like.device) + 0.5) * (2.0 / count) - 1.0


def heat_maps(points: Tensor, height: int, width: int, sigma: float) -> Tensor:
    """Gaussians around places: exp(-|u - p|^2 / (2 sigma^2)).

    Jakab et al., 2018, equation 5.

    Args:
        points: (B, K, 2) float, (x, y) from -1 to 1.
        height: Rows of the maps.
        width: Columns of the maps.
        sigma: Standard deviation, where a frame is from -1 to 1.

    Returns:
        (B, K, height, width) float in [0, 1].

    Raises:
        ValueError: If the shape of ``points`` is another, or sigma is not above 0.
    """
    if points.ndim != 3 or points.shape[-1] != 2 or not sigma > 0:
        raise ValueError(
            f"heat_maps takes points of shape (B, K, 2) and a sigma above 0; got {tuple(points.shape)} and {sigma}."
        )
    across = (axis(width, points) - points[..., :1]).square()
    down = (axis(height, points) - points[..., 1:]).square()
    return torch.exp(-(across[..., None, :] + down[..., :, None]) / (2 * sigma**2))


def motion_of(points: Tensor, gain: float) -> Tensor:
    """Keypoints of the newest frame, and their movements from frame to frame.

    Args:
        points: (B, T, K, 2) float, oldest frame first.
        gain: Factor of the movements, which are small next to coordinates.

    Returns:
        (B, T K 2) float: the newest places, then the movements, oldest first.
    """
    moved = (points[:, 1:] - points[:, :-1]) * gain
    return torch.cat([points[:, -1:], moved], dim=1).flatten(1)


MOTION_GAIN = 5.0
"""Scale of movements in an embedding: a pole's tip moves by at most a fifth of a frame in 0.08 seconds."""


SHARPNESS = 10.0
"""Scale of normalised scores: with less, the marginals over 16 or 21 positions stay nearly flat."""


class KeypointHead(nn.Module):
    """From a map to score maps: two convolutions.

    Args:
        config: Width, number of keypoints, and whether their scores are normalised.
    """

    def __init__(self, config: IMMConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(config.width, config.width, 3, 1, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(config.width, config.keypoints, 1),
        )
        positions = config.keypoints * config.sides[-1] ** 2
        self.norm = nn.BatchNorm1d(positions, eps=1e-3, affine=False) if config.normalised else None

    def forward(self, maps: Tensor) -> Keypoints:
        """(B, F, h, w) float -> the places."""
        scores: Tensor = self.layers(maps).float().contiguous()
        if self.norm is not None:
            scores = SHARPNESS * self.norm(scores.flatten(1)).reshape(scores.shape)
        return marginal_soft_argmax(scores)


@register("imm")
class IMM(Encoder):
    """Image encoder, keypoint network, and a generator from one frame's features and another one's heat maps.

    Jakab, Gupta, Bilen and Vedaldi, Unsupervised Learning of Object Landmarks through Conditional Image Generation,
    2018; with 32 filters and one image encoder for both networks, as Plesner, Dahl and Rygaard (Self-Supervised
    Keypoint Learning) have it in SAC.
    """

    Config = IMMConfig
    config: IMMConfig

    def __init__(self, config: IMMConfig) -> None:
        super().__init__(config)
        self.convolutions = frame_convolutions(config.frame_channels, config)
        self.keypoint_head = KeypointHead(config)
        self.generator = FrameDecoder(config.width + config.keypoints, config.frame_channels, config)
        self.perceptual: Backbone | None = None
        if config.perceptual:
            stem = BackboneConfig(image_size=config.image_size, channels=RGB, backbone=config.perceptual, freeze=True)
            self.perceptual = Backbone(stem)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def load_pretrained(self) -> None:
        """Fills in the standard weights of the backbone that reconstructions are compared with."""
        if self.perceptual is not None:
            self.perceptual.load_pretrained()

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding: coordinates or heat maps of every frame that is looked at."""
        positions = 2 if self.config.features == "coordinates" else self.config.sides[-1] ** 2
        return self.config.frames * self.config.keypoints * positions

    @property
    def sampling(self) -> Sampling:
        """Pairs of moments from trajectories."""
        return Sampling(videos=16, frames=2, span=64, views=1)

    def single(self, frames: Tensor) -> Tensor:
        """Splits stacks into single frames: (B, C, S, S) -> (B T, c, S, S)."""
        return frames.reshape(-1, self.config.frame_channels, *frames.shape[2:])

    def keypoints(self, frames: Tensor) -> Keypoints:
        """Keypoints of stacks: (B, C, S, S) uint8 -> those of B T frames, the oldest of each stack first.

        Raises:
            ValueError: If the frames have another type or shape.
        """
        self.check_input(frames)
        found: Keypoints = self.keypoint_head(self.convolutions(centred(self.single(frames))))
        return found

    def forward(self, frames: Tensor) -> Tensor:
        """Embeds frames, with a gradient if ``policy_gradient``: (B, C, S, S) uint8 -> (B, D) float32."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.policy_gradient):
            return self.embedding_of(self.keypoints(frames).points)

    def embedding_of(self, points: Tensor) -> Tensor:
        """The embedding of keypoints: (B T, K, 2) -> (B, D)."""
        if self.config.features == "heat_maps":
            side = self.config.sides[-1]
            maps = heat_maps(points, side, side, self.config.sigma)
            return maps.reshape(-1, self.config.frames * points.shape[1] * side**2)
        return motion_of(points.reshape(-1, self.config.frames, *points.shape[1:]), MOTION_GAIN)

    @torch.no_grad()
    def attention_maps(self, frames: Tensor) -> Mapping[str, Tensor]:
        """The heat maps of the newest frame: (B, C, S, S) uint8 -> ``keypoint0`` and on, (B, h, w) in [0, 1]."""
        points = self.keypoints(frames).points[self.config.frames - 1 :: self.config.frames]
        side = self.config.sides[-1]
        maps = heat_maps(points, side, side, self.config.sigma)
        return {f"keypoint{index}": maps[:, index] for index in range(self.config.keypoints)}

    def generate(self, frames: Tensor, source: Tensor) -> tuple[Tensor, Keypoints]:
        """Redraws single frames, each from the appearance of another and its own keypoints.

        Args:
            frames: (B, c, S, S) uint8, the targets.
            source: (B,) int64, for every target the index of its source among the frames.

        Returns:
            (B, c, S, S) float, about -0.5 to 0.5, and the targets' keypoints.
        """
        return self.redraw(self.convolutions(centred(frames)), source)

    def redraw(self, maps: Tensor, source: Tensor) -> tuple[Tensor, Keypoints]:
        """``generate`` from the convolutions' maps of the frames, (B, F, h, w) float."""
        found: Keypoints = self.keypoint_head(maps)
        heat = heat_maps(found.points, maps.shape[2], maps.shape[3], self.config.sigma).to(maps.dtype)
        both = torch.cat([maps[source], heat], dim=1).contiguous(memory_format=torch.channels_last)
        return self.generator(both).float(), found

    def newest(self, frames: Tensor) -> Tensor:
        """The part of a stack that is reconstructed: (B, C, S, S) -> (B, c, S, S)."""
        return frames[:, -self.config.frame_channels :]

    def loss(self, batch: FrameBatch) -> LossAndMetrics:
        """The reconstruction loss of the newest frame, or of the stack; each frame of a pair is a target once."""
        self.check_input(batch.frames)
        return self.loss_of(self.convolutions(centred(self.newest(batch.frames))), batch)

    def loss_of(self, maps: Tensor, batch: FrameBatch) -> LossAndMetrics:
        """``loss``, from the feature maps of the frames that are reconstructed, (B, F, h, w) float."""
        output, found = self.redraw(maps, source_frames(batch))
        target = centred(self.newest(batch.frames))
        if self.perceptual is None:
            loss = F.mse_loss(output, target)
        else:
            with torch.no_grad():
                wanted = self.perceptual.stem(target[:, -RGB:])
            loss = F.mse_loss(self.perceptual.stem(output[:, -RGB:]), wanted)
        spread = found.points.detach().std(dim=0).mean()
        return LossAndMetrics(loss, {"spread": spread})
