"""The baseline: a backbone's features as they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from encoders import load, make
from encoders.base import FrameBatch
from encoders.clips.clips import Clips
from encoders.models.pooled import Pooled
from encoders.training.fit import FitConfig, fit


def pooled(**settings: object) -> Pooled:
    torch.manual_seed(0)
    encoder = make("pooled", **{"image_size": 32, **settings})
    assert isinstance(encoder, Pooled)
    return encoder.eval()


def frames(count: int = 5) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_an_embedding_is_the_mean_of_the_maps_at_the_configured_length() -> None:
    for backbone, features, norm in (("efficientnet_lite0_16", 112, 10.0), ("small", None, 2.0)):
        encoder = pooled(backbone=backbone, norm=norm)
        features = features or encoder.backbone.features
        maps = encoder.backbone.stem(frames().float() / 255.0 - 0.5)
        means = maps.reshape(5, features, -1).mean(dim=2)
        embeddings = encoder.embed(frames())
        assert embeddings.shape == (5, features) == (5, encoder.embedding_dim)
        torch.testing.assert_close(embeddings, norm * means / means.norm(dim=1, keepdim=True))
        torch.testing.assert_close(embeddings.norm(dim=1), torch.full((5,), norm))
        assert torch.pdist(embeddings).min() > 1e-3


def test_the_standard_weights_are_those_of_the_package_whatever_the_seed() -> None:
    first = pooled()
    torch.manual_seed(1)
    assert torch.equal(make("pooled", image_size=32).embed(frames()), first.embed(frames()))
    assert not any(weight.requires_grad for weight in first.parameters())


def test_it_comes_back_from_the_disk(tmp_path: Path) -> None:
    encoder = pooled()
    encoder.save(tmp_path)
    loaded = load(tmp_path)
    assert type(loaded) is Pooled
    assert torch.equal(loaded.embed(frames()), encoder.embed(frames()))
    torch.testing.assert_close(encoder.frozen().embed(frames()), encoder.embed(frames()), atol=1e-4, rtol=0)


def test_it_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"freeze is False; pooled features are a baseline without training"):
        pooled(freeze=False)
    index = torch.zeros(5, dtype=torch.int64)
    with pytest.raises(ValueError, match="'pooled' is a baseline without training; choose another one"):
        pooled().loss(FrameBatch(frames(), index, index, index))


def test_fitting_only_measures_its_distance_scale_and_saves_it(tmp_path: Path) -> None:
    encoder = pooled(backbone="small")
    before = encoder.embed(frames())
    moving = np.random.default_rng(0).integers(0, 256, (1, 8, 32, 32, 3), np.uint8)
    clips = Clips((moving,), ("a",))
    fit(encoder, clips, clips, FitConfig(steps=3, validate_every=1), 0, tmp_path)
    steps = np.linalg.norm(np.diff(encoder.embed_video(moving[0]), axis=0), axis=1)
    assert float(encoder.distance_scale) == pytest.approx(float(np.median(steps)))
    loaded = load(tmp_path)
    assert torch.equal(loaded.embed(frames()), before)
    assert torch.equal(loaded.distance_scale, encoder.distance_scale)
