"""Files that appear whole, and are read with one error."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from encoders.files import (
    FileError,
    read_arrays,
    read_bytes,
    read_object,
    read_rows,
    read_toml,
    reading,
    write_atomically,
)


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


def _npz(**arrays: object) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def test_arrays_come_back_as_they_were_saved(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    saved = {"f": np.arange(6.0).reshape(2, 3), "b": np.array([True, False]), "n": np.array(3), "e": np.zeros((0, 4))}
    path.write_bytes(_npz(**saved))
    found = read_arrays(path, "truth", "copy it again", 10_000)
    assert found.keys() == saved.keys()
    for name, value in saved.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    "array",
    [np.array([1j]), np.array(["text"]), np.array([None], dtype=object)],
    ids=["complex", "text", "object"],
)
def test_arrays_that_hold_no_real_numbers_are_refused(tmp_path: Path, array: object) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(_npz(a=array))
    with pytest.raises(FileError, match=r"truth .*a\.npz is damaged or of another kind .*copy it again"):
        read_arrays(path, "truth", "copy it again", 10_000)


def test_a_small_file_of_huge_arrays_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    content = io.BytesIO()
    np.savez_compressed(content, a=np.zeros(3_000_000, np.uint8))
    path.write_bytes(content.getvalue())
    with pytest.raises(FileError, match="3000128 bytes, more than the 10000"):
        read_arrays(path, "truth", "copy it again", 10_000)


def test_a_header_that_announces_more_than_there_is_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    content = _npz(a=np.zeros(100, np.uint8))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        array = archive.read("a.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", array.replace(b"(100,), }    ", b"(1000000,), }"))
    with pytest.raises(FileError, match="damaged"):
        read_arrays(path, "truth", "copy it again", 10_000)


@pytest.mark.parametrize("kept", range(0, 500, 23))
def test_a_truncated_archive_is_one_error_that_names_the_file(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(_npz(a=np.arange(50.0), b=np.arange(7))[:kept])
    with pytest.raises(FileError, match=r"a\.npz.*copy it again"):
        read_arrays(path, "truth", "copy it again", 10_000)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b'{"a": "\xff"}', b"3", b'{"b": 1}', b"null"])
def test_what_is_no_object_with_its_keys_is_one_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"card .*c\.json.*record it again"):
        read_object(path, "card", "record it again", ["a"])


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(b"\xef\xbb\xbfname,frame\r\nx,1\r\n\r\n")
    assert read_rows(path, "labels", "write them again") == (("name", "frame"), [{"name": "x", "frame": "1"}])


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b,a\n1,2,3\n", "column 'a' twice"), ("a,b\n1\n", "1 cells in row 2"), ("a,b\n1,2,3\n", "3 cells in row 2")],
)
def test_tables_whose_cells_have_no_one_column_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(FileError, match=message):
        read_rows(path, "labels", "write them again")


def test_a_long_cell_is_taken_and_a_huge_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("a\n" + "x" * 131_073)
    assert len(read_rows(path, "labels", "write them again")[1][0]["a"]) == 131_073
    path.write_text("a\n" + "x" * (2**20 + 1))
    with pytest.raises(FileError, match="write them again"):
        read_rows(path, "labels", "write them again")


@pytest.mark.parametrize("text", ["a = [", "a = " + "[" * 5000, "a = 1\na = 2"])
def test_what_is_no_toml_is_one_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(FileError, match=r"preset .*p\.toml.*mend it"):
        read_toml(path, "preset", "mend it")


def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(FileError, match="no plain file"):
        read_bytes(path, "card", "record it again")


def test_a_missing_file_is_an_error_that_says_what_it_was_to_be(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"There is no card at .*nowhere"):
        read_bytes(tmp_path / "nowhere", "card", "record it again")


def test_messages_of_libraries_do_not_reach_the_user(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(FileError) as caught, reading(path, "truth", "copy it again"):
        raise ValueError("set allow_pickle=True")
    assert "allow_pickle" not in str(caught.value)
