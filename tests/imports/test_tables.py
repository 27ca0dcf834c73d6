"""Models as tables of a spreadsheet, there and back."""

from __future__ import annotations

import csv
import io
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import often

from planner.errors import InputError, PlannerError
from planner.imports.inventory import Asked
from planner.imports.model_text import model_text
from planner.imports.tables import layout, read_tables
from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.checks import REFERENCES
from planner.infrastructure.entities import Model
from planner.infrastructure.field_types import types_at
from planner.infrastructure.loading import load_model
from planner.infrastructure.source import parse_yaml
from planner.reporting.model_tables import csv_files, workbook


def as_csv(model: Model, folder: Path) -> Path:
    tables = folder / "tables"
    tables.mkdir(exist_ok=True)
    for old in tables.iterdir():
        old.unlink()
    for name, content in csv_files(model).items():
        (tables / name).write_bytes(content)
    return tables


def as_xlsx(model: Model, folder: Path) -> Path:
    path = folder / "tables.xlsx"
    path.write_bytes(workbook(model))
    return path


FORMS: tuple[Callable[[Model, Path], Path], ...] = (as_csv, as_xlsx)


def back(path: Path, folder: Path) -> Model:
    text = model_text(read_tables(Asked(path)))
    assert all(len(line) <= 100 or '"' in line or "#" in line for line in text.splitlines())
    made = folder / "made.yaml"
    made.write_text(text, encoding="utf-8")
    return load_model(made).model


def problems(path: Path) -> list[str]:
    with pytest.raises(InputError) as raised:
        read_tables(Asked(path))
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *((name, as_csv) for name in shipped_models()),
        *((name, as_xlsx) for name in ("chatgpt-2023-measures", "hyperscaler-12-roadmap")),
    ],
)
def test_every_shipped_model_comes_back_as_it_was(tmp_path, name, form):
    model = load_model(name).model
    assert back(form(model, tmp_path), tmp_path) == model


#: Texts that spreadsheets, CSV or YAML take for something else.
TEXTS = st.one_of(
    # Noncharacters are none of YAML or of a workbook.
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), max_size=20),
    st.sampled_from(
        ["=1+1", "+1", "-1", "@x", "'=1", "'", '"', '"a"', " a ", "a\n\tb ", "1,5", "TRUE", "null",
         "{}", "[]", "a;b", "_x0041_", "# no comment", "a: b", "2026-01", "1e5", "  # a  b"]
    ),
)  # fmt: skip
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,7}", fullmatch=True)
NUMBERS = st.floats(0, 1e9) | st.sampled_from([0.1 + 0.2, 1 / 3, 5e-324, 1e9 + 1 / 3])


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """Values beyond those of `tiny`, nested ones too, with any names."""
    east, west, unit, feed, path = draw(st.lists(NAMES, min_size=5, max_size=5, unique=True))
    course = st.fixed_dictionaries({}, optional={"per_year": st.floats(-1, 100)})
    events = [{"kind": "region", "name": west, "repair_minutes": 30.0}]
    events += draw(st.sampled_from([[], [{"kind": "surge", "factor": 2.0, "repair_minutes": 1.0}]]))
    return {
        "description": draw(TEXTS),
        "regions": {
            east: {"power_limit_mw": draw(NUMBERS), "source": draw(TEXTS)},
            west: {"power_limit_mw": 9.0, "candidate": draw(st.booleans()), "city": draw(TEXTS)},
        },
        "gpus": {"g": {"power_mw": 0.001, "static_share": draw(st.floats(0, 1)), "rps": 1.0}},
        "clusters": {"c": {"region": east, "gpu": "g", "existing_gpus": 8, "max_gpus": 8}},
        "cooling_units": {unit: {"capacity_mw": 1.0}},
        "plants": {"p": {"region": east, "cools": ["c"], "existing": {unit: 3}}},
        "feeds": {feed: {"region": east, "capacity_mw": 1.0, "powers": draw(st.just(["c", "p"]))}},
        "services": {feed: {"plane": "edge", "replicas": {east: 2, west: 1}}},
        "tiers": {
            "t": {"priority": 1, "share": 1.0, "sla_credits": [{"below": 0.9, "credit": 0.1}]},
        },
        "zones": {"z": {"demand_rps": 1.0, "latency_ms": {east: draw(NUMBERS), west: 1.0}}},
        "shapes": {"day": [1.0] * 24, unit: [draw(NUMBERS) + 1] * 168},
        "measures": {
            "m": {"replicas": {feed: {west: 1}}, "operations": draw(st.sampled_from([{}, TIMES]))},
            "n": {"independent": draw(st.sampled_from([{}, {"p": [feed]}, {"p": []}]))},
        },
        "operations": draw(
            st.sampled_from([{}, {"gates": {}}, {"alert_temperatures_c": []}, {"restoration": []}])
        ),
        "standard": {"single": [], "double": [RULE]},
        "policies": {"fixed": {"cooling": {"p": {unit: -1}}}},
        "scenarios": {"s": {"severity": "region", "frequency_per_year": 1.0, "events": events}},
        "horizon": {
            "start": "2026-01",
            "periods": 3,
            "growth": {"zones": {"z": draw(course)}},
            "paths": {path: {"probability": 1.0, "growth": {"tiers": {"t": draw(course)}}}},
            "power": [{"region": east, "firm_mw": 2.0}],
            "capital_budgets_usd": {"2026": draw(NUMBERS)},
        },
    }  # fmt: skip


