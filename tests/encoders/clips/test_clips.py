"""Clips, and batches drawn from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from foreign_videos import by_ffmpeg

from encoders.base import FrameBatch, Sampling
from encoders.clips.clips import Clips, load_clips, open_folder, read_labels, sample_batch
from encoders.files import FileError
from encoders.videos.video import write_video

PAIRS = Sampling(videos=5, frames=6, span=20, views=2)


def draw(clips: Clips, sampling: Sampling = PAIRS, seed: int = 0) -> FrameBatch:
    return sample_batch(clips, sampling, np.random.default_rng(seed))


def test_the_same_generator_gives_the_same_batch(clips: Clips) -> None:
    for first, second in zip(draw(clips), draw(clips), strict=True):
        assert first.equal(second)
    assert not draw(clips).time.equal(draw(clips, seed=1).time)


def test_a_batch_has_as_many_frames_as_asked_for(clips: Clips) -> None:
    batch = draw(clips)
    assert batch.frames.shape == (60, 3, 4, 4)
    assert str(batch.frames.dtype) == "torch.uint8"
    for index, count in ((batch.video, 5), (batch.view, 2)):
        assert index.unique().tolist() == list(range(count))
        assert index.bincount().unique().tolist() == [60 // count]


def test_every_frame_is_the_one_that_its_indices_name(clips: Clips) -> None:
    for seed in range(5):
        batch = draw(clips, seed=seed)
        assert batch.frames[:, 2, 0, 0].tolist() == batch.time.tolist()
        for position in range(PAIRS.videos):
            for view in range(PAIRS.views):
                part = batch.frames[(batch.video == position) & (batch.view == view)]
                assert len(part[:, :2].flatten(2).unique(dim=0)) == 1, "one stretch comes from one video and camera"


def test_the_moments_of_a_video_are_distinct_ordered_and_within_the_span(clips: Clips) -> None:
    for seed in range(20):
        batch = draw(clips, seed=seed)
        for position in range(PAIRS.videos):
            time = batch.time[(batch.video == position) & (batch.view == 0)]
            assert (time.diff() > 0).all()
            assert time[-1] - time[0] < PAIRS.span


def test_two_views_share_their_moments_and_come_from_different_cameras(clips: Clips) -> None:
    for seed in range(20):
        batch = draw(clips, seed=seed)
        for position in range(PAIRS.videos):
            here = batch.video == position
            first, second = here & (batch.view == 0), here & (batch.view == 1)
            assert batch.time[first].equal(batch.time[second])
            assert batch.frames[first][0, 0, 0, 0] == batch.frames[second][0, 0, 0, 0]
            assert batch.frames[first][0, 1, 0, 0] != batch.frames[second][0, 1, 0, 0]


def test_every_video_camera_and_moment_is_drawn_some_time(clips: Clips) -> None:
    seen = set()
    for seed in range(600):
        batch = draw(clips, Sampling(videos=8, frames=10, span=20, views=1), seed)
        seen.update(map(tuple, batch.frames[:, :, 0, 0].tolist()))
    everything = {
        (video, view, time)
        for video, frames in enumerate(clips.videos)
        for view in range(frames.shape[0])
        for time in range(frames.shape[1])
    }
    assert seen == everything


def test_a_video_shorter_than_the_span_gives_what_it_has() -> None:
    short = Clips((np.zeros((1, 4, 4, 4, 3), np.uint8),), ("short",))
    batch = draw(short, Sampling(videos=2, frames=6, span=20, views=1))
    assert batch.time.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_too_few_views_are_a_value_error_that_names_the_video(clips: Clips) -> None:
    with pytest.raises(ValueError, match=r"a has 2 view\(s\) .* needs 3"):
        draw(clips.subset([0]), Sampling(videos=1, frames=2, span=5, views=3))


def test_a_subset_keeps_videos_and_names_together(clips: Clips) -> None:
    some = clips.subset([2, 0])
    assert len(some) == 2
    assert some.names == ("c", "a")
    assert [video[0, 0, 0, 0, 0] for video in some.videos] == [2, 0]


def write(folder: Path, name: str, grey: int, count: int = 4, size: int = 16) -> None:
    write_video(folder / f"{name}.mp4", np.full((count, size, size, 3), grey, np.uint8), 20)


def greys(clips: Clips) -> list[list[int]]:
    return [[round(float(np.mean(view)) / 10) * 10 for view in video] for video in clips.videos]


def test_videos_are_loaded_in_the_order_of_names_and_cameras(tmp_path: Path) -> None:
    for grey, name in enumerate(["x_front", "x_side", "y_front", "y_side"]):
        write(tmp_path, name, 40 + 50 * grey, count=4 if name[0] == "x" else 6)
    clips = load_clips(tmp_path, ["y", "x"], ["side", "front"], 8)
    assert clips.names == ("y", "x")
    assert [video.shape for video in clips.videos] == [(2, 6, 8, 8, 3), (2, 4, 8, 8, 3)]
    assert greys(clips) == [[190, 140], [90, 40]]


def test_views_of_different_lengths_and_missing_views_are_named(tmp_path: Path) -> None:
    write(tmp_path, "x_front", 0, count=4)
    with pytest.raises(ValueError, match=r"x_side\.mp4"):
        load_clips(tmp_path, ["x"], ["front", "side"], 8)
    write(tmp_path, "x_side", 0, count=5)
    message = rf"recording in {tmp_path} differ in frames: x_front\.mp4 has 4, x_side\.mp4 has 5"
    with pytest.raises(ValueError, match=message):
        load_clips(tmp_path, ["x"], ["front", "side"], 8)


def test_a_batch_from_files_is_the_batch_from_the_same_frames_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a_view0", "a_view1", "b_view0", "b_view1"):
        write_video(tmp_path / f"{name}.mp4", rng.integers(0, 256, (80, 16, 16, 3), np.uint8), 20)
    files = open_folder(tmp_path, 8, memory_bytes=1)
    memory = Clips(tuple(np.asarray(video) for video in files.videos), files.names)
    for seed in range(3):
        for left, right in zip(draw(files, seed=seed), draw(memory, seed=seed), strict=True):
            assert left.equal(right)


def folder_of(folder: Path, *names: str) -> Path:
    for position, name in enumerate(names):
        write(folder, name, 40 + 30 * position)
    return folder


def test_a_folder_is_opened_in_the_order_of_its_names_and_views(tmp_path: Path) -> None:
    # Written in another order; the tenth view follows the second, and other files do not matter.
    folder_of(tmp_path, "b_view10", "b_view2", "a_c_view2", "a_c_view10", "note")
    (tmp_path / "b_truth.npz").touch()
    (tmp_path / "labels.csv").touch()
    (tmp_path / "a_view2").mkdir()
    clips = open_folder(tmp_path, 8)
    assert clips.names == ("a_c", "b")
    assert [video.shape for video in clips.videos] == [(2, 4, 8, 8, 3)] * 2
    assert greys(clips) == [[100, 130], [70, 40]]


def test_a_folder_may_hold_any_containers_lengths_and_sizes(tmp_path: Path) -> None:
    by_ffmpeg(tmp_path / "pour_view0.avi", "-c:v", "mpeg4", seconds=2.0)
    by_ffmpeg(tmp_path / "pour_view1.MOV", seconds=2.0)
    by_ffmpeg(tmp_path / "my.cup_view0.mkv", size="64x48")
    by_ffmpeg(tmp_path / "my.cup_view1.webm", size="64x48")
    clips = open_folder(tmp_path, 24)
    assert clips.names == ("my.cup", "pour")
    assert [video.shape for video in clips.videos] == [(2, 20, 24, 24, 3), (2, 40, 24, 24, 3)]
    for video in clips.videos:
        assert abs(video[0].astype(int) - video[1]).mean() < 12


def test_a_folder_of_single_views_is_opened(tmp_path: Path) -> None:
    clips = open_folder(folder_of(tmp_path, "a_view0", "b_view0", "c_view0"), 8)
    assert [video.shape for video in clips.videos] == [(1, 4, 8, 8, 3)] * 3


def test_a_view_that_other_recordings_have_is_missed_by_name(tmp_path: Path) -> None:
    folder_of(tmp_path, "a_view0", "a_view1", "b_view0")
    with pytest.raises(ValueError, match=rf"{tmp_path} has no b_view1, and other recordings have that view"):
        open_folder(tmp_path, 8)


def test_a_view_that_is_there_twice_is_named(tmp_path: Path) -> None:
    folder_of(tmp_path, "a_view0", "b_view0")
    by_ffmpeg(tmp_path / "a_view0.avi")
    with pytest.raises(ValueError, match=r"a_view0\.avi and a_view0\.mp4 are the same view"):
        open_folder(tmp_path, 8)


def test_fewer_than_two_recordings_and_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds 0 recording\(s\) named NAME_view0\.mp4.*at least 2"):
        open_folder(tmp_path, 8)
    folder_of(tmp_path, "a_view0", "a_view1", "b_front")
    with pytest.raises(ValueError, match=r"holds 1 recording\(s\)"):
        open_folder(tmp_path, 8)
    for path in (tmp_path / "nothing", tmp_path / "a_view0.mp4"):
        with pytest.raises(ValueError, match=rf"There is no folder {path}"):
            open_folder(path, 8)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [(b"", "is empty"), (b"no video at all" * 99, "cannot be decoded"), (None, "has no frames")],
)
def test_a_bad_file_among_good_ones_is_named(tmp_path: Path, content: bytes | None, wrong: str) -> None:
    folder_of(tmp_path, *(f"{name}_view{view}" for name in "abcd" for view in (0, 1)))
    bad = tmp_path / "c_view1.mp4"
    bad.unlink()
    if content is None:
        bad = by_ffmpeg(tmp_path / "c_view1.avi", "-frames:v", "0")
    else:
        bad.write_bytes(content)
    with pytest.raises(ValueError, match=f"{bad} {wrong}"):
        open_folder(tmp_path, 8)


LABELS = """name,frame,reaching,pouring
b,0,1,0
b,1,1,0
a,1,0,1
a,0,0,0
a,2,1,1
other,0,1,1
"""


def labelled(folder: Path, text: str = LABELS) -> Clips:
    (folder / "labels.csv").write_text(text)
    return Clips(tuple(np.zeros((2, length, 4, 4, 3), np.uint8) for length in (3, 2)), ("a", "b"))


def test_labels_are_in_the_order_of_clips_and_frames(tmp_path: Path) -> None:
    labels = read_labels(tmp_path, labelled(tmp_path))
    assert labels is not None
    assert labels.attributes == ("reaching", "pouring")
    assert [video.dtype for video in labels.videos] == [np.bool_] * 2
    assert [video.astype(int).tolist() for video in labels.videos] == [[[0, 0], [0, 1], [1, 1]], [[1, 0], [1, 0]]]
    turned = read_labels(tmp_path, labelled(tmp_path).subset([1, 0]))
    assert turned is not None
    assert [len(video) for video in turned.videos] == [2, 3]
    some = labels.subset([1])
    assert some.attributes == labels.attributes
    assert [video.tolist() for video in some.videos] == [labels.videos[1].tolist()]


def test_without_the_file_there_are_no_labels(tmp_path: Path) -> None:
    clips = labelled(tmp_path)
    (tmp_path / "labels.csv").unlink()
    assert read_labels(tmp_path, clips) is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a,1,0,1\n", "", r"no label for frame 1 of a, which has 3 frames"),
        ("b,0,1,0\nb,1,1,0\n", "", r"no label for frame 0 of b, which has 2 frames"),
        ("a,1,0,1\n", "a,1,0,1\na,1,0,1\n", r"labels frame 1 of a twice"),
        ("a,1,0,1", "a,1,0,2", r"labels frame 1 of a with \['0', '2'\]; labels must be 0 or 1"),
        ("a,1,0,1", "a,1,0,", r"labels frame 1 of a with \['0', ''\]"),
        ("a,1,0,1", "a,1,0", r"labels frame 1 of a with \['0', None\]"),
        ("a,1,0,1", "a,1,0,1,1", r"labels frame 1 of a with .*; labels must be 0 or 1, one an attribute"),
        ("a,1,0,1", "a,1,0,1\na,3,0,1", r"labels frame 3 of a, which has no such frame"),
        ("a,1,0,1", "a,1,0,1\na,-1,0,1", r"labels frame -1 of a, which has no such frame"),
        ("name,frame,", "frame,name,", r"columns .*'frame', 'name'.* must be name, frame and at least one attribute"),
        ("name,frame,", "video,frame,", r"columns .*'video'.* must be name, frame"),
        (LABELS, "name,frame\na,0\n", r"at least one attribute"),
        (LABELS, "", r"columns \(\); they must be"),
    ],
)
def test_labels_that_do_not_fit_the_clips_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in LABELS
    clips = labelled(tmp_path, LABELS.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"{tmp_path}/labels\.csv .*{message}"):
        read_labels(tmp_path, clips)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LABELS.replace("pouring", "reaching").encode(), "has the column 'reaching' twice"),
        (LABELS.encode() + "é".encode("latin-1"), r"table of labels .*labels\.csv is damaged or of another kind"),
        (LABELS.encode() + b"a,3,0," + b"1" * 2**21, "is damaged or of another kind"),
        (LABELS.encode() + b'a,3,0,"1', "is damaged or of another kind"),
    ],
    ids=["column twice", "no UTF-8", "huge cell", "open quote"],
)
def test_a_damaged_table_of_labels_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    clips = labelled(tmp_path)
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(FileError, match=message):
        read_labels(tmp_path, clips)
