"""Encoders by name: an explicit table, filled by ``register``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from encoders.base import CONFIG_FILE, Encoder, EncoderConfig, build_config, parse_settings
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
        ValueError: If the name or a setting is unknown, or a weight file that the settings name cannot be used.
    """
    made = configure(name, **config)
    encoder = _ENCODERS[name](made)
    encoder.load_pretrained()
    return encoder


def configure(name: str, **config: Any) -> EncoderConfig:
    """The checked config of an encoder, without building it.

    Raises:
        ValueError: If the name or a setting is unknown, or a value is refused.
    """
    check_choice("encoder", name, _ENCODERS)
    return build_config(_ENCODERS[name].Config, config, f"encoder {name!r}")


def settings_of(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """Settings of an encoder from a command line's ``NAME=VALUE`` texts, for ``make(name, **settings)``.

    Raises:
        ValueError: If the encoder or a setting is unknown, or a value is refused.
    """
    check_choice("encoder", name, _ENCODERS)
    return parse_settings(texts, _ENCODERS[name].Config)


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
