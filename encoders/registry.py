"""Encoders by name: an explicit table, filled by ``register``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from encoders.base import CONFIG_FILE, Encoder, build_config
from encoders.errors import check_choice

EncoderClass = TypeVar("EncoderClass", bound=type[Encoder])

_ENCODERS: dict[str, type[Encoder]] = {}


def register(name: str) -> Callable[[EncoderClass], EncoderClass]:
    """Class decorator that makes an encoder known by a name.

    Args:
        name: The name that ``make`` and the command line take.

    Raises:
        ValueError: If the name is taken by another class.
    """

    def add(encoder: EncoderClass) -> EncoderClass:
        if _ENCODERS.get(name, encoder) is not encoder:
            raise ValueError(f"The encoder name {name!r} is taken by {_ENCODERS[name].__qualname__}; choose another.")
        encoder.name = name
        _ENCODERS[name] = encoder
        return encoder

    return add


def names() -> list[str]:
    """Every registered name."""
    return list(_ENCODERS)


def make(name: str, **config: Any) -> Encoder:
    """Builds an untrained encoder.

    Args:
        name: One of ``names()``.
        **config: Attributes of the encoder's config, such as ``image_size`` and ``channels``.

    Raises:
        ValueError: If the name or a setting is unknown.
    """
    check_choice("encoder", name, _ENCODERS)
    encoder = _ENCODERS[name]
    return encoder(build_config(encoder.Config, config, f"encoder {name!r}"))


def load(folder: str | Path) -> Encoder:
    """Loads an encoder that ``Encoder.save`` wrote; it runs no code from the folder.

    Raises:
        ValueError: If the folder is missing or incomplete, or config and weights do not fit.
    """
    path = Path(folder) / CONFIG_FILE
    try:
        values = json.loads(path.read_text())
        name = values.pop("encoder")
    except OSError as error:
        raise ValueError(f"{folder} is no encoder folder: {path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is damaged: it is no JSON object with the key 'encoder'.") from error
    check_choice(f"encoder in {path}", name, _ENCODERS)
    config = build_config(_ENCODERS[name].Config, values, str(path))
    encoder = _ENCODERS[name](config)
    encoder.load_weights(Path(folder))
    return encoder.eval()
