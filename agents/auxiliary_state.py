"""The state that an auxiliary loss keeps in an agent: a hook on its optimizer, and an Adam of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from agents.extractor import trained_encoder

ATTRIBUTE = "auxiliary_state"
"""Of the agent. Stable-Baselines3's ``save`` writes all attributes of an agent, and its ``load`` brings them back."""


class AuxiliaryState:
    """The state of an agent's auxiliary loss; a pickle or copy of it holds only the moments of its Adam.

    A loaded agent has other parameters; the moments are theirs as soon as the optimizer is asked for.

    Attributes:
        hook: In the agent's optimizer, while it trains.
        optimizer: Of the auxiliary loss alone; None if there is none, or none yet.
        moments: State of an optimizer that is still to be made; None if there is none.
    """

    def __init__(self) -> None:
        self.hook: RemovableHandle | None = None
        self.optimizer: Optimizer | None = None
        self.moments: dict[str, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        moments = self.moments if self.optimizer is None else self.optimizer.state_dict()
        return {"moments": None if moments is None else _on_cpu(moments)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.hook, self.optimizer, self.moments = None, None, state["moments"]

    def remove_hook(self) -> None:
        """Removes the hook from the agent's optimizer, if there is one."""
        if self.hook is not None:
            self.hook.remove()
            self.hook = None

    def make_optimizer(self, parameters: Sequence[nn.Parameter], learning_rate: float) -> Optimizer:
        """The optimizer of the auxiliary loss, with the moments that are kept.

        Raises:
            ValueError: If the moments are of another number of parameters.
        """
        if self.optimizer is None:
            self.optimizer = torch.optim.Adam(parameters, lr=learning_rate, fused=True)
            if self.moments is not None:
                self.optimizer.load_state_dict(self.moments)
                self.moments = None
        return self.optimizer


def _on_cpu(moments: dict[str, Any]) -> dict[str, Any]:
    """The state of an optimizer on the CPU, so that it loads on machines without a GPU."""
    states = {
        index: {name: value.cpu() if torch.is_tensor(value) else value for name, value in state.items()}
        for index, state in moments["state"].items()
    }
    return {**moments, "state": states}


def auxiliary_state(agent: BaseAlgorithm) -> AuxiliaryState:
    """The state of an agent's auxiliary loss; a new, empty one if it has none."""
    state: AuxiliaryState = vars(agent).setdefault(ATTRIBUTE, AuxiliaryState())
    return state


def optimizer_of(agent: BaseAlgorithm) -> Optimizer:
    """The optimizer that steps an agent's encoder: the critic's where actor and critic have their own."""
    owner: Any = getattr(agent, "critic", None) or agent.policy
    optimizer: Optimizer = owner.optimizer
    return optimizer


def own_optimizer(agent: BaseAlgorithm) -> Optimizer | None:
    """The optimizer of an agent's auxiliary loss, if it has one of its own."""
    state: AuxiliaryState | None = vars(agent).get(ATTRIBUTE)
    if state is None or (state.optimizer is None and state.moments is None):
        return None
    return make_own_optimizer(agent)


def make_own_optimizer(agent: BaseAlgorithm) -> Optimizer:
    """Gives an agent's auxiliary loss an optimizer of its own, unless it has one."""
    trained = [part for part in trained_encoder(agent).parameters() if part.requires_grad]
    return auxiliary_state(agent).make_optimizer(trained, optimizer_of(agent).param_groups[0]["lr"])
