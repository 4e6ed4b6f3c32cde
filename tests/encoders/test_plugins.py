"""What other packages add: modules that are named, entry points of installed packages, and clashes of names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import picklable_jobs
import pytest
import torch

import encoders
from encoders import plugins, registry
from encoders.models.tcn import TCN
from encoders.networks import backbones
from experiments import suites
from experiments.any_environment.config import ImitationConfig
from experiments.comparison.config import CompareConfig
from experiments.kuka.config import ImitateConfig
from experiments.runs import command_line
from experiments.sweep.config import BenchmarkConfig
from experiments.sweep.launchers import spread
from rewards import sources

EVERY_KIND = """
from torch import nn

import encoders
from encoders.models.pooled import Pooled
from encoders.networks.backbones import Plan, register_backbone
from experiments import suites
from rewards import sources


@encoders.register("own_encoder")
class OwnEncoder(Pooled):
    pass


def build(channels):
    return nn.Conv2d(channels, 5, 8, 8)


register_backbone("own_backbone", Plan(build, 5, 8))
sources.register("own_reward", sources.Source("embedding", lambda goal: goal.embeddings, lambda scales: 1.0))
suites.register("own_suite", suites.Entry(lambda: "the suite", lambda: "its scoring"))
"""

OFFERS = """
from torch import nn

from encoders.models.pooled import Pooled
from encoders.networks.backbones import Plan
from experiments.suites import Entry
from rewards.sources import SOURCES, Source


class Offered(Pooled):
    pass


def build(channels):
    return nn.Conv2d(channels, 5, 8, 8)


PLAN = Plan(build, 5, 8)
REWARD = Source("embedding", lambda goal: goal.embeddings, lambda scales: 1.0)
SUITE = Entry(lambda: "the suite", lambda: "its scoring")
"""

Offer = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to be in, from which everything that is imported and registered is forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv(plugins.VARIABLE, "")
    for module, name in (
        (registry, "_ENCODERS"),
        (backbones, "_PLANS"),
        (sources, "SOURCES"),
        (suites, "SUITES"),
    ):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def offer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Installs a package of one module with entry points, such as ``encoders={"name": "module:attribute"}``."""

    def install(package: str, source: str | None = None, **groups: dict[str, str]) -> None:
        site = folder / package
        information = site / f"{package}-1.2.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        lines = []
        for group, points in groups.items():
            lines += [f"[onlooker.{group}]", *(f"{name} = {value}" for name, value in points.items())]
        (information / "entry_points.txt").write_text("\n".join(lines))
        if source is not None:
            (site / f"{package}.py").write_text(source)
        monkeypatch.syspath_prepend(site)

    return install


def test_a_module_in_the_current_folder_registers_what_other_packages_have(folder: Path) -> None:
    (folder / "mine.py").write_text(EVERY_KIND)
    plugins.use(("mine",))
    assert "own_encoder" in encoders.names()
    assert type(encoders.make("own_encoder", image_size=32)).__name__ == "OwnEncoder"
    assert "own_backbone" in backbones.names()
    assert encoders.make("tcn", image_size=32, backbone="own_backbone").backbone.features == 5  # type: ignore[union-attr]
    assert "own_reward" in sources.names()
    assert sources.known()["own_reward"].trained
    assert (suites.get("own_suite"), suites.scoring("own_suite")) == ("the suite", "its scoring")


def test_a_process_that_is_started_knows_the_modules_that_were_named(folder: Path) -> None:
    (folder / "mine.py").write_text(EVERY_KIND)
    plugins.use(("mine",))
    with spread(picklable_jobs.known_encoders, ["once"], 1) as answers:
        (names,) = answers
    assert {"own_encoder", "tcn"} <= set(names)


def test_modules_that_were_named_before_stay_named(folder: Path) -> None:
    for name in ("first", "second"):
        (folder / f"{name}.py").write_text("")
        plugins.use((name,))
    plugins.use(("first",))
    assert os.environ[plugins.VARIABLE] == "first,second"


