"""Recordings of the Kuka: what lies on the disk, and what is done twice."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_recordings import TINY, recorded_out, tiny

from encoders.clips.clips import load_clips
from encoders.files import FileError
from encoders.videos.video import read_video
from envs.kuka import JOINTS, KukaReach
from experiments.kuka.recordings import (
    FPS,
    KINDS,
    RecordConfig,
    check_recording,
    joint_path,
    read_start,
    read_truth,
    record_all,
    record_demonstration,
    record_one,
)

MakeKuka = Callable[..., KukaReach]
ALL = [name for names in TINY.names.values() for name in names]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(recorded_out(tmp_path_factory.getbasetemp())).recordings_folder


def files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()}


def test_every_camera_has_a_video_with_truth_and_card_beside(folder: Path) -> None:
    expected = {"recordings.json"}
    for name in ALL:
        expected |= {f"{name}_front.mp4", f"{name}_side.mp4", f"{name}_truth.npz", f"{name}.json"}
    assert set(files(folder)) == expected
    for name in ALL:
        frames = TINY.play_frames if name.startswith("play") else TINY.demo_frames
        views = [read_video(folder / f"{name}_{camera}.mp4") for camera in TINY.cameras]
        assert {view.shape for view in views} == {(frames, 32, 32, 3)}
        assert abs(views[0].astype(int) - views[1]).mean() > 3
        truth = read_truth(folder / f"{name}_front.mp4", "front")
        assert truth is not None
        assert truth.joint_positions.shape == (frames, 7)
        assert truth.link_positions.shape == (frames, 7, 3)
        card = json.loads((folder / f"{name}.json").read_text())
        assert card["cameras"] == ["front", "side"]
        assert card["fps"] == FPS == 20
        assert card["start"] == truth.joint_positions[0].tolist()


def test_the_truth_is_what_the_frames_show(folder: Path, make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=None, image_size=32, look=TINY.look)
    truth = read_truth(folder / "demo_0001_side.mp4", "side")
    shots = read_video(folder / "demo_0001_side.mp4")
    assert truth is not None
    for time in (0, 7, 15):
        env.set_pose(truth.joint_positions[time])
        np.testing.assert_allclose(env.link_positions(), truth.link_positions[time], atol=1e-9)
        drawn = env.frame("side").astype(int)
        differences = [abs(drawn - shot).mean() for shot in shots]
        assert differences[time] < 4
        assert differences[time] < 1.1 * min(differences)


@pytest.mark.parametrize("name", ["demo_0001", "play_0003", "heldout_0000"])
def test_the_same_seed_records_the_same(tmp_path: Path, folder: Path, name: str) -> None:
    # Here in this process and alone, there in a pool among others.
    kind, index = name.split("_")
    frames = TINY.play_frames if kind == "play" else TINY.demo_frames
    seed = (TINY.seed, KINDS.index(kind), int(index))
    record_one(name, seed, frames, TINY, tmp_path)
    assert (tmp_path / f"{name}_truth.npz").read_bytes() == (folder / f"{name}_truth.npz").read_bytes()
    for camera in TINY.cameras:
        mine, theirs = (read_video(place / f"{name}_{camera}.mp4") for place in (tmp_path, folder))
        np.testing.assert_array_equal(mine, theirs)


def test_what_is_there_is_not_recorded_again_and_what_is_missing_is(tmp_path: Path, folder: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    before = files(tmp_path / "copy")
    record_all(TINY, tmp_path / "copy", workers=1)
    assert files(tmp_path / "copy") == before
    truth = (tmp_path / "copy" / "play_0002_truth.npz").read_bytes()
    (tmp_path / "copy" / "play_0002.json").unlink()
    record_all(TINY, tmp_path / "copy", workers=1)
    after = files(tmp_path / "copy")
    assert set(after) == set(before)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"play_0002.json", "play_0002_front.mp4", "play_0002_side.mp4", "play_0002_truth.npz"}
    assert (tmp_path / "copy" / "play_0002_truth.npz").read_bytes() == truth


def test_a_folder_of_another_configuration_is_refused_and_left_alone(folder: Path) -> None:
    before = files(folder)
    with pytest.raises(ValueError, match=r"holds another run: look, seed differ.*Choose another --out"):
        record_all(replace(TINY, seed=3, look="plain"), folder, workers=1)
    assert files(folder) == before


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot be written.*Choose another folder"):
        record_all(TINY, tmp_path / "file" / "below", workers=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cameras": ("fornt",)}, "Unknown camera 'fornt'. Did you mean 'front'"),
        ({"cameras": ()}, "name at least one"),
        ({"robot": "iwa"}, "Did you mean 'iiwa'"),
        ({"look": "bar"}, "Did you mean 'bare'"),
        ({"render_quality": "fats"}, "Did you mean 'fast'"),
        ({"image_size": 33}, "image_size is 33; mp4 needs an even number, from 16 to 1024"),
        ({"image_size": 14}, "image_size is 14"),
        ({"image_size": 1026}, "image_size is 1026"),
        ({"demos": 20}, "demos and play must each be more than validation"),
        ({"play": 0}, "more than validation"),
        ({"validation": 0}, "at least 1"),
        ({"heldout": 1}, "heldout at least 2"),
        ({"demo_frames": 1}, "at least 2 frames"),
        ({"play_frames": 1}, "at least 2 frames"),
    ],
)
def test_impossible_settings_are_refused_with_the_way_out(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecordConfig(**settings)  # type: ignore[arg-type]


def test_a_recording_has_one_part_alone() -> None:
    for config in (TINY, RecordConfig()):
        training, validating = set(config.training), set(config.validating)
        held_out = set(config.names["heldout"])
        assert not training & validating
        assert not (training | validating) & held_out
        assert training | validating | held_out == {name for names in config.names.values() for name in names}
        assert {name.split("_")[0] for name in training} == {name.split("_")[0] for name in validating}
        assert len(validating) == 2 * config.validation


def test_every_recording_shows_something_else(folder: Path) -> None:
    paths = {}
    for name in ALL:
        truth = read_truth(folder / f"{name}_front.mp4", "front")
        assert truth is not None
        paths[name] = truth.joint_positions[:16]
    for first in ALL:
        for second in ALL:
            assert first == second or not np.allclose(paths[first], paths[second], atol=0.05)


def test_play_strays_or_moves_few_joints_where_demonstrations_go_straight(make_kuka: MakeKuka) -> None:
    env = make_kuka(camera=None)
    few = strayed = 0
    for seed in range(40):
        demo = joint_path(env, "demo", 40, np.random.default_rng([0, seed]))
        ends = np.sort([demo[0], demo[-1]], axis=0)
        assert (demo >= ends[0] - 1e-9).all()
        assert (demo <= ends[1] + 1e-9).all()
        play = joint_path(env, "play", 40, np.random.default_rng([1, seed]))
        assert (play >= env.joint_lower).all()
        assert (play <= env.joint_upper).all()
        moved = (np.ptp(play, axis=0) > 0).sum()
        assert moved in (1, 2, JOINTS)
        few += moved <= 2
        strayed += moved == JOINTS
    assert few > strayed > 0


def test_the_demonstration_is_none_of_the_recordings_and_recorded_once(tmp_path: Path, folder: Path) -> None:
    first = record_demonstration(TINY, 0, tmp_path / "new")
    second = record_demonstration(TINY, 1, tmp_path / "new")
    assert first.name == "heldout_0000_front.mp4"
    truths = [read_truth(video, "front") for video in (first, second, *(folder / f"{name}_front.mp4" for name in ALL))]
    starts = np.array([truth.joint_positions[0] for truth in truths if truth is not None])
    assert len(starts) == 2 + len(ALL)
    assert len(np.unique(starts.round(3), axis=0)) == len(starts)
    before = files(tmp_path / "new")
    assert record_demonstration(TINY, 0, tmp_path / "new") == first
    assert files(tmp_path / "new") == before


def test_truth_and_start_are_those_beside_the_video_if_any(tmp_path: Path, folder: Path) -> None:
    truth = read_truth(folder / "demo_0000_side.mp4", "side")
    config = replace(TINY, cameras=("side",))
    start = read_start(folder / "demo_0000_side.mp4", config)
    assert truth is not None
    assert start is not None
    np.testing.assert_array_equal(start, truth.joint_positions[0])
    foreign = shutil.copy(folder / "demo_0000_side.mp4", tmp_path / "demo_0000_side.mp4")
    assert read_truth(Path(foreign), "side") is None
    assert read_start(Path(foreign), config) is None


def test_recordings_are_read_as_clips(folder: Path) -> None:
    clips = load_clips(folder, TINY.training, TINY.cameras, TINY.image_size)
    assert [video.shape for video in clips.videos] == [(2, 16, 32, 32, 3)] * 2 + [(2, 20, 32, 32, 3)] * 2


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A video with its truth and its card, to be damaged."""
    for path in folder.glob("heldout_0000*"):
        shutil.copy(path, tmp_path)
    return tmp_path / "heldout_0000_front.mp4"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_truth_is_one_error_that_names_it(copied: Path, share: float) -> None:
    truth = copied.with_name("heldout_0000_truth.npz")
    truth.write_bytes(truth.read_bytes()[: int(share * truth.stat().st_size)])
    with pytest.raises(FileError, match=r"The truth .*heldout_0000_truth\.npz is damaged.*copy it again, or delete it"):
        read_truth(copied, "front")


