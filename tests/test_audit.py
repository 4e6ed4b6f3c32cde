"""The reward audit on embeddings whose worth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rewards.audit import RewardAudit, audit_reward
from rewards.huber import HuberConfig

RNG = np.random.default_rng(0)
# Walks of one tracked point, of different lengths, each around a place of its own.
STATES = [np.cumsum(RNG.normal(0, 0.05, (n, 1, 3)), axis=0) + RNG.normal(0, 1, 3) for n in (40, 25, 60, 30)]


def audited(embeddings: list[NDArray[np.floating]], seed: int = 0) -> RewardAudit:
    return audit_reward(embeddings, STATES, HuberConfig(), 0.7, np.random.default_rng(seed))


def test_embeddings_that_are_the_position_follow_the_true_distance() -> None:
    audit = audited([states[:, 0] for states in STATES])
    for value in (audit.rank_correlation, audit.within_videos, audit.across_videos):
        assert value == pytest.approx(1.0, abs=1e-9)
    assert audit.pairs == 4000
    assert audit.warning is None


def test_random_embeddings_follow_nothing_and_warn() -> None:
    rng = np.random.default_rng(1)
    audit = audited([rng.normal(size=(len(states), 8)) for states in STATES])
    # Pairs of a frame with itself are near in both, which is all that is left.
    assert abs(audit.rank_correlation) < 0.15
    assert abs(audit.across_videos) < 0.1
    assert audit.warning is not None
    assert "Record more videos" in audit.warning


def test_constant_embeddings_have_no_correlation_and_warn() -> None:
    audit = audited([np.ones((len(states), 8)) for states in STATES])
    assert math.isnan(audit.rank_correlation)
    assert audit.warning is not None


def test_within_and_across_videos_are_told_apart() -> None:
    # Every video is embedded by its own path alone: where it lies among the others is lost.
    audit = audited([states[:, 0] - states[0, 0] for states in STATES])
    assert audit.within_videos == pytest.approx(1.0, abs=1e-9)
    assert audit.across_videos < 0.8


def test_the_audit_comes_from_the_generator() -> None:
    rng = np.random.default_rng(2)
    embeddings = [rng.normal(size=(len(states), 8)) for states in STATES]
    assert audited(embeddings, 3) == audited(embeddings, 3)
    assert audited(embeddings, 3) != audited(embeddings, 4)


def test_one_video_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two videos"):
        audit_reward([STATES[0][:, 0]], STATES[:1], HuberConfig(), 1.0, np.random.default_rng(0))


def test_states_that_do_not_fit_the_embeddings_are_refused() -> None:
    embeddings = [states[:, 0] for states in STATES]
    with pytest.raises(ValueError, match="as many states as embeddings"):
        audit_reward(embeddings, STATES[:3], HuberConfig(), 1.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="as many states as embeddings"):
        audited([embeddings[0][:-1], *embeddings[1:]])