def test_what_a_package_offers_is_known_and_loaded_only_when_it_is_asked_for(offer: Offer, folder: Path) -> None:
    offer(
        "theirs",
        OFFERS,
        encoders={"offered": "theirs:Offered"},
        backbones={"offered": "theirs:PLAN"},
        rewards={"offered": "theirs:REWARD"},
        suites={"offered": "theirs:SUITE"},
    )
    assert all("offered" in names() for names in (encoders.names, backbones.names, sources.names))
    assert encoders.make("tcn").name == "tcn"
    assert "theirs" not in sys.modules
    torch.manual_seed(0)
    encoder = encoders.make("offered", image_size=32, backbone="offered")
    encoder.save(folder / "saved")
    loaded = encoders.load(folder / "saved")
    assert type(loaded) is type(encoder)
    assert (loaded.name, type(loaded).__module__) == ("offered", "theirs")
    assert loaded.backbone.features == 5  # type: ignore[union-attr]
    assert sources.known()["offered"].key == "embedding"
    assert suites.get("offered") == "the suite"


def test_an_offered_encoder_may_register_itself_too(offer: Offer) -> None:
    source = OFFERS + "\n\nimport encoders\n\nencoders.register('own')(Offered)"
    offer("theirs", source, encoders={"own": "theirs:Offered"})
    assert [encoders.make("own", image_size=32).name for _ in range(2)] == ["own", "own"]
    assert encoders.names().count("own") == 1


def test_a_clash_of_a_named_module_names_both_sources(folder: Path) -> None:
    (folder / "mine.py").write_text(EVERY_KIND.replace('"own_encoder"', '"tcn"'))
    with pytest.raises(ValueError, match=r"'tcn' is taken by TCN of encoders\.models\.tcn; OwnEncoder of mine cannot"):
        plugins.use(("mine",))
    assert type(encoders.make("tcn")) is TCN


@pytest.mark.parametrize(
    ("register", "taken", "mine"),
    [
        (
            lambda: backbones.register_backbone("small", backbones.Plan(torch.nn.Identity, 3, 1)),
            "'small' is taken by _small of encoders.networks.backbones",
            "Identity of torch.nn.modules.linear",
        ),
        (
            lambda: sources.register("pixels", sources.Source("pixels", sources.tracked, len)),  # type: ignore[arg-type]
            "'pixels' is taken by rewards.sources",
            "tracked of rewards.sources",
        ),
        (
            lambda: suites.register("atari", suites.Entry(dict, len)),  # type: ignore[arg-type]
            "'atari' is taken by experiments.suites",
            "dict of builtins",
        ),
    ],
)
def test_every_kind_refuses_a_name_that_is_taken(
    register: Callable[[], None], taken: str, mine: str, folder: Path
) -> None:
    with pytest.raises(ValueError, match="is taken by") as error:
        register()
    assert f"{taken}; {mine} cannot have it too: choose another." in str(error.value)


def test_a_name_that_two_packages_offer_is_refused_with_both_and_others_are_not(offer: Offer) -> None:
    offer("theirs", OFFERS, encoders={"offered": "theirs:Offered", "fine": "theirs:Offered"})
    offer("others", OFFERS, encoders={"offered": "others:Offered"})
    with pytest.raises(ValueError, match="is taken by") as error:
        encoders.make("offered")
    for package in ("theirs", "others"):
        assert f"the package {package} 1.2 ({package}:Offered)" in str(error.value)
    assert encoders.make("fine", image_size=32).name == "fine"


def test_a_package_that_offers_a_name_of_ours_is_refused_with_both(offer: Offer) -> None:
    offer("theirs", OFFERS, encoders={"tcn": "theirs:Offered"})
    with pytest.raises(ValueError, match="is taken by") as error:
        encoders.make("tcn")
    assert "of the package theirs 1.2 (theirs:Offered) cannot be used" in str(error.value)
    assert "taken by TCN of encoders.models.tcn; Offered of theirs cannot have it too" in str(error.value)


