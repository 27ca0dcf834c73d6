"""Nothing to buy, no room, no reach, no demand: an answer in the model's words, never an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.commands import main
from planner.errors import EXIT_INFEASIBLE
from planner.infrastructure.loading import load_model

#: One hall for two tiers of one zone; nobody says what a lost request is worth.
HALL = """
regions:
  here: {power_limit_mw: 8.0, design_ambient_c: 41.0}
  there: {power_limit_mw: 8.0}
gpus: {gpu: {power_mw: 0.002, static_share: 0.3, rps: 4.0, capital_usd: 8000.0}}
clusters: {hall: {region: here, gpu: gpu, existing_gpus: 0, block_gpus: 8, max_gpus: 800}}
cooling_units: {fan: {capacity_mw: 0.2, capital_usd: 70000.0, derating_per_c: 0.01}}
plants: {fans: {region: here, cools: [hall], options: [fan], max_added: 12}}
tiers:
  gold: {priority: 1, share: 0.7, latency_limit_ms: 90.0}
  rest: {priority: 2, share: 0.3, latency_limit_ms: 90.0}
zones: {users: {demand_rps: 1200.0, latency_ms: {here: 30.0}}}
standard: {common: [{tier: each, from_minute: 6, least_served: 0.6}]}
generators: {surge: {severity: common, frequency_per_year: 2.0, repair_hours: 2.0}}
simulation: {horizon_minutes: 20}
"""

#: What leaves no plan, what the conflict says, and the change that is suggested for it.
EDITS = [
    (["policies.capital_budget_usd=1.0"], "capital stays within 1 USD", "capital_budget_usd"),
    (["policies.capital_budget_usd=0.0"], "capital stays within 0 USD", "capital_budget_usd"),
    (["regions.here.power_limit_mw=0.0"], "here draws at most 0 MW", "here.power_limit_mw"),
    (["plants.fans.max_added=0"], "at most 0 units of fans/fan", "plants.fans.max_added"),
    (["clusters.hall.max_gpus=0"], "hall holds at most 0 GPUs", "clusters.hall.max_gpus"),
    (["tiers.gold.latency_limit_ms=2.0"], "no region lies within 2 ms", "gold.latency_limit_ms"),
    (["zones.users.latency_ms={there: 9.0}"], "no region lies within", "users.latency_ms.here"),
    (["cooling_units.fan.derating_per_c=0.2"], "derating_per_c is 0.2", "fan.derating_per_c"),
    (["cooling_units.fan.cutout_ambient_c=12.0"], "cutout_ambient_c is 12", "cutout_ambient_c"),
    (["zones.users.demand_rps=2.0e+4"], "at most 12 units of fans/fan", "clusters.hall.max_gpus"),
    (["tiers.gold.share=0.0", "tiers.rest.share=1.0", "clusters.hall.max_gpus=16"],
     "hall holds at most 16 GPUs", "clusters.hall.max_gpus"),
]  # fmt: skip


#: All with one solver, some with the other.
CASES = [(*edit, "highs") for edit in EDITS] + [(*edit, "cbc") for edit in EDITS[2:11:4]]


@pytest.mark.parametrize(
    ("edits", "conflict", "path", "solver"), CASES, ids=lambda value: str(value)[:45]
)
def test_diagnosis_names_the_requirement_and_the_limit(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    edits: list[str],
    conflict: str,
    path: str,
    solver: str,
) -> None:
    model = tmp_path / "hall.yaml"
    model.write_text(HALL, encoding="utf-8")
    settings = [part for edit in edits for part in ("--set", edit)]
    with pytest.raises(SystemExit) as end:
        main(["optimize", str(model), "-q", "--json", "--solver", solver, *settings])
    output = capsys.readouterr()
    assert end.value.code == EXIT_INFEASIBLE, output.err
    found = json.loads(output.out)
    assert conflict in " ".join(group["text"] for group in found["conflict"])
    assert any(
        path in option for relaxation in found["relaxations"] for option in relaxation["set"]
    )
    assert found["relaxations"][0]["survives"]
    for one in found["relaxations"]:
        load_model(model, (*edits, *one["set"]))  # refuses what makes no sense


@pytest.mark.parametrize(
    "edit",
    [
        "generators.surge=null",
        "tiers={gold: {priority: 1, share: 1.0}, rest: {priority: 2, share: 0.0}}",
    ],
)
def test_a_model_without_requirements_has_a_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: str
) -> None:
    model = tmp_path / "hall.yaml"
    model.write_text(HALL, encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main(["optimize", str(model), "-q", "--json", "--set", edit])
    output = capsys.readouterr()
    assert end.value.code in (None, 0), output.err
    json.loads(output.out)
