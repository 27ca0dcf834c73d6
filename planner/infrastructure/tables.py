"""Tables of a model, CSV files or sheets of a workbook, to plain data with the place of every cell.

A column, or a setting, is a dotted path: ``latency_ms.us-west`` fills an entry of a nested table. A
part with a dot in it stands in double quotes, unless it is the last one below a table of values.
Empty cells are left out. What follows a space and an opening bracket in a head is a unit.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from planner.errors import InputError, Problem, refuse
from planner.infrastructure.field_types import field_of, members, types_at, types_below
from planner.infrastructure.quantities import unit_text
from planner.infrastructure.source import Document, Path_, SourcePosition, printable

Cell = str | int | float | bool | None
#: Column of the entry that a row of a list belongs to.
OWNER = "of"
#: What cells say of nested values that are there and empty.
EMPTY: dict[str, type] = {"{}": dict, "[]": list}
#: What a text in a CSV file begins with that spreadsheets would run, or that guards such a text.
GUARDED = tuple("=+-@\t\r'")
_PART = re.compile(r'"([^"]*)"(?:\.|$)|([^.]*)(?:\.|$)')
_UNIT = re.compile(r"\s+\[[^\]]*\]\s*$")
_DECIMAL = re.compile(r"([+-]?\d+),(\d{1,2}|\d{4,}|(?<=^0,)\d{3})")


@dataclass(frozen=True)
class Grid:
    """Cells of a table.

    Parameters
    ----------
    file
        What it is called in problems.
    rows
        Cells of each row, with its number from 1.
    content
        What was read, for hashes.
    decimal_commas
        Whether texts may be numbers with a decimal comma. A comma before exactly three digits may
        group thousands, but for ``0,005``: such a text is no number.
    """

    file: str
    rows: Sequence[tuple[int, Sequence[Cell]]]
    content: bytes = b""
    decimal_commas: bool = False

    def heads(self) -> list[str]:
        """Heads of the columns, without units."""
        heads = self.rows[0][1] if self.rows else ()
        return [_UNIT.sub("", str("" if head is None else head)).strip() for head in heads]

    def document(self) -> Document:
        """A document without data."""
        return Document({}, {(): SourcePosition(self.file, 1, 1)}, texts=[self.content])

    def place(self, row: int, column: int = 0) -> SourcePosition:
        """Place of a cell: number of its row, and index of its column."""
        return SourcePosition(self.file, row, column + 1)

    def value(self, cell: Cell, path: Path_) -> Any:
        """Value of a cell for a path of a model; None if it is empty."""
        cell = cell.strip() if isinstance(cell, str) else cell
        if cell is None or cell == "":
            return None
        types = [member for kind in types_at(path) for member in members(kind)]
        if path[-1] == "from" or str in types:
            return _text(cell)
        if isinstance(cell, str) and cell in EMPTY:
            return EMPTY[cell]()
        if any(get_origin(kind) is tuple for kind in types):
            names = str in kinds_at(path)
            parts = re.split("[;,]" if names else ";", str(cell))
            found = [part.strip() for part in parts if part.strip()]
            return found if names else [self.number(part) for part in found]
        return self.number(cell)

    def number(self, cell: Cell) -> Any:
        """A number or a truth value; another text as it is."""
        if not isinstance(cell, str):
            return cell
        text = cell.strip()
        decimal = _DECIMAL.fullmatch(text) if self.decimal_commas else None
        text = f"{decimal[1]}.{decimal[2]}" if decimal else text
        for convert in (int, float):
            try:
                return convert(text) + 0  # -0.0 is 0
            except ValueError:
                continue
        return {"true": True, "false": False}.get(text.lower(), text)


def kinds_at(path: Path_) -> set[Any]:
    """Types of a value at a path, or of the values of a list there."""
    kinds = [member for kind in types_at(path) for member in members(kind)]
    listed = [m for kind in kinds if get_origin(kind) is tuple for m in members(get_args(kind)[0])]
    return set(listed or kinds)


def unit_at(path: Path_) -> str:
    """Unit of the number at a path; empty for none."""
    return unit_text(field_of(path)) if kinds_at(path) & {int, float} else ""


def _text(cell: Cell) -> str:
    """A text: in double quotes, as JSON, where it begins with one or spaces at its ends matter."""
    if not isinstance(cell, str):
        return str(cell).lower() if isinstance(cell, bool) else str(cell)
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        try:
            return str(json.loads(cell, strict=False))
        except ValueError:
            pass
    return cell


def csv_grid(content: bytes, file: str) -> Grid:
    """Rows of a CSV table.

    Commas separate the cells, or semicolons where the header has those alone, as spreadsheets of
    many countries write them; then commas separate decimals.

    Raises
    ------
    InputError
        If the text is not UTF-8 or not CSV.
    """
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        text = content.decode("utf-8-sig")
        header = text.partition("\n")[0]
        delimiter = ";" if ";" in header and "," not in header else ","
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for row in reader:
            rows.append((line, [_unguarded(cell) for cell in row]))
            line = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise InputError.single(file, f"is not UTF-8 text: {error.reason}") from error
    except csv.Error as error:
        raise InputError.single(file, f"is not a CSV table: {error}", line, 1) from error
    return Grid(file, rows, content, delimiter == ";")


def guarded(text: str) -> str:
    """A text that no spreadsheet runs as a formula; reading a table takes the apostrophe off."""
    return f"'{text}" if text.startswith(GUARDED) else text


def _unguarded(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:].startswith(GUARDED) else text


def read_entries(grid: Grid, section: str) -> Document:
    """Read the entries of a section, one in a row, under the name in their column ``name``.

    Raises
    ------
    InputError
        If the table has no ``name`` column, a column or a name twice, or rows of the wrong width.
    """
    document, heads = grid.document(), _checked_heads(grid, "name")
    entries = document.data[section] = {}
    paths = [split_path(head, types_at((section, "*"))) for head in heads]
    for row, cells in _rows(grid, document):
        name = str(cells[heads.index("name")] or "").strip()
        document.places[(section, name)] = grid.place(row)
        if name in entries:
            document.complain((section, name), "is listed twice")
            continue
        entries[name] = {}
        for column, (path, cell) in enumerate(zip(paths, cells, strict=True)):
            if path != ("name",):
                put(document, (section, name, *path), cell, grid, (row, column))
    refuse(document.problems)
    return document


def read_records(grid: Grid, pattern: Path_) -> Document:
    """Read a list of records, one in a row; a list of each entry that its column ``of`` names.

    Parameters
    ----------
    pattern
        Path of the list, with ``*`` for the entry.

    Raises
    ------
    InputError
        If columns are missing or there twice, rows have the wrong width, or a cell contradicts.
    """
    owned = "*" in pattern
    document, heads = grid.document(), _checked_heads(grid, OWNER if owned else "")
    paths = [split_path(head, types_at((*pattern, 0))) for head in heads]
    for row, cells in _rows(grid, document):
        owner = str(cells[heads.index(OWNER)] or "").strip() if owned else ""
        path = tuple(owner if part == "*" else part for part in pattern)
        records = _below(document.data, path[:-1]).setdefault(path[-1], [])
        here = (*path, len(records))
        document.places.setdefault(path, grid.place(row))
        document.places[here] = grid.place(row)
        if any(
            str(cell).strip()
            for cell, field in zip(cells, paths, strict=True)
            if cell is not None and field != (OWNER,)
        ):
            records.append({})
        for column, (field, cell) in enumerate(zip(paths, cells, strict=True)):
            if not (owned and field == (OWNER,)):
                put(document, (*here, *field), cell, grid, (row, column))
    refuse(document.problems)
    return document


def read_settings(grid: Grid, base: Path_) -> Document:
    """Read values below a path, one in a row, by their path in the column ``setting``.

    Raises
    ------
    InputError
        If there is no column ``setting`` or ``value``, or a setting is there twice.
    """
    document, heads = grid.document(), _checked_heads(grid, "setting", "value")
    name, value = heads.index("setting"), heads.index("value")
    for row, cells in _rows(grid, document):
        path = split_path(_UNIT.sub("", str(cells[name] or "")).strip(), types_at(base))
        if path:
            put(document, (*base, *path), cells[value], grid, (row, value))
    refuse(document.problems)
    return document


def read_series(grid: Grid, section: str) -> Document:
    """Read lists of numbers, one in a column, after a first column that counts hours.

    Columns may end before others.

    Raises
    ------
    InputError
        If a column is there twice or has no name, or with every cell that is no number.
    """
    document, names = grid.document(), grid.heads()[1:]
    if not names or not all(names) or len(set(names)) < len(names):
        message = "the header needs a column of hours, then one of numbers for each name, once"
        raise InputError.single(grid.file, message, 1, 1)
    found: dict[str, list[Any]] = {name: [] for name in names}
    for row, cells in _rows(grid, document):
        for column, (name, cell) in enumerate(zip(names, cells[1:], strict=True), 1):
            here, place = (section, name, len(found[name])), grid.place(row, column)
            document.places |= {here: place}
            document.places.setdefault(here[:2], grid.place(1, column))
            found[name].append((grid.number("" if cell is None else cell), place))
    for name, values in found.items():
        while values and values[-1][0] == "":
            values.pop()
        for number, place in values:
            if isinstance(number, bool | str) or not math.isfinite(number):
                message = f"`{printable(str(number))}` is no number"
                document.problems.append(
                    Problem(place.file, place.line, place.column, name, message)
                )
    refuse(document.problems)
    document.data[section] = {name: [n for n, _ in values] for name, values in found.items()}
    return document


def _checked_heads(grid: Grid, *needed: str) -> list[str]:
    """Heads of the columns; each needed one is there, none twice."""
    heads = grid.heads()
    for head in needed:
        if head and head not in heads:
            raise InputError.single(grid.file, f"needs a `{head}` column", 1, 1)
    refuse(
        Problem(grid.file, 1, column, "", f"column `{printable(head)}` is listed twice")
        for column, head in enumerate(heads, 1)
        if head and head in heads[: column - 1]
    )
    return heads


def _rows(grid: Grid, document: Document) -> list[tuple[int, Sequence[Cell]]]:
    """Rows below the head that are not blank; those of the wrong width are problems."""
    width, found = len(grid.heads()), []
    for row, cells in grid.rows[1:]:
        if all(cell is None or not str(cell).strip() for cell in cells):
            continue
        if len(cells) == width:
            found.append((row, cells))
            continue
        message = f"{len(cells)} cells where the header has {width}"
        document.problems.append(Problem(grid.file, row, 1, "", message))
    return found


def put(document: Document, path: Path_, cell: Cell, grid: Grid, at: tuple[int, int]) -> None:
    """Put the value of a cell, if it has one, at a path of a document."""
    value = grid.value(cell, path)
    if value is None:
        return
    place = grid.place(*at)
    target = _below(document.data, path[:-1])
    if not isinstance(target, dict) or path[-1] in target:
        where = printable(".".join(map(str, path)))
        message = "contradicts another cell, or is listed twice"
        document.problems.append(Problem(place.file, place.line, place.column, where, message))
        return
    target[path[-1]] = value
    document.places[path] = place


def _below(data: Any, path: Path_) -> Any:
    """What stands at a path of data, made where there is nothing yet."""
    for part in path:
        if isinstance(data, dict):
            data = data.setdefault(part, {})
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
        else:
            return None
    return data


def split_path(text: str, types: Sequence[Any]) -> Path_:
    """Parts of a dotted path below some types.

    >>> split_path("existing.chiller-1.75", types_at(("plants", "*")))
    ('existing', 'chiller-1.75')
    >>> split_path('replicas."api.v2".us-west', types_at(("measures", "*")))
    ('replicas', 'api.v2', 'us-west')
    """
    if not text:
        return ()
    if any(_holds_values(member) for kind in types for member in members(kind)):
        return (text.removeprefix('"').removesuffix('"'),)
    part = _PART.match(text)
    assert part is not None
    head = part[2] if part[1] is None else part[1]
    return (head, *split_path(text[part.end() :], [t for o in types for t in types_below(o, head)]))


def _holds_values(kind: Any) -> bool:
    """Whether a type is a table of plain values or lists of them."""
    if not is_table(kind):
        return False
    inner = members(get_args(kind)[1])
    return not any(is_table(member) or is_entity(member) for member in inner)


def is_table(kind: Any) -> bool:
    """Whether a type is a table of entries by name."""
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def is_entity(kind: Any) -> bool:
    """Whether a type is a record of a model file."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def join_path(path: Path_, quoted_end: bool = False) -> str:
    """A dotted path that `split_path` takes apart.

    Parameters
    ----------
    quoted_end
        Whether the last part is the name of an entry that has fields.

    >>> join_path(("existing", "chiller-1.75")), join_path(("growth", "a.b", "per_year"))
    ('existing.chiller-1.75', 'growth."a.b".per_year')
    """
    *before, last = (f'"{part}"' if "." in str(part) else str(part) for part in path)
    return ".".join([*before, last if quoted_end else str(path[-1])])