@pytest.mark.parametrize(
    ("value", "source", "words"),
    [
        ("theirs:Nothing", OFFERS, r"AttributeError: module 'theirs' has no attribute 'Nothing'"),
        ("absent:Offered", OFFERS, r"ModuleNotFoundError: No module named 'absent'"),
        ("theirs:Offered", "raise RuntimeError('no licence')", r"RuntimeError: no licence"),
        ("theirs:PLAN", OFFERS, r"must give a subclass of encoders\.Encoder"),
    ],
)
def test_an_offer_that_cannot_be_kept_is_refused_by_its_package_and_harms_nobody_else(
    value: str, source: str, words: str, offer: Offer
) -> None:
    offer("theirs", source, encoders={"offered": value})
    with pytest.raises(ValueError, match=words) as error:
        encoders.make("offered")
    assert "The encoder 'offered' of the package theirs 1.2" in str(error.value)
    assert encoders.make("tcn").name == "tcn"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent_module", r"--plugin imports 'absent_module', which fails: ModuleNotFoundError: No module named"),
        (
            "raising",
            r"--plugin imports 'raising', which fails: ZeroDivisionError: division by zero\. Install it, or mend",
        ),
        ("leaving", r"--plugin imports 'leaving', which fails: SystemExit: 3"),
        ("misspelt", r"'misspelt', which fails: SyntaxError"),
        ("raising.py", r"--plugin names 'raising\.py'; name a module as `import` does.*no \.py"),
        ("../raising", r"--plugin names '\.\./raising'"),
        ("", r"--plugin names ''"),
    ],
)
def test_a_module_that_cannot_be_imported_is_refused_with_the_reason(name: str, words: str, folder: Path) -> None:
    (folder / "raising.py").write_text("1 / 0")
    (folder / "leaving.py").write_text("import sys\nsys.exit(3)")
    (folder / "misspelt.py").write_text("clas A:")
    with pytest.raises(ValueError, match=words):
        plugins.use((name,))
    assert os.environ[plugins.VARIABLE] == ""


def test_a_broken_module_in_the_variable_is_refused_by_its_name(folder: Path) -> None:
    os.environ[plugins.VARIABLE] = "absent_module"
    with pytest.raises(ValueError, match=r"ONLOOKER_PLUGINS imports 'absent_module', which fails"):
        encoders.names()


@pytest.mark.parametrize(
    ("config", "flags"),
    [
        (ImitationConfig, ["--encoder", "own_encoder", "--reward", "own_reward"]),
        (ImitateConfig, ["--encoder", "own_encoder", "--reward", "own_reward"]),
        (CompareConfig, ["--encoders", "own_encoder", "--backbone", "own_backbone"]),
        (BenchmarkConfig, ["--env", "own_suite"]),
    ],
)
def test_names_of_a_plugin_are_choices_of_the_command_line(
    config: type[Any], flags: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mine.py").write_text(EVERY_KIND)
    (folder / "another.py").write_text("")
    taken: list[Any] = []
    monkeypatch.setattr(sys, "argv", ["program", *flags, "--plugin", "mine", "--plugin", "another"])
    assert command_line.run(config, taken.append, None) == 0
    assert taken[0].plugin == ("mine", "another")
    assert os.environ[plugins.VARIABLE] == "mine,another"


def test_a_plugin_that_is_not_there_is_one_line_on_the_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["imitate.py", "--plugin", "absent_module"])
    assert command_line.run(ImitationConfig, print, None) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --plugin imports 'absent_module'")


@pytest.mark.parametrize("config", [ImitationConfig, ImitateConfig])
def test_a_plugin_alone_makes_no_other_run(config: type[ImitationConfig | ImitateConfig], folder: Path) -> None:
    (folder / "mine.py").write_text("")
    assert config(plugin=("mine",)).identity(0) == config().identity(0)
