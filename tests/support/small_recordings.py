"""One small set of recordings, made once for all test files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from encoders.training.fit import FitConfig
from experiments.kuka.config import ImitateConfig
from experiments.kuka.recordings import record_all
from experiments.robustness.tiny_recordings import TINY


def tiny(out: Path, **settings: object) -> ImitateConfig:
    """A run of seconds."""
    config = {
        "record": TINY,
        "fit": FitConfig(steps=6, validate_every=3, validation_batches=2),
        "envs": 2,
        "workers": 1,
        "horizon": 15,
        "steps": 60,
        "out": out,
    }
    return ImitateConfig(**{**config, **settings})  # type: ignore[arg-type]


def arguments(config: ImitateConfig) -> list[str]:
    """The same run as a command line."""
    flags = {
        "out": config.out,
        "steps": config.steps,
        "horizon": config.horizon,
        "envs": config.envs,
        "workers": config.workers,
        "record.demos": config.record.demos,
        "record.play": config.record.play,
        "record.heldout": config.record.heldout,
        "record.validation": config.record.validation,
        "record.demo-frames": config.record.demo_frames,
        "record.play-frames": config.record.play_frames,
        "record.image-size": config.record.image_size,
        "fit.steps": config.fit.steps,
        "fit.validate-every": config.fit.validate_every,
        "fit.validation-batches": config.fit.validation_batches,
    }
    pairs = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    return [*pairs, "--record.cameras", *config.record.cameras]


@cache
def recorded_out(base: Path) -> Path:
    """Folder of runs in which everything is recorded already; ``base`` is the session's temporary folder."""
    out = base / "recorded"
    record_all(TINY, tiny(out).recordings_folder, workers=1)
    return out
