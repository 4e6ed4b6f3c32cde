"""Hints: what an encoder that stays as it is tells, for one that learns to tell the same."""

from __future__ import annotations

from torch import Tensor


def hint_loss(told: Tensor, hint: Tensor) -> Tensor:
    """The mean squared error of what is told of a hint.

    Romero et al., FitNets: Hints for Thin Deep Nets, 2015, equation 3, but for a mean in place of half the sum: what a
    regressor makes of the learner's features, against a teacher's.

    Args:
        told: (B, D) float.
        hint: (B, D) float, without a gradient.

    Returns:
        () float.

    Raises:
        ValueError: If the shapes differ.
    """
    if told.shape != hint.shape or told.ndim != 2:
        raise ValueError(
            f"hint_loss takes two tensors of one shape (B, D); got {tuple(told.shape)}, {tuple(hint.shape)}."
        )
    return (told - hint.detach()).square().mean()
