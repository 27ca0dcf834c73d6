"""Files that a user asks for: checked before a long run, written whole or not at all."""

from __future__ import annotations

import csv
import errno
import io
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from pathlib import Path, PurePath

from planner.errors import InputError, OutputError, printable

if sys.platform != "win32":
    import fcntl

#: Largest file that is read, far above any real one.
MOST_BYTES = 50_000_000
#: List of hashes of the files of a folder, as `sha256sum --check` takes it.
SUMS = "SHA256SUMS"
FILES_OF_PROCESS = Path("/proc/self/fd")
#: Variable of the environment with the time at which files are made, in seconds since 1970.
EPOCH = "SOURCE_DATE_EPOCH"
READ_ONLY = "is a read-only file"


def read_bytes(path: Path, shown: str, most: int | None = None) -> bytes:
    """Read a file of bounded size; devices, pipes and the like are none.

    Parameters
    ----------
    shown
        What the file is called in problems.
    most
        Largest size, bytes; None for that of any file but large ones.

    Raises
    ------
    InputError
        If the file is missing, unreadable, not a regular one, or too large.
    """
    most = MOST_BYTES if most is None else most
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", getattr(os, "O_BINARY", 0)))
        with os.fdopen(handle, "rb") as stream:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise InputError.single(shown, "cannot be read: it is not a regular file")
            content = stream.read(min(most, found.st_size) + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError.single(shown, f"cannot be read: {reason}") from error
    if len(content) > most:
        raise InputError.single(shown, f"larger than {most:,} bytes")
    return content


def package_text(package: str, name: str) -> str:
    """Text of a file that is shipped beside the modules of a package."""
    text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def package_table(package: str, name: str) -> tuple[dict[str, str], ...]:
    """Rows of a CSV table that is shipped beside the modules of a package."""
    return tuple(csv.DictReader(io.StringIO(package_text(package, name))))


def check_file(path: Path, *endings: str) -> None:
    """Check that a file can be written.

    Parameters
    ----------
    endings
        How its name may end; none given means in any way.

    Raises
    ------
    InputError
        If its name has another ending, it is a folder, or it stands in none that can be written.
    """
    if endings and path.suffix.lower() not in endings:
        raise InputError.single(str(path), f"expected a name that ends in {' or '.join(endings)}")
    try:
        is_folder, is_in_folder = path.is_dir(), path.parent.is_dir()
    except OSError as error:
        # A name that is too long, for one.
        raise InputError.single(str(path), f"cannot be written: {error.strerror}") from error
    if is_folder:
        raise InputError.single(str(path), "is a folder; expected a file to write")
    if not (is_in_folder and os.access(path.parent, os.W_OK | os.X_OK)):
        message = f"cannot be written: {path.parent} is not a writable folder"
        raise InputError.single(str(path), message)
    if _is_read_only(path):
        raise InputError.single(str(path), READ_ONLY)


def check_folder(folder: Path) -> None:
    """Check before a long run that a folder can be made or written.

    Raises
    ------
    InputError
        If it cannot.
    """
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    except OSError as error:
        raise InputError.single(str(folder), f"cannot be written: {error.strerror}") from error
    if not writable:
        message = f"cannot be written: {existing} is not a writable folder"
        raise InputError.single(str(folder), message)
    for file in (folder / SUMS, folder / "plan.json", folder / "roadmap.json"):
        if _is_read_only(file):
            raise InputError.single(str(file), READ_ONLY)


def write_file(content: bytes, path: Path) -> None:
    """Write a file, whole or not at all.

    Raises
    ------
    InputError
        If it is no place for a file.
    OutputError
        If it cannot be written all the same.
    """
    check_file(path)
    try:
        replace_files({path: content})
    except OSError as error:
        raise OutputError(path, error) from error


def write_folder(
    folder: Path, contents: Mapping[str, bytes], aside: Mapping[str, bytes] | None = None
) -> None:
    """Write files of a folder that belong together, with their hashes in a file ``SHA256SUMS``.

    Whoever else writes into the folder waits until all are there, so that they are of one writer.

    Parameters
    ----------
    aside
        Files that differ from run to run, without a hash.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    sums = "".join(f"{sha256(contents[name]).hexdigest()}  {name}\n" for name in sorted(contents))
    files = {**(aside or {}), **contents, SUMS: sums.encode()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(folder, files):
            replace_files({folder / name: content for name, content in files.items()})
    except OSError as error:
        raise OutputError(folder, error) from error


def strange_files(path: Path) -> dict[str, str]:
    """Files, by name, that are not those written together with one of them (`write_folder`).

    Parameters
    ----------
    path
        One of them; nothing is known of it where its folder has no list of hashes or not its name.
    """
    sums, strange = path.parent / SUMS, dict[str, str]()
    if not sums.is_file():
        return strange
    lines = read_bytes(sums, str(sums)).decode("utf-8", "replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for name, digest in listed.items() if path.name in listed else ():
        file = path.parent / PurePath(name).name
        if not file.is_file():
            strange[name] = f"{file} is missing"
        elif sha256(read_bytes(file, str(file))).hexdigest() != digest:
            strange[name] = f"{file} is not the file that was written"
    return strange


@contextmanager
def _alone_in(folder: Path, names: Iterable[str]) -> Iterator[None]:
    """Hold a folder while writing files into it; a lock on itself, which leaves nothing behind.

    What writers of these files had beside their places when they were killed is removed.
    """
    with ExitStack() as stack:
        if sys.platform != "win32":
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
            for left in (path for name in names for path in folder.glob(f".{name}.????????")):
                left.unlink(missing_ok=True)
        yield


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write files beside their places, then put them there: each is whole, or as it was.

    Raises
    ------
    OSError
        If one cannot be written; its `filename` says which.
    """
    with ExitStack() as stack:
        try:
            written: dict[Path, Path] = {}
            for path, content in contents.items():
                if path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, "is a directory")
                if _is_read_only(path):
                    raise PermissionError(errno.EACCES, READ_ONLY)
                written[path] = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
                stack.callback(written[path].unlink, missing_ok=True)
                _write_beside(path, written[path], content)
            for path, beside in written.items():
                beside.replace(path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def _write_beside(path: Path, beside: Path, content: bytes) -> None:
    """Write a file that takes the place of another, with its permissions.

    Where the system has files without names it has none until it is whole: a kill leaves nothing.
    """
    unnamed = getattr(os, "O_TMPFILE", 0) if FILES_OF_PROCESS.is_dir() else 0
    try:
        handle = os.open(path.parent, unnamed | os.O_WRONLY, 0o666)
    except OSError as error:
        if unnamed and error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        unnamed = 0
        handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        if unnamed:
            # With a descriptor Python asks for the file behind the link, which has no folder.
            os.link(FILES_OF_PROCESS / str(handle), beside, src_dir_fd=handle)
    if path.exists():
        beside.chmod(stat.S_IMODE(path.stat().st_mode))


def _is_read_only(path: Path) -> bool:
    """Whether a file is there that nobody may write; the superuser could, and should not."""
    return path.is_file() and not path.stat().st_mode & 0o222


def now() -> str:
    """Time of creation; SOURCE_DATE_EPOCH pins it for reproducible files.

    Raises
    ------
    InputError
        If that is not a time in seconds since 1970.
    """
    epoch = os.environ.get(EPOCH, "")
    try:
        moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    except (ValueError, OverflowError, OSError) as error:
        message = f"expected seconds since 1970, not `{printable(epoch)}`"
        raise InputError.single(EPOCH, message) from error
    return moment.isoformat(timespec="seconds")
