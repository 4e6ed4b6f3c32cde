"""Encoders as Stable-Baselines3 feature extractors, trained with the agent or frozen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import gymnasium as gym
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from agents.frame_values import check_values
from encoders.base import Encoder, centred
from encoders.errors import check_choice
from encoders.models.attention import SMALLEST, Attention, map_convolutions, map_size

PIXELS = "pixels"
"""The observation that holds frames where there are several."""

ROLES = ("gated", "observed", "distilled")
"""What vectors that are observed with an agent's frames are for. ``gated``: the agent sees them and the frames'
embedding, which is behind gates that begin closed. ``observed``: it sees both as they are. ``distilled``: it does not
see them, and learns to predict them from the embedding."""

GATED, OBSERVED, DISTILLED = ROLES


def frame_space(space: gym.Space[Any]) -> spaces.Box:
    """The part of an observation space that holds frames.

    Raises:
        ValueError: If there is none, or its values end at 1.
    """
    part = space.spaces.get(PIXELS) if isinstance(space, spaces.Dict) else space
    if not isinstance(part, spaces.Box) or part.dtype != "uint8" or len(part.shape) not in (3, 4):
        raise ValueError(f"The environment observes no frames (uint8, as {PIXELS!r} or alone); it has {space}.")
    if part.high.max(initial=0) <= 1:
        raise ValueError(
            f"The environment's frames have values up to {part.high.max(initial=0)}; encoders take 0 to 255."
        )
    return part


def view_frames(pixels: Tensor, channels: int) -> Tensor:
    """Observed frames as encoders take them, one row a view.

    Args:
        pixels: (B, C, H, W), (B, H, W, C) or (B, V, H, W, C), int or float, whole values from 0 to 255.
        channels: C.

    Returns:
        (B V, C, H, W) uint8.

    Raises:
        ValueError: If no axis has so many channels, or the values are others.
    """
    if pixels.dtype != torch.uint8:
        check_values(pixels)
        pixels = pixels.to(torch.uint8)
    if pixels.ndim == 4 and pixels.shape[1] == channels:
        return pixels
    if pixels.ndim in (4, 5) and pixels.shape[-1] == channels:
        return pixels.flatten(0, -4).permute(0, 3, 1, 2)
    raise ValueError(
        f"Frames of shape {tuple(pixels.shape)} have no {channels} channels, first or last; make the encoder for the "
        "channels that are observed, a stack's frames times their colours."
    )


class _WithEncoder(BaseFeaturesExtractor):
    """Keeps an encoder's weights and the mode of its batch norms from what agents do to their networks."""

    encoder: Encoder | None

    def __init__(self, observation_space: gym.Space[Any], features_dim: int) -> None:
        super().__init__(observation_space, features_dim)
        self._frame_shape = frame_space(observation_space).shape
        self._values_checked = False

    def _observed(self, pixels: Tensor) -> Tensor:
        """Frames as they were observed, in uint8: the base library casts them to float.

        Raises:
            ValueError: If they have another shape than the space, or other values than whole ones from 0 to 255.
        """
        if tuple(pixels.shape[1:]) != self._frame_shape:
            raise ValueError(f"The agent observes frames of shape {self._frame_shape}; got {tuple(pixels.shape[1:])}.")
        if pixels.dtype == torch.uint8:
            return pixels
        # A policy treats all its frames alike, so the first that are not black tell how; later ones cost nothing.
        if not self._values_checked:
            self._values_checked = check_values(pixels)
        return pixels.to(torch.uint8)

    def train(self, mode: bool = True) -> Self:
        """Switches modes; the encoder stays in evaluation mode.

        So an action has the same probability in rollout and update. Its own loss is calculated in training mode.
        """
        super().train(mode)
        if self.encoder is not None:
            self.encoder.eval()
        return self

    def apply(self, fn: Callable[[nn.Module], None]) -> Self:
        """Initialises the layers around the encoder; Stable-Baselines3 would undo its training here."""
        for child in self.children():
            if child is not self.encoder:
                child.apply(fn)
        fn(self)
        return self


