"""Files read and written: bounded, whole or not at all, and all of one writer."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from planner import files
from planner.errors import InputError, OutputError
from planner.files import SUMS, check_file, read_bytes, strange_files, write_file, write_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files of POSIX")


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_special_files_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="not a regular file"):
            read_bytes(path, "it")
    with pytest.raises(InputError, match="Is a directory"):
        read_bytes(tmp_path, "it")


def test_no_more_is_read_than_allowed(tmp_path: Path) -> None:
    (tmp_path / "ten").write_bytes(bytes(10))
    assert read_bytes(tmp_path / "ten", "it", 10) == bytes(10)
    with pytest.raises(InputError, match="larger than 9 bytes"):
        read_bytes(tmp_path / "ten", "it", 9)


@pytest.mark.usefixtures("umask")
def test_new_files_have_the_permissions_of_any_and_old_ones_keep_theirs(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.touch()
    old.chmod(0o604)
    for name in ("old", "new"):
        write_file(b"content", tmp_path / name)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"old": 0o604, "new": 0o640}


def test_a_read_only_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"kept")
    path.chmod(0o444)
    with pytest.raises(InputError, match="read-only"):
        check_file(path)
    with pytest.raises(OutputError, match="read-only"):
        write_folder(tmp_path, {"kept": b"other"})
    assert path.read_bytes() == b"kept"


@pytest.mark.parametrize("unnamed", [True, False])
def test_nothing_is_left_of_a_write_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unnamed: bool
) -> None:
    """Nor of one that is killed, where files without names are there to be written."""
    if not unnamed:
        monkeypatch.setattr(files, "FILES_OF_PROCESS", tmp_path / "nowhere")
    write_file(b"earlier", tmp_path / "out")

    def full(_handle: int, _mode: str) -> object:
        assert unnamed == (list(tmp_path.iterdir()) == [tmp_path / "out"])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fdopen", full)
        with pytest.raises(OutputError, match="No space left"):
            write_file(b"later", tmp_path / "out")
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    assert (tmp_path / "out").read_bytes() == b"earlier"
    write_file(b"later", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"later"


def test_files_of_a_folder_carry_their_hashes(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": b"1", "b": b"2"}, {"time": b"3"})
    assert not strange_files(tmp_path / "a")
    (tmp_path / "time").write_bytes(b"4")
    assert not strange_files(tmp_path / "a")
    (tmp_path / "b").write_bytes(b"3")
    assert strange_files(tmp_path / "a") == {
        "b": f"{tmp_path / 'b'} is not the file that was written"
    }
    (tmp_path / "b").unlink()
    assert strange_files(tmp_path / "a") == {"b": f"{tmp_path / 'b'} is missing"}
    (tmp_path / "c").touch()
    assert not strange_files(tmp_path / "c")


@pytest.mark.skipif(os.name != "posix", reason="who holds a folder is known on POSIX")
def test_what_a_killed_writer_left_beside_its_files_goes_with_the_next(tmp_path: Path) -> None:
    """And nothing else: a kill between naming a whole file and putting it there leaves it."""
    for name in (".a.0123abcd", ".a.keep", ".b.0123abcd", ".a.0123abcd.txt"):
        (tmp_path / name).touch()
    write_folder(tmp_path, {"a": b"1"})
    assert {path.name for path in tmp_path.iterdir()} == {
        "a", "SHA256SUMS", ".a.keep", ".b.0123abcd", ".a.0123abcd.txt",
    }  # fmt: skip


def test_files_of_a_folder_are_all_of_one_writer(tmp_path: Path) -> None:
    names = [f"{number}.csv" for number in range(8)]

    def write(writer: int) -> None:
        for _ in range(20):
            write_folder(tmp_path, dict.fromkeys(names, b"%d" % writer))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len({(tmp_path / name).read_bytes() for name in names}) == 1
    assert not strange_files(tmp_path / names[0])
    assert {path.name for path in tmp_path.iterdir()} == {*names, SUMS}
