"""In what a frozen encoder calculates: float32, or bfloat16 where the processor has instructions for it."""

from __future__ import annotations

import torch

from encoders.errors import check_choice

PRECISIONS = ("auto", "float32", "bfloat16")

_NATIVE = ("avx512_bf16", "amx_bf16", "bf16")
"""Names of the instructions, one of which makes bfloat16 the faster one, on x86 and on ARM."""


def uses_bfloat16(precision: str) -> bool:
    """Whether a frozen encoder is to calculate in bfloat16 on this machine.

    Args:
        precision: ``float32``, ``bfloat16``, or ``auto`` for the faster one.

    Raises:
        ValueError: If it is none of these.
    """
    check_choice("precision", precision, PRECISIONS)
    if precision == "auto":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in _NATIVE)
    return precision == "bfloat16"