class EncoderExtractor(_WithEncoder):
    """Embeds an observation's frames with a gradient, and hands on everything else beside the embedding.

    With the role ``observed`` the features are (e, v): an embedding e and vectors v. With ``gated`` they are (g e, v),
    for gates g that begin at zero and are learned. So an agent begins with the vectors, and takes up an embedding that
    still moves as far as it serves: Bachlechner et al., ReZero is All You Need, 2021, equation 1, with a gate a
    feature. With ``distilled`` they are e alone, and a linear regressor predicts the vectors from them for
    ``distillation_loss``, in agents that have that loss (``SharedEncoderSAC``).

    Args:
        observation_space: With ``pixels``, or frames alone; the policy must be made with ``normalize_images=False``.
        encoder: Copied; the agent trains the copy, but for a stem that its config freezes.
        role: What the vectors beside the frames are for: observed, gated or distilled.

    Attributes:
        embedded: Features that are the embedding; they come first.
        gates: (embedded,) float32; None if there are none.
        regressor: From the embedding to the vectors; None if they are not distilled.

    Raises:
        ValueError: If there are no frames, or they do not fit the encoder, the role is unknown, or takes vectors and
            there are none.
    """

    encoder: Encoder

    def __init__(self, observation_space: gym.Space[Any], encoder: Encoder, role: str = OBSERVED) -> None:
        check_choice("role", role, ROLES)
        shape = frame_space(observation_space).shape
        frame = view_frames(torch.empty((1, *shape), dtype=torch.uint8, device="meta"), encoder.config.channels)
        encoder.check_frames(tuple(frame.shape))
        parts = observation_space.spaces if isinstance(observation_space, spaces.Dict) else {}
        self._rest = sorted(set(parts) - {PIXELS})
        others = sum(spaces.flatdim(parts[key]) for key in self._rest)
        if role != OBSERVED and not others:
            raise ValueError(
                f"The role {role!r} is for vectors beside frames, and nothing is beside them in {observation_space}; "
                "leave it out."
            )
        embedded = len(frame) * encoder.embedding_dim
        super().__init__(observation_space, embedded + (0 if role == DISTILLED else others))
        self.embedded = embedded
        self._scale = len(frame) ** -0.5
        self.encoder = copy.deepcopy(encoder).eval()
        self.gates = nn.Parameter(torch.zeros(embedded)) if role == GATED else None
        self.regressor = nn.Linear(embedded, others) if role == DISTILLED else None

    def forward(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        """(B, features_dim) float32."""
        parts = {PIXELS: observations} if isinstance(observations, Tensor) else observations
        pixels = parts[PIXELS]
        embeddings = self.encoder(view_frames(self._observed(pixels), self.encoder.config.channels))
        embedding = embeddings.reshape(len(pixels), -1) * self._scale
        if self.regressor is not None:
            return embedding
        return torch.cat([embedding if self.gates is None else self.gates * embedding, *self._vectors(parts)], dim=1)

    def _vectors(self, parts: dict[str, Tensor]) -> list[Tensor]:
        return [parts[key].float().flatten(1) for key in self._rest]

    def predicted_and_target(self, features: Tensor, observations: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The vectors as they are predicted from the frames' features, and as they are.

        Args:
            features: Of the same observations, (B, features_dim) float32.
            observations: The frames and the vectors.

        Returns:
            (B, others) float32 each.

        Raises:
            ValueError: If the vectors are not distilled.
        """
        if self.regressor is None:
            raise ValueError(
                "The vectors beside the frames are not distilled; make the extractor with role='distilled'."
            )
        return self.regressor(features), torch.cat(self._vectors(observations), dim=1)


def policy_arguments(encoder: Encoder, role: str = OBSERVED) -> dict[str, Any]:
    """What a policy is made with to see through an encoder, a copy of it; encoders take frames as they are."""
    return {
        "features_extractor_class": EncoderExtractor,
        "features_extractor_kwargs": {"encoder": encoder, "role": role},
        "normalize_images": False,
    }


class MaskedConvolutions(_WithEncoder):
    """The convolutions of the attention paper's agent; with an attention module their map is multiplied by its mask.

    Wu, Khetarpal and Precup, Self-Supervised Attention-Aware Reinforcement Learning, 2021: mask(x) f(x), everything
    else unchanged.

    Args:
        observation_space: A stack of frames (C, S, S) alone; the policy must be made with ``normalize_images=False``.
        attention: Copied; None for the agent without attention.
        frozen: Whether the mask stays as it is.
        bfloat16: Whether convolutions and linear layers calculate in bfloat16.
        features_dim: Width of the fully connected layer behind the map.

    Raises:
        ValueError: If the observations are no square frames, or the attention module was made for others.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        attention: Attention | None = None,
        frozen: bool = True,
        bfloat16: bool = False,
        features_dim: int = 512,
    ) -> None:
        shape = frame_space(observation_space).shape
        if len(shape) != 3 or shape[1] != shape[2]:
            raise ValueError(f"The convolutions take square frames of shape (C, S, S); got {shape}.")
        if shape[1] < SMALLEST:
            raise ValueError(f"The frames have {shape[1]} pixels a side; the convolutions take {SMALLEST} or more.")
        super().__init__(observation_space, features_dim)
        self.encoder = None
        if attention is not None:
            attention.check_frames(shape)
            self.encoder = copy.deepcopy(attention).requires_grad_(not frozen).eval()
        self._bfloat16 = bfloat16
        self.convolutions = map_convolutions(shape[0])
        width = self.convolutions[-2].out_channels * map_size(shape[1]) ** 2  # type: ignore[operator]
        self.linear = nn.Sequential(nn.Flatten(), nn.Linear(int(width), features_dim), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """(B, C, S, S) float from 0 to 255 -> (B, features_dim) float32."""
        pixels = self._observed(observations)
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self._bfloat16):
            maps = self.convolutions(centred(pixels) + 0.5)
            if isinstance(self.encoder, Attention):
                mask = self.encoder.mask(pixels)
                maps = maps * (mask if self.encoder.config.policy_gradient else mask.detach())
            features: Tensor = self.linear(maps.contiguous())
        return features.float()


def own_encoder(agent: BaseAlgorithm) -> Encoder | None:
    """The encoder in an agent's policy, if there is one: the critic's where actor and critic have their own."""
    owner = getattr(agent, "critic", None) or agent.policy
    encoder = getattr(getattr(owner, "features_extractor", None), "encoder", None)
    return encoder if isinstance(encoder, Encoder) else None


def trained_encoder(agent: BaseAlgorithm) -> Encoder:
    """The encoder that an agent's policy trains.

    Raises:
        ValueError: If its policy has none.
    """
    encoder = own_encoder(agent)
    if encoder is None:
        raise ValueError(
            f"The policy of this {type(agent).__name__} agent has no encoder; make it with EncoderExtractor or "
            "MaskedConvolutions."
        )
    return encoder
