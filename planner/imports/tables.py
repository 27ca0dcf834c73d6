"""A model as tables, one for each section: sheets of a workbook or CSV files, there and back.

Entries of a section stand in rows, settings of a section without entries below each other, hourly
values in columns. A list of records has a table of its own, `tiers.sla_credits`, with the entry
that a row belongs to in its column ``of``. Nested values are dotted paths.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from planner.errors import InputError, PlannerError, Problem, collected, refuse
from planner.files import read_bytes
from planner.imports.inventory import Asked, Fields, Finding, Importer, Inventory, Stated, shown
from planner.imports.model_text import completed
from planner.infrastructure.entities import Model
from planner.infrastructure.field_types import SECTIONS, SERIES, field_info, members, types_at
from planner.infrastructure.loading import model_of
from planner.infrastructure.source import Document, Path_, SourcePosition, is_file, nearest
from planner.infrastructure.tables import (
    OWNER,
    Cell,
    Grid,
    csv_grid,
    is_entity,
    is_table,
    join_path,
    read_entries,
    read_records,
    read_series,
    read_settings,
    unit_at,
)

#: Table of the model's own values, and the one that says what the columns mean, which is not read.
WHOLE, FIELDS = "model", "fields"
#: Largest workbook, bytes, once it is unpacked.
MOST_UNPACKED = 500_000_000
Kind = Literal["entries", "series", "records", "settings"]


@cache
def layout() -> Mapping[str, tuple[Kind, Path_]]:
    """Tables of a model: what stands in the rows of each, and the path of it, `*` any entry."""
    found: dict[str, tuple[Kind, Path_]] = {WHOLE: ("settings", ())}
    for section, field in Model.model_fields.items():
        if section in SECTIONS:
            found[section] = "entries", (section,)
        elif section in SERIES:
            found[section] = "series", (section,)
        elif any(is_entity(member) for member in members(field.annotation)):
            found[section] = "settings", (section,)
        for path in _records_below(field.annotation, (section,)):
            found[".".join(part for part in path if part != "*")] = "records", path
    return found


def _records_below(annotation: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Paths of the lists of records below a type."""
    for kind in members(annotation):
        if is_entity(kind):
            for name, field in kind.model_fields.items():
                yield from _records_below(field.annotation, (*path, name))
        elif is_table(kind):
            yield from _records_below(get_args(kind)[1], (*path, "*"))
        elif get_origin(kind) is tuple and any(map(is_entity, members(get_args(kind)[0]))):
            yield path


def tables_of(model: Model) -> dict[str, list[list[Cell]]]:
    """Rows of the tables of a model, the head first; those without any are left out."""
    data = model.model_dump(mode="json", exclude_unset=True) | {"name": model.name}
    made = {}
    for title, (kind, path) in layout().items():
        if kind == "settings":
            made[title] = _settings(data if title == WHOLE else data.get(title) or {}, path)
        elif kind == "series":
            made[title] = _series(data.get(title, {}))
        elif kind == "entries":
            entries = data.get(title, {}).items()
            made[title] = _rows("name", (title, "*"), entries)
        else:
            # An entry of a table of lists may have an empty one.
            owned = [
                (owner, record)
                for owner, found in _lists(data, path)
                for record in found or ([{}] if path[-1] == "*" else [])
            ]
            made[title] = _rows(OWNER if "*" in path else "", (*path, 0), owned)
    return {title: rows for title, rows in made.items() if len(rows) > 1}


def _settings(data: Mapping[str, Any], path: Path_) -> list[list[Cell]]:
    """A row for each value, with its unit and meaning; of a model only what is no section."""
    leaves = [leaf for leaf in _leaves(data) if path or leaf[0][0] not in layout()]
    rows: list[list[Cell]] = [["setting", "value", "unit", "meaning"]]
    for leaf, value in leaves:
        info = field_info((*path, *leaf))
        meaning = " ".join((info.description or "").split()) if info else ""
        unit = unit_at((*path, *leaf))
        rows.append([join_path(leaf, value == {}), _cell(value), unit, meaning])
    return rows


