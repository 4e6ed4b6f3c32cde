"""Where the settings of a benchmark's method go: ``encoder.NAME`` to its encoder, all others into the run's config."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from encoders import settings
from encoders.errors import check_choice

ENCODER = "encoder."
"""Begins the name of a setting of the encoder itself, such as ``encoder.keypoints``."""

Config = TypeVar("Config")


def split_settings(texts: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The settings of an encoder itself, and those of the run.

    Args:
        texts: PATH=VALUE each; of two of a run with one path the last counts.

    Returns:
        NAME=VALUE each, and values by their path.

    Raises:
        ValueError: If one is no PATH=VALUE.
    """
    for text in texts:
        if "=" not in text:
            raise ValueError(f"The setting {text!r} is no NAME=VALUE, such as {ENCODER}hidden=64 or steps=1000.")
    own = tuple(text.removeprefix(ENCODER) for text in texts if text.startswith(ENCODER))
    pairs = (text.partition("=") for text in texts if not text.startswith(ENCODER))
    return own, {path: value for path, _, value in pairs}


def with_settings(config: Config, texts: Mapping[str, str], changes: Mapping[str, Any]) -> Config:
    """A config with some of its values replaced.

    Args:
        config: A dataclass; its attributes may be dataclasses.
        texts: Texts by the path of an attribute, such as ``learning.updates``. Of an attribute that is one of
            several dataclasses, its own text names one in lower case, such as ``gated``; those below it are set then.
        changes: Values by the path of an attribute that is not the settings' to say.

    Raises:
        ValueError: If there is no such attribute, it is not the settings' to say, or a value cannot be read.
    """
    kinds = get_type_hints(type(config))
    below: dict[str, tuple[dict[str, str], dict[str, Any]]] = defaultdict(lambda: ({}, {}))
    found: dict[str, Any] = {}
    for path, value in changes.items():
        name, _, rest = path.partition(".")
        if rest:
            below[name][1][rest] = value
        else:
            found[name] = value
    for path, text in texts.items():
        name, _, rest = path.partition(".")
        check_choice(f"setting of {type(config).__name__}", name, kinds)
        if name in changes:
            raise ValueError(f"{name} is not a setting's to say: what is compared says it. Leave {path}={text} out.")
        if rest:
            below[name][0][rest] = text
        else:
            found[name] = read_value(kinds[name], text, name)
    for name, (parts, values) in below.items():
        part = found.get(name, getattr(config, name))
        if not is_dataclass(part):
            raise ValueError(f"{name} is {part!r}, which has no {', '.join(parts)}; say first which {name} it is.")
        found[name] = with_settings(part, parts, values)
    return replace(config, **found)  # type: ignore[type-var]


def read_value(kind: Any, text: str, name: str) -> Any:
    """A value of a type from a text: a number, true or false, texts with commas between, or a dataclass's name.

    Args:
        kind: The type, or a union of one or several with None.
        text: What is read; ``none`` is None where that is allowed.
        name: What is read, for the error.

    Raises:
        ValueError: If the text is no such value.
    """
    choices = _members(kind)
    if NoneType in choices and text.lower() == "none":
        return None
    choices = [choice for choice in choices if choice is not NoneType]
    if all(is_dataclass(choice) for choice in choices):
        by_name = {choice.__name__.lower(): choice for choice in choices}
        check_choice(name, text, by_name)
        return by_name[text]()
    try:
        return settings.read_value(text, kind)
    except ValueError as error:
        raise ValueError(f"{name}={text}: {error}") from error


def _members(kind: Any) -> list[Any]:
    """The types of a union; of any other type itself."""
    return list(get_args(kind)) if get_origin(kind) in (Union, UnionType) else [kind]
