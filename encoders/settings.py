"""Settings of encoders: read from a command line, and checked on their way into a config."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, get_type_hints

from tyro.constructors import ConstructorRegistry, PrimitiveTypeInfo, UnsupportedTypeAnnotationError

from encoders.base import EncoderConfig
from encoders.errors import check_choice


def parse_settings(
    texts: Sequence[str], config: type[Any], what: str = "encoder setting", whose: str = ""
) -> dict[str, Any]:
    """Settings of a command line: ``("objective=n_pairs", "margin=2")`` -> values of the config's annotated types.

    Args:
        texts: ``NAME=VALUE`` each; of two with one name, the last counts.
        config: A dataclass whose attributes the names are.
        what: What a setting is called in messages.
        whose: Whose settings they are, in messages.

    Raises:
        ValueError: If a text is no ``NAME=VALUE``, the name is unknown, or the value is none of the attribute's type.
    """
    types = get_type_hints(config, include_extras=True)
    names = [field.name for field in dataclasses.fields(config)]
    values: dict[str, Any] = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found:
            raise ValueError(f"The {what} {text!r} is no NAME=VALUE, such as {names[0]}=...")
        check_choice(what, name, names)
        try:
            values[name] = read_value(value, types[name])
        except ValueError as error:
            of = f" of {whose}" if whose else ""
            raise ValueError(f"The {what} {text}{of} cannot be used: {error}") from error
    return values


def read_value(text: str, wanted: Any) -> Any:
    """A value as tyro reads it for a flag of a type; several values of a tuple are parted by commas.

    Raises:
        ValueError: If it is none; it names the values allowed.
    """
    reader = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(wanted, set()))
    if isinstance(reader, UnsupportedTypeAnnotationError):
        raise ValueError(f"No text can be read as {wanted}; set it from Python.")
    words = [text] if reader.nargs == 1 else text.split(",")
    if wanted is bool:
        # Files and other programs write truth values in small letters.
        check_choice("switch", text.lower(), ["true", "false"])
        words = [text.capitalize()]
    elif reader.choices is not None:
        for word in words:
            check_choice("value", word, reader.choices)
    try:
        return reader.instance_from_str(words)
    except ValueError as error:
        kind = wanted.__name__ if isinstance(wanted, type) else wanted
        raise ValueError(f"It must be a value of type {kind}; got {text!r}.") from error


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
