"""Settings as texts: each is read as its attribute is annotated."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import encoders
from encoders import registry
from encoders.base import EncoderConfig
from encoders.settings import parse_settings

CHOICES = [
    (name, field.name, get_args(hint))
    for name in encoders.names()
    for field in fields(registry._ENCODERS[name].Config)
    if get_origin(hint := get_type_hints(registry._ENCODERS[name].Config)[field.name]) is Literal
]
"""Every setting of an encoder that takes one of a few values, with these."""


@dataclass(frozen=True)
class OwnConfig(EncoderConfig):
    """Settings of an encoder that somebody else wrote."""

    shape: Literal["round", "square"] = "round"
    widths: tuple[int, ...] = (8, 16)
    limit: float | None = None
    sharp: bool = False


def test_what_has_few_values_says_so_in_its_type() -> None:
    assert {(name, setting) for name, setting, _ in CHOICES} >= {
        ("tcn", "objective"),
        ("tcn", "pooling"),
        ("tcn", "head_kernel"),
        ("smak", "levels"),
        ("smak", "normalisation"),
        ("imm", "features"),
        ("imm", "second_stride"),
        ("autoencoder", "second_stride"),
        ("autoencoder_imm", "features"),
    }


@pytest.mark.parametrize(("name", "setting", "allowed"), CHOICES)
def test_a_choice_is_one_of_its_values_from_a_text_and_from_python(
    name: str, setting: str, allowed: tuple[Any, ...]
) -> None:
    for value in allowed:
        assert encoders.settings_of(name, [f"{setting}={value}"]) == {setting: value}
        assert getattr(encoders.registry.configure(name, **{setting: value}), setting) == value
    wrong = "other" if isinstance(allowed[0], str) else max(allowed) + 1
    with pytest.raises(ValueError, match=f"{setting}={wrong} cannot be used.*Allowed: {', '.join(map(str, allowed))}"):
        encoders.settings_of(name, [f"{setting}={wrong}"])
    with pytest.raises(ValueError, match=f"{setting}.*{wrong}|Unknown.*{wrong}"):
        encoders.registry.configure(name, **{setting: wrong})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("shape=square", {"shape": "square"}),
        ("widths=4", {"widths": (4,)}),
        ("widths=4,8,16", {"widths": (4, 8, 16)}),
        ("limit=None", {"limit": None}),
        ("limit=-1e3", {"limit": -1000.0}),
        ("sharp=true", {"sharp": True}),
        ("sharp=False", {"sharp": False}),
    ],
)
def test_a_config_of_ones_own_is_read_by_its_annotations(text: str, values: dict[str, Any]) -> None:
    assert parse_settings([text], OwnConfig) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shape=squar", r"shape=squar of 'mine' cannot be used: .*Did you mean 'square'\? Allowed: round, square\.$"),
        ("widths=4,b", r"widths=4,b of 'mine' cannot be used: .*tuple\[int, \.\.\.\]; got '4,b'\.$"),
        ("sharp=yes", r"sharp=yes of 'mine' cannot be used: Unknown switch 'yes'\. Allowed: true, false\.$"),
        ("image_size=big", r"image_size=big of 'mine' cannot be used: It must be a value of type int; got 'big'\.$"),
        ("widht=4", r"^Unknown setting 'widht'\. Did you mean 'widths'\? Allowed: "),
        ("shape", r"^The setting 'shape' is no NAME=VALUE, such as image_size=\.\.\.$"),
    ],
)
def test_a_wrong_setting_is_one_line_and_nothing_is_printed(
    text: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_settings([text], OwnConfig, "setting", "'mine'")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
