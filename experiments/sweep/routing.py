"""Where the settings of a benchmark's method go: ``encoder.NAME`` to its encoder, all others into the run's config."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from encoders.errors import check_choice

ENCODER = "encoder."
"""Begins the name of a setting of the encoder itself, such as ``encoder.keypoints``."""

Config = TypeVar("Config")


def split_settings(settings: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The settings of an encoder itself, and those of the run.

    Args:
        settings: PATH=VALUE each; of two of a run with one path the last counts.

    Returns:
        NAME=VALUE each, and values by their path.

    Raises:
        ValueError: If one is no PATH=VALUE.
    """
    for text in settings:
        if "=" not in text:
            raise ValueError(f"The setting {text!r} is no NAME=VALUE, such as {ENCODER}hidden=64 or steps=1000.")
    own = tuple(text.removeprefix(ENCODER) for text in settings if text.startswith(ENCODER))
    pairs = (text.partition("=") for text in settings if not text.startswith(ENCODER))
    return own, {path: value for path, _, value in pairs}


def with_settings(config: Config, values: Mapping[str, str], **changes: Any) -> Config:
    """A config with some of its values replaced.

    Args:
        config: A dataclass; its attributes may be dataclasses.
        values: Texts by the path of an attribute, such as ``learning.updates``. Of an attribute that is one of several
            dataclasses, its own text names one in lower case, such as ``gated``; those below it are set then.
        **changes: Attributes that are not the settings' to say.

    Raises:
        ValueError: If there is no such attribute, it is not the settings' to say, or a value cannot be read.
    """
    kinds = get_type_hints(type(config))
    below: dict[str, dict[str, str]] = defaultdict(dict)
    for path, text in values.items():
        name, dot, rest = path.partition(".")
        check_choice(f"setting of {type(config).__name__}", name, [part.name for part in fields(config)])  # type: ignore[arg-type]
        if name in changes:
            raise ValueError(f"{name} is the grid's to say, and a setting says it too; leave {path}={text} out.")
        if dot:
            below[name][rest] = text
    read = {path: read_value(kinds[path], text, path) for path, text in values.items() if "." not in path}
    for name, inner in below.items():
        part = read.get(name, getattr(config, name))
        if not is_dataclass(part):
            raise ValueError(f"{name} is {part!r}, which has no {', '.join(inner)}; say first which {name} it is.")
        read[name] = with_settings(part, inner)
    return replace(config, **read, **changes)  # type: ignore[type-var]


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
    wanted = choices[0]
    if wanted is bool:
        check_choice(f"switch {name}", text, ["true", "false"])
        return text == "true"
    if get_origin(wanted) is tuple:
        return tuple(read_value(get_args(wanted)[0], part, name) for part in text.split(",") if part)
    if wanted not in (int, float, str, Path):
        raise ValueError(f"{name} is no single value; set a part of it, {name}.NAME.")
    try:
        return wanted(text)
    except ValueError as error:
        raise ValueError(f"{name} is {text!r}; it must be a value of type {wanted.__name__}.") from error


def _members(kind: Any) -> list[Any]:
    """The types of a union; of any other type itself."""
    return list(get_args(kind)) if get_origin(kind) in (Union, UnionType) else [kind]
