"""Checks that frames reach encoders as whole values from 0 to 255."""

from __future__ import annotations

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BaseModel
from stable_baselines3.common.preprocessing import is_image_space
from torch import Tensor

KEEP_FRAMES = (
    "Stable-Baselines3 divides frames by 255 unless it is told otherwise: make the agent with "
    "policy_kwargs=dict(..., normalize_images=False)."
)
"""Why frames come otherwise than an encoder takes them, and the way out."""


def check_normalisation(policy: BaseModel) -> None:
    """Refuses a policy that changes frames before its features extractor sees them.

    Raises:
        ValueError: If it divides them by 255.
    """
    space = policy.observation_space
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else (space,)
    if policy.normalize_images and any(is_image_space(part) for part in parts):
        raise ValueError(f"{type(policy).__name__} would not see its frames with values from 0 to 255: {KEEP_FRAMES}")


def check_values(pixels: Tensor) -> bool:
    """Refuses frames that a cast to uint8 would change: those in [0, 1] would become black.

    Args:
        pixels: Of any shape, int or float.

    Returns:
        Whether they cannot be frames from 0 to 1 for certain, which a black one might be.

    Raises:
        ValueError: If the values are not all whole and from 0 to 255.
    """
    if pixels.numel() == 0:
        return False
    if pixels.dtype == torch.bool or pixels.is_complex():
        raise ValueError(f"Frames have whole values from 0 to 255; got {pixels.dtype}.")
    low, high = (float(value) for value in pixels.aminmax())
    if not (low >= 0 and high <= 255 and torch.equal(pixels, pixels.floor())):
        raise ValueError(
            f"Frames have whole values from 0 to 255; got {pixels.dtype} from {low:g} to {high:g}. {KEEP_FRAMES}"
        )
    return high > 1
