"""``plan roadmap`` on the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import run_here

from planner.commands import main
from planner.roadmap import proof

Data = dict[str, Any]

MODEL = """
extends: tiny
horizon: {start: 2026-01, periods: 2, growth: {demand: {per_year: 0.1}}, order_months: {gpus: 12}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and its roadmap."""
    folder = tmp_path_factory.mktemp("roadmap")
    (folder / "model.yaml").write_text(MODEL)
    done = run_here("roadmap", "model.yaml", "-o", "out", "--delays", "1", cwd=folder)
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
    done = run_here(
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


def of_another_model(roadmap: Data, other: Data) -> None:
    roadmap["plans"]["p2"] = other


def of_another_period(roadmap: Data, _: Data) -> None:
    roadmap["plans"]["p2"] = roadmap["plans"]["p1"]


@pytest.mark.parametrize("change", [of_another_model, of_another_period])
def test_a_plan_of_something_else_is_not_taken_for_that_of_a_period(
    folder: Path,
    tiny_plan: Path,
    tmp_path: Path,
    change: Callable[[Data, Data], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the roadmap itself, without its list of hashes."""
    data, other = (
        json.loads(file.read_bytes())
        for file in (folder / "out/roadmap.json", tiny_plan / "plan.json")
    )
    change(data, other)
    (tmp_path / "roadmap.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        main(["check-plan", str(tmp_path), "--fail-on", "survives < 1", "-q"])
    assert "p2: its plan is of another model or period" in " ".join(capsys.readouterr().err.split())


def test_a_folder_of_a_period_that_holds_another_plan_is_named(
    folder: Path, tiny_plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "prove", lambda *_: ())
    monkeypatch.setattr(proof, "_reasons", lambda _: ())
    shutil.copy(folder / "model.yaml", tmp_path)
    years = shutil.copytree(folder / "out", tmp_path / "out")
    assert not any(check.differs for check in proof.prove_any(years))
    (years / "p1" / "cost.csv").unlink()
    shutil.copytree(tiny_plan, years / "p2", dirs_exist_ok=True)
    told = [text for check in proof.prove_any(years) for text in check.differs]
    assert [text.removeprefix(f"{years}/") for text in told] == [
        "p1/cost.csv is missing",
        "p2/plan.json is not the plan of p2",
    ]
