"""What a run on the cartpole is configured with: what makes it this run, and what is refused before any work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from small_swingups import KEYPOINTS, LATENT, TINY, seeing, shrink

import encoders
from agents import pixel_sac
from agents.auxiliary import AuxiliaryConfig
from agents.pixel_sac import LearningConfig, Preset
from experiments.cartpole import swingup
from experiments.cartpole.config import SwingUpConfig
from experiments.cartpole.landmarks import Landmarks
from experiments.cartpole.observation import OBSERVATIONS, Frames, State, name_of, observation
from experiments.cartpole.pretraining import new_encoder
from experiments.cartpole.second_encoder import Distilled, Gated, Observed
from experiments.cartpole.swingup import train_all
from experiments.runs import command_line


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Frames of 16 pixels, episodes of 8 steps."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        yield


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: seeing(mode="frozen", second=Gated()), "'imm', is for an encoder that the agent trains"),
        (lambda: Distilled(weight=0.0), "finite and above 0"),
        (lambda: Gated("imn"), "Did you mean 'imm'"),
        (lambda: seeing(second=Gated("imm", ("keypoint=2",))), "Did you mean 'keypoints'"),
    ],
)
def test_a_wrong_second_encoder_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_second_encoder_is_part_of_what_makes_a_run() -> None:
    plain = replace(TINY, observe=LATENT)
    gated, distilled, observed = (
        replace(TINY, observe=replace(LATENT, second=role("imm", ("keypoints=2",))))
        for role in (Gated, Distilled, Observed)
    )
    content = {"encoder": "imm", "settings": ("keypoints=2",)}
    assert plain.identity(0)["observe"]["second"] is None
    assert "pretraining" not in plain.identity(0)["observe"]
    assert "pretraining" in gated.identity(0)["observe"]
    assert gated.identity(0)["observe"]["second"] == {"role": "gated", **content}
    assert observed.identity(0)["observe"]["second"] == {"role": "observed", **content}
    assert distilled.identity(0)["observe"]["second"] == {"role": "distilled", "weight": 100.0, **content}
    assert len({config.variant for config in (plain, gated, distilled, observed)}) == 4
    assert observed.through_second == gated.through_second


def test_what_does_not_apply_is_no_part_of_what_makes_a_run() -> None:
    along = replace(TINY, observe=LATENT)
    added = replace(along, observe=replace(LATENT, auxiliary=AuxiliaryConfig(videos=2)))
    assert along.identity(0)["observe"]["auxiliary"]["own_optimizer"]
    assert not added.identity(0)["observe"]["auxiliary"]["own_optimizer"]
    none = {"weight": 0.0}
    for changes, loss in (({}, none), ({"shift": 4}, none), ({"encoder": "imm", "mode": "frozen"}, {})):
        one, other = (
            replace(
                config, observe=replace(config.frames, auxiliary=replace(config.frames.auxiliary, **loss), **changes)
            )
            for config in (along, added)
        )
        assert one != other
        assert one.identity(0) == other.identity(0)
    learning = replace(TINY.learning, mean_start=False)
    for observe in (State(), Landmarks(), replace(KEYPOINTS, mode="frozen")):
        config = replace(TINY, observe=observe)
        assert replace(config, learning=learning).identity(0) == config.identity(0)
    assert replace(TINY, learning=learning).identity(0) != TINY.identity(0)
    assert State().content.keys() == {"kind"}


def test_a_run_is_named_by_what_it_observes() -> None:
    assert SwingUpConfig(preset="cpu").variant == "swingup-sac_shift-cpu"
    for name, observe in OBSERVATIONS.items():
        assert name_of(observe) == name
    assert TINY.variant == "swingup-imm-keypoints=2-loss=1-cpu"
    others = [
        *(seeing(**changes) for changes in ({"mode": "frozen"}, {"start": "recorded"}, {"shift": 2}, {"settings": ()})),
        replace(TINY, observe=Landmarks(noise=0.5)),
        replace(TINY, observe=Landmarks(held=True)),
        replace(TINY, observe=Landmarks(places=3)),
    ]
    assert len({config.variant for config in [TINY, *others]}) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "swing-up"}, "Did you mean 'swingup'"),
        ({"preset": "papers"}, "Did you mean 'paper'"),
        ({"steps": 4}, "a row takes 8 steps"),
        ({"seeds": (1, 1)}, "each once"),
        ({"action_repeat": 0}, "at least 1"),
        ({"learning": LearningConfig(gamma=1.0)}, "set mean_start to false"),
        ({"learning": LearningConfig(learning_starts=0)}, "learning_starts 0 there is none"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: observation("sac_inm"), "Unknown observation 'sac_inm'. Did you mean 'sac_imm'"),
        (lambda: seeing(encoder="imn"), "Did you mean 'imm'"),
        (lambda: seeing(settings=("keypoint=3",)), "Did you mean 'keypoints'"),
        (lambda: seeing(settings=("keypoints=17",)), "16 positions"),
        (lambda: seeing(settings=("channels=3",)), "leave them out"),
        (lambda: seeing(mode="froze"), "Did you mean 'frozen'"),
        (lambda: seeing(start="record"), "Did you mean 'recorded'"),
        (lambda: seeing(camera="fix"), "Did you mean 'fixed'"),
        (lambda: seeing(stack=0), "stack is 0; it must be at least 1"),
        (lambda: seeing(shift=-1), "shift is -1; it must be at least 0"),
        (lambda: seeing(shift=4, mode="frozen"), "a shift of 4 is for an encoder that the agent trains"),
        (lambda: seeing(folder=Path("x")), "leave the encoder's settings and its start out"),
        (lambda: seeing(settings=(), folder=Path("x"), start="recorded"), "leave the encoder's settings and its start"),
        (lambda: Landmarks(noise=-1.0), "at least 0"),
        (lambda: Landmarks(places=1), "at least 2"),
        (lambda: Landmarks(stack=0), "stack is 0"),
        (lambda: SwingUpConfig(State()).frames, "sac_state-.* observes no frames"),
    ],
)
def test_wrong_observations_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("flags", "observe"),
    [
        ("", OBSERVATIONS["sac_shift"]),
        ("--observe.shift 2", replace(OBSERVATIONS["sac_shift"], shift=2)),  # type: ignore[arg-type]
        (
            "observe:sac_imm --observe.mode frozen --steps 2000",
            Frames("imm", mode="frozen", auxiliary=AuxiliaryConfig()),
        ),
        ("--steps 2000 observe:sac-landmarks --observe.noise 0.3", Landmarks(noise=0.3)),
        ("observe:sac_state", State()),
        (
            "observe:sac_ae observe.second:distilled --observe.second.weight 5 --observe.second.settings keypoints=4",
            Frames(auxiliary=AuxiliaryConfig(), second=Distilled("imm", ("keypoints=4",), 5.0)),
        ),
    ],
)
def test_the_command_line_takes_a_named_observation_and_what_is_changed_of_it(
    flags: str, observe: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["swingup_cartpole.py", *flags.split()])
    found: list[SwingUpConfig] = []
    assert command_line.run(SwingUpConfig, found.append, None) == 0
    assert found[0].observe == observe
    assert found[0].steps == (2_000 if "--steps" in flags else 12_500)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("observe:sac_imm --observe.settings keypoint=3", "error: Unknown encoder setting 'keypoint'. Did you mean"),
        ("observe:sac_landmarks --observe.noise -1", "error: noise is -1.0; it must be finite and at least 0."),
        (
            "observe:sac_ae observe.second:distilled --observe.second.weight 0",
            "error: The weight of the distillation is",
        ),
    ],
)
def test_a_wrong_observation_is_one_line_of_the_command_line(
    flags: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["swingup_cartpole.py", *flags.split()])
    assert command_line.run(SwingUpConfig, print, None) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)


@pytest.mark.parametrize(
    "flags",
    [
        "observe:sac_state --observe.shift 3",
        "observe:sac_imm --observe.noise 1",
        "observe:sac --observe.second.encoder imm",
    ],
)
def test_what_does_not_apply_cannot_be_given(flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["swingup_cartpole.py", *flags.split()])
    with pytest.raises(SystemExit) as stop:
        command_line.run(SwingUpConfig, print, None)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    "learning", [LearningConfig(gamma=1.0), LearningConfig(learning_starts=0), LearningConfig(mean_start=False)]
)
def test_an_agent_that_trains_no_encoder_needs_no_mean_to_start_at(learning: LearningConfig) -> None:
    config = replace(TINY, observe=State(), learning=learning)
    assert config.learning == learning


def test_a_second_encoder_that_does_not_fit_in_memory_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = Gated("imm", ("keypoints=2", "features=heat_maps"))
    config = replace(TINY, observe=replace(LATENT, second=second), out=tmp_path)
    assert config.through_second is not None
    frames = config.kept_steps * 3 * 16 * 16
    memory = SimpleNamespace(
        available=frames + config.kept_steps * 8 * new_encoder(config.through_second).embedding_dim - 1
    )
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(ValueError, match="for its vectors"):
        train_all(config)
    assert not any(tmp_path.iterdir())
    memory.available += 1
    swingup.check_inputs(config)


def test_a_buffer_that_does_not_fit_is_refused_with_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pixel_sac.PRESETS, "cpu", Preset(480, 2, 8, 16, 4))
    with pytest.raises(ValueError, match=r"takes 6912\.0 GB for its frames"):
        replace(TINY, steps=10**7, learning=LearningConfig(buffer_size=10**7))


def test_an_encoder_for_other_frames_is_refused_before_any_work(tmp_path: Path) -> None:
    encoders.make("imm", image_size=24, channels=9).save(tmp_path / "other")
    config = replace(seeing(settings=(), folder=tmp_path / "other"), out=tmp_path / "run")
    with pytest.raises(ValueError, match=r"made for frames of shape \(B, 9, 24, 24\)"):
        train_all(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [{"mode": "frozen"}, {"start": "recorded"}, {}])
def test_an_encoder_of_two_views_is_refused_before_any_work(changes: dict[str, Any], tmp_path: Path) -> None:
    config = replace(seeing(encoder="smak", settings=(), **changes), out=tmp_path / "out")
    with pytest.raises(ValueError, match="'smak' learns from 2 views of a moment, and the cartpole has one camera"):
        train_all(config)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf")])
def test_a_given_encoder_without_a_unit_of_distance_is_refused_before_any_work(scale: float, tmp_path: Path) -> None:
    encoder = encoders.make("imm", image_size=16, channels=9)
    encoder.distance_scale.fill_(scale)
    encoder.save(tmp_path / "given")
    config = replace(seeing(settings=(), folder=tmp_path / "given"), out=tmp_path / "run")
    with pytest.raises(ValueError, match=rf"distance.scale (of )?{scale}"):
        train_all(config)
    assert not (tmp_path / "run").exists()


def test_a_label_is_no_path() -> None:
    with pytest.raises(ValueError, match=r"label is '\.\./\.\./x'; it names a folder, so it must not be a path"):
        SwingUpConfig(label="../../x")
