"""The configuration of an imitation by the Kuka, and its folders."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from agents.auxiliary import AuxiliaryConfig
from encoders.device import device_content
from encoders.errors import check_choice, check_seed
from envs.kuka_scene import CAMERAS
from experiments.imitation.settings import NEGATIVE_RANGE, ParallelSettings
from experiments.kuka.recordings import RecordConfig
from experiments.runs.choices import ENCODER_MODES, NO_ENCODER, key_of


@dataclass(frozen=True)
class ImitateConfig(ParallelSettings):
    """A Kuka arm imitates a video.

    Attributes:
        encoder_mode: frozen, or joint: the agent trains a copy of the encoder, by its own loss and the encoder's, while
            the reward's stays as it is.
        demo_seed: Which held-out demonstration is recorded and imitated.
        demo: Videos to imitate instead, at most one a camera; any size, frame rate and length.
        horizon: Steps of an episode; the video is spread over them.
        record: What is recorded to learn the embedding from.
        auxiliary: How an encoder is trained with the agent.
    """

    encoder_mode: str = "frozen"
    demo_seed: int = 0
    demo: tuple[Path, ...] = ()
    steps: int = 48_000
    horizon: int = 50
    out: Path = Path("runs/imitate_kuka")
    record: RecordConfig = field(default_factory=RecordConfig)
    auxiliary: AuxiliaryConfig = field(default_factory=AuxiliaryConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("encoder mode", self.encoder_mode, ENCODER_MODES)
        if self.encoder == NO_ENCODER and self.encoder_mode == "joint":
            raise ValueError("encoder 'none' has nothing to train; leave --encoder-mode joint out, or name an encoder.")
        check_seed("demo_seed", self.demo_seed)
        check_seed("record.seed", self.record.seed)
        if len(self.demo) > len(self.record.cameras):
            raise ValueError(
                f"{len(self.demo)} videos for {len(self.record.cameras)} camera(s) {self.record.cameras}; "
                "give at most one --demo a camera, or name more --record.cameras."
            )
        for camera in self.watching:
            if camera not in self.record.cameras:
                raise ValueError(
                    f"A video from the camera {camera!r} is to be imitated, and the encoder learns from "
                    f"{self.record.cameras} alone; add it to --record.cameras."
                )
        if len(set(self.watching)) < len(self.watching):
            raise ValueError(f"The videos to imitate are of the cameras {self.watching}; give each camera once.")
        if self.record.demo_frames < NEGATIVE_RANGE + 2:
            raise ValueError(
                f"record.demo_frames is {self.record.demo_frames}; triplets are judged with negatives more than "
                f"{NEGATIVE_RANGE} frames away, so it must be at least {NEGATIVE_RANGE + 2}."
            )
        if self.horizon < 2:
            raise ValueError(f"horizon is {self.horizon}; it must be at least 2 steps.")
        if self.steps < self.envs * self.horizon:
            raise ValueError(
                f"steps is {self.steps}; one episode in every environment takes {self.envs * self.horizon}."
            )

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """Frames in colour."""
        return 3, self.record.image_size, self.record.image_size

    @property
    def watching(self) -> tuple[str, ...]:
        """The cameras of the imitation: all, or one a ``demo`` video, by its ending ``_CAMERA.mp4`` or by order."""
        if not self.demo:
            return self.record.cameras
        endings = [video.stem.rsplit("_", 1)[-1] for video in self.demo]
        return tuple(
            name if name in CAMERAS else camera for name, camera in zip(endings, self.record.cameras, strict=False)
        )

    @property
    def scene(self) -> RecordConfig:
        """The learner's scene: that of the recordings, seen by the cameras of the imitation."""
        return replace(self.record, cameras=self.watching)

    @property
    def variant(self) -> str:
        """Folder name of everything but the seed."""
        watched = f"demo{self.demo_seed}" if not self.demo else f"video-{self.demo[0].stem}"
        mode = "-joint" if self.encoder_mode == "joint" else ""
        return f"{self.method_name}{mode}-{self.algo}-{self.reward}-{watched}"

    def identity(self, seed: int) -> dict[str, Any]:
        """The settings that determine the result of a run; those of joint training where there is some."""
        kept = super().identity(seed) | {"auxiliary": self.auxiliary.content}
        left_out = {"encoder_mode", "auxiliary"} if self.encoder_mode == "frozen" else set()
        return {key: value for key, value in kept.items() if key not in left_out}

    @property
    def recordings_folder(self) -> Path:
        """Folder of the recordings, shared by all runs with this configuration."""
        return self.out / "recordings" / key_of(asdict(self.record))

    def shared_encoder(self, seed: int) -> Path:
        """Folder of the encoder of a seed, shared by all runs with this configuration."""
        content: dict[str, Any] = {
            "record": asdict(self.record),
            "fit": asdict(self.fit),
            "threads": self.threads,
            "name": self.encoder,
            "settings": asdict(self.encoder_config),
            **device_content(self.device),
        }
        if not self.source.trained:
            content["untrained"] = True
        return self.out / "encoders" / f"{self.encoder}-{key_of(content)}" / f"seed_{seed}"
