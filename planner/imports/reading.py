"""JSON of an inventory as records: bounded, checked, every problem with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from planner.errors import InputError, Problem, collected, refuse
from planner.files import read_bytes
from planner.imports.inventory import shown

#: Problems of one file that are told.
MOST_PROBLEMS = 20
Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=0, le=1_000_000)]


def read_records[T: BaseModel](
    content: bytes, place: str, kind: type[T], names: Mapping[str, str] | None = None
) -> T:
    """Records from the text of a file.

    Parameters
    ----------
    names
        What the source calls fields, for validators of the records.

    Raises
    ------
    InputError
        With what is not as expected, at most `MOST_PROBLEMS` of it.
    """
    try:
        return kind.model_validate_json(content, context=names)
    except ValidationError as error:
        details = error.errors(include_url=False)[:MOST_PROBLEMS]
        raise InputError(_complaint(place, detail) for detail in details) from error


def pages(folder: Path, name: str) -> list[Path]:
    """Files of a list or an answer: ``NAME.json``, and its pages ``NAME.*.json``."""
    return sorted({*folder.glob(f"{name}.json"), *folder.glob(f"{name}.*.json")})


def read_files[T: BaseModel](path: Path, kind: type[T]) -> Iterator[tuple[str, T]]:
    """Records of a file, or of each ``.json`` file in a folder, with the name of the file.

    Raises
    ------
    InputError
        With the problems of all files, or if there is none.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise InputError.single(str(path), "has no .json file")
    problems: list[Problem] = []
    found = []
    for file in files:
        with collected(problems):
            found.append((str(file), read_records(read_bytes(file, str(file)), str(file), kind)))
    refuse(problems)
    yield from found


def _complaint(file: str, detail: ErrorDetails) -> Problem:
    """What pydantic says of a value, as a problem of its file."""
    message = f"{detail['msg'][:1].lower()}{detail['msg'][1:]}"
    if detail["type"] not in ("missing", "json_invalid"):
        message += f", not {shown(repr(detail['input']))}"
    return Problem(file, 0, 0, ".".join(map(str, detail["loc"])), message)
