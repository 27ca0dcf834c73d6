"""`plan optimize` where there is no plan: exit 3, words, JSON, and nothing overwritten."""

from __future__ import annotations

import json
import pickle
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import solved

from planner.commands import main
from planner.errors import EXIT_INFEASIBLE
from planner.infrastructure.loading import load_model
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.infeasibility.diagnosis import Diagnosis, diagnose
from planner.optimization.infeasibility.trials import Verify
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.settings import SolverSettings

OVERRIDES = ("policies.surviving_capacity_share=0.45", "clusters.east-gpus.max_gpus=400")
#: What is looked at is what is said: scenarios that say nothing here, and the rest of the day, go.
SHORT = (
    "generators.heat_wave=null",
    "generators.surge=null",
    "simulation.horizon_minutes=150",
)
#: Diagnoses by what was diagnosed: pickled, which tells any two apart.
DIAGNOSED: dict[bytes, Diagnosis] = {}


def diagnosed_once(
    data: ProblemData,
    settings: SolverSettings,
    number: int,
    verify: Verify,
    conflict_only: bool,
    suspects: Collection[str],
) -> Diagnosis:
    """Diagnose, or recall what came of just the same before; time limits count every time."""
    if settings.time_limit_seconds is not None:
        return diagnose(data, settings, number, verify, conflict_only, suspects)
    key = pickle.dumps(
        (data.model, data.scenarios, data.learned, settings.gap, number, conflict_only)
    )
    if key not in DIAGNOSED:
        DIAGNOSED[key] = diagnose(data, settings, number, verify, conflict_only, suspects)
    return DIAGNOSED[key]


@pytest.fixture(autouse=True)
def each_diagnosis_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests are about what is made of a diagnosis."""
    monkeypatch.setattr("planner.verification.diagnose", diagnosed_once)


def run(
    capsys: pytest.CaptureFixture[str], *arguments: str, overrides: tuple[str, ...] = OVERRIDES
) -> tuple[str, str]:
    """Output and error of an infeasible `plan optimize tiny`."""
    settings = [part for override in (*SHORT, *overrides) for part in ("--set", override)]
    with pytest.raises(SystemExit) as end:
        main(["optimize", "tiny", *settings, *arguments])
    assert end.value.code == EXIT_INFEASIBLE == 3
    output = capsys.readouterr()
    return output.out, output.err


def answer(
    capsys: pytest.CaptureFixture[str], overrides: tuple[str, ...] = OVERRIDES
) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(capsys, "--json", "-q", overrides=overrides)[0])
    return found


def test_optimize_reports_the_conflict_and_its_relaxations(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output, errors = run(capsys)
    text = " ".join(output.split())
    assert text.startswith("No plan meets every requirement.")
    assert "cannot all hold; without" in text
    assert "east-gpus holds at most 400 GPUs" in text
    assert "raise the GPUs that east-gpus can hold by 500, from 400 to 900 GPUs" in text
    assert "25.00 M USD capex" in text
    assert "--set clusters.east-gpus.max_gpus=900" in text
    assert "230 GPUs: share of GPUs outside west" in text
    assert "Traceback" not in output + errors


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_lines_fit_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    output, _ = run(capsys)
    assert max(map(len, output.splitlines())) <= columns


def test_optimize_reports_requirements_that_no_limit_can_meet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output, _ = run(capsys, overrides=("policies.least_regions=3",))
    text = " ".join(output.split())
    assert "This cannot hold, whatever is bought: - at least 3 regions hold GPUs" in text
    assert "No raise of any limit provides: - 1 region" in text
    assert "lower the least number of regions by 1, from 3 to 2 regions" in text
    assert "raise the" not in text


def test_json_holds_the_whole_diagnosis(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    found = answer(capsys)
    assert found["status"] == "infeasible"
    assert found["complete"] is True
    assert found["irreducible"] is True
    assert found["round"] == 1
    assert {"kind", "family", "subject", "scenario", "text"} <= set(found["conflict"][0])
    names = [relaxation["name"] for relaxation in found["relaxations"]]
    assert names[:3] == ["mixture", "limits", "requirements"]
    assert [relaxation["cheapest"] for relaxation in found["relaxations"]].count(True) == 1
    assert all(
        relaxation["verified"] and relaxation["minimal"] for relaxation in found["relaxations"]
    )
    limits = found["relaxations"][1]
    assert limits["set"] == ["clusters.east-gpus.max_gpus=900"]
    assert limits["plan_usd_per_year"] > 0
    (change,) = limits["changes"]
    assert change.pop("usd_per_year") > 0
    assert "by 500, from 400 to 900 GPUs" in change.pop("text")
    assert change == {
        "kind": "limit",
        "family": "max_gpus",
        "subject": "east-gpus",
        "scenario": "",
        "path": "clusters.east-gpus.max_gpus",
        "before": 400,
        "value": 900,
        "amount": 500,
        "unit": "GPUs",
        "usd": pytest.approx(25e6),
    }


def test_earlier_keys_of_the_json_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    diagnosis = answer(capsys)["diagnosis"]
    shortfalls = {
        (shortfall["family"], shortfall["subject"], shortfall["scenario"])
        for shortfall in diagnosis["shortfalls"]
    }
    assert ("surviving_capacity_share", "west", "") in shortfalls
    assert ("served_floor", "business", "region-west") in shortfalls
    assert [limit["subject"] for limit in diagnosis["limits"]] == ["east-gpus"]
    assert diagnosis["hopeless"] == []


@pytest.mark.parametrize(
    "overrides",
    [
        OVERRIDES,
        ("policies.forbidden.gpus=[east-gpus]",),
        ("regions.east.power_limit_mw=2.5", "standard.region[0].least_served=0.97"),
        ("plants.west-chillers.redundancy=4", "plants.west-chillers.max_added=1"),
    ],
)
def test_suggested_settings_make_the_model_feasible(
    capsys: pytest.CaptureFixture[str], overrides: tuple[str, ...]
) -> None:
    """Each set, given back as `--set`, leaves a programme with a plan."""
    found = answer(capsys, overrides)
    assert found["relaxations"]
    for one in found["relaxations"]:
        model = load_model("tiny", (*SHORT, *overrides, *one["set"])).model
        assert solved(model)[1].status == "optimal"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_an_infeasible_model_leaves_an_earlier_plan_untouched(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, form: tuple[str, ...]
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text("an earlier plan", encoding="utf-8")
    before = plan.stat().st_mtime_ns
    run(capsys, "-o", str(tmp_path), *form)
    assert list(tmp_path.iterdir()) == [plan]
    assert plan.read_bytes() == b"an earlier plan"
    assert plan.stat().st_mtime_ns == before


def test_an_infeasible_model_makes_no_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(capsys, "-o", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_time_limit_cuts_the_diagnosis_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that is left after the rounds is all that the diagnosis gets."""
    monkeypatch.setattr(
        "planner.optimization.infeasibility.diagnosis.Deadline",
        lambda left: Deadline(replace(left, time_limit_seconds=0.01)),
    )
    output, _ = run(capsys, "--time-limit", "100")
    assert output.startswith("No plan meets every requirement.")
    assert "The time limit ended the diagnosis" in output
