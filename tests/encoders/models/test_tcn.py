"""Time-contrastive networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from encoders import make
from encoders.base import FrameBatch
from encoders.clips.clips import Clips, sample_batch
from encoders.losses import n_pairs_loss
from encoders.models.tcn import OBJECTIVES, TCN


def small(**settings: object) -> TCN:
    torch.manual_seed(0)
    encoder = make("tcn", **{"image_size": 16, "embedding_dim": 8, "hidden": 16, **settings})
    assert isinstance(encoder, TCN)
    return encoder


def batch(objective: str, seed: int = 0) -> FrameBatch:
    rng = np.random.default_rng(seed)
    clips = Clips(tuple(rng.integers(0, 256, (2, 45, 16, 16, 3), np.uint8) for _ in range(3)), ("a", "b", "c"))
    return sample_batch(clips, small(objective=objective).sampling, rng)


@pytest.mark.parametrize("norm", [10.0, 1.0])
def test_every_embedding_has_the_configured_norm(norm: float) -> None:
    embeddings = small(norm=norm).embed(batch("single_view").frames)
    assert embeddings.shape == (128, 8)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.full((128,), norm))


def test_the_norm_is_ten_and_the_margin_twice_the_papers_by_default() -> None:
    config = small().config
    assert (config.norm, config.margin) == (10.0, 4.0)


def test_different_frames_have_different_embeddings() -> None:
    embeddings = small().embed(batch("single_view").frames[:20])
    apart = torch.pdist(embeddings)
    assert apart.min() > 1e-4


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_gradient_reaches_every_parameter(objective: str) -> None:
    encoder = small(objective=objective).train()
    result = encoder.loss(batch(objective))
    result.loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in encoder.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    dead = [name for name, gradient in gradients.items() if gradient is None or gradient.abs().max() < 1e-5]
    # A softmax over positions takes away whatever is added to a whole map.
    assert dead in ([], ["maps.2.bias"])
    assert not any(metric.requires_grad for metric in result.metrics.values())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_few_steps_on_one_batch_lower_its_loss(objective: str) -> None:
    encoder, fixed = small(objective=objective).train(), batch(objective)
    optimizer = torch.optim.Adam(encoder.parameters(), 1e-3)
    losses = []
    for _ in range(12):
        loss = encoder.loss(fixed).loss
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("objective", ["single_view", "multi_view"])
def test_the_triplets_are_those_that_the_objective_names(objective: str) -> None:
    encoder = small(objective=objective, positive_range=2, negative_range=5, margin=2.0).train()
    sampled = batch(objective)
    some = torch.from_numpy(np.random.default_rng(1).choice(128, 48, replace=False))
    drawn = FrameBatch(*(part[some] for part in sampled))
    embeddings = encoder(drawn.frames).detach()  # spread out by batch norm, as in training
    terms = []
    for a in range(48):
        for p in range(48):
            for n in range(48):
                if drawn.video[a] != drawn.video[p] or drawn.video[a] != drawn.video[n]:
                    continue
                near, far = abs(drawn.time[a] - drawn.time[p]), abs(drawn.time[a] - drawn.time[n])
                same_view = drawn.view[a] == drawn.view[p]
                positive = same_view and 1 <= near <= 2 if objective == "single_view" else not same_view and near == 0
                if positive and drawn.view[a] == drawn.view[n] and far > 5:
                    to_positive, to_negative = embeddings[a] - embeddings[p], embeddings[a] - embeddings[n]
                    gap = to_positive.square().sum() - to_negative.square().sum()
                    terms.append(max(0.0, 2.0 + gap.item()))
    assert len(terms) > 20
    assert np.std(terms) > 0.1
    result = encoder.loss(drawn)
    assert result.loss.item() == pytest.approx(np.mean(terms), rel=1e-4)
    assert result.metrics["violations"].item() == pytest.approx(np.mean(np.array(terms) > 0))


def test_n_pairs_are_the_two_views_of_a_moment_among_those_of_its_video() -> None:
    encoder, drawn = small(objective="n_pairs", norm=5.0).train(), batch("n_pairs")
    embeddings = encoder(drawn.frames).detach()  # spread out by batch norm, as in training
    losses = []
    for video in range(8):
        here = drawn.video == video
        pairs = [
            [torch.nonzero(here & (drawn.time == time) & (drawn.view == view)).item() for view in (0, 1)]
            for time in drawn.time[here & (drawn.view == 0)]
        ]
        assert len(pairs) == 8
        first, second = torch.tensor(pairs).T
        losses.append(n_pairs_loss(embeddings[first], embeddings[second]).item())
    assert np.std(losses) > 0.1
    assert encoder.loss(drawn).loss.item() == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize(("objective", "views"), [("single_view", 1), ("multi_view", 2), ("n_pairs", 2)])
def test_the_objective_says_how_many_views_it_needs(objective: str, views: int) -> None:
    assert small(objective=objective).sampling.views == views


def test_the_backbone_and_the_number_of_channels_are_configurable() -> None:
    encoder = small(channels=1, image_size=20)
    assert encoder.embed(torch.zeros(2, 1, 20, 20, dtype=torch.uint8)).shape == (2, 8)
    with pytest.raises(ValueError, match="Did you mean 'small'"):
        small(backbone="smal")


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'multi_view'"):
        small(objective="multi-view")
    for positive, negative in [(0, 10), (10, 10), (11, 10), (-1, 3)]:
        with pytest.raises(ValueError, match="positive_range"):
            small(positive_range=positive, negative_range=negative)
    for name, value in [("norm", 0.0), ("norm", float("nan")), ("margin", -1.0), ("hidden", 0), ("channels", 0)]:
        with pytest.raises(ValueError, match=f"{name}.* {value}"):
            small(**{name: value})


def test_flattened_maps_tell_positions_that_a_mean_would_not() -> None:
    encoder = small(pooling="flatten", backbone="residual", objective="n_pairs", videos=3, image_size=32).train()
    assert (encoder.sampling.videos, encoder.sampling.least) == (3, 2)
    frames = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    for index in range(8):
        frames[index, :, 4 * index : 4 * index + 4, 8:16] = 255
    encoder(frames).sum().backward()
    assert all(part.grad is not None for part in encoder.parameters())
    embeddings = encoder.embed(frames)
    assert torch.pdist(embeddings).min() > 1e-3
    assert torch.allclose(embeddings.norm(dim=1), torch.full((8,), encoder.config.norm))


def test_a_batch_needs_videos_long_enough_for_a_negative() -> None:
    assert small(positive_range=2, negative_range=5).sampling.least == 7
    with pytest.raises(ValueError, match="Did you mean 'flatten'"):
        small(pooling="flaten")
    with pytest.raises(ValueError, match="videos is 0"):
        small(videos=0)
