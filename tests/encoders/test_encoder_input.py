"""Frames that reach an encoder in another form than it was made for are refused, wherever they come in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import encoders
from encoders import Encoder, FrameBatch
from encoders.base import channels_first
from encoders.models.attention import Attention
from encoders.models.imm import IMM

SIZE = 40

WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "floats from 0 to 255": lambda frames: frames.float(),
    "floats from 0 to 1": lambda frames: frames / 255.0,
    "half precision": lambda frames: frames.half(),
    "other integers": lambda frames: frames.to(torch.int64),
    "channels last": lambda frames: frames.permute(0, 2, 3, 1).contiguous(),
    "a larger size": lambda frames: frames.repeat(1, 1, 2, 2),
    "one side longer": lambda frames: frames.repeat(1, 1, 1, 2),
    "twice the frames of a stack": lambda frames: frames.repeat(1, 2, 1, 1),
    "a single channel": lambda frames: frames[:, :1],
    "a single frame": lambda frames: frames[0],
    "an axis of views": lambda frames: frames[:, None],
}


def made(name: str) -> Encoder:
    torch.manual_seed(0)
    settings = {"backbone": "small"} if name == "pooled" else {}
    return encoders.make(name, image_size=SIZE, channels=6, **settings)


def batch(frames: Tensor, views: int = 1) -> FrameBatch:
    """Two videos of all moments, one after the other, each seen by so many cameras."""
    index = torch.arange(len(frames))
    return FrameBatch(frames, index // 16, index % views, index % 16 // views)


FRAMES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (32, 6, SIZE, SIZE), np.uint8))


@pytest.mark.parametrize("form", WRONG)
@pytest.mark.parametrize("name", encoders.names())
def test_frames_of_another_form_are_refused_by_embedding_gradient_loss_and_attention(name: str, form: str) -> None:
    encoder, frames = made(name), WRONG[form](FRAMES)
    ways: list[Callable[[], object]] = [lambda: encoder.embed(frames), lambda: encoder(frames)]
    if name != "pooled":
        ways.append(lambda: encoder.loss(batch(frames)))
    if encoder.attention_maps(FRAMES):
        ways.append(lambda: encoder.attention_maps(frames))
    if isinstance(encoder, Attention):
        ways += [lambda: encoder.mask(frames), lambda: encoder.reconstruct(frames, torch.arange(32))]
    if isinstance(encoder, IMM):
        ways.append(lambda: encoder.keypoints(frames))
    for way in ways:
        with pytest.raises(ValueError, match=f"Encoder '{name}' (takes uint8 frames|was made for frames)") as caught:
            way()
        assert str(tuple(frames.shape)) in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(encoders.names()) - {"pooled"}))
def test_frames_of_the_right_form_are_taken_by_all_of_them(name: str) -> None:
    encoder = made(name)
    assert encoder.embed(FRAMES).shape == (32, encoder.embedding_dim)
    assert encoder.frozen().embed(FRAMES[:3]).shape == (3, encoder.embedding_dim)
    assert torch.isfinite(encoder.loss(batch(FRAMES, encoder.sampling.views)).loss)
    assert encoder.embed(FRAMES[:0]).shape == (0, encoder.embedding_dim)


def test_channels_last_are_answered_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"got \(32, 40, 40, 6\)\. Move the channels first\."):
        made("tcn").embed(FRAMES.permute(0, 2, 3, 1))
    with pytest.raises(ValueError, match=r"got \(32, 6, 80, 80\)\. Make one with this image_size"):
        made("tcn").embed(WRONG["a larger size"](FRAMES))


def test_features_of_a_frozen_stem_are_taken_in_place_of_frames_and_no_others() -> None:
    encoder = encoders.make("tcn", image_size=SIZE, freeze=True).eval()
    frames = FRAMES[:, :3]
    features = encoder.extract(frames)
    torch.testing.assert_close(encoder(features), encoder(frames), atol=1e-2, rtol=0)
    for wrong in (features.float(), features[:, :3], features[0]):
        with pytest.raises(ValueError, match="takes uint8 frames"):
            encoder(wrong)
    with pytest.raises(ValueError, match="takes uint8 frames"):
        encoder.embed(features)
    trained = encoders.make("tcn", image_size=SIZE).eval()
    with pytest.raises(ValueError, match="takes uint8 frames"):
        trained(features)


@pytest.mark.parametrize(
    "frames",
    [np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4, 3), np.int64), np.zeros((4, 4, 3), np.uint8), np.zeros(3, np.uint8)],
)
def test_a_video_of_another_form_is_refused_with_its_shape(encoder: Encoder, frames: np.ndarray) -> None:
    for take in (channels_first, encoder.embed_video):
        with pytest.raises(ValueError, match=r"Frames are uint8 of shape \(B, H, W, C\), from 0 to 255; got") as caught:
            take(frames)
        assert str(frames.shape) in str(caught.value)


def test_a_video_without_frames_has_no_embeddings(encoder: Encoder) -> None:
    embedded = encoder.embed_video(np.zeros((0, 16, 16, 3), np.uint8))
    assert embedded.shape == (0, 8)
    assert embedded.dtype == np.float32
