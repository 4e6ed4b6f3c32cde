"""The shares of the Kuka's training loop."""

from __future__ import annotations

import numpy as np

from experiments.measurements.kuka_throughput import ThroughputConfig, loop


def test_the_parts_are_those_of_the_loop_and_drawing_two_frames_takes_longer_than_physics() -> None:
    measured = loop(ThroughputConfig(envs=2, workers=1, updates=1, precision="float32"))
    share = measured["share"]
    assert list(share) == ["physics", "render", "embed", "reward", "update", "rest"]
    assert np.isclose(sum(share.values()), 1.0)
    assert 0 < share["physics"] < share["render"]
    assert share["embed"] > 0
    assert share["update"] > 0
    assert measured["env_steps_per_second"] > 0
    assert measured["cores_busy"] > 0
