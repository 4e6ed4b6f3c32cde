"""Files that appear whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.files import write_atomically


def test_the_bytes_arrive_and_nothing_is_left_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    write_atomically(path, b"\x00\xffdata")
    assert path.read_bytes() == b"\x00\xffdata"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_older_file_is_replaced_and_a_reader_of_it_keeps_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    write_atomically(path, b"old" * 1000)
    with path.open("rb") as reader:
        write_atomically(path, b"new")
        assert reader.read() == b"old" * 1000
    assert path.read_bytes() == b"new"


def test_a_missing_folder_is_a_value_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere/file\.bin cannot be written"):
        write_atomically(tmp_path / "nowhere" / "file.bin", b"")


def test_a_place_taken_by_a_folder_is_a_value_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    (taken / "inside").mkdir(parents=True)
    with pytest.raises(ValueError, match="taken cannot be written"):
        write_atomically(taken, b"data")
    assert list(tmp_path.iterdir()) == [taken]