@pytest.mark.parametrize("rows", [5, 15, 17, 0])
def test_a_truth_has_as_many_rows_as_its_video_has_frames(copied: Path, rows: int) -> None:
    truth = read_truth(copied, "front")
    assert truth is not None
    assert len(truth.joint_positions) == len(truth.link_positions) == TINY.demo_frames == 16
    np.savez(
        copied.with_name("heldout_0000_truth.npz"),
        joint_positions=np.zeros((rows, 7)),
        link_positions=truth.link_positions,
    )
    with pytest.raises(FileError, match=rf"joint_positions of shape \({rows}, 7\), and \(16, 7\) is asked for"):
        read_truth(copied, "front")


def test_a_truth_is_cut_where_the_views_end(copied: Path) -> None:
    truth = read_truth(copied, "front")
    assert truth is not None
    cut = truth.first(14)
    np.testing.assert_array_equal(cut.joint_positions, truth.joint_positions[:14])
    np.testing.assert_array_equal(cut.link_positions, truth.link_positions[:14])


START = "[0.1, 0, 0, -0.5, 0, 0.5, 0]"


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("{}", "lacks start"),
        ("", "is damaged"),
        ("[]", "holds no JSON object"),
        ("[" * 100_000, r"is damaged or of another kind \(RecursionError\)"),
        ('{"start": ' + "[" * 900 + "]" * 900 + "}", "starts the arm at"),
        (f'{{"start": {START.replace("0.1", "1e308")}}}', r"starts the arm at \[1e\+308, .*takes 7 joint positions"),
        (f'{{"start": {START.replace("0.1", "NaN")}}}', r"starts the arm at \[nan"),
        (f'{{"start": {START.replace("0.1", "1" + 400 * "0")}}}', "starts the arm at"),
        (f'{{"start": {START.replace("0.1", "true")}}}', r"starts the arm at \[True"),
        ('{"start": [100, 100, 100, 100, 100, 100, 100]}', r"in radians, -2\.97 to 2\.97, -2\.09 to 2\.09"),
        ('{"start": [0, 0, 0, 0, 0, 0]}', "it takes 7 joint positions"),
        ('{"start": "0000000"}', "starts the arm at '0000000'"),
        ('{"start": null}', "starts the arm at None"),
    ],
)
def test_a_card_that_holds_no_pose_is_refused_with_what_it_takes(copied: Path, card: str, message: str) -> None:
    path = copied.with_name("heldout_0000.json")
    path.write_text(card)
    with pytest.raises(FileError, match=rf"The card .*heldout_0000\.json.*{message}.*"):
        read_start(copied, TINY)


