"""The configuration of a comparison of encoders, and of its recordings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from encoders.device import AUTO, check_device
from encoders.errors import check_seeds
from encoders.networks.backbones import BackboneConfig
from encoders.plugins import use as use_plugins
from encoders.training.fit import FitConfig
from experiments.comparison.variants import VARIANTS, encoder_config, variant_of
from experiments.runs.choices import Plugins


@dataclass(frozen=True)
class ViewPairsConfig:
    """Settings of the recordings.

    Attributes:
        videos: Number of demonstrations; the pouring set has 235.
        frames: Frames of each.
        image_size: Width and height, pixels; even.
        seed: Seed of all motions, looks and cameras.
    """

    videos: int = 235
    frames: int = 50
    image_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.videos < 2 or self.frames < 8:
            raise ValueError(f"videos must be at least 2 and frames at least 8; got {self.videos} and {self.frames}.")
        if self.image_size % 2 or not 16 <= self.image_size <= 1024:
            raise ValueError(f"image_size is {self.image_size}; mp4 needs an even number, from 16 to 1024 pixels.")

    @property
    def names(self) -> list[str]:
        """Names of the recordings."""
        return [f"reach_{index:04d}" for index in range(self.videos)]


@dataclass(frozen=True)
class CompareConfig:
    """Settings of a comparison.

    Attributes:
        encoders: Variants of the papers' tables, or registered names.
        clips: Folder of NAME_view0.mp4, NAME_view1.mp4 and on; the recorded Kuka set without one.
        seeds: One training a seed.
        image_size: Width and height that frames are scaled to, pixels.
        out: Folder of results.
        workers: Trainings at a time.
        threads: Threads of one training; another number gives other rounding.
        device: cpu, cuda, or auto, a GPU where there is one, which all trainings share.
        memory_mb: Memory that the decoded frames of one training take at most, megabytes.
        backbone: The stem that all variants of the tables are compared on, frozen if it is pretrained.
        weights: File of the stem's standard weights, where its package ships none.
        dropout: Share of the stem's channels that are dropped in training.
        plugin: Module that registers encoders, backbones, rewards, suites or environments; it may lie in the current
            folder, and more can be named by more such flags.
        fit: How they are trained.
        record: The Kuka set.
        extra: Further demonstrations of the Kuka set, recorded with the next seed, to learn from alone.
    """

    encoders: tuple[str, ...] = tuple(VARIANTS)
    clips: Path | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    image_size: int = 64
    out: Path = Path("runs/compare_encoders")
    workers: int = 2
    threads: int = 1
    device: str = AUTO
    memory_mb: int = 1024
    backbone: str = "efficientnet_lite0"
    weights: str = ""
    dropout: float = 0.2
    plugin: Plugins = ()
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(steps=900, patience=100, colour_jitter=0.5, feature_copies=3)
    )
    record: ViewPairsConfig = field(default_factory=ViewPairsConfig)
    extra: int = 0

    def __post_init__(self) -> None:
        use_plugins(self.plugin)
        for name in self.encoders:
            encoder_config(variant_of(name), self.image_size, self.stem)
        unique = len(set(self.encoders)) == len(self.encoders) and len(set(self.seeds)) == len(self.seeds)
        if not self.encoders or not self.seeds or min(self.seeds) < 0 or not unique:
            raise ValueError(
                "Name at least one encoder and one seed, each once, and no seed negative; "
                f"got {self.encoders}, {self.seeds}."
            )
        check_seeds(self.seeds)
        check_device(self.device)
        if self.extra and self.clips is not None:
            raise ValueError("extra demonstrations are recorded for the Kuka set; put yours into --clips.")
        if self.extra < 0 or self.extra == 1:
            raise ValueError(f"extra is {self.extra}; it must be 0 for none, or at least 2.")
        if min(self.workers, self.threads, self.memory_mb) < 1:
            raise ValueError(
                "workers, threads and memory_mb must be at least 1; "
                f"got {self.workers}, {self.threads} and {self.memory_mb}."
            )

    @property
    def stem(self) -> dict[str, Any]:
        """Settings of the stem for every encoder that is compared on it."""
        settings: dict[str, Any] = {"backbone": self.backbone, "weights": self.weights, "dropout": self.dropout}
        return {**settings, "freeze": BackboneConfig(image_size=self.image_size, **settings).pretrained}

    @property
    def folder(self) -> Path:
        """Folder of the clips."""
        return self.clips if self.clips is not None else self.out / "clips"

    @property
    def extra_folder(self) -> Path:
        """Folder of the extra demonstrations."""
        return self.out / "extra"

    @property
    def extra_record(self) -> ViewPairsConfig:
        """Settings of the extra recordings."""
        return replace(self.record, videos=self.extra, seed=self.record.seed + 1)
