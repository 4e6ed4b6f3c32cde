"""What an encoder's training on a folder of videos is configured with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import encoders
from encoders.base import EncoderConfig
from encoders.device import AUTO, check_device
from encoders.errors import check_at_least, check_choice, check_seed
from encoders.plugins import use as use_plugins
from encoders.training.fit import FitConfig
from experiments.runs.choices import Plugins, check_unsettled


@dataclass(frozen=True)
class FitEncoderConfig:
    """Settings of an encoder's training on a folder of videos.

    Attributes:
        clips: Folder of videos, one a recording, or one a view: NAME_view0.mp4, NAME_view1.mp4 and on.
        out: Folder of the encoder. The same command goes on with a training that was cut.
        encoder: Registered name.
        encoder_settings: Its own settings as NAME=VALUE, such as embedding_dim=16.
        image_size: Width and height that frames are scaled to, pixels; that of the environment which it is to see.
        fps: Frames a second that all videos are sampled at; none for the lowest of their own rates, at which none of
            them shows a frame twice.
        validation: Share of the videos that choose the best weights and judge them, and are not learned from.
        seed: Of the weights, the batches, and which videos are held out.
        device: cpu, cuda, or auto, a GPU where there is one.
        threads: Threads of the training; another number gives other rounding.
        plugin: Module that registers encoders, backbones, rewards, suites or environments; it may lie in the current
            folder, and more can be named by more such flags.
        fit: How it is trained.
    """

    clips: Path
    out: Path
    encoder: str = "tcn"
    encoder_settings: tuple[str, ...] = ()
    image_size: int = 64
    fps: float | None = None
    validation: float = 0.2
    seed: int = 0
    device: str = AUTO
    threads: int = 2
    plugin: Plugins = ()
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        use_plugins(self.plugin)
        check_choice("encoder", self.encoder, encoders.names())
        check_device(self.device)
        check_seed("seed", self.seed)
        check_at_least(1, {"threads": self.threads})
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise ValueError(f"fps is {self.fps}; it must be above 0, and at most 1000.")
        if not 0 < self.validation < 1:
            raise ValueError(f"validation is {self.validation}; it must be between 0 and 1, such as 0.2.")
        self.encoder_config  # noqa: B018 - refuses wrong settings now

    @property
    def encoder_config(self) -> EncoderConfig:
        """The checked settings of the encoder.

        Raises:
            ValueError: If one is unknown or refused.
        """
        settings = encoders.settings_of(self.encoder, self.encoder_settings)
        shape = {"image_size": self.image_size, "channels": 3}
        check_unsettled(shape, settings)
        return encoders.configure(self.encoder, **shape, **settings)
