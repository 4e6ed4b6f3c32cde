"""SAC agents on pixels or vectors: sizes of their networks, how they learn, and how one is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.vec_env import VecEnv

from agents.extractor import OBSERVED, policy_arguments
from agents.frame_buffer import FrameReplayBuffer
from agents.policies import SharedEncoderPolicy
from agents.shared_sac import SharedEncoderSAC
from encoders.base import Encoder
from encoders.device import CPU, CUDA
from encoders.errors import check_at_least


@dataclass(frozen=True)
class Preset:
    """How large networks and batches are.

    Attributes:
        image_size: Pixels of a frame.
        second_stride: Stride of the second of four convolutions.
        batch_size: Transitions of an update.
        hidden: Width of the two hidden layers of actor and critics.
        auxiliary_videos: Stretches of trajectories in a batch of the encoder's own loss.
    """

    image_size: int
    second_stride: int
    batch_size: int
    hidden: int
    auxiliary_videos: int


PRESETS: dict[str, Preset] = {
    "paper": Preset(image_size=84, second_stride=1, batch_size=128, hidden=1024, auxiliary_videos=64),
    "cpu": Preset(image_size=64, second_stride=2, batch_size=64, hidden=256, auxiliary_videos=16),
}
"""``paper``: SAC+AE's sizes, some 54 GFLOP an update; ``cpu``: about a tenth of that."""


def default_preset(device: str) -> str:
    """``paper`` on a graphics processor, else ``cpu``.

    Args:
        device: Its type, cpu or cuda.
    """
    return "paper" if device == CUDA else "cpu"


@dataclass(frozen=True)
class LearningConfig:
    """How an agent on pixels learns: as published for SAC+AE, but for layer norms, a target's steps and the start.

    Attributes:
        learning_rate: Of actor, critic and encoder.
        entropy_learning_rate: Of the temperature.
        entropy: The temperature at first.
        gamma: Discount of a step of the agent.
        n_steps: Steps whose rewards a target sums before it goes by the critics; 1 as published.
        tau: Share by which the target critic's heads follow.
        encoder_tau: Share by which its encoder follows.
        delay: Critic updates for one of the actor and the target.
        updates: Critic updates a step of the agent.
        buffer_size: Steps in the replay buffer.
        learning_starts: Steps of random actions before the first update.
        hidden: Width of the two hidden layers of actor and critics; 0 for the preset's.
        layer_norm: Whether the hidden layers of the critics are normalised; not so as published.
        mean_start: Whether the critics of an agent that trains an encoder begin at the mean value of its first, random
            actions; not so as published. Others begin at zero: no encoder can collapse under them.
    """

    learning_rate: float = 1e-3
    entropy_learning_rate: float = 1e-4
    entropy: float = 0.1
    gamma: float = 0.99
    n_steps: int = 3
    tau: float = 0.01
    encoder_tau: float = 0.05
    delay: int = 2
    updates: int = 1
    buffer_size: int = 100_000
    learning_starts: int = 1_000
    hidden: int = 0
    layer_norm: bool = True
    mean_start: bool = True

    def __post_init__(self) -> None:
        for name in ("learning_rate", "entropy_learning_rate", "entropy", "gamma", "tau", "encoder_tau"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0 and at most 1.")
        counts = ("n_steps", "delay", "updates", "buffer_size")
        check_at_least(1, {name: getattr(self, name) for name in counts})
        check_at_least(0, {"learning_starts": self.learning_starts, "hidden": self.hidden})


def make(
    venv: VecEnv,
    encoder: Encoder | None,
    preset: Preset,
    learning: LearningConfig,
    kept_steps: int,
    shift: int,
    seed: int,
    bfloat16: bool = False,
    device: torch.device | str = CPU,
    role: str = OBSERVED,
    distillation_weight: float = 0.0,
) -> SharedEncoderSAC:
    """Builds an untrained agent.

    Args:
        venv: Observes stacks of frames (3 stack, S, S) uint8 with an encoder, alone or as ``pixels`` with vectors
            beside; else a vector.
        encoder: Copied, and trained by the critic; None for an agent on vectors.
        preset: Sizes.
        learning: Rates.
        kept_steps: Steps in the replay buffer.
        shift: Pixels that frames are shifted by at most in every batch.
        seed: Seed of networks and exploration.
        bfloat16: Whether the encoder calculates in bfloat16.
        device: Where the networks calculate.
        role: What vectors beside the frames are for, as of ``EncoderExtractor``.
        distillation_weight: As of ``SharedEncoderSAC``.

    Raises:
        ValueError: If the encoder does not fit the observations, or the buffer would not fit in memory.
    """
    policy: dict[str, Any] = {
        "net_arch": [learning.hidden or preset.hidden] * 2,
        "layer_norm": learning.layer_norm,
        # One kernel a layer instead of a dozen: a fifth of an update of wide layers.
        "optimizer_kwargs": {"fused": True},
    }
    if encoder is not None:
        policy |= policy_arguments(encoder, role)
    return SharedEncoderSAC(
        SharedEncoderPolicy,
        venv,
        learning_rate=learning.learning_rate,
        buffer_size=kept_steps,
        learning_starts=learning.learning_starts,
        batch_size=preset.batch_size,
        gradient_steps=learning.updates,
        tau=learning.tau,
        gamma=learning.gamma,
        ent_coef=f"auto_{learning.entropy}",
        policy_kwargs=policy,
        seed=seed,
        device=device,
        encoder_tau=learning.encoder_tau,
        delay=learning.delay,
        entropy_learning_rate=learning.entropy_learning_rate,
        shift=shift if encoder is not None else 0,
        bfloat16=bfloat16,
        mean_start=learning.mean_start and encoder is not None,
        distillation_weight=distillation_weight,
        replay_buffer_class=NStepReplayBuffer if encoder is None else FrameReplayBuffer,
        replay_buffer_kwargs={"n_steps": learning.n_steps, "gamma": learning.gamma},
    )
