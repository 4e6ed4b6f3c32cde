"""Precision: a frozen encoder in bfloat16 embeds nearly as in float32."""

from __future__ import annotations

import pytest
import torch

import encoders
from encoders.precision import uses_bfloat16


@pytest.mark.parametrize(("precision", "expected"), [("float32", False), ("bfloat16", True)])
def test_a_named_precision_is_taken(precision: str, expected: bool) -> None:
    assert uses_bfloat16(precision) is expected


def test_auto_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for capable in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda capable=capable: {"avx512_bf16": capable})
        assert uses_bfloat16("auto") is capable


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'float32'"):
        uses_bfloat16("float23")


def test_bfloat16_embeds_to_two_digits_and_in_float32() -> None:
    torch.manual_seed(0)
    encoder = encoders.make("tcn", image_size=32).eval()
    frames = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    exact, rough = encoder.frozen().embed(frames), encoder.frozen(bfloat16=True).embed(frames)
    assert rough.dtype == torch.float32
    distances = (exact - rough).norm(dim=1)
    assert (distances > 0).all()
    assert (distances < 0.02 * exact.norm(dim=1)).all()
