"""Encoders of frames, by name, trained without labels."""

from encoders.base import Encoder, FrameBatch, LossAndMetrics
from encoders.installation import warn_of_others
from encoders.models import attention as _attention  # noqa: F401 - registers itself
from encoders.models import autoencoder as _autoencoder  # noqa: F401
from encoders.models import autoencoder_imm as _autoencoder_imm  # noqa: F401
from encoders.models import imm as _imm  # noqa: F401
from encoders.models import pooled as _pooled  # noqa: F401
from encoders.models import smak as _smak  # noqa: F401
from encoders.models import tcn as _tcn  # noqa: F401
from encoders.registry import configure, load, make, names, register, settings_of

__all__ = ["Encoder", "FrameBatch", "LossAndMetrics", "configure", "load", "make", "names", "register", "settings_of"]

warn_of_others("encoders")