TIMES = {"detection_minutes": 1.0}
RULE = {"tier": "all", "from_minute": 0, "least_served": 1}


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=often(12, 300),
)
@given(data=models(), form=st.sampled_from(FORMS))
def test_any_model_comes_back_as_it_was(tmp_path, monkeypatch, data, form):
    # What it says need not make sense: the checks of references and sums have tests of their own.
    monkeypatch.setattr("planner.imports.tables.model_of", lambda *_: None)
    model = Model.model_validate({"name": "m", **data})
    inventory = read_tables(Asked(form(model, tmp_path)))
    text = model_text(inventory)
    assert Model.model_validate(parse_yaml(text.encode(), "made").data) == model


def test_every_value_stands_in_one_table(tiny):
    """Nothing that is read twice could contradict itself."""
    tables = {
        name: list(csv.reader(io.StringIO(text.decode())))
        for name, text in csv_files(tiny.model).items()
    }
    assert [row[0] for row in tables["model.csv"]] == ["setting", "name", "description"]
    assert tables["plants.csv"][0][:4] == ["name", "region", "cools", "role"]
    assert "power_limit_mw [MW]" in tables["regions.csv"][0]
    assert tables["finance.csv"][1][:3] == ["discount_rate", "0.08", ""]
    assert {"fields.csv", "standard.csv"} < tables.keys() and "horizon.csv" not in tables


def test_fields_name_every_column_that_tables_have(reference):
    fields = csv_files(reference.model)["fields.csv"].decode()
    named = {tuple(row[:2]) for row in csv.reader(io.StringIO(fields))}
    assert ("clusters", "region") in named and ("scenarios.events", "kind") in named
    for title, (kind, path) in layout().items():
        assert kind == "series" or any(table == title for table, _ in named), title
        assert types_at(tuple(0 if part == "#" else part for part in path)), title
    assert "a name in regions" in fields and "running, standby" in fields


def test_texts_are_no_formulas(tiny, tmp_path):
    model = tiny.model.replace(description="=HYPERLINK(1)", source="@SUM(1)")
    book = openpyxl.load_workbook(as_xlsx(model, tmp_path))
    assert not any(cell.data_type == "f" for sheet in book for row in sheet.rows for cell in row)
    assert b"description,'=HYPERLINK(1)" in csv_files(model)["model.csv"]


def test_a_workbook_proposes_what_is_accepted(tiny, tmp_path):
    book = openpyxl.load_workbook(as_xlsx(tiny.model, tmp_path))
    lists = {
        (sheet.title, str(rule.sqref)): rule.formula1
        for sheet in book
        for rule in sheet.data_validations.dataValidation
    }
    assert lists["clusters", "B2:B2000"] == "'regions'!$A$2:$A$2000"
    assert lists["plants", "D2:D2000"] == '"primary,emergency"'
    assert lists["standard", "A2:A2000"] == '"single,double,common,region,extreme"'
    assert dict(REFERENCES)["clusters", "*", "region"] == "regions"


def changed(model: Model, folder: Path, table: str, change: Callable[[str], str]) -> Path:
    tables = as_csv(model, folder)
    path = tables / f"{table}.csv"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    return tables


