"""Batches of frames from the trajectories in an agent's rollout or replay buffer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.extractor import PIXELS, frame_space, view_frames
from agents.frame_buffer import FrameReplayBuffer, StackedFrames
from encoders.base import Encoder, FrameBatch, Sampling

TRIES = 8
"""Draws for each stretch wanted, after which a batch may hold fewer."""


class Steps(NamedTuple):
    """The stored steps of a buffer, in order of time.

    Attributes:
        pixels: (T, N, ...) uint8, frames by step and environment; or what gives them for rows of an environment.
        ends: (T, N) bool, whether the trajectory ends after this step.
        first: Row of the oldest step; rows go around from there.
    """

    pixels: NDArray[np.uint8] | StackedFrames
    ends: NDArray[np.bool_]
    first: int


def stored_steps(agent: BaseAlgorithm) -> Steps:
    """The steps in the buffer that an agent learns from.

    Args:
        agent: On-policy, with a filled rollout buffer; or off-policy.
    """
    if isinstance(agent, OnPolicyAlgorithm):
        rollout = agent.rollout_buffer
        pixels = _pixels(rollout.observations)
        if rollout.generator_ready:
            # The buffer has been flattened for its minibatches: environments outside, steps inside.
            pixels = pixels.reshape(rollout.n_envs, rollout.buffer_size, *pixels.shape[1:]).swapaxes(0, 1)
        ends = np.ones_like(rollout.episode_starts, dtype=bool)
        ends[:-1] = rollout.episode_starts[1:] > 0
        return Steps(pixels, ends, 0)
    assert isinstance(agent, OffPolicyAlgorithm)
    replay = agent.replay_buffer
    assert replay is not None
    size = replay.size()
    # What was broken off between two rollouts is marked as truncated alone.
    ends = (replay.dones[:size] > 0) | (replay.timeouts[:size] > 0)
    # The newest step is followed by the oldest one, or by nothing.
    ends[replay.pos - 1] = True
    first = replay.pos if replay.full else 0
    if isinstance(replay, FrameReplayBuffer):
        return Steps(replay.observations.pixels, ends, first)  # type: ignore[attr-defined]
    return Steps(_pixels(replay.observations)[:size], ends, first)


def _pixels(observations: Any) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = observations[PIXELS] if isinstance(observations, dict) else observations
    return pixels


def stretch(steps: Steps, env: int, anchor: int, span: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of consecutive steps of one trajectory around an anchor, in order of time.

    Args:
        steps: What the buffer holds.
        env: The environment.
        anchor: Place of a step, counted from the oldest.
        span: Steps at most; which ones of a longer stretch is drawn.
        rng: Source of the draw.
    """
    count = len(steps.ends)
    near = np.arange(max(0, anchor - span + 1), min(count, anchor + span))
    ends = near[steps.ends[(near + steps.first) % count, env]]
    before, after = ends[ends < anchor], ends[ends >= anchor]
    start = before[-1] + 1 if len(before) else near[0]
    stop = after[0] + 1 if len(after) else near[-1] + 1
    offset = int(rng.integers(max(0, stop - start - span) + 1))
    return (np.arange(start + offset, min(stop, start + offset + span)) + steps.first) % count


