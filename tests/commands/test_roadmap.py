"""``plan roadmap`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import run_plan

from planner.commands import main

MODEL = """
extends: tiny
horizon: {start: 2026-01, periods: 2, growth: {demand: {per_year: 0.1}}, order_months: {gpus: 12}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and its roadmap."""
    folder = tmp_path_factory.mktemp("roadmap")
    (folder / "model.yaml").write_text(MODEL)
    done = run_plan("roadmap", "model.yaml", "-o", "out", "--delays", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return folder


def test_it_prints_the_calendar_and_writes_files(folder: Path) -> None:
    said = (folder / "printed.txt").read_text()
    for title in ("Calendar of orders", "Capacity and demand", "Capital by year", "Periods"):
        assert title in said
    assert "Before the first deliveries" in said
    assert max(map(len, said.splitlines())) <= 80
    assert (folder / "out" / "calendar.csv").read_text().startswith("node,kind,asset")
    assert (folder / "out" / "p2" / "plan.json").exists()


def test_json_is_the_file(folder: Path) -> None:
    done = run_plan(
        "roadmap", "model.yaml", "--json", "-q", "--delays", "0", "--from", "out", "--now", "2",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made, written = json.loads(done.stdout), json.loads((folder / "out/roadmap.json").read_text())
    assert made["decided_periods"] == 1
    assert made["npv_usd"] == pytest.approx(written["npv_usd"], rel=2e-4)
    assert set(made) == set(written)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["tiny"], 2, "the model has no `horizon`; add at least"),
        (["model.yaml", "--now", "2"], 2, "--now needs --from"),
        (["model.yaml", "--from", "model.yaml"], 2, "is not a roadmap in JSON"),
        (["model.yaml", "-o", "model.yaml"], 2, "is a file"),
        (["model.yaml", "--set", "horizon.periods=0"], 2, "greater than or equal to 1"),
        (["model.yaml", "-q", "--set", "policies.capital_budget_usd=0"], 3, ""),
    ],
)
def test_what_is_wrong_is_said(
    folder: Path,
    arguments: list[str],
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        main(["roadmap", *arguments])
    said = capsys.readouterr()
    assert ended.value.code == code, said.err
    assert text in said.err
    if code == 3:
        assert "more budget" in said.out
