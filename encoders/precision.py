"""The precision of a frozen encoder: float32, or bfloat16 where that is faster and accurate enough."""

from __future__ import annotations

import torch
from torch import Tensor

from encoders.base import Encoder
from encoders.device import CUDA

PRECISIONS = ("auto", "float32", "bfloat16")

ROUNDING_SHARE = 0.15
"""Share of the distance that counts as 1 in rewards which rounding may be. Trained time-contrastive networks are at
0.08 to 0.1; an untrained one, whose embeddings hardly differ, is at 50, and learns nothing from rounded ones."""

_NATIVE = ("avx512_bf16", "amx_bf16", "bf16")
"""Names of the instructions, one of which makes bfloat16 the faster one, on x86 and on ARM."""


def native_bfloat16(device: str = "cpu") -> bool:
    """Whether a device has instructions that make bfloat16 the faster one.

    Args:
        device: Its type, cpu or cuda.
    """
    if device == CUDA:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _NATIVE)


def uses_bfloat16(precision: str, encoder: Encoder, frames: Tensor) -> bool:
    """Whether a frozen encoder is to calculate in bfloat16 on its device.

    Args:
        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 if the device has instructions for it and
            rounding is small against the encoder's ``distance_scale``.
        encoder: A fitted encoder.
        frames: What it may be shown, (B, C, H, W) uint8.
    """
    if precision != "auto":
        return precision == "bfloat16"
    if not native_bfloat16(encoder.device.type):
        return False
    exact, rough = encoder.frozen().embed(frames), encoder.frozen(bfloat16=True).embed(frames)
    return bool((exact - rough).norm(dim=1).mean() <= ROUNDING_SHARE * encoder.distance_scale)