@pytest.mark.parametrize(
    ("table", "old", "new", "said"),
    [
        ("clusters", "west-gpus,west", "west-gpus,wset", ":2:2: clusters.west-gpus.region"),
        ("clusters", ",1000,", ",many,", "clusters.csv:2:4: clusters.west-gpus.existing_gpus"),
        ("clusters", "gpu,", "gpus,", "clusters.csv:2:3: clusters.west-gpus.gpus"),
        ("clusters", "east-gpus", "west-gpus", ":3:1: clusters.west-gpus: is listed twice"),
        ("finance", "0.08", "8", "finance.csv:2:2: finance.discount_rate"),
        ("finance", "discount_rate", "emergency_budget_usd", ":3:2: finance.emergency_bud"),
        ("finance", "value", "values", "finance.csv:1:1: needs a `value` column"),
        ("standard", "of,", "class,", "standard.csv:1:1: needs a `of` column"),
        ("standard", "double,", "dobule,", "standard.dobule"),
        ("standard", ",120.0,", ",soon,", "standard.csv:5:3: standard.common.1.from_minute"),
    ],
)  # fmt: skip
def test_problems_stand_at_their_cells(tiny, tmp_path, table, old, new, said):
    path = changed(tiny.model, tmp_path, table, lambda text: text.replace(old, new, 1))
    found = problems(path)
    assert any(said in problem for problem in found), found


def test_problems_of_a_sheet_name_sheet_row_and_column(tiny, tmp_path):
    path = as_xlsx(tiny.model, tmp_path)
    book = openpyxl.load_workbook(path)
    book["clusters"]["D2"] = "many"
    book["clusters"]["E3"] = "=1+1"
    book["tiers"]["B2"] = "#REF!"
    book.save(path)
    found = problems(path)
    assert any(
        problem.startswith(f"{path}[clusters]:3:5: its formula has no value") for problem in found
    )
    book["clusters"]["E3"] = 100
    book["tiers"]["B2"] = 1
    book.save(path)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}[clusters]:2:4: clusters.west-gpus.existing_gpus: expected")


def test_semicolons_with_decimal_commas(tiny, tmp_path):
    def german(text: str) -> str:
        rows = csv.reader(io.StringIO(text))
        return "\n".join(
            ";".join(re.sub(r"^(\d+)\.(\d)", r"\1,\2", c) for c in row) for row in rows
        )

    tables = as_csv(tiny.model, tmp_path)
    for name in ("clusters", "gpus", "tiers", "zones", "finance", "regions"):
        path = tables / f"{name}.csv"
        path.write_text(german(path.read_text(encoding="utf-8")), encoding="utf-8-sig")
    assert "0,005" in (tables / "gpus.csv").read_text(encoding="utf-8-sig")
    assert back(tables, tmp_path) == tiny.model


def test_what_people_add_is_read_or_said(tmp_path):
    """Quantities with units, entries of the catalogue, a month that became a date, other sheets."""
    path = as_xlsx(load_model("tiny-roadmap").model, tmp_path)
    book = openpyxl.load_workbook(path)
    book["regions"]["D2"] = "12000 kW"
    (start,) = (row for row in book["horizon"].rows if row[0].value == "start")
    start[1].value = __import__("datetime").datetime(2026, 1, 1)
    book.create_sheet("notes")["A1"] = "mine"
    book.save(path)
    inventory = read_tables(Asked(path))
    assert [finding.subject for finding in inventory.findings] == ["notes"]
    assert back(path, tmp_path) == load_model("tiny-roadmap").model


def test_machines_alone_get_the_demand_that_they_could_serve(tiny, tmp_path):
    tables = as_csv(tiny.model, tmp_path)
    for name in ("tiers", "zones", "standard", "generators", "offers"):
        (tables / f"{name}.csv").unlink()
    model = back(tables, tmp_path)
    assert model.zones["users"].demand_rps == 0.8 * 1400


def test_files_that_are_no_tables(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    assert "has no CSV files" in problems(tmp_path / "empty")[0]
    assert "cannot be read" in problems(tmp_path / "none")[0]
    wrong = tmp_path / "wrong.xlsx"
    wrong.write_bytes(b"PK no zip")
    assert "is no workbook that can be read" in problems(wrong)[0]
    with zipfile.ZipFile(wrong, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("xl/workbook.xml", b"0" * 1000)
    monkeypatch.setattr("planner.imports.tables.MOST_UNPACKED", 999)
    assert "once unpacked" in problems(wrong)[0]
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(PlannerError, match=r"pip install 'resilience-planner\[xlsx\]'"):
        read_tables(Asked(wrong))
