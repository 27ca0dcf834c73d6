"""The sheet of sources: where the figures of the model come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from planner.finance.workbook.book import Book, columns_of
from planner.infrastructure.catalogue import CATALOGUES, CatalogueFigure, catalogue, figures
from planner.infrastructure.entities import Model

if TYPE_CHECKING:
    from planner.finance.study import FinanceStudy

SOURCES, FINANCE = "Sources", "finance.csv"
#: An entity is an entry of the catalogue if at least this share of its figures is the same.
ALIKE = 0.7
COLUMNS = columns_of(SOURCES)


def write_sources(book: Book, study: FinanceStudy) -> None:
    """Write the figures of the data sets that the model uses, with what stands behind them."""
    sheet = book.sheet(SOURCES, [width for _, _, width in COLUMNS])
    sheet.title(
        SOURCES,
        "Figures of the shipped data sets that the model uses, matched by name or by value. "
        "Source ids: datasets/SOURCES.md.",
    )
    rows = dict.fromkeys(_finance(study))
    for side in study.valued:
        rows |= dict.fromkeys(_used(side.build.model))
    last = sheet.table(3, [(title, kind) for title, kind, _ in COLUMNS], rows)
    sheet.freeze(4, 1)
    sheet.worksheet.autofilter(3, 0, max(4, last - 1), len(COLUMNS) - 1)


def _row(
    used: str, file: str, name: str, figure: CatalogueFigure, value: object
) -> tuple[float | str, ...]:
    both = (value, catalogue(file)[name][figure.attribute])
    shown = (float(cell) if isinstance(cell, int | float) else str(cell) for cell in both)
    known = (figure.year, figure.confidence, figure.source, figure.note)
    return (used, figure.attribute, *shown, figure.unit, f"{file}: {name}", *known)


def _stem(figure: CatalogueFigure) -> str:
    """The figure that a line states, or the range of."""
    return figure.attribute.removesuffix("_low").removesuffix("_high")


def _finance(study: FinanceStudy) -> Iterator[tuple[float | str, ...]]:
    """Figures of the finance table behind the rates."""
    for figure in figures(FINANCE)["default"]:
        if hasattr(study.assumptions, _stem(figure)):
            value = getattr(study.assumptions, _stem(figure))
            yield _row("rates", FINANCE, "default", figure, value)


def _used(model: Model) -> Iterator[tuple[float | str, ...]]:
    """Figures of catalogues behind the entities of a model."""
    for section, file in CATALOGUES.items():
        for name, entity in getattr(model, section).items():
            entry = _entry(name, entity, file)
            for figure in figures(file).get(entry, ()):
                if _stem(figure) in type(entity).model_fields:
                    value = getattr(entity, _stem(figure))
                    yield _row(f"{section}.{name}", file, entry, figure, value)


def _entry(name: str, entity: object, file: str) -> str:
    """Entry of a catalogue that an entity is: that of its name, else the one it is most alike."""
    entries = catalogue(file)
    if name in entries:
        return name
    alike = {entry: _alike(entity, figures) for entry, figures in entries.items()}
    # Entries may be alike in all but their names.
    best = max(alike, key=lambda entry: (alike[entry], name.lower() in entry.lower()), default="")
    return best if best and alike[best] >= ALIKE else ""


def _alike(entity: object, figures: Mapping[str, object]) -> float:
    """Share of the figures of an entry that an entity has too."""
    fields = type(entity).model_fields  # type: ignore[attr-defined]
    known = {name: value for name, value in figures.items() if name in fields}
    same = sum(getattr(entity, name) == value for name, value in known.items())
    return same / len(known) if known else 0.0
