"""Arrays in files: of the shapes that are expected, or one error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.files import FileError
from experiments.runs.arrays import Layout, read_layout

LAYOUT = {"path": Layout((4, 2)), "frames": Layout((4, 3), np.uint8), "total": Layout(())}
GOOD = {"path": np.arange(8.0).reshape(4, 2), "frames": np.zeros((4, 3), np.uint8), "total": np.array(1.5)}


def saved(folder: Path, **changes: object) -> Path:
    path = folder / "arrays.npz"
    np.savez(path, **{**GOOD, **changes})  # type: ignore[arg-type]
    return path


def test_arrays_come_back_in_the_types_that_are_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path, path=GOOD["path"].astype(np.float32), more=np.zeros(3))
    found = read_layout(path, "truth", "copy it again", LAYOUT)
    assert {name: array.dtype for name, array in found.items()} == {
        "path": np.float64,
        "frames": np.uint8,
        "total": np.float64,
    }
    for name, array in found.items():
        np.testing.assert_array_equal(array, GOOD[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": np.zeros((3, 2))}, r"path of shape \(3, 2\), and \(4, 2\) is asked for; copy it again"),
        ({"path": np.zeros((2, 4))}, "path of shape"),
        ({"path": np.zeros(8)}, "path of shape"),
        ({"total": np.zeros(1)}, r"total of shape \(1,\), and \(\) is asked for"),
        ({"path": np.zeros((4, 2), int)}, "path of int64, and float64 is asked for"),
        ({"path": np.zeros((4, 2), bool)}, "path of bool"),
        ({"frames": np.zeros((4, 3))}, "frames of float64, and uint8"),
        ({"frames": np.zeros((4, 3), np.int8)}, "frames of int8"),
        ({"path": np.zeros((4, 2), complex)}, "damaged or of another kind"),
        ({"path": np.full((4, 2), "text")}, "damaged or of another kind"),
        ({"path": np.full((4, 2), None)}, "damaged or of another kind"),
        ({"path": np.full((4, 2), np.nan)}, "path with numbers that are not finite"),
        ({"total": np.array(-np.inf)}, "total with numbers that are not finite"),
        ({"more": np.zeros(10_000)}, "bytes, more than the"),
    ],
)
def test_what_is_of_another_shape_or_type_is_refused_by_name(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = saved(tmp_path, **changes)
    with pytest.raises(FileError, match=rf"truth .*arrays\.npz.*{message}"):
        read_layout(path, "truth", "copy it again", LAYOUT)


def test_an_array_that_is_missing_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", frames=GOOD["frames"], total=GOOD["total"])  # type: ignore[arg-type]
    with pytest.raises(FileError, match=r"truth .*arrays\.npz lacks path; copy it again"):
        read_layout(tmp_path / "arrays.npz", "truth", "copy it again", LAYOUT)
