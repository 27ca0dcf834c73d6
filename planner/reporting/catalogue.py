"""The shipped catalogues on a terminal: names, entries side by side, one entry with its sources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from planner.errors import InputError
from planner.files import package_table
from planner.imports.prices import TERMS, read_prices, shipped_prices
from planner.infrastructure.catalogue import (
    CATALOGUES,
    catalogue,
    demand_shape,
    demand_shape_names,
    hot_week_names,
)
from planner.infrastructure.catalogue import figures as figures_of
from planner.infrastructure.source import nearest
from planner.reporting.tables import Row, Table, figures, texts
from planner.reporting.terminal import new_console, print_json, say

#: Section of the command and the section of a model whose entries say `from:`.
SECTIONS = {
    "gpus": "gpus",
    "cooling": "cooling_units",
    "offers": "offers",
    "prices": "offers",
    "climate": "regions",
}
SHAPES = "shapes"
#: Figures shown side by side, with the heading, the factor and the digits of each; texts have none.
COLUMNS = package_table("planner.reporting", "catalogue.csv")
NOTES = {
    "gpus": "kW with its share of the server, static the part drawn at any load. ",
    "cooling": "%/K: capacity lost per degree; MW/MW: electric power per heat. ",
}
HELP = {
    "gpus": "gpus: NAME: {from: …}",
    "cooling": "cooling_units: NAME: {from: …}",
    "offers": "offers: NAME: {from: …}",
    "climate": "regions: NAME: {from: …}; those with a hot week also as `climate:`",
    "prices": "what instances cost by the hour; plan import prices --into MODEL compares a model",
    SHAPES: "zones: NAME: {shape: …}",
}


def show_names(as_json: bool) -> None:
    """Print the names of all entries."""
    names = {section: _names(section) for section in HELP}
    if as_json:
        print_json({section: list(found) for section, found in names.items()})
        return
    console = new_console()
    for section, found in names.items():
        say(console, f"{section}  {HELP[section]}", style="bold")
        say(console, ", ".join(found), indent=2)


def show_section(section: str, as_json: bool) -> None:
    """Print the entries of a section side by side."""
    if as_json:
        print_json(
            {name: demand_shape(name) for name in demand_shape_names()}
            if section == SHAPES
            else catalogue(_file(section))
        )
        return
    table = _shape_table() if section == SHAPES else _entry_table(section)
    table.print(new_console())


def show_prices(file: Path | None, as_json: bool) -> None:
    """Print prices side by side, those shipped or those of a price list."""
    prices = shipped_prices() if file is None else read_prices(file)
    if as_json:
        print_json({"prices": [vars(price) for price in prices]})
        return
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for price in prices:
        key = (price.provider, price.instance, price.region, price.as_of)
        rows.setdefault(key, {})[price.term] = price.usd
    console = new_console()
    for provider in dict.fromkeys(key[0] for key in rows):
        of = {key[1:]: found for key, found in rows.items() if key[0] == provider}
        terms = [term for term in TERMS if any(term in found for found in of.values())]
        Table(
            f"{provider}: instances with GPUs, USD an hour",
            texts("instance", "region", "as of") + figures(*terms, show="{:,.2f}".format),
            [(*key, *(found.get(term) for term in terms)) for key, found in of.items()],
        ).print(console)
    if file is None:
        say(console, "plan catalogue prices NAME has the source of every figure.", style="dim")


def show_entry(section: str, name: str, as_json: bool) -> None:
    """Print every figure of one entry with what is known about it."""
    if name not in _names(section):
        known = ", ".join(_names(section)) + nearest(name, _names(section), 3)
        raise InputError.single(f"plan catalogue {section}", f"no entry `{name}` among {known}")
    if section == SHAPES:
        print_json({name: demand_shape(name)})
        return
    found = figures_of(_file(section))[name]
    if as_json:
        print_json({name: found})
        return
    console = new_console()
    say(console, name, style="bold")
    for figure in found:
        say(console, f"{figure.attribute}  {figure.value} {figure.unit}", lead="  ")
        known = ", ".join(filter(None, (figure.year, figure.confidence, figure.source)))
        note = f"{known}: {figure.note}" if figure.note else known
        say(console, note, indent=4, style="dim")


def _names(section: str) -> tuple[str, ...]:
    return demand_shape_names() if section == SHAPES else tuple(catalogue(_file(section)))


def _file(section: str) -> str:
    return CATALOGUES[SECTIONS[section]]


def _entry_table(section: str) -> Table:
    columns = [column for column in COLUMNS if column["section"] == section]
    rows: list[Row] = []
    for name, entry in catalogue(_file(section)).items():
        hot = ["yes" if name in hot_week_names() else ""] if section == "climate" else []
        cells = [_cell(entry.get(column["attribute"]), column) for column in columns]
        rows.append((name, *cells, *hot))
    note = f"{NOTES.get(section, '')}plan catalogue {section} NAME has the source of every figure."
    heads = texts("name")
    for column in columns:
        heads += (figures if column["factor"] else texts)(column["heading"])
    heads += texts("hot week") if section == "climate" else ()
    return Table(HELP[section], heads, rows, note)


def _cell(value: Any, column: Mapping[str, str]) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value * float(column['factor']):,.{column['digits']}f}"


def _shape_table() -> Table:
    weeks = {name: np.array(demand_shape(name)) for name in demand_shape_names()}
    rows: list[Row] = [
        (name, len(week), *(float(of(week)) for of in (np.min, np.mean, np.max)))
        for name, week in weeks.items()
    ]
    columns = texts("name") + figures("hours")
    columns += figures("least", "mean", "most", show="{:.2f}".format)
    return Table(HELP[SHAPES], columns, rows)
