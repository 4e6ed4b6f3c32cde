"""What a frame means: encoders by name, trained without labels."""

from encoders import tcn as _tcn  # noqa: F401 - registers itself
from encoders.base import Encoder, FrameBatch, LossAndMetrics
from encoders.registry import load, make, names, register

__all__ = ["Encoder", "FrameBatch", "LossAndMetrics", "load", "make", "names", "register"]
