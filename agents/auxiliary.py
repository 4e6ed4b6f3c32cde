"""An encoder's own loss in an agent's gradient step, without changing the agent's algorithm."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from agents.auxiliary_state import auxiliary_state, make_own_optimizer, optimizer_of, own_optimizer
from agents.extractor import trained_encoder
from agents.frame_values import check_normalisation
from agents.trajectories import check_buffer, draw_batch, stored_steps
from encoders.base import Encoder, FrameBatch, LossAndMetrics


class AuxiliaryLossError(ValueError):
    """The auxiliary loss is not finite."""


@dataclass(frozen=True)
class AuxiliaryConfig:
    """Settings of an encoder's training together with an agent.

    Attributes:
        weight: Of the encoder's loss in L = L_RL + weight * L_aux; 0 leaves the agent as it is, at no cost.
        videos: Stretches of trajectories in an auxiliary batch; 0 for as many as the encoder asks for. Fewer make a
            step cheaper.
        max_grad_norm: Norm that the gradient of weight * L_aux is clipped to; None leaves it as it is.
        own_optimizer: Whether an Adam of its own follows the gradient of weight * L_aux, after the agent's step, in
            place of one step on both. Its steps are as large as the agent's however small L_aux is next to L_RL.
    """

    weight: float = 1.0
    videos: int = 0
    max_grad_norm: float | None = None
    own_optimizer: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"The weight of the auxiliary loss is {self.weight}; it must be finite and at least 0.")
        if self.videos < 0:
            raise ValueError(f"videos is {self.videos}; it must be at least 0.")
        if self.max_grad_norm is not None and not self.max_grad_norm > 0:
            raise ValueError(f"max_grad_norm is {self.max_grad_norm}; it must be above 0, or None.")

    @property
    def content(self) -> dict[str, Any]:
        """The settings as a run's identity holds them; without ``own_optimizer`` where it is off, as in older runs."""
        return {key: value for key, value in asdict(self).items() if value or key != "own_optimizer"}


def add_gradients(loss: Tensor, parameters: Iterable[nn.Parameter], max_norm: float | None = None) -> float:
    """Adds the gradient of a loss to the gradients that parameters already have.

    Args:
        loss: () float with a gradient.
        parameters: Those that do not influence the loss keep what they have.
        max_norm: Norm that the added gradient is clipped to; what was there already is left as it is.

    Returns:
        The norm of the added gradient, before it was clipped.
    """
    parameters = list(parameters)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    found = [(part, gradient) for part, gradient in zip(parameters, gradients, strict=True) if gradient is not None]
    norm = float(get_total_norm([gradient for _, gradient in found]))
    factor = 1.0 if max_norm is None else min(1.0, max_norm / (norm + 1e-6))
    for part, gradient in found:
        gradient = gradient if factor == 1.0 else gradient * factor
        part.grad = gradient if part.grad is None else part.grad + gradient
    return norm


