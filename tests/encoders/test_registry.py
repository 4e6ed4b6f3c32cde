"""Encoders by name."""

from __future__ import annotations

import pytest

import encoders
from encoders import registry
from encoders.models.tcn import TCN


def test_the_tcn_is_registered_by_importing_the_package() -> None:
    assert "tcn" in encoders.names()
    assert type(encoders.make("tcn")) is TCN
    assert TCN.name == "tcn"


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"Unknown encoder 'tnc'\. Did you mean 'tcn'\?"):
        encoders.make("tnc")


def test_an_unknown_setting_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"encoder 'tcn': unknown settings \['colour'\].*image_size.*margin"):
        encoders.make("tcn", colour="red")


def test_a_taken_name_is_refused_and_its_owner_stays() -> None:
    class Impostor(TCN):
        pass

    with pytest.raises(ValueError, match="'tcn' is taken by TCN"):
        registry.register("tcn")(Impostor)
    assert type(encoders.make("tcn")) is TCN


def test_a_new_name_is_made_known_and_registering_it_again_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ENCODERS", dict(registry._ENCODERS))
    before = encoders.names()

    class Other(TCN):
        pass

    assert registry.register("other")(Other) is Other
    registry.register("other")(Other)
    assert encoders.names() == [*before, "other"]
    assert type(encoders.make("other", image_size=16)) is Other
    assert encoders.make("other").name == "other"
    assert encoders.make("tcn").name == "tcn"
