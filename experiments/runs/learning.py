"""The training of a run: what is left of it, with its curve, its checkpoints and its encoder's own loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from agents.auxiliary import AuxiliaryConfig, AuxiliaryLossCallback
from agents.training import CurveAndCheckpoint
from experiments.runs.folder import console
from experiments.runs.tracking import Tracking, tracked

Row: TypeAlias = dict[str, float]
"""A row of the learning curve."""


class OwnLoss(NamedTuple):
    """The loss of an encoder that is trained with the agent.

    Attributes:
        config: How it is trained.
        bfloat16: Whether the loss is calculated in bfloat16.
    """

    config: AuxiliaryConfig
    bfloat16: bool = False


def learn_to_end(
    agent: BaseAlgorithm,
    folder: Path,
    seed: int,
    *,
    steps: int,
    row_steps: int,
    checkpoint_steps: int,
    report: Callable[[Row], None],
    own_loss: OwnLoss | None = None,
    truth: bool = True,
    restart: Callable[[int], None] | None = None,
    true_key: str = "",
    log_interval: int | None = None,
    tracking: Tracking | None = None,
) -> None:
    """Trains an agent from where it is to the end of a run; writes curve, checkpoints and TensorBoard's log.

    Args:
        agent: With as many steps behind it as its last checkpoint.
        folder: The run's.
        seed: The run's.
        steps: Environment steps of the run; it ends with the row in which they are done.
        row_steps: Environment steps between two rows of the curve.
        checkpoint_steps: Environment steps between two checkpoints.
        report: Called with every row.
        own_loss: Of an encoder that is trained with the agent.
        truth: As of ``CurveAndCheckpoint``.
        restart: As of ``CurveAndCheckpoint``; called before the first step too.
        true_key: As of ``CurveAndCheckpoint``.
        log_interval: As of Stable-Baselines3's ``learn``, which has a default for each algorithm.
        tracking: Where what is logged goes beside TensorBoard's log.

    Raises:
        ValueError: If the tracker cannot begin.
    """
    end = -(-steps // row_steps) * row_steps
    if agent.num_timesteps >= end:
        return
    logger = configure(str(folder / "tensorboard"), ["tensorboard"])
    agent.set_logger(logger)
    if restart is not None:
        restart(agent.num_timesteps)
    callbacks: list[BaseCallback] = [
        CurveAndCheckpoint(folder, row_steps, checkpoint_steps, truth, report, restart, true_key)
    ]
    if own_loss is not None:
        callbacks.append(AuxiliaryLossCallback(own_loss.config, seed, folder / "checkpoint", own_loss.bfloat16))
    logged: dict[str, Any] = {} if log_interval is None else {"log_interval": log_interval}
    with tracked(tracking, folder) as writers:
        logger.output_formats += writers
        agent.learn(end - agent.num_timesteps, callback=callbacks, reset_num_timesteps=False, **logged)
        # What was recorded since the last iteration was written, such as the last row.
        logger.dump(agent.num_timesteps)


def printed(text: Callable[[Row], str]) -> Callable[[Row], None]:
    """Reports every row in a line of its own.

    Args:
        text: Describes a row.
    """
    return lambda row: console.print(f"  {text(row)}", highlight=False)


@contextmanager
def progress_bar(steps: int, done: int, text: Callable[[Row], str]) -> Iterator[Callable[[Row], None]]:
    """Reports rows by a bar that is gone when the training is over.

    Args:
        steps: Environment steps of the run.
        done: How many are done already.
        text: Describes the last row.

    Yields:
        What to report to.
    """
    columns = (
        TextColumn("  training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("train", total=steps, completed=done, text="")
        yield lambda row: progress.update(bar, completed=row["env_steps"], text=text(row))
