"""Precision: a frozen encoder calculates in bfloat16 where that is faster and exact enough."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import encoders
from encoders.base import Encoder
from encoders.precision import ROUNDING_SHARE, uses_bfloat16


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return encoders.make("tcn", image_size=32).eval()


@pytest.fixture
def frames() -> Tensor:
    return torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def capable(monkeypatch: pytest.MonkeyPatch, capable: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable})


def rounding(encoder: Encoder, frames: Tensor) -> Tensor:
    return (encoder.frozen().embed(frames) - encoder.frozen(bfloat16=True).embed(frames)).norm(dim=1)


@pytest.mark.parametrize(("precision", "expected"), [("float32", False), ("bfloat16", True)])
def test_a_named_precision_is_taken(encoder: Encoder, frames: Tensor, precision: str, expected: bool) -> None:
    assert uses_bfloat16(precision, encoder, frames) is expected


@pytest.mark.parametrize(("times", "expected"), [(1.01, True), (0.99, False)])
def test_auto_rounds_where_that_is_small_against_the_scale_of_distances(
    monkeypatch: pytest.MonkeyPatch, encoder: Encoder, frames: Tensor, times: float, expected: bool
) -> None:
    capable(monkeypatch, True)
    encoder.distance_scale.fill_(times * rounding(encoder, frames).mean() / ROUNDING_SHARE)
    assert uses_bfloat16("auto", encoder, frames) is expected


def test_auto_does_not_round_where_that_is_slower(
    monkeypatch: pytest.MonkeyPatch, encoder: Encoder, frames: Tensor
) -> None:
    capable(monkeypatch, False)
    encoder.distance_scale.fill_(1e6)
    assert not uses_bfloat16("auto", encoder, frames)


def test_bfloat16_embeds_to_two_digits_and_in_float32(encoder: Encoder, frames: Tensor) -> None:
    assert encoder.frozen(bfloat16=True).embed(frames).dtype == torch.float32
    distances = rounding(encoder, frames)
    assert (distances > 0).all()
    assert (distances < 0.02 * encoder.embed(frames).norm(dim=1)).all()
