"""Settings of encoders: read from a command line, and checked on their way into a config."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from encoders.base import EncoderConfig
from encoders.errors import check_choice


def parse_settings(texts: Sequence[str], config: type[EncoderConfig]) -> dict[str, Any]:
    """Settings of a command line: ``("objective=n_pairs", "margin=2")`` -> values of the config's types.

    Raises:
        ValueError: If a text is no ``NAME=VALUE``, the name is unknown, or the value has another type.
    """
    types: dict[str, type[Any]] = {field.name: type(field.default) for field in dataclasses.fields(config)}
    values: dict[str, Any] = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found:
            raise ValueError(f"The encoder setting {text!r} is no NAME=VALUE, such as {next(iter(types))}=...")
        check_choice("encoder setting", name, types)
        wanted = types[name]
        try:
            values[name] = {"true": True, "false": False}[value.lower()] if wanted is bool else wanted(value)
        except (ValueError, KeyError) as error:
            allowed = "true or false" if wanted is bool else f"a value of type {wanted.__name__}"
            raise ValueError(f"The encoder setting {name} is {value!r}; it must be {allowed}.") from error
    return values


def build_config(config: type[EncoderConfig], values: dict[str, Any], where: str) -> EncoderConfig:
    """Makes a config from values, refusing unknown names; every attribute of a config has a default.

    Raises:
        ValueError: If a name is no attribute of the config, or a value has another type or is refused by it.
    """
    fields = {field.name: field.default for field in dataclasses.fields(config)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ValueError(f"{where}: unknown settings {unknown}. Known: {', '.join(fields)}.")
    for name, value in values.items():
        wanted = type(fields[name])
        # A whole number will do for a float, but True will not do for a number.
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ValueError(f"{where}: {name} is {value!r}; it must be a value of type {wanted.__name__}.")
    try:
        return config(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
