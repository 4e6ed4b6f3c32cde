"""Training that can be cut: curves and checkpoints at the seams between two updates."""

from __future__ import annotations

import csv
import io
import json
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from agents.auxiliary import make_own_optimizer, own_optimizer
from agents.frame_buffer import FrameReplayBuffer, place_of
from encoders.files import write_atomically, write_csv

WINDOW = 100
"""Episodes whose mean a row has where episodes have no common length."""

CURVE_FILE = "progress.csv"
COLUMNS = ("env_steps", "episodes", "true_return", "learned_return", "seconds")


class CurveAndCheckpoint(BaseCallback):
    """Writes a row of the learning curve and a checkpoint at seams of the training.

    A seam is a moment at which the last update is done and every environment has just been reset:
    what is written there, and the random generators' states, are all that training needs to go on
    as if it had not been cut.

    Args:
        folder: Where ``progress.csv`` and ``checkpoint/`` are.
        episode_steps: Environment steps of one episode in every environment together.
        every: Environment steps between two checkpoints.
        truth: Whether the environment's own reward is the true one; the column is NaN if not.
        report: Called with every row.
        restart: Seeds the environments for the steps done so far. Given where episodes have no common length: then
            ``episode_steps`` is what lies between two rows, a row has the mean of the last ``WINDOW`` episodes, and
            every environment starts anew after a checkpoint, so that there is a moment to go on from.
        true_key: Where an episode's last info has its true return, if the reward is replaced inside the Monitor.
    """

    def __init__(
        self,
        folder: Path,
        episode_steps: int,
        every: int,
        truth: bool = True,
        report: Callable[[dict[str, float]], None] | None = None,
        restart: Callable[[int], None] | None = None,
        true_key: str = "",
    ) -> None:
        super().__init__()
        self._restart = restart
        self._true_key = true_key
        self._folder = folder
        self.episode_steps = episode_steps
        self._every = every
        self._truth = truth
        self._report = report
        self._episodes = 0
        self._true: deque[float] = deque(maxlen=None if restart is None else WINDOW)
        self._learned: deque[float] = deque(maxlen=None if restart is None else WINDOW)
        self._rows: list[dict[str, float]] = []
        self._checkpointed = 0
        self._seconds = 0.0
        self._started = 0.0

    def _on_training_start(self) -> None:
        """Takes up the curve where the checkpoint is; a cut may have fallen between the two files."""
        steps = self.model.num_timesteps
        self._rows = [row for row in read_curve(self._folder / CURVE_FILE) if row["env_steps"] <= steps]
        if self._rows:
            self._seconds, self._episodes = self._rows[-1]["seconds"], int(self._rows[-1]["episodes"])
        recent = self._folder / "checkpoint" / f"step_{steps}.json"
        if self._restart is not None and recent.exists():
            saved = json.loads(recent.read_text())
            self._episodes = saved["episodes"]
            self._true.extend(saved["true"])
            self._learned.extend(saved["learned"])
        self._checkpointed = steps
        self._started = time.perf_counter()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._episodes += 1
                true = info[self._true_key] if self._true_key else info["episode"]["r"]
                self._true.append(true if self._truth else float("nan"))
                self._learned.append(info.get("learned_return", info["episode"]["r"]))
        return True

    def _on_rollout_start(self) -> None:
        self._seam()

    def _on_training_end(self) -> None:
        self._seam(last=True)
        write_curve(self._folder / CURVE_FILE, self._rows)

    def _seam(self, last: bool = False) -> None:
        steps = self.model.num_timesteps
        if steps == 0 or steps % self.episode_steps:
            return
        if self._true and not (self._rows and self._rows[-1]["env_steps"] == steps):
            self._add_row(steps)
        if steps > self._checkpointed and (last or steps - self._checkpointed >= self._every):
            # The curve first: rows beyond a checkpoint can be dropped, rows before it could not be had again.
            write_curve(self._folder / CURVE_FILE, self._rows)
            if self._restart is not None:
                saved = {"episodes": self._episodes, "true": list(self._true), "learned": list(self._learned)}
                path = self._folder / "checkpoint" / f"step_{steps}.json"
                path.parent.mkdir(exist_ok=True)
                write_atomically(path, json.dumps(saved).encode())
                replay = getattr(self.model, "replay_buffer", None)
                if replay is not None:
                    break_off(replay)
            save_checkpoint(self.model, self._folder / "checkpoint")
            self._checkpointed = steps
            if self._restart is not None and not last:
                self._restart(steps)
                start_anew(self.model)

    def _add_row(self, steps: int) -> None:
        row = {
            "env_steps": steps,
            "episodes": self._episodes,
            "true_return": float(np.mean(self._true)),
            "learned_return": float(np.mean(self._learned)),
            "seconds": self._seconds + time.perf_counter() - self._started,
        }
        if self._restart is None:
            self._true.clear()
            self._learned.clear()
        self._rows.append(row)
        for name in ("true_return", "learned_return"):
            self.logger.record(f"imitation/{name}", row[name])
        if self._report is not None:
            self._report(row)


def break_off(replay: ReplayBuffer) -> None:
    """Marks the last stored step as truncated, unless its episode ended: nothing must reach beyond it."""
    last = replay.pos - 1
    replay.timeouts[last] = np.maximum(replay.timeouts[last], 1.0 - replay.dones[last])
    if isinstance(replay, FrameReplayBuffer):
        replay.start_episodes()


def start_anew(agent: BaseAlgorithm) -> None:
    """Resets every environment of an agent between two rollouts."""
    venv = agent.get_env()
    assert venv is not None
    agent._last_obs = venv.reset()  # type: ignore[assignment]
    agent._last_episode_starts = np.ones(venv.num_envs, dtype=bool)


