"""Roadmaps in money: years add up to the roadmap's own present value, and a workbook agrees."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pytest
from finance.recalculation import office, recalculated
from finance.test_workbook import _spoil as spoiled
from hypothesis import given
from hypothesis import strategies as st

from planner.finance.roadmaps import ONLY_PAID, RoadmapFinance, yearly_rate
from planner.finance.workbook.roadmap import roadmap_workbook
from planner.roadmap.records import Roadmap
from tests.roadmap.conftest import Told

RECEIVED = {2026: 20e6, 2027: 30e6}


@pytest.fixture(scope="module")
def study(roadmap: Roadmap) -> RoadmapFinance:
    return RoadmapFinance("mine", roadmap, RECEIVED)


def test_years_hold_every_payment_once(roadmap: Roadmap) -> None:
    study = RoadmapFinance("mine", roadmap)
    assert study.npv_usd == pytest.approx(-roadmap.npv_usd, abs=0.05)
    paid = sum(sum(values.values()) for values in study.by_year.values())
    assert paid == pytest.approx(-sum(study.by_month.values()))
    assert study.years == tuple(sorted({line.year for line in roadmap.budgets}))
    chance = {path.name: path.probability for path in roadmap.horizon.paths}
    for year in study.years:
        of_paths = sum(
            chance[name] * line.capital_usd
            for line in roadmap.budgets
            for name in line.path.split(", ")
            if line.year == year
        )
        assert study.by_year["capital"][year] == pytest.approx(of_paths, abs=0.05)


def test_a_rate_needs_income(roadmap: Roadmap, study: RoadmapFinance) -> None:
    assert RoadmapFinance("mine", roadmap).irr.reason == ONLY_PAID
    rate = study.irr.rate
    assert rate is not None
    worth = sum(usd / (1 + rate) ** (month / 12) for month, usd in study.by_month.items())
    assert worth == pytest.approx(0, abs=1)
    assert study.npv_usd == pytest.approx(
        -roadmap.npv_usd + sum(RECEIVED[y] / 1.08 ** (y - 2025) for y in RECEIVED), rel=1e-6
    )


@given(st.floats(-0.5, 2.0), st.sampled_from([1, 3, 6, 12]), st.integers(1, 9))
def test_yearly_rates_undo_compounding(rate: float, step: int, steps: int) -> None:
    grown = 1000 * (1 + rate) ** (step * steps / 12)
    found = yearly_rate({0: -1000.0, step * steps: grown})
    assert found.rate == pytest.approx(rate, abs=1e-6)


@pytest.mark.skipif(office() is None, reason="LibreOffice (soffice) is not installed")
def test_every_formula_of_the_workbook_has_its_value(study: RoadmapFinance, tmp_path: Path) -> None:
    content = tmp_path / "book.xlsx"
    content.write_bytes(roadmap_workbook([study]))
    spoiled(content, tmp_path / "spoiled.xlsx")
    (anew,) = recalculated([tmp_path / "spoiled.xlsx"], tmp_path)
    formulas = openpyxl.load_workbook(content)
    before, after = (openpyxl.load_workbook(path, data_only=True) for path in (content, anew))
    checked = 0
    for sheet in formulas:
        for cell in (cell for row in sheet.iter_rows() for cell in row):
            if isinstance(cell.value, str) and cell.value.startswith("="):
                checked += 1
                then = before[sheet.title][cell.coordinate].value
                now = after[sheet.title][cell.coordinate].value
                assert now == pytest.approx(then, rel=1e-6, abs=1e-6), (sheet.title, cell)
    assert checked > 2 * len(study.flows)
    front = after["Roadmaps"]
    assert front["B8"].value == pytest.approx(study.npv_usd)
    assert front["B9"].value == pytest.approx(study.irr.rate)


def test_the_command_says_what_it_says_for_machines(
    told: Told, folder: Path, tmp_path: Path
) -> None:
    flows = tmp_path / "flows.csv"
    flows.write_text("year,usd\n2026,20000000\n2027,30000000\n")
    call = ["finance", "--plan", str(folder), "--cash-flows", str(flows), "-q"]
    code, out, _ = told(*call, "--csv", str(tmp_path / "out"), "--json")
    assert code == 0
    (found,) = json.loads(out)["roadmaps"]
    assert found["name"] == folder.name
    assert [row["year"] for row in found["by_year"]] == [2026, 2027]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "measures.csv",
        "years.csv",
        "capital.csv",
    }
    _, shown, _ = told(*call)
    assert "IRR" in shown
    assert "Paid by year, M USD" in shown


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--samples", "20"], "--samples does not apply to a roadmap"),
        (["tiny"], "MODEL does not apply to a roadmap"),
        (["--plan", "tiny"], "is not a roadmap"),
    ],
)
def test_what_does_not_apply_is_refused(
    told: Told, folder: Path, more: list[str], text: str
) -> None:
    code, _, problems = told("finance", "--plan", str(folder / "roadmap.json"), *more)
    assert code == 2
    assert text in problems
