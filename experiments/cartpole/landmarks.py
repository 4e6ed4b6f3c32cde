"""True places in frames: what an agent would observe with perfect keypoints, as exact as one likes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from encoders.errors import check_at_least, check_choice
from envs.cartpole import CAMERAS


@dataclass(frozen=True)
class Landmarks:
    """The agent observes where cart and pole truly are in the frames.

    Attributes:
        noise: Standard deviation of what is added to the true places, pixels.
        held: Whether a place is observed only while the frame shows it: what leaves the frame stays where it was last
            seen.
        places: How many places are observed, evenly from the cart to the pole's tip.
        camera: fixed, or lookatcart.
        stack: Frames in an observation.
    """

    noise: float = 0.0
    held: bool = False
    places: int = 2
    camera: str = "fixed"
    stack: int = 3

    def __post_init__(self) -> None:
        check_choice("camera", self.camera, CAMERAS)
        check_at_least(1, {"stack": self.stack})
        check_at_least(2, {"places": self.places})
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"noise is {self.noise}; it must be finite and at least 0.")

    @property
    def name(self) -> str:
        """In the name of a run's folder."""
        parts = ["landmarks"]
        parts += [f"noise={self.noise:g}"] * (self.noise > 0)
        parts += ["held"] * self.held
        parts += [f"places={self.places}"] * (self.places > 2)
        return "-".join(parts)

    @property
    def content(self) -> dict[str, Any]:
        """What distinguishes runs."""
        return {"kind": "landmarks", **asdict(self)}
