"""The tables of a model as a workbook or as CSV files, with what their columns mean."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from planner.errors import InputError
from planner.finance.workbook.book import LONGEST_TEXT, Book, Sheet
from planner.imports.tables import FIELDS, WHOLE, layout, tables_of
from planner.infrastructure.checks import EXTRA, REFERENCES
from planner.infrastructure.entities import Model
from planner.infrastructure.field_types import members, types_at
from planner.infrastructure.source import Path_
from planner.infrastructure.tables import (
    OWNER,
    Cell,
    guarded,
    is_entity,
    is_table,
    kinds_at,
    split_path,
    unit_at,
)

#: Rows below which nothing is chosen from a list, and bounds of the widths of columns.
LAST_ROW, NARROWEST, WIDEST = 2000, 9, 44
#: The same model, the same bytes.
CREATED = "2000-01-01T00:00:00+00:00"
_SECTIONS: dict[Path_, str] = {**dict(REFERENCES)}


def csv_files(model: Model) -> dict[str, bytes]:
    """The tables of a model as CSV files, by name; no spreadsheet runs what stands in them."""
    return {f"{title}.csv": _csv(rows) for title, rows in _all_tables(model).items()}


def _csv(rows: Sequence[Sequence[Cell]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(
        [_csv_cell(cell) for cell in row] for row in rows
    )
    return stream.getvalue().encode()


def _csv_cell(cell: Cell) -> Cell:
    if isinstance(cell, bool):
        return str(cell).lower()
    return guarded(cell) if isinstance(cell, str) else cell


def workbook(model: Model) -> bytes:
    """The tables of a model as a workbook.

    Values come from lists where a model accepts only some; names of other tables are proposed.
    """
    book, tables = Book(model.name, CREATED), _all_tables(model)
    for title, rows in tables.items():
        widths = [
            min(WIDEST, max(NARROWEST, *(len(str("" if c is None else c)) + 2 for c in column)))
            for column in zip(*rows, strict=True)
        ]
        sheet = book.sheet(title, widths)
        sheet.texts(0, 0, [str(cell) for cell in rows[0]], "head")
        for number, row in enumerate(rows[1:], 1):
            for column, cell in enumerate(row):
                _write(sheet, number, column, cell)
        sheet.freeze(1, 0 if title == FIELDS else 1)
        sheet.worksheet.autofilter(0, 0, len(rows) - 1, len(rows[0]) - 1)
        if title in layout():
            _add_lists(sheet, title, rows, tables)
    return book.content()


def _write(sheet: Sheet, row: int, column: int, cell: Cell) -> None:
    """Write a cell as what it is; a number with more digits than a spreadsheet keeps as a text."""
    look = sheet.book.format("label")
    if isinstance(cell, bool):
        sheet.worksheet.write_boolean(row, column, cell, look)
    elif isinstance(cell, str) or (cell is not None and float(f"{cell:.16g}") != cell):
        if len(str(cell)) > LONGEST_TEXT:
            message = f"longer than the {LONGEST_TEXT:,} characters of a cell: export CSV files"
            raise InputError.single(sheet.name, message, row + 1, column + 1)
        sheet.text(row, column, str(cell), "wrap")
    elif cell is not None:
        sheet.worksheet.write_number(row, column, cell, look)


def _add_lists(
    sheet: Sheet, title: str, rows: Sequence[Sequence[Cell]], tables: Mapping[str, Any]
) -> None:
    """Let values be chosen: of a setting in its cell, of entries in their columns."""
    kind, path = layout()[title]
    for row, column, field in (
        [(n, 1, _pattern(path, str(r[0]))) for n, r in enumerate(rows[1:], 1)]
        if kind == "settings"
        else [(0, n, _pattern(_place(title), str(head))) for n, head in enumerate(rows[0])]
        if kind != "series"
        else []
    ):
        options: dict[str, Any] = {"validate": "list", "source": list(_choices(field))}
        section = path[0] if field[-1] == OWNER else _SECTIONS.get(field, "")
        if not options["source"] and section in tables and field not in EXTRA:
            names = f"='{section}'!$A$2:$A${LAST_ROW}"
            options |= {"source": names, "error_type": "information"}
        if options["source"]:
            last = row or LAST_ROW - 1
            sheet.worksheet.data_validation(row or 1, column, last, column, options)


def _place(title: str) -> Path_:
    """Path of what stands in a row of a table, as `REFERENCES` have it."""
    kind, path = layout()[title]
    return {"entries": (*path, "*"), "records": (*path, "#")}.get(kind, path)


def _pattern(place: Path_, head: str) -> Path_:
    return (*place, *split_path(head.partition(" [")[0], types_at(_indexed(place))))


def _indexed(place: Path_) -> Path_:
    return tuple(0 if part == "#" else part for part in place)


def _choices(place: Path_) -> tuple[str, ...]:
    """All values that a field accepts, if these are few."""
    if place[-1] == OWNER and "*" in place:
        key = get_args(types_at(place[: place.index("*")])[0])[0]
        return tuple(get_args(key)) if get_origin(key) is Literal else ()
    kinds = [member for kind in types_at(_indexed(place)) for member in members(kind)]
    if bool in kinds:
        return "TRUE", "FALSE"
    return tuple(str(v) for kind in kinds if get_origin(kind) is Literal for v in get_args(kind))


def _all_tables(model: Model) -> dict[str, list[list[Cell]]]:
    """The tables of a model, and one of what their columns mean."""
    rows: list[list[Cell]] = [["table", "column", "unit", "accepts", "default", "meaning"]]
    for title, (kind, _) in layout().items():
        for leaf, field in _fields(types_at(_indexed(_place(title)))) if kind != "series" else ():
            if title == WHOLE and str(leaf[0]) in layout():
                continue
            place = (*_place(title), *leaf)
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            shown = "required" if field.is_required() else default
            rows.append(
                [
                    title,
                    ".".join(map(str, leaf)),
                    unit_at(_indexed(place)),
                    _accepted(place),
                    shown if isinstance(shown, str | int | float) else None,
                    " ".join((field.description or "").split()),
                ]
            )
    return tables_of(model) | {FIELDS: rows}


def _fields(kinds: Sequence[Any], path: Path_ = ()) -> Iterator[tuple[Path_, FieldInfo]]:
    """Columns that a table may have, NAME any name."""
    found = {
        name: field
        for kind in kinds
        for member in members(kind)
        if is_entity(member)
        for name, field in member.model_fields.items()
    }
    for name, field in found.items():
        here, inner = (*path, name), members(field.annotation)
        while tables := [member for member in inner if is_table(member)]:
            here, inner = (*here, "NAME"), members(get_args(tables[0])[1])
        listed = [
            m for kind in inner if get_origin(kind) is tuple for m in members(get_args(kind)[0])
        ]
        if any(map(is_entity, inner)):
            yield from _fields(inner, here)
        elif not any(map(is_entity, listed)) and (path or name != "name"):
            yield here, field


def _accepted(place: Path_) -> str:
    """What a column accepts, in words."""
    if choices := _choices(place):
        return ", ".join(choices)
    pattern = tuple("*" if part == "NAME" else part for part in place)
    kinds = kinds_at(_indexed(place))
    many = any(get_origin(m) is tuple for kind in types_at(_indexed(place)) for m in members(kind))
    section = _SECTIONS.get((*pattern, "#") if many else pattern)
    if section:
        named = section.replace(" ", " or ")
        return f"names in {named}, apart by ;" if many else f"a name in {named}"
    words = {int: "a whole number", float: "a number", str: "text"}
    if many:
        words = {str: "names, apart by ;", float: "numbers, apart by ;"}
    return next((text for kind, text in words.items() if kind in kinds), "")
