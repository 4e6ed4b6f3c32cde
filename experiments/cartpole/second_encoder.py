"""A second encoder beside the one that an agent trains: what it is, and what its embedding is for."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

import encoders
from agents.extractor import DISTILLED, GATED, OBSERVED
from encoders.errors import check_choice


@dataclass(frozen=True)
class SecondEncoder:
    """An encoder that is trained on recorded random actions and then stays as it is.

    Attributes:
        role: What its embedding is for, as of ``EncoderExtractor``.
        encoder: Registered name.
        settings: Its own settings as NAME=VALUE, such as keypoints=12.
    """

    role: ClassVar[str]

    encoder: str = "imm"
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choice("second encoder", self.encoder, encoders.names())

    @property
    def content(self) -> dict[str, Any]:
        """What distinguishes runs."""
        return {"role": self.role, **asdict(self)}


@dataclass(frozen=True)
class Gated(SecondEncoder):
    """The agent sees its embedding and, behind gates that begin closed, that of its own encoder.

    Attributes:
        encoder: Registered name.
        settings: Its own settings as NAME=VALUE, such as keypoints=12.
    """

    role: ClassVar[str] = GATED


@dataclass(frozen=True)
class Observed(SecondEncoder):
    """The agent sees its embedding and that of its own encoder, both as they are.

    Attributes:
        encoder: Registered name.
        settings: Its own settings as NAME=VALUE, such as keypoints=12.
    """

    role: ClassVar[str] = OBSERVED


@dataclass(frozen=True)
class Distilled(SecondEncoder):
    """The agent does not see its embedding: its own encoder learns to predict it.

    Attributes:
        encoder: Registered name.
        settings: Its own settings as NAME=VALUE, such as keypoints=12.
        weight: Of the distillation's squared error beside the critics'.
    """

    role: ClassVar[str] = DISTILLED

    weight: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"The weight of the distillation is {self.weight}; it must be finite and above 0.")


Second: TypeAlias = Gated | Observed | Distilled
"""A second encoder in one of its roles."""
