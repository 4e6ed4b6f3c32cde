"""An encoder from outside the package goes all the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own usage
from small_comparison import FIT, METRICS, STEM
from torch import Tensor, nn

import encoders
from encoders import Encoder, FrameBatch, LossAndMetrics, register, registry
from encoders.base import EncoderConfig, Sampling, centred
from encoders.losses import grouped_n_pairs_loss
from encoders.training.fit import FitConfig, fit
from envs.embedding import EmbeddingObservation
from envs.kuka import KukaReach
from experiments.comparison.config import CompareConfig
from experiments.comparison.judging import judge, run_cell
from experiments.comparison.run import open_split
from experiments.comparison.variants import (
    variant_of,
)


@dataclass(frozen=True)
class ToyConfig(EncoderConfig):
    """What a user's own encoder may be configured with.

    Attributes:
        width: Channels of its only map.
        dimensions: Length of an embedding.
    """

    width: int = 8
    dimensions: int = 4


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new encoder as somebody would write it outside the package; forgotten after the test."""
    monkeypatch.setattr(registry, "_ENCODERS", dict(registry._ENCODERS))

    @register("toy_of_a_user")
    class ToyEncoder(Encoder):
        """One convolution, pooled, and a linear layer."""

        Config = ToyConfig
        config: ToyConfig

        def __init__(self, config: ToyConfig) -> None:
            super().__init__(config)
            self.convolution = nn.Conv2d(config.channels, config.width, 5, stride=4)
            self.linear = nn.Linear(4 * config.width, config.dimensions)

        @property
        def embedding_dim(self) -> int:
            """As configured."""
            return self.config.dimensions

        @property
        def sampling(self) -> Sampling:
            """Two views of eight moments."""
            return Sampling(videos=3, frames=8, span=16, views=2)

        def forward(self, frames: Tensor) -> Tensor:
            """Pooled to 2 x 2 positions."""
            maps = F.adaptive_avg_pool2d(torch.relu(self.convolution(centred(frames))), 2)
            return F.normalize(self.linear(maps.flatten(1)), dim=1) * 5.0

        def loss(self, batch: FrameBatch) -> LossAndMetrics:
            """N-pairs across views."""
            embeddings = self(batch.frames)
            first, second = embeddings[batch.view == 0], embeddings[batch.view == 1]
            return LossAndMetrics(grouped_n_pairs_loss(first, second, batch.video[batch.view == 0]), {})

    yield ToyEncoder.name


def test_a_users_own_encoder_goes_all_the_way(
    toy: str, folder: Path, tmp_path: Path, make_kuka: Callable[..., KukaReach]
) -> None:
    split = open_split(CompareConfig(clips=folder, image_size=32))
    torch.manual_seed(0)
    encoder = encoders.make(toy, image_size=32, width=6)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    reports: list[dict[str, float]] = []
    config = FitConfig(steps=30, validate_every=10, validation_batches=3, learning_rate=5e-3)
    fit(encoder, split.training, split.validation, config, 0, tmp_path / "toy", reports.append)
    assert reports[-1]["loss"] < reports[0]["loss"]
    changed = [name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])]
    assert set(changed) == set(before)

    loaded = encoders.load(tmp_path / "toy")
    assert type(loaded) is type(encoder)
    assert loaded.config == ToyConfig(image_size=32, width=6)
    figures = judge(loaded, split, np.random.default_rng(0))
    assert set(figures) == set(METRICS)
    assert figures == judge(encoder, split, np.random.default_rng(0))

    # A cell of the comparison by its registered name, without a line about it in the experiments.
    assert run_cell(toy, 0, split, FIT, 32, STEM, tmp_path / "cell")["variant"] == toy
    with pytest.raises(ValueError, match=f"Did you mean '{toy}'"):
        variant_of("toy_of_a_usr")

    kuka = make_kuka(image_size=32, horizon=4)
    frozen = loaded.frozen()
    demonstration = loaded.embed_video(split.test.videos[0][0][:5])
    env = EmbeddingObservation(kuka, frozen, demonstration)
    observation, _ = env.reset(seed=0)
    for step in range(1, 4):
        assert env.observation_space.contains(observation)
        np.testing.assert_allclose(
            observation["embedding"], loaded.embed_video(kuka.frame("front")[None])[0], atol=1e-4
        )
        np.testing.assert_array_equal(observation["demonstration"], demonstration[step])
        observation = env.step(np.full(7, 0.3, np.float32))[0]


def test_the_users_encoder_is_forgotten_after_its_test() -> None:
    assert "toy_of_a_user" not in encoders.names()