class AuxiliaryLossCallback(BaseCallback):
    """Trains the encoder of a policy with its own loss, in every gradient step of the agent.

    Just before each step of the optimizer the gradient of ``weight * L_aux`` on a batch from the agent's buffer is
    added to that of the agent's loss. PPO and A2C have clipped theirs by then: what is clipped is the agent's part
    alone, as without the callback, and ``max_grad_norm`` clips the other part by itself. The encoder's batch norms
    learn their statistics from these batches; for the agent they are constants.

    With ``own_optimizer`` an Adam of the agent's step size follows that gradient by itself, just after each step of
    the agent's, as in Yarats et al., Improving Sample Efficiency in Model-Free Reinforcement Learning from Images,
    2021. Added, a gradient counts by its size, and that of critics on returns of hundreds is thousands of times that
    of a reconstruction. The agent keeps that Adam, in its own ``save`` and ``load`` too.

    Works with PPO, A2C and SAC (where it is the critic's encoder and optimizer) whose policy has an
    ``EncoderExtractor`` or ``MaskedConvolutions``.

    Args:
        config: Weight and batch.
        seed: Seed of the batches.
        checkpoint: Where the run's checkpoints are, for the message if the loss is not finite.
        bfloat16: Whether convolutions and linear layers of the loss calculate in bfloat16.

    Raises:
        ValueError: At the start of training, if the agent has no encoder to train, has a copy of it that nothing would
            train, its policy changes frames before the encoder sees them, its optimizer does not step the encoder, or
            its buffer cannot give the batches; ``AuxiliaryLossError`` in training if the loss is not finite.
    """

    def __init__(
        self, config: AuxiliaryConfig, seed: int = 0, checkpoint: Path | None = None, bfloat16: bool = False
    ) -> None:
        super().__init__()
        self._bfloat16 = bfloat16
        self.config = config
        self._seed = seed
        self.rng = np.random.default_rng([seed, 0])
        self._checkpoint = checkpoint
        self._steps = 0
        self._own: Optimizer | None = None

    def _init_callback(self) -> None:
        if self.config.weight == 0:
            return
        encoder = trained_encoder(self.model)
        check_normalisation(self.model.policy)
        check_copies(self.model)
        stepped = {id(part) for group in optimizer_of(self.model).param_groups for part in group["params"]}
        trained = [part for part in encoder.parameters() if part.requires_grad]
        if not trained or any(id(part) not in stepped for part in trained):
            raise ValueError(
                f"The optimizer of this {type(self.model).__name__} agent does not train its encoder: it is frozen, "
                "or (SAC) shared by actor and critic; make the extractor with frozen=False, and the policy with "
                "share_features_extractor=False."
            )
        check_buffer(self.model, encoder)

    def _on_training_start(self) -> None:
        # Training that ended in an error has left its hook behind.
        self._remove()
        if self.config.weight == 0:
            return
        optimizer = optimizer_of(self.model)
        if not self.config.own_optimizer:
            auxiliary_state(self.model).hook = optimizer.register_step_pre_hook(self._add_loss)
            return
        if own_optimizer(self.model) is None and optimizer.state:
            warnings.warn(
                f"The optimizer of this {type(self.model).__name__} agent has taken steps and that of its auxiliary "
                "loss begins anew: the agent was trained or saved without one of its own.",
                stacklevel=2,
            )
        self._own = make_own_optimizer(self.model)
        auxiliary_state(self.model).hook = optimizer.register_step_post_hook(self._add_loss)

    def _on_training_end(self) -> None:
        self._remove()

    def _remove(self) -> None:
        self._own = None
        auxiliary_state(self.model).remove_hook()

    def _on_rollout_start(self) -> None:
        # From the steps alone, so that a training that was cut goes on with the same batches.
        self.rng = np.random.default_rng([self._seed, self.model.num_timesteps])

    def _on_step(self) -> bool:
        return True

    def _add_loss(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        encoder = trained_encoder(self.model)
        batch = draw_batch(stored_steps(self.model), encoder, self.config.videos or encoder.sampling.videos, self.rng)
        self._steps += 1
        self.logger.record_mean("aux/skipped", float(batch is None))
        if batch is None:
            return
        batch = batch.to(self.model.device)
        with torch.autocast(batch.frames.device.type, torch.bfloat16, enabled=self._bfloat16):
            result = auxiliary_loss(encoder, batch)
        self._check(result)
        trained = [part for part in encoder.parameters() if part.requires_grad]
        agents = get_total_norm([part.grad for part in trained if part.grad is not None])
        self.logger.record_mean("aux/agent_gradient_norm", float(agents))
        own = self._own
        if own is not None:
            own.zero_grad()
        norm = add_gradients(self.config.weight * result.loss, trained, self.config.max_grad_norm)
        if own is not None:
            own.param_groups[0]["lr"] = optimizer.param_groups[0]["lr"]
            own.step()
        self.logger.record_mean("aux/gradient_norm", norm)
        self.logger.record_mean("aux/loss", float(result.loss.detach()))
        for name, value in result.metrics.items():
            self.logger.record_mean(f"aux/{name}", float(value))

    def _check(self, result: LossAndMetrics) -> None:
        if torch.isfinite(result.loss):
            return
        self._remove()
        terms = {"loss": result.loss, **result.metrics}
        bad = [f"{name} {float(value.detach())}" for name, value in terms.items() if not torch.isfinite(value)]
        where = "there is no checkpoint"
        if self._checkpoint is not None and self._checkpoint.exists():
            where = f"the last checkpoint is in {self._checkpoint}"
        raise AuxiliaryLossError(
            f"The auxiliary loss is not finite after {self.model.num_timesteps} environment steps, in gradient step "
            f"{self._steps}: {', '.join(bad)}; {where}. Lower the learning rate or the weight."
        )


def auxiliary_loss(encoder: Encoder, batch: FrameBatch) -> LossAndMetrics:
    """The encoder's loss, computed in training mode whatever its current mode."""
    training = encoder.training
    encoder.train()
    try:
        return encoder.loss(batch)
    finally:
        encoder.train(training)


def check_copies(agent: BaseAlgorithm) -> None:
    """Refuses an agent that holds a second copy of its encoder, which nothing would train.

    Raises:
        ValueError: If the value network of an on-policy agent has its own, or the actor of an off-policy one has its
            own and the encoder takes no gradient from agents.
    """
    if isinstance(agent.policy, ActorCriticPolicy) and not agent.policy.share_features_extractor:
        raise ValueError(
            f"With share_features_extractor=False the value network of this {type(agent).__name__} agent has an "
            "encoder of its own, and the auxiliary loss trains the policy's alone; leave share_features_extractor=True."
        )
    encoder = trained_encoder(agent)
    actors = getattr(getattr(getattr(agent, "actor", None), "features_extractor", None), "encoder", encoder)
    if actors is not encoder and not getattr(encoder.config, "policy_gradient", True):
        raise ValueError(
            f"The actor of this {type(agent).__name__} agent has an encoder of its own, which nothing trains with "
            "policy_gradient=False: the auxiliary loss trains the critic's alone. Make the encoder with "
            "policy_gradient=True, or the agent as SharedEncoderSAC with SharedEncoderPolicy."
        )
