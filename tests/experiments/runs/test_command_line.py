"""The command line of the imitation experiment, and what it says to mistakes."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from small_recordings import TINY, arguments, tiny

from encoders.videos.video import write_video
from encoders.videos.video_file import VideoWarning
from experiments import imitate_kuka
from experiments.kuka.config import ImitateConfig
from experiments.runs import command_line
from experiments.runs.folder import claim_run_folder

Refused = Callable[..., str]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    def call(*given: object) -> str:
        monkeypatch.setattr(sys, "argv", ["imitate_kuka.py", *map(str, given)])
        try:
            status: object = imitate_kuka.main()
        except SystemExit as end:
            status = end.code
        assert status == 2
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err + printed.out
        lines = [line for line in printed.err.splitlines() if line.strip()]
        assert len(lines) == 1
        assert lines[0].startswith("error:")
        return lines[0]

    return call


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def run(out: Path) -> list[str]:
    return arguments(tiny(out))


def everything_in(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def movie(path: Path, count: int) -> Path:
    # Noise, so that the half of the file holds few of the frames.
    write_video(path, np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8), 20)
    return path


def damaged(folder: Path, kind: str) -> Path:
    path = folder / "watched.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "no video":
        path.write_bytes(b"these are not the frames you are looking for" * 50)
    elif kind == "truncated":
        movie(path, 40)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "one frame":
        movie(path, 1)
    return path


@pytest.mark.parametrize(
    ("kind", "wrong", "way_out"),
    [
        ("missing", "no video at", "check the path"),
        ("empty", "is empty", "record or copy it again"),
        ("no video", "cannot be decoded", "copy it again"),
        ("truncated", "truncated", "copy it again"),
        ("one frame", "has 1 frame(s)", "at least 2 are needed"),
    ],
)
def test_a_video_that_cannot_be_watched_is_named(
    refused: Refused, tmp_path: Path, out: Path, kind: str, wrong: str, way_out: str
) -> None:
    video = damaged(tmp_path, kind)
    line = refused(*run(out), "--demo", video)
    for part in (str(video), wrong, way_out):
        assert part in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("watched.json", b"{}", "lacks start"),
        ("watched.json", b"[" * 100_000, "is damaged"),
        ("watched.json", b'{"start": [100, 100, 100, 100, 100, 100, 100]}', "starts the arm at [100"),
        ("watched.json", b'{"start": [1e308, 0, 0, 0, 0, 0, 0]}', "starts the arm at [1e+308"),
        ("watched_truth.npz", b"PK", "is damaged"),
    ],
)
def test_the_files_of_a_recording_are_checked_before_any_work(
    refused: Refused, tmp_path: Path, out: Path, file: str, content: bytes, message: str
) -> None:
    video = movie(tmp_path / "watched_front.mp4", 4)
    (tmp_path / file).write_bytes(content)
    line = refused(*run(out), "--demo", video)
    for part in (str(tmp_path / file), message, "copy it again, or delete it"):
        assert part in line
    assert not out.exists()


def test_a_name_with_brackets_is_printed_as_it_is(refused: Refused, tmp_path: Path, out: Path) -> None:
    for name in ("[cut] pick.mp4", "[bold]pick[/bold].mp4"):
        assert f"{tmp_path / name};" in refused(*run(out), "--demo", tmp_path / name)
    # What looks like the end of a style that was never begun.
    (tmp_path / "file").touch()
    assert "cannot be written" in refused(*run(tmp_path / "file" / "[" / "old]"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--encoder", "tnc"], "Unknown encoder 'tnc'. Did you mean 'tcn'?"),
        (["--algo", "pppo"], "Unknown algorithm 'pppo'. Did you mean 'ppo'?"),
        (["--reward", "orcale"], "Unknown reward 'orcale'. Did you mean 'oracle'?"),
        (["--record.cameras", "fornt"], "Unknown camera 'fornt'. Did you mean 'front'?"),
        (["--record.look", "bar"], "Unknown look 'bar'. Did you mean 'bare'?"),
        (["--record.image-size", "33"], "image_size is 33; mp4 needs an even number"),
        (["--record.heldout", "1"], "heldout at least 2"),
        (["--fit.steps", "0"], "must be at least 1"),
        (["--fit.steps", "0"], "error: fit.steps is 0; it must be at least 1."),
        (["--seeds", "4294967296"], "seeds are (4294967296,); the largest that the generators take is 4294967295"),
        (["--demo-seed", "4294967296"], "demo_seed is 4294967296; it must be at least 0 and at most 4294967295"),
        (["--record.seed", "-1"], "record.seed is -1; it must be at least 0 and at most 4294967295"),
        (["--encoder-settings", "hiden=8"], "Did you mean 'hidden'?"),
        (["--huber.alpha", "-1"], "alpha is -1.0; it must be finite and at least 0"),
        (["--steps", "29"], "steps is 29; one episode in every environment takes 30"),
        (["--horizon", "1"], "horizon is 1; it must be at least 2"),
        (["--workers", "3"], "workers is 3; it must be from 1 to envs, 2"),
        (["--threads", "0"], "threads is 0; it must be at least 1"),
        (["--precision", "float23"], "Unknown precision 'float23'. Did you mean 'float32'?"),
        (["--encoder", "none"], "reward 'tcn_huber' compares embeddings, and encoder 'none' has none"),
        (
            ["--encoder", "none", "--reward", "pixels", "--encoder-settings", "hidden=1"],
            "encoder 'none' has no folder and no settings",
        ),
        (["--seeds", "1", "1"], "each once"),
        (["--demo-seed", "-1"], "demo_seed is -1"),
        (
            ["--encoder-settings", "image_size=32"],
            "The frames settle image_size; leave them out of the",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_answered_with_the_way_out(refused: Refused, out: Path, given: list[str], message: str) -> None:
    assert message in refused(*run(out), *given)
    assert not out.exists()


def test_videos_that_do_not_match_the_cameras_are_refused(refused: Refused, tmp_path: Path, out: Path) -> None:
    videos = [movie(tmp_path / name, 20) for name in ("a.mp4", "b.mp4", "c.mp4", "d_side.mp4", "e_side.mp4")]
    line = refused(*run(out), "--demo", *videos[:3])
    assert "3 videos for 2 camera(s) ('front', 'side')" in line
    assert "--record.cameras" in line
    assert "give each camera once" in refused(*run(out), "--demo", *videos[3:])
    other = arguments(tiny(out, record=replace(TINY, cameras=("front",))))
    line = refused(*other, "--demo", videos[3])
    assert "'side'" in line
    assert "add it to --record.cameras" in line
    assert not out.exists()


def test_a_folder_below_a_file_is_refused_and_the_file_left_alone(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    line = refused(*run(tmp_path / "file" / "out"))
    for part in (str(tmp_path / "file"), "cannot be written", "Choose another folder"):
        assert part in line
    assert (tmp_path / "file").read_text() == "precious"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def claimed(out: Path) -> ImitateConfig:
    config = tiny(out)
    claim_run_folder(config, 0)
    return config


def test_the_same_run_again_needs_to_be_resumed(refused: Refused, out: Path) -> None:
    folder = claimed(out).run_folder(0)
    before = everything_in(out)
    line = refused(*run(out))
    for part in (str(folder), "holds this run already, unfinished", "--resume", "--out"):
        assert part in line
    assert everything_in(out) == before


@pytest.mark.parametrize("resume", [False, True])
def test_another_run_in_the_folder_is_refused_with_what_differs(refused: Refused, out: Path, resume: bool) -> None:
    folder = claimed(out).run_folder(0)
    before = everything_in(out)
    line = refused(*run(out), "--steps", 90, *["--resume"] * resume)
    for part in (str(folder), "holds another run", "steps", "hoose another --out"):
        assert part in line
    assert everything_in(out) == before


def test_an_encoder_folder_that_holds_none_is_refused(refused: Refused, tmp_path: Path, out: Path) -> None:
    line = refused(*run(out), "--encoder-folder", tmp_path / "nothing")
    assert f"{tmp_path / 'nothing'} is no encoder folder" in line
    assert not out.exists()


def test_the_oracle_for_a_video_without_truth_is_refused_before_any_long_work(
    refused: Refused, tmp_path: Path, out: Path
) -> None:
    line = refused(*run(out), "--reward", "oracle", "--demo", movie(tmp_path / "a_front.mp4", 20))
    assert "needs the true joint angles" in line
    assert not out.exists()


def test_views_of_different_length_are_refused_before_any_long_work(
    refused: Refused, tmp_path: Path, out: Path
) -> None:
    line = refused(*run(out), "--demo", movie(tmp_path / "a.mp4", 20), movie(tmp_path / "b.mp4", 30))
    assert "differ in length" in line
    assert not out.exists()


def test_recordings_too_short_to_be_judged_are_refused_before_any_long_work(refused: Refused, out: Path) -> None:
    assert "10 frames" in refused(*run(out), "--record.demo-frames", 8)
    assert not out.exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [(["--algo", "pppo"], "Did you mean 'ppo'?"), (["--demo", "nothing.mp4"], "no video at nothing.mp4")],
)
def test_the_script_says_so_and_exits_with_2(tmp_path: Path, given: list[str], message: str) -> None:
    script = Path(__file__).parents[3] / "experiments" / "imitate_kuka.py"
    done = subprocess.run(
        [sys.executable, str(script), *given], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error:")
    assert message in line
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class WatchConfig:
    """A config for a command line that only warns."""

    video: Path


def test_a_warning_of_a_video_is_one_plain_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(config: WatchConfig) -> None:
        warnings.warn(f"Of the video {config.video}, [1] of 100 frames are lost.", VideoWarning, stacklevel=1)
        warnings.warn("A library's own.", UserWarning, stacklevel=1)

    monkeypatch.setattr(sys, "argv", ["watch.py", "--video", str(tmp_path / "a.mp4")])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda message, *_: print(f"usual: {message}", file=sys.stderr))
        usual = warnings.showwarning
        assert command_line.run(WatchConfig, work, None) == 0
        assert warnings.showwarning is usual
    assert capsys.readouterr().err.splitlines() == [
        f"warning: Of the video {tmp_path / 'a.mp4'}, [1] of 100 frames are lost.",
        "usual: A library's own.",
    ]
