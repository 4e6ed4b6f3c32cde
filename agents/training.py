"""Training that can be interrupted: its learning curve, and checkpoints at rollout boundaries."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback

from agents.checkpoint import STATE_FILE, read_state, restart_remedy, save_checkpoint, write_state
from agents.frame_buffer import FrameReplayBuffer
from encoders.files import FileError, read_rows, reading, write_csv

WINDOW = 100
"""Episodes that a row averages over where episodes differ in length."""

CURVE_FILE = "progress.csv"
COUNTS = ("env_steps", "episodes")
COLUMNS = (*COUNTS, "true_return", "learned_return", "seconds")


class CurveAndCheckpoint(BaseCallback):
    """Writes rows of the learning curve and checkpoints at rollout boundaries.

    Here the last update is done and every environment has just been reset: what is written then, with the states of
    the random generators, is all that training needs to go on as if it had not been interrupted.

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
        """Continues the curve from the checkpoint; an interruption may have fallen between the two files."""
        steps = self.model.num_timesteps
        self._rows = [row for row in read_curve(self._folder / CURVE_FILE) if row["env_steps"] <= steps]
        if self._rows:
            self._seconds, self._episodes = self._rows[-1]["seconds"], int(self._rows[-1]["episodes"])
        checkpoint = self._folder / "checkpoint"
        if steps > 0 and (checkpoint / STATE_FILE).exists():
            if self._restart is not None:
                self._restore_episodes(checkpoint / f"step_{steps}.json")
            # A row is written before every checkpoint, as soon as an episode has ended.
            if (self._restart is None or self._true) and not (self._rows and self._rows[-1]["env_steps"] == steps):
                raise FileError(
                    f"The learning curve {self._folder / CURVE_FILE} has no row at {steps} steps, where the checkpoint "
                    f"is; {restart_remedy(checkpoint)}."
                )
        self._checkpointed = steps
        self._started = time.perf_counter()

    def _restore_episodes(self, path: Path) -> None:
        """Restores the window of the last episodes."""
        saved = read_state(path, ("episodes", "true", "learned"))
        with reading(path, "training state", restart_remedy(path.parent)):
            self._episodes = int(saved["episodes"])
            self._true.extend(float(value) for value in saved["true"])
            self._learned.extend(float(value) for value in saved["learned"])

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._episodes += 1
                true = info[self._true_key] if self._true_key else info["episode"]["r"]
                self._true.append(true if self._truth else float("nan"))
                self._learned.append(info.get("learned_return", info["episode"]["r"]))
        return True

    def _on_rollout_start(self) -> None:
        self._rollout_boundary()

    def _on_training_end(self) -> None:
        self._rollout_boundary(last=True)
        write_curve(self._folder / CURVE_FILE, self._rows)

    def _rollout_boundary(self, last: bool = False) -> None:
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
                write_state(path, saved)
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
    """Marks the last stored step as truncated unless its episode ended: no return may reach beyond it."""
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
    """Writes a learning curve atomically."""
    write_csv(path, rows, COLUMNS)


def read_curve(path: Path) -> list[dict[str, float]]:
    """Reads a learning curve; empty where there is none yet.

    Raises:
        FileError: If it is damaged, has other columns, its steps do not rise, or episodes or seconds fall.
    """
    if not path.exists():
        return []
    what, remedy = "learning curve", f"delete it and the folder {path.parent / 'checkpoint'} to train again"
    heading, lines = read_rows(path, what, remedy)
    if set(heading) != set(COLUMNS):
        raise FileError(f"The {what} {path} has the columns {list(heading)} in place of {list(COLUMNS)}; {remedy}.")
    with reading(path, what, remedy):
        rows = [{name: _figure(name, line[name]) for name in COLUMNS} for line in lines]
    steps = [row["env_steps"] for row in rows]
    if steps != sorted(set(steps)):
        raise FileError(f"The {what} {path} has steps that do not rise; {remedy}.")
    for name in ("episodes", "seconds"):
        counted = [row[name] for row in rows]
        if counted != sorted(counted):
            raise FileError(f"The {what} {path} has {name} that fall; {remedy}.")
    return rows


def _figure(name: str, text: str) -> float:
    """A cell of a curve as a number; counts stay whole numbers."""
    value = float(text)
    if name == "seconds" and not value >= 0:
        raise ValueError(f"{name} is {text}")
    if name not in COUNTS:
        return value
    if value < 0 or value != int(value):
        raise ValueError(f"{name} is {text}")
    return int(value)
