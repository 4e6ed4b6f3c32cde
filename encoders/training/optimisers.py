"""Optimisers and their schedules by name: ours, and those of the papers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn, optim

from encoders.errors import check_choice


@dataclass(frozen=True)
class Stage:
    """A stretch of training under one optimiser.

    Attributes:
        share: Share of all steps that it lasts.
        optimiser: ``adamw``, ``adam``, ``momentum`` (SGD with momentum 0.9) or ``sgd``.
        learning_rate: At its start, or at the peak of the one-cycle schedule.
        schedule: ``constant``, ``one_cycle``, or ``exponential`` (falls to ``final`` times the first rate).
        weight_decay: L2 penalty; decoupled for ``adamw``.
        final: What an exponential schedule falls to.
    """

    share: float
    optimiser: str
    learning_rate: float
    schedule: str = "constant"
    weight_decay: float = 0.0
    final: float = 1.0


OPTIMISERS: dict[str, tuple[Stage, ...]] = {
    "default": (Stage(1.0, "adamw", 1e-3, "one_cycle", weight_decay=1e-4),),
    "snaps": tuple(Stage(0.25, "momentum", rate) for rate in (1e-1, 1e-2, 1e-3, 1e-4)),
    "pouring": (
        Stage(800 / 13_000, "sgd", 1e-2),
        Stage(3_400 / 13_000, "momentum", 1e-2),
        Stage(8_800 / 13_000, "adam", 1e-4),
    ),
    "smak": (Stage(1.0, "adam", 1e-4, "exponential", weight_decay=1e-6, final=0.95**69),),
}
"""``default`` is ours. ``snaps`` is Blomqvist and Hämäläinen's: SGD with momentum, a tenth of the rate after
each quarter. ``pouring`` is Waterhout, Yusuf and Zhang's: SGD, then momentum, then Adam after 800 and 4,200 of
13,000 steps; they do not give their rates. ``smak`` is Ramachandruni et al.'s: Adam at 1e-4 with decay 0.95 and
L2 1e-6; they do not say how often it decays: once in 1,000 of their 69,000 steps here. All are spread over the
steps that are asked for."""

_OPTIMISERS: dict[str, Callable[..., optim.Optimizer]] = {
    "adamw": optim.AdamW,
    "adam": optim.Adam,
    "momentum": lambda parameters, **settings: optim.SGD(parameters, momentum=0.9, **settings),
    "sgd": optim.SGD,
}


class Stepper:
    """Steps parameters through the stages of a preset.

    Args:
        parameters: What is trained; frozen ones are left out.
        preset: A key of ``OPTIMISERS``.
        steps: Steps of the whole training.
        learning_rate: Replaces the rate of the first stage and scales the others with it; None keeps them.

    Raises:
        ValueError: If the preset is unknown, or there is nothing to train.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], preset: str, steps: int, learning_rate: float | None = None
    ) -> None:
        check_choice("optimiser preset", preset, OPTIMISERS)
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        if not self._parameters:
            raise ValueError("Every parameter is frozen: there is nothing to train. Leave --freeze out.")
        self._stages = OPTIMISERS[preset]
        self._factor = 1.0 if learning_rate is None else learning_rate / self._stages[0].learning_rate
        # Every stage has a step; where that makes them longer than the training, the last ones are never reached.
        ends = [0]
        for stage in range(len(self._stages)):
            share = sum(earlier.share for earlier in self._stages[: stage + 1])
            ends.append(max(ends[-1] + 1, round(share * steps)))
        self._lengths = [end - start for start, end in itertools.pairwise(ends)]
        self._start(0)

    def _start(self, stage: int) -> None:
        self._stage, self._done = stage, 0
        plan, length = self._stages[stage], self._lengths[stage]
        rate = plan.learning_rate * self._factor
        self._optimiser = _OPTIMISERS[plan.optimiser](self._parameters, lr=rate, weight_decay=plan.weight_decay)
        self._schedule: optim.lr_scheduler.LRScheduler
        if plan.schedule == "one_cycle":
            self._schedule = optim.lr_scheduler.OneCycleLR(self._optimiser, rate, total_steps=length + 1)
        else:
            self._schedule = optim.lr_scheduler.ExponentialLR(self._optimiser, plan.final ** (1 / length))

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._optimiser.param_groups[0]["lr"])

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        self._optimiser.zero_grad()

    def step(self) -> None:
        """Steps the parameters and the schedule; goes on to the next stage when this one is over."""
        self._optimiser.step()
        self._schedule.step()
        self._done += 1
        if self._done == self._lengths[self._stage] and self._stage + 1 < len(self._stages):
            self._start(self._stage + 1)

    def state_dict(self) -> dict[str, Any]:
        """Everything that goes into a checkpoint."""
        return {
            "stage": self._stage,
            "done": self._done,
            "optimizer": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to where ``state_dict`` was taken."""
        self._start(state["stage"])
        self._done = state["done"]
        self._optimiser.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