def draw_batch(steps: Steps, encoder: Encoder, videos: int, rng: np.random.Generator) -> FrameBatch | None:
    """Draws moments of a few stretches of trajectories, as ``encoders.clips.clips.sample_batch`` draws them of videos.

    Args:
        steps: What the buffer holds.
        encoder: Its ``sampling`` says what it learns from.
        videos: Stretches.
        rng: Source of the draw.

    Returns:
        At most ``videos * frames * views`` frames; None where no trajectory was found that is long enough.
    """
    sampling = encoder.sampling
    frames, video, view, time = [], [], [], []
    found = 0
    for _ in range(TRIES * videos):
        env = int(rng.integers(steps.ends.shape[1]))
        rows = stretch(steps, env, int(rng.integers(len(steps.ends))), sampling.span, rng)
        if len(rows) < sampling.least:
            continue
        moments = _moments(len(rows), sampling, rng)
        seen = view_frames(torch.from_numpy(steps.pixels[rows[moments], env]), encoder.config.channels)
        seen = seen.reshape(len(moments), -1, *seen.shape[1:])
        for order, camera in enumerate(rng.choice(seen.shape[1], sampling.views, replace=False)):
            frames.append(seen[:, int(camera)])
            video.append(torch.full((len(moments),), found, device="cpu"))
            view.append(torch.full((len(moments),), order, device="cpu"))
            time.append(torch.from_numpy(moments))
        found += 1
        if found == videos:
            break
    if not frames:
        return None
    return FrameBatch(torch.cat(frames), torch.cat(video), torch.cat(view), torch.cat(time))


def _moments(length: int, sampling: Sampling, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ascending positions in a stretch; they include both ends where the loss needs distant moments."""
    count = min(sampling.frames, length)
    if sampling.least <= 2:
        return np.sort(rng.choice(length, count, replace=False))
    between = 1 + rng.choice(length - 2, count - 2, replace=False)
    return np.sort(np.concatenate([[0, length - 1], between]))


def check_buffer(agent: BaseAlgorithm, encoder: Encoder) -> None:
    """Refuses an agent whose buffer cannot give the batches that an encoder asks for.

    Raises:
        ValueError: If it observes no frames, too few views, or its buffer is too short or takes more than there is.
    """
    assert agent.observation_space is not None
    shape = frame_space(agent.observation_space).shape
    sample = view_frames(torch.empty((1, *shape), dtype=torch.uint8, device="meta"), encoder.config.channels)
    encoder.check_frames(tuple(sample.shape))
    sampling = encoder.sampling
    if len(sample) < sampling.views:
        raise ValueError(
            f"Encoder {encoder.name!r} learns from {sampling.views} views of a moment and the agent observes "
            f"{len(sample)}; observe more cameras, or choose a single-view objective."
        )
    if isinstance(agent, OnPolicyAlgorithm):
        steps = agent.n_steps
    else:
        replay = getattr(agent, "replay_buffer", None)
        steps = 0 if replay is None else replay.buffer_size
    if steps < sampling.least:
        raise ValueError(
            f"Encoder {encoder.name!r} needs {sampling.least} steps of one trajectory in a batch, and the buffer of "
            f"{type(agent).__name__} holds {steps} of each environment; raise n_steps, or narrow the encoder's ranges."
        )
    if isinstance(agent, OffPolicyAlgorithm) and agent.replay_buffer is not None:
        check_replay_memory(agent.replay_buffer)


def check_replay_memory(replay: ReplayBuffer, memory: int | None = None) -> None:
    """Refuses a replay buffer that will not fit in memory once it is filled.

    Args:
        replay: The buffer.
        memory: Bytes that there are; None for what is free.

    Raises:
        ValueError: If it needs more.
    """
    free = psutil.virtual_memory().available if memory is None else memory
    size = sum(array.nbytes for array in arrays_of(replay))
    missing = size * (replay.buffer_size - replay.size()) // replay.buffer_size
    if missing > free:
        raise ValueError(
            f"The replay buffer of {replay.buffer_size * replay.n_envs:,} steps takes {size / 1e9:.1f} GB, "
            f"{missing / 1e9:.1f} GB of them still, and {free / 1e9:.1f} GB are free; choose a smaller buffer_size "
            "(Stable-Baselines3's is a million steps)."
        )


def arrays_of(replay: ReplayBuffer) -> Iterator[NDArray[Any]]:
    """All that a replay buffer of any kind has reserved."""
    for value in vars(replay).values():
        for part in value.values() if isinstance(value, dict) else (value,):
            if isinstance(part, np.ndarray):
                yield part
