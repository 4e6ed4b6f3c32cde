"""Encoders by name: an explicit table, filled by ``register``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from encoders.base import CONFIG_FILE, DIGEST, WEIGHTS_FILE, Encoder, EncoderConfig
from encoders.errors import check_choice
from encoders.files import FileError, read_object
from encoders.plugins import Kind, Known
from encoders.settings import build_config, parse_settings
from encoders.weights import check_size, check_weights, declared_weights, digest_of, read_weights

AGAIN = "fit the encoder again, or copy its folder again"
"""What to do about a damaged encoder, as the end of a sentence."""

EncoderClass = TypeVar("EncoderClass", bound=type[Encoder])

_ENCODERS: dict[str, type[Encoder]] = {}

_KIND: Kind[type[Encoder]] = Kind(
    "encoder",
    "a subclass of encoders.Encoder",
    lambda value: isinstance(value, type) and issubclass(value, Encoder),
    lambda encoder: encoder,
)


def register(name: str) -> Callable[[EncoderClass], EncoderClass]:
    """Class decorator that makes an encoder known by a name.

    Args:
        name: The name that ``make`` and the command line take.

    Raises:
        ValueError: If the name is taken by another class.
    """

    def add(encoder: EncoderClass) -> EncoderClass:
        _KIND.add(_ENCODERS, name, encoder)
        encoder.name = name
        return encoder

    return add


def _known() -> Mapping[str, type[Encoder]]:
    """Every encoder by its name, those of other packages too."""
    return Known(_KIND, _ENCODERS, lambda name, encoder: register(name)(encoder))


def names() -> list[str]:
    """Every registered name."""
    return list(_known())


def make(name: str, **config: Any) -> Encoder:
    """Builds an untrained encoder.

    Args:
        name: One of ``names()``.
        **config: Attributes of the encoder's config, such as ``image_size`` and ``channels``.

    Raises:
        ValueError: If the name or a setting is unknown, the weights would not fit into memory, or a weight file that
            the settings name cannot be used.
    """
    made = configure(name, **config)
    build = partial(_known()[name], made)
    check_size(declared_weights(build) or {}, f"encoder {name!r}")
    encoder = build()
    encoder.load_pretrained()
    return encoder


def configure(name: str, **config: Any) -> EncoderConfig:
    """The validated config of an encoder, without building it.

    Raises:
        ValueError: If the name or a setting is unknown, or a value is refused.
    """
    check_choice("encoder", name, _known())
    return build_config(_known()[name].Config, config, f"encoder {name!r}")


def settings_of(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """Settings of an encoder from a command line's ``NAME=VALUE`` texts, for ``make(name, **settings)``.

    Raises:
        ValueError: If the encoder or a setting is unknown, or a value is refused.
    """
    check_choice("encoder", name, _known())
    return parse_settings(texts, _known()[name].Config)


def load(folder: str | Path) -> Encoder:
    """Loads an encoder that ``Encoder.save`` wrote; it runs no code from the folder.

    Names and shapes are compared with the header of the weights before anything is allocated. Folders that were saved
    before there was a digest are loaded without one.

    Raises:
        ValueError: If the folder is missing or incomplete, config and weights do not fit, or either was changed since
            it was saved.
    """
    folder = Path(folder)
    path = folder / CONFIG_FILE
    if not folder.is_dir():
        raise FileError(f"{folder} is no encoder folder: there is no such folder; name one with {CONFIG_FILE} in it.")
    values = read_object(path, "encoder config", AGAIN, ("encoder",))
    name, digest = values["encoder"], values.pop(DIGEST, None)
    check_choice(f"encoder in {path}", name, _known())
    encoder_class = _known()[name]
    settings = {key: value for key, value in values.items() if key != "encoder"}
    config = build_config(encoder_class.Config, settings, str(path))
    build = partial(encoder_class, config)
    weights_path, what = folder / WEIGHTS_FILE, "encoder weights"
    content, weights = read_weights(weights_path, declared_weights(build), what, AGAIN)
    if digest is not None and digest != digest_of(values, content):
        raise FileError(
            f"{weights_path} or {path} was changed since the encoder was saved; {AGAIN}, or remove {DIGEST!r} from "
            f"{CONFIG_FILE} to use them as they are."
        )
    encoder = build()
    check_weights(weights_path, weights, encoder.state_dict(), what, AGAIN)
    encoder.load_state_dict(weights, strict=True)
    scale = float(encoder.distance_scale)
    if not (math.isnan(scale) or 0.0 <= scale < math.inf):
        raise FileError(f"The {what} {weights_path} hold a distance_scale of {scale}, which is no distance; {AGAIN}.")
    return encoder.eval()
