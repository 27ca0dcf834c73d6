"""Checkpoints: what a long run has worked out, kept so that it can go on after it was killed.

A run is a function of its model and its options. So its expensive results (solved programmes,
verdicts of simulations) are kept by the digest of what they were worked out from, and a run that is
resumed does everything again, with these at hand: bounds and cuts follow as before.

The file holds a line for each result, added when it is there: ``checksum key value``, the value
as JSON. The first says which run it is. A last line that is not whole was being written when the
run was killed; it does not count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from planner.errors import InputError, Problem, refuse
from planner.files import read_bytes
from planner.json_text import json_text

FILE = "checkpoint.jsonl"
#: Size of a checkpoint beyond which it is none.
MOST_BYTES = 10**11
#: Key of the line that says which run it is.
RUN = "run"
#: Things whose digests are remembered, as they are asked for again and again.
MOST_DIGESTS = 16

Identity = Mapping[str, Any]


class Checkpoint:
    """Results of a run, in a file that grows with them."""

    def __init__(self, path: Path, known: Mapping[str, bytes]) -> None:
        self._path, self._known = path, known
        self._digests: dict[int, tuple[Any, bytes]] = {}

    @property
    def count(self) -> int:
        """Results that are there from before."""
        return len(self._known)

    def digest(self, thing: Any) -> bytes:
        """Digest of anything that has a form in JSON."""
        known = self._digests.get(id(thing))
        if known is None:
            if len(self._digests) >= MOST_DIGESTS:
                del self._digests[next(iter(self._digests))]
            # It is kept as well, so that no other thing gets its identity.
            known = thing, hashlib.sha256(json_text(thing, "compact").encode()).digest()
            self._digests[id(thing)] = known
        return known[1]

    def recall[T](
        self,
        made_from: Iterable[bytes],
        kind: TypeAdapter[T],
        make: Callable[[], T],
        final: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """A result from the file, or else worked out and put there.

        Parameters
        ----------
        made_from
            Everything that it follows from.
        final
            Whether a result is worth keeping: not one that the end of time has cut short.

        Raises
        ------
        InputError
            If the file has something else in its place.
        """
        key = _digest(made_from)
        if key in self._known:
            return self._read(key, kind)
        made = make()
        if final(made):
            with self._path.open("ab") as stream:
                stream.write(_line(key, kind.dump_python(made)))
        return made

    def _read[T](self, key: str, kind: TypeAdapter[T]) -> T:
        try:
            return kind.validate_python(json.loads(self._known[key]))
        except (ValidationError, ValueError, RecursionError):
            raise InputError.single(
                str(self._path), f"is damaged: {key[:12]} is no result of this kind"
            ) from None


def begin(folder: Path, identity: Identity) -> Checkpoint:
    """The checkpoint of a new run.

    Raises
    ------
    InputError
        If the folder has one already, or cannot be written.
    """
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            stream.write(_line(RUN, json.loads(json_text(identity))))
    except FileExistsError:
        message = "is a checkpoint already: go on with --resume, or choose another folder"
        raise InputError.single(str(path), message) from None
    except OSError as error:
        raise InputError.single(str(path), f"cannot be written: {error.strerror}") from error
    return Checkpoint(path, {})


def resume(folder: Path, identity: Identity) -> Checkpoint:
    """The checkpoint of a run that goes on.

    Raises
    ------
    InputError
        If there is none, it is damaged, or that of another run: with what differs.
    """
    path = folder / FILE
    try:
        if not path.exists():
            raise FileNotFoundError
        content = read_bytes(path, str(path), MOST_BYTES)
        whole = content[: content.rfind(b"\n") + 1]
        known = dict(_lines(path, whole))
        _check_identity(path, known.pop(RUN, b""), json.loads(json_text(identity)))
        if len(whole) < len(content):
            with path.open("r+b") as stream:
                stream.truncate(len(whole))
    except FileNotFoundError:
        raise InputError.single(
            str(path), "there is no checkpoint; --checkpoint makes one"
        ) from None
    except OSError as error:
        raise InputError.single(str(path), f"cannot be used: {error.strerror}") from error
    return Checkpoint(path, known)


_at_work: ContextVar[Checkpoint | None] = ContextVar("checkpoint", default=None)


def checkpoint() -> Checkpoint | None:
    """That of the run at work; None where none is kept."""
    return _at_work.get()


@contextmanager
def kept_in(those: Checkpoint | None) -> Iterator[None]:
    """Keep expensive results of what is called inside."""
    before = _at_work.set(those)
    try:
        yield
    finally:
        _at_work.reset(before)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()


def _line(key: str, value: Any) -> bytes:
    # Numbers that are not finite stay what they are, so not as results are shown.
    body = f"{key} {json.dumps(value, separators=(',', ':'))}".encode()
    return hashlib.sha256(body).hexdigest().encode() + b" " + body + b"\n"


def _lines(path: Path, content: bytes) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        checksum, _, body = line.partition(b" ")
        if hashlib.sha256(body).hexdigest().encode() != checksum:
            message = "is damaged: the checksum is wrong; begin anew with --checkpoint"
            raise InputError.single(str(path), message, number, 1)
        key, _, value = body.partition(b" ")
        yield key.decode(errors="replace"), value


def _check_identity(path: Path, found: bytes, expected: Identity) -> None:
    try:
        there = json.loads(found)
        if not isinstance(there, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise InputError.single(str(path), "is damaged: it does not say of which run") from None
    refuse(
        Problem(str(path), 0, 0, name, f"{_shown(before)} in the checkpoint, {_shown(now)} here")
        for name in sorted({*there, *expected})
        if (before := there.get(name)) != (now := expected.get(name))
    )


def _shown(value: Any) -> str:
    return "nothing" if value in (None, [], "") else f"`{json.dumps(value)}`"