def test_a_card_that_is_no_text_or_no_file_is_refused_at_once(copied: Path) -> None:
    path = copied.with_name("heldout_0000.json")
    path.write_bytes(b'{"start": "\xff"}')
    with pytest.raises(FileError, match="is damaged"):
        read_start(copied, TINY)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FileError, match="is no plain file"):
        read_start(copied, TINY)


def test_a_pose_at_the_limits_is_one(copied: Path, make_kuka: MakeKuka) -> None:
    upper = make_kuka(camera=None).joint_upper
    copied.with_name("heldout_0000.json").write_text(json.dumps({"start": upper.tolist()}))
    start = read_start(copied, TINY)
    assert start is not None
    np.testing.assert_array_equal(start, upper)


def test_a_card_that_differs_from_the_truth_is_refused(copied: Path) -> None:
    assert check_recording(copied, TINY) is not None
    card = copied.with_name("heldout_0000.json")
    content = json.loads(card.read_text())
    content["start"][3] += 0.01
    card.write_text(json.dumps(content))
    with pytest.raises(FileError, match=r"The card of .*heldout_0000_front\.mp4 starts the arm at .* the truth at"):
        check_recording(copied, TINY)
    card.unlink()
    assert check_recording(copied, TINY) is not None
    copied.with_name("heldout_0000_truth.npz").unlink()
    assert check_recording(copied, TINY) is None
