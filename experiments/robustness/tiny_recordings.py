"""Recordings of the Kuka that are made and learned from in seconds."""

from __future__ import annotations

from experiments.kuka.recordings import RecordConfig

TINY = RecordConfig(
    demos=4,
    play=4,
    heldout=2,
    validation=2,
    demo_frames=16,
    play_frames=20,
    image_size=32,
    cameras=("front", "side"),
)
