"""What names of encoder, agent and reward mean where a video is imitated."""

from __future__ import annotations

import encoders
from agents import factory
from encoders.errors import check_choice
from experiments.runs.choices import NO_ENCODER
from experiments.sweep.grid import MARK, Method
from rewards import sources

UNTRAINED = "random"
"""Name among the encoders of the untrained default encoder, for observation and reward."""


def imitation_method(
    encoder: str, algo: str, reward: str, settings: tuple[str, ...], default_encoder: str, default_reward: str
) -> Method:
    """The oracle sees its own state and the phase; so does ``none``, which is given the pixel distance.

    Args:
        encoder: A registered name with or without a mark, ``random`` or ``none``.
        algo: The agent.
        reward: The reward.
        settings: Of the method.
        default_encoder: The one that ``random`` leaves untrained.
        default_reward: The one that a label does not name.

    Raises:
        ValueError: If a name is unknown.
    """
    name = encoder.partition(MARK)[0]
    check_choice("encoder", name, [*encoders.names(), UNTRAINED, NO_ENCODER])
    check_choice("algorithm", algo, factory.names())
    check_choice("reward", reward, [name for name, source in sources.known().items() if source.trained])
    if sources.known()[reward].key == "joint_positions":
        return Method(reward, NO_ENCODER, algo, reward)
    if name == NO_ENCODER:
        return Method(encoder, NO_ENCODER, algo, "pixels")
    if name == UNTRAINED:
        return Method(encoder, default_encoder, algo, "random", settings)
    label = encoder if reward == default_reward else f"{encoder} {reward}"
    return Method(label, name, algo, reward, settings)
