"""Shipped models and datasets, and the look-up of catalogue entries by name."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import planner
from planner.errors import PlannerError

#: Section of a model file and the catalogue that its entries may refer to with `from`.
CATALOGUES = {
    "regions": "climate.csv",
    "gpus": "gpus.csv",
    "cooling_units": "cooling_units.csv",
    "offers": "cloud_offers.csv",
}
#: File of an incident in its folder.
INCIDENT = "incident.yaml"


@cache
def data_directory(kind: str) -> Path:
    """Folder of the shipped ``models`` or ``datasets``, in a wheel or in a checkout.

    Raises
    ------
    PlannerError
        If the installation lacks the folder.
    """
    package = Path(planner.__file__).resolve().parent
    for folder in (package / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    raise PlannerError(f"the installation lacks its {kind}; reinstall the package")


@cache
def shipped_models() -> Mapping[str, Path]:
    """Path of each shipped model by its name."""
    return {path.stem: path for path in sorted(data_directory("models").glob("*.yaml"))}


@cache
def shipped_incidents() -> Mapping[str, Path]:
    """Path of each shipped incident by its name."""
    folder = data_directory("datasets") / "incidents"
    return {path.parent.name: path for path in sorted(folder.glob(f"*/{INCIDENT}"))}


@dataclass(frozen=True)
class CatalogueFigure:
    """A figure of a catalogue with unit, year, source and confidence."""

    attribute: str
    value: str
    unit: str
    year: str
    confidence: str
    source: str
    note: str


@cache
def figures(file: str) -> dict[str, tuple[CatalogueFigure, ...]]:
    """Figures of a catalogue by the name of their entry."""
    entries: dict[str, list[CatalogueFigure]] = {}
    with (data_directory("datasets") / file).open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            entries.setdefault(row.pop("name"), []).append(CatalogueFigure(**row))
    return {name: tuple(found) for name, found in entries.items()}


@cache
def catalogue(file: str) -> dict[str, dict[str, Any]]:
    """Entries of a catalogue: name, then attribute, then value.

    A catalogue is a table with one figure a row: ``name, attribute, value, unit, year,
    confidence, source, note``.
    """
    return {
        name: {figure.attribute: _value(figure.value) for figure in found}
        for name, found in figures(file).items()
    }


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _column(file: str, name: str) -> tuple[float, ...]:
    path = data_directory("datasets") / file
    with path.open(encoding="utf-8", newline="") as stream:
        return tuple(float(row[name]) for row in csv.DictReader(stream))


def _columns(file: str) -> tuple[str, ...]:
    """Names of the columns after the first, which counts the hours."""
    path = data_directory("datasets") / file
    with path.open(encoding="utf-8", newline="") as stream:
        return tuple(next(csv.reader(stream))[1:])


@cache
def demand_shape(name: str) -> tuple[float, ...]:
    """Weekly demand of a shipped trace, 168 hourly values relative to the mean of the week.

    Raises
    ------
    KeyError
        If no trace has the name.
    """
    return _column("demand_shapes.csv", name)


@cache
def demand_shape_names() -> tuple[str, ...]:
    """Names of the shipped traces."""
    return _columns("demand_shapes.csv")


@cache
def hot_week(climate: str) -> tuple[float, ...]:
    """Outdoor temperature in the hottest week of 2020-24, 168 hourly values in °C, local time.

    Raises
    ------
    KeyError
        If no climate has the name.
    """
    return _column("hot_weeks.csv", climate)


def hot_week_longitude(climate: str) -> float:
    """Longitude, degrees east, of the place where a hot week was measured."""
    return float(catalogue(CATALOGUES["regions"])[climate]["longitude"])


@cache
def hot_week_names() -> tuple[str, ...]:
    """Names of the climates with a hot week."""
    return _columns("hot_weeks.csv")
