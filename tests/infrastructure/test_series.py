"""Hourly numbers of a model as columns of a CSV table."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.errors import InputError
from planner.infrastructure.loading import load_model

MODEL = "extends: tiny\nclimates: year.csv\nregions: {west: {climate: dry}}\n"


def written(folder: Path, table: str, model: str = MODEL) -> Path:
    (folder / "year.csv").write_text(table)
    (folder / "model.yaml").write_text(model)
    return folder / "model.yaml"


def rows(values: int, wrong: str = "") -> str:
    lines = [
        f"{hour},{hour % 40},{wrong if hour == 2 and wrong else 7.5}" for hour in range(values)
    ]
    return "\n".join(["hour,dry,mild", *lines])


def test_columns_are_climates(tmp_path) -> None:
    loaded = load_model(written(tmp_path, rows(288)))
    assert set(loaded.model.climates) == {"dry", "mild"}
    assert loaded.model.climates["dry"][:3] == (0.0, 1.0, 2.0)
    more = load_model(written(tmp_path, rows(8760).replace("8759,39,7.5", "8759,39,7.6")))
    assert more.sha256 != loaded.sha256
    assert more.model.climates["mild"][-1] == 7.6


def test_shapes_may_be_columns_too(tmp_path) -> None:
    model = "extends: tiny\nshapes: year.csv\nzones: {west-users: {shape: dry}}\n"
    table = "hour;dry\n" + "\n".join(f"{hour};{hour},25" for hour in range(24))
    assert load_model(written(tmp_path, table, model)).model.shapes["dry"][2] == 2.25


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (rows(8784), "8,784 values; expected 8,760 or 288 (24 hours of 12 months); leave out 29 F"),
        (rows(8759), "8,759 values; expected 8,760"),
        (rows(288, "nan"), "year.csv:4:3: mild: `nan` is no number"),
        (rows(288, " "), "year.csv:4:3: mild: `` is no number"),
        (rows(288, "warm"), "year.csv:4:3: mild: `warm` is no number"),
        (rows(288, "900"), "200"),
        (rows(288, "1,2"), "4 cells where the header has 3"),
        ("", "the header needs a column of hours"),
        ("hour,dry,dry\n0,1,2", "the header needs a column of hours"),
        (rows(288).replace("dry", "wet"), "climate"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, table, complaint) -> None:
    with pytest.raises(InputError) as raised:
        load_model(written(tmp_path, table))
    assert any(complaint in str(problem) for problem in raised.value.problems), raised.value


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ("start_hour: 3, start_date: Jul-32", "no day of a year"),
        ("start_date: Jul-15", "needs a `start_hour` too"),
        ("start_hour: 3, start_date: hottest", "no day of a year"),
    ],
)
def test_dates_of_scenarios_are_checked(tmp_path, fields, complaint) -> None:
    event = "[{kind: region, name: west, at_minute: 5, repair_minutes: 60}]"
    scenario = f"{{severity: region, frequency_per_year: 1, {fields}, events: {event}}}"
    model = MODEL + f"scenarios: {{mine: {scenario}}}\n"
    with pytest.raises(InputError, match=complaint):
        load_model(written(tmp_path, rows(288), model))
