"""Settings of comparisons that take seconds."""

from __future__ import annotations

from encoders.training.fit import FitConfig
from experiments.comparison.tables import FIGURES

FIT = FitConfig(steps=4, validate_every=2, validation_batches=2, feature_copies=2, colour_jitter=0.5)

STEM = {"backbone": "efficientnet_lite0", "freeze": True}

METRICS = [key for key, _ in FIGURES]
