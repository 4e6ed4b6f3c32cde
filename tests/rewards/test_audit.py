"""The reward audit on embeddings whose worth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rewards.audit import UNLIKE, Likeness, RewardAudit, audit_reward, measure_likeness
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


def test_within_and_across_videos_differ() -> None:
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


def test_the_likeness_is_the_distance_to_the_nearest_state_by_hand() -> None:
    recorded = np.array([[0.0, 0.0], [10.0, 0.0]])
    # Distances 1, 2 and 5; and 0 to 19 tenths, of which 95% are within 1.805.
    video = np.array([[1.0, 0.0], [10.0, 2.0], [5.0, 0.0]])
    held_out = [np.array([[place / 10, 0.0]]) for place in range(20)]
    likeness = measure_likeness(video, held_out, recorded)
    assert likeness.distance == pytest.approx(2.0)
    assert likeness.held_out == pytest.approx(1.805)


def test_a_video_warns_only_where_it_is_clearly_farther_than_held_out_ones() -> None:
    assert Likeness(UNLIKE * 2.0, 2.0).warning is None
    assert Likeness(0.0, 0.0).warning is None
    warning = Likeness(5.0, 2.0).warning
    assert warning is not None
    assert (
        "its frames are 5.00 from the nearest recorded state, and 95% of those of held-out videos within 2.00"
        in warning
    )


@pytest.mark.parametrize("empty", ["video", "held_out", "recorded"])
def test_a_likeness_to_nothing_is_refused(empty: str) -> None:
    one = np.zeros((1, 2))
    parts = {"video": one, "held_out": [one], "recorded": one}
    parts[empty] = [] if empty == "held_out" else one[:0]
    with pytest.raises(ValueError, match="needs frames of the video, of held-out videos, and recorded states"):
        measure_likeness(**parts)  # type: ignore[arg-type]