def write_curve(path: Path, rows: list[dict[str, float]]) -> None:
    """Writes a learning curve whole."""
    write_csv(path, rows, COLUMNS)


def read_curve(path: Path) -> list[dict[str, float]]:
    """Reads a learning curve; empty where there is none yet."""
    if not path.exists():
        return []
    with path.open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def save_checkpoint(agent: BaseAlgorithm, folder: Path) -> None:
    """Writes all that ``restore_checkpoint`` needs, ``state.json`` last, so that it stands for the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"step_{agent.num_timesteps}"
    buffer = io.BytesIO()
    # Modules and optimisers alone: tensors and numbers, which load without running code.
    saved = {"parameters": agent.get_parameters(), "variables": _variables(agent), "torch_rng": torch.get_rng_state()}
    own = own_optimizer(agent)
    if own is not None:
        saved["auxiliary_optimizer"] = own.state_dict()
    if agent.device.type == "cuda":
        saved["cuda_rng"] = torch.cuda.get_rng_state(agent.device)
    torch.save(saved, buffer)
    write_atomically(folder / f"{name}.pt", buffer.getvalue())
    if isinstance(agent, OffPolicyAlgorithm):
        write_atomically(folder / f"{name}.npz", _replay_bytes(agent))
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 - SB3 draws its minibatches from the global state
    assert isinstance(numpy_state, dict)
    numpy_state["state"] = {
        key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in numpy_state["state"].items()
    }
    python_state = random.getstate()
    state = {
        "env_steps": agent.num_timesteps,
        "updates": agent._n_updates,
        "numpy_rng": numpy_state,
        "python_rng": [python_state[0], list(python_state[1]), python_state[2]],
        "action_rng": agent.action_space.np_random.bit_generator.state,
    }
    write_atomically(folder / "state.json", json.dumps(state).encode())
    for old in folder.glob("step_*"):
        if old.stem != name:
            old.unlink()


def _variables(agent: BaseAlgorithm) -> dict[str, torch.Tensor]:
    """Trained tensors that belong to no module, such as SAC's entropy coefficient."""
    return {name: getattr(agent, name).detach() for name in agent._get_torch_save_params()[1]}


def _replay_bytes(agent: OffPolicyAlgorithm) -> bytes:
    """The filled part of a replay buffer."""
    replay = agent.replay_buffer
    assert replay is not None
    buffer = io.BytesIO()
    np.savez(buffer, **(replay.arrays() if isinstance(replay, FrameReplayBuffer) else _replay_arrays(replay)))
    return buffer.getvalue()


_OBSERVATIONS = ("observations", "next_observations")


def _replay_arrays(replay: ReplayBuffer) -> dict[str, Any]:
    """What one of Stable-Baselines3's replay buffers holds, by name."""
    size = replay.size()
    arrays: dict[str, Any] = {"pos": np.array(replay.pos), "full": np.array(replay.full)}
    for name in _OBSERVATIONS:
        part = getattr(replay, name)
        arrays |= (
            {f"{name}.{key}": value[:size] for key, value in part.items()}
            if isinstance(part, dict)
            else {name: part[:size]}
        )
    return arrays | {name: getattr(replay, name)[:size] for name in ("actions", "rewards", "dones", "timeouts")}


def _fill_replay(replay: ReplayBuffer, arrays: Mapping[str, Any]) -> None:
    """Brings back what ``_replay_arrays`` gave."""
    replay.pos, replay.full = place_of(arrays, replay.buffer_size)
    for key in arrays:
        if key not in ("pos", "full"):
            name, _, part = key.partition(".")
            kept = getattr(replay, name)
            (kept[part] if part else kept)[: len(arrays[key])] = arrays[key]


def restore_checkpoint(agent: BaseAlgorithm, folder: Path) -> bool:
    """Brings an agent as ``make`` gives it to where its checkpoint was written.

    Args:
        agent: An agent with the settings of the one that was cut.
        folder: The checkpoint's folder.

    Returns:
        Whether there was a checkpoint.
    """
    path = folder / "state.json"
    if not path.exists():
        return False
    state = json.loads(path.read_text())
    name = f"step_{state['env_steps']}"
    saved = torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True)
    agent.set_parameters(saved["parameters"], exact_match=True)
    for variable, value in saved["variables"].items():
        getattr(agent, variable).data.copy_(value)
    if "auxiliary_optimizer" in saved:
        make_own_optimizer(agent).load_state_dict(saved["auxiliary_optimizer"])
    agent.num_timesteps = state["env_steps"]
    agent._n_updates = state["updates"]
    if isinstance(agent, OffPolicyAlgorithm):
        replay = agent.replay_buffer
        assert replay is not None
        with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
            if isinstance(replay, FrameReplayBuffer):
                replay.restore(arrays)
            else:
                _fill_replay(replay, arrays)
    # The generators come last: building an agent draws from them.
    torch.set_rng_state(saved["torch_rng"])
    if agent.device.type == "cuda":
        torch.cuda.set_rng_state(saved["cuda_rng"], agent.device)
    numpy_state = state["numpy_rng"]
    numpy_state["state"]["key"] = np.array(numpy_state["state"]["key"], np.uint32)
    np.random.set_state(numpy_state)  # noqa: NPY002 - see save_checkpoint
    version, numbers, gauss = state["python_rng"]
    random.setstate((version, tuple(numbers), gauss))
    agent.action_space.np_random.bit_generator.state = state["action_rng"]
    return True
