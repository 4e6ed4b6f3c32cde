"""What holds of every config and preset that is read: it is taken as it stands, or refused by its name."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import encoders
from encoders import registry
from encoders.base import CONFIG_FILE, MOST
from encoders.settings import build_config, parse_settings
from experiments.sweep.grid import Grid, read_preset

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NAMES = st.sampled_from(encoders.names())

NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -1, 1, MOST, MOST + 1, 10**30, 10**400, 1e308, float("nan")])
)

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=5)),
    lambda part: st.one_of(st.lists(part, max_size=3), st.dictionaries(st.text(max_size=5), part, max_size=3)),
    max_leaves=5,
)


@st.composite
def changed_settings(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An encoder's name, and any values for some of its settings."""
    name = draw(NAMES)
    known = st.sampled_from([field.name for field in fields(registry._ENCODERS[name].Config)])
    return name, draw(st.dictionaries(st.one_of(known, st.text(max_size=5)), JSON, max_size=3))


@few
@given(changed_settings())
def test_a_config_is_made_of_what_was_given_or_the_setting_is_named(drawn: tuple[str, dict[str, Any]]) -> None:
    name, values = drawn
    kind = registry._ENCODERS[name].Config
    try:
        config = build_config(kind, values, "the config")
    except ValueError as error:
        assert str(error).startswith("the config: ")
        assert values
        return
    assert {key: getattr(config, key) for key in values} == values
    for value in asdict(config).values():
        assert isinstance(value, str) or abs(value) < float("inf")


@few
@given(changed_settings())
def test_a_config_file_is_taken_or_refused_by_its_path(tmp_path: Path, drawn: tuple[str, dict[str, Any]]) -> None:
    name, values = drawn
    (tmp_path / CONFIG_FILE).write_text(json.dumps({"encoder": name, **values}))
    # There are no weights, so it is refused at the latest there.
    with pytest.raises(ValueError) as caught:
        encoders.load(tmp_path)
    assert str(tmp_path) in str(caught.value)


@few
@given(st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode())))
def test_any_bytes_in_place_of_a_config_are_refused_by_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CONFIG_FILE).write_bytes(content)
    with pytest.raises(ValueError) as caught:
        encoders.load(tmp_path)
    assert str(tmp_path / CONFIG_FILE) in str(caught.value)


@few
@given(NAMES, st.data())
def test_settings_of_a_command_line_are_read_as_they_are_written(name: str, data: st.DataObject) -> None:
    kind = registry._ENCODERS[name].Config
    defaults = {field.name: field.default for field in fields(kind)}
    written = [f"{key}={value}" for key, value in defaults.items()]
    assert parse_settings(written, kind) == defaults
    key = data.draw(st.sampled_from(sorted(defaults)))
    value = data.draw(st.one_of(st.text(max_size=8), NUMBERS.map(str)))
    try:
        (found,) = parse_settings([f"{key}={value}"], kind).values()
    except ValueError as error:
        assert key in str(error)
    else:
        assert type(found) is type(defaults[key])


@few
@given(st.text(max_size=10))
def test_a_text_that_is_no_setting_is_refused(text: str) -> None:
    if text.partition("=")[0] not in [field.name for field in fields(registry._ENCODERS["tcn"].Config)]:
        with pytest.raises(ValueError, match="encoder setting"):
            parse_settings([text], registry._ENCODERS["tcn"].Config)


KEYS = st.sampled_from([field.name for field in fields(Grid)])

TOML = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.floats(allow_nan=True).map(str),
    st.sampled_from(
        ["true", "false", '"tcn"', "[]", "[[]]", "[0, 1]", "[0, 0]", "[true]", '["tcn", "smak"]', "{a = [1]}"]
    ),
    st.text(max_size=8),
)


@few
@given(st.lists(st.tuples(st.one_of(KEYS, st.text(max_size=6)), TOML), max_size=3))
def test_a_preset_is_a_grid_of_its_values_or_is_refused_by_its_path(tmp_path: Path, lines: Any) -> None:
    path = tmp_path / "preset.toml"
    path.write_text("\n".join(f"{key} = {value}" for key, value in lines), encoding="utf-8")
    try:
        grid = read_preset(str(path))
    except ValueError as error:
        assert str(path) in str(error)
        assert lines
    else:
        assert isinstance(grid, Grid)
        assert all(seed >= 0 for seed in grid.seeds)


@few
@given(st.binary(max_size=60))
def test_any_bytes_in_place_of_a_preset_are_refused_by_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "preset.toml"
    path.write_bytes(content)
    try:
        assert read_preset(str(path)) == Grid()
    except ValueError as error:
        assert str(path) in str(error)