def _series(columns: Mapping[str, Sequence[Cell]]) -> list[list[Cell]]:
    """A row for each hour; columns may end before others."""
    hours = range(max(map(len, columns.values()), default=0))
    return [
        ["hour", *columns],
        *(
            [hour, *(v[hour] if hour < len(v) else None for v in columns.values())]
            for hour in hours
        ),
    ]


def _lists(data: Any, path: Path_) -> Iterator[tuple[str, list[Any]]]:
    """Lists at a path, each with the entry that it belongs to."""
    if not path:
        yield "", data
    elif path[0] == "*":
        yield from ((name, found) for name in data for _, found in _lists(data[name], path[1:]))
    elif data and path[0] in data:
        yield from _lists(data[path[0]], path[1:])


def _rows(first: str, place: Path_, entries: Iterable[tuple[str, Any]]) -> list[list[Cell]]:
    """Rows of entries, with the columns that any of them fills, in the order of the reference.

    Parameters
    ----------
    first
        Head of a column of their names; empty for none.
    place
        Path of an entry.
    """
    fields = [name for kind in types_at(place) for m in members(kind) for name in m.model_fields]
    found = [(name, dict(_leaves(entry))) for name, entry in entries]
    heads: dict[Path_, bool] = {}
    for _, cells in found:
        for leaf, cell in cells.items():
            heads[leaf] = heads.get(leaf, False) or cell == {}
    if first == "name":
        heads.pop(("name",), None)
    leaves = sorted(heads, key=lambda leaf: fields.index(leaf[0]))
    units = {leaf: unit_at((*place, *leaf)) for leaf in leaves}
    head = [join_path(leaf, heads[leaf]) + (f" [{u}]" if u else "") for leaf, u in units.items()]
    rows = [[name, *(_cell(cells.get(leaf)) for leaf in leaves)] for name, cells in found]
    return [[first, *head], *rows] if first else [[*head], *(row[1:] for row in rows)]


def _leaves(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Values for a cell each, with their paths; no lists of records."""
    if isinstance(value, dict) and (value or not path):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif not (isinstance(value, list) and value and isinstance(value[0], dict)):
        yield path, value


def _cell(value: Any) -> Cell:
    """A value in a cell: lists joined, texts that would not come back as they are in quotes."""
    if isinstance(value, list | dict):
        return "; ".join(map(str, value)) if value else json.dumps(value)
    if isinstance(value, str) and (value != value.strip() or value[:1] == '"'):
        return json.dumps(value, ensure_ascii=False)
    return value  # type: ignore[no-any-return]


def read_tables(asked: Asked) -> Inventory:
    """Read a model from a workbook, or from a folder of CSV files.

    Raises
    ------
    InputError
        With every problem of the tables and of the model, each with its row and column.
    """
    assert asked.path is not None
    book = is_file(asked.path)
    grids = dict((_sheets if book else _files)(asked.path))
    document = Document({}, {(): SourcePosition(str(asked.path))})
    findings = []
    for title, grid in grids.items():
        if title not in layout():
            text = f"no table of a model has this name{nearest(title, layout())}"
            findings += [] if title == FIELDS else [Finding("left out", shown(title), text)]
            continue
        with collected(document.problems):
            _add(document, title, grid)
    refuse(document.problems)
    texts = {name: value for name, value in document.data.items() if name not in layout()}
    found = Inventory(
        "xlsx" if book else "csv", _stated(document.data), {}, tuple(findings), texts=texts
    )
    inventory = completed(found, asked.model)
    # Into a model come parts of one, too: they are checked with the rest of it.
    whole = asked.model.model_dump(mode="json", exclude_unset=True) if asked.model else {}
    for (section, name, *field), stated in inventory.values():
        if field and section not in document.data:
            whole.setdefault(section, {}).setdefault(name, {})[field[0]] = stated.value
    _merge(whole, document.data)
    document.data = whole
    model_of(document, asked.path.stem)
    return inventory


def _add(document: Document, title: str, grid: Grid) -> None:
    """Add what a table says to a document; lists of records come into their entries."""
    kind, path = layout()[title]
    if kind == "records":
        read = read_records(grid, path)
    elif kind == "settings":
        read = read_settings(grid, path)
    else:
        read = (read_series if kind == "series" else read_entries)(grid, title)
    _merge(document.data, read.data)
    document.places |= {path: place for path, place in read.places.items() if path}
    document.texts += read.texts


def _merge(data: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(data.get(key), dict):
            _merge(data[key], value)
        else:
            data[key] = value


def _stated(data: Mapping[str, Any]) -> dict[str, Mapping[str, Fields | Stated]]:
    """Sections of an inventory, in the order of the reference."""
    return {
        section: {
            name: {field: Stated(value) for field, value in entry.items()}
            if section in SECTIONS
            else Stated(entry)
            for name, entry in data[section].items()
        }
        for section in Model.model_fields
        if section in data and section in layout()
    }


def _files(folder: Path) -> Iterator[tuple[str, Grid]]:
    """Tables of a folder, by the name of their file."""
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".csv")
    except OSError as error:
        message = f"cannot be read: {error.strerror}; expected a workbook or a folder of CSV files"
        raise InputError.single(str(folder), message) from error
    if not files:
        raise InputError.single(str(folder), "has no CSV files, `regions.csv` and so on")
    for file in files:
        yield file.stem, csv_grid(read_bytes(file, str(file)), str(file))


def _sheets(file: Path) -> Iterator[tuple[str, Grid]]:
    """Sheets of a workbook, by their name; of formulas the values that they had when saved."""
    content = read_bytes(file, str(file))
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        message = "needs openpyxl, which is not installed: pip install 'resilience-planner[xlsx]'"
        raise PlannerError(f"{file}: {message}") from error
    try:
        unpacked = sum(part.file_size for part in zipfile.ZipFile(io.BytesIO(content)).infolist())
        if unpacked > MOST_UNPACKED:
            raise InputError.single(str(file), f"larger than {MOST_UNPACKED:,} bytes once unpacked")
        formulas, values = (
            load_workbook(io.BytesIO(content), read_only=True, data_only=only)
            for only in (False, True)
        )
        for sheet in values.worksheets:
            yield sheet.title, _sheet_grid(f"{file}[{sheet.title}]", sheet, formulas[sheet.title])
    except InputError:
        raise
    except Exception as error:  # whatever is wrong with it, openpyxl raises it as it comes
        raise InputError.single(str(file), f"is no workbook that can be read: {error}") from error


def _sheet_grid(file: str, values: Any, formulas: Any) -> Grid:
    """Cells of a sheet; formulas without a value are problems."""
    for sheet in (values, formulas):
        sheet.reset_dimensions()  # which may claim anything
    rows: list[tuple[int, list[Cell]]] = []
    problems, width = [], 0
    for number, (row, stated) in enumerate(zip(values.rows, formulas.rows, strict=True), 1):
        cells = [_plain(cell.value) for cell in row]
        for column, (cell, said) in enumerate(zip(row, stated, strict=True), 1):
            if said.data_type == "f" and cell.value is None:
                message = "its formula has no value: save the workbook in a spreadsheet first"
                problems.append(Problem(file, number, column, "", message))
            elif cell.data_type == "e":
                problems.append(Problem(file, number, column, "", f"holds {cell.value}"))
        while cells and cells[-1] is None:
            cells.pop()
        width = width or len(cells)
        rows.append((number, cells + [None] * (width - len(cells))))
    refuse(problems)
    return Grid(file, rows)


def _plain(value: Any) -> Cell:
    """A value of a sheet; months, which spreadsheets make dates of, as `2026-01`."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m}" if value.day == 1 else f"{value:%Y-%m-%d}"
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


IMPORTER = Importer(read_tables, {})
