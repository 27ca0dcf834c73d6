"""``plan verify``, and what every other command refuses of a plan that is not what it states."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Data = dict[str, Any]


def edited(folder: Path, target: Path, edit: Callable[[Data], object]) -> Path:
    """A copy of a plan whose ``plan.json`` was edited by hand."""
    shutil.copytree(folder, target)
    data = json.loads((target / "plan.json").read_bytes())
    edit(data)
    (target / "plan.json").write_text(json.dumps(data), encoding="utf-8")
    return target


def line_of(data: Data, part: str, **named: str) -> Data:
    found: Data = next(line for line in data[part] if named.items() <= line.items())
    return found


def with_total(line: Data, total: int) -> None:
    line["total"], line["added"] = total, total - line["existing"]


def one_chiller_less(data: Data) -> None:
    line = line_of(data, "cooling", plant="west-chillers", unit="chiller-3")
    with_total(line, line["total"] - 1)


def many_chillers(data: Data) -> None:
    with_total(line_of(data, "cooling", plant="west-chillers", unit="chiller-1"), 900)


def part_of_a_block(data: Data) -> None:
    line = line_of(data, "gpus", cluster="east-gpus")
    with_total(line, line["existing"] + 433)


def half_the_objective(data: Data) -> None:
    data["objective_usd_per_year"] /= 2


def negative_capital(data: Data) -> None:
    line = data["cost"]["items"][0]
    data["cost"]["capital_usd"] -= 2 * line["capital_usd"]
    line["capital_usd"] *= -1


def region_renamed(data: Data) -> None:
    line_of(data, "gpus", cluster="east-gpus")["region"] = "west"


def cluster_renamed(data: Data) -> None:
    line_of(data, "gpus", cluster="east-gpus")["cluster"] = "east-gpu"


def scenario_dropped(data: Data) -> None:
    data["scenarios"] = [line for line in data["scenarios"] if line["name"] != "surge"]


def scenario_dropped_everywhere(data: Data) -> None:
    scenario_dropped(data)
    data["verification"]["judged"] -= 1
    del data["risk"]["once_usd"]["surge"]


def sums_that_are_none(data: Data) -> None:
    data["cost"]["usd_per_year"] += 1.0


def bound_above_cost(data: Data) -> None:
    data["verification"]["survivor_bound_usd_per_year"] = 2 * data["objective_usd_per_year"]


def cheaper_region(data: Data) -> None:
    """The objective, its round and the sums follow."""
    line = next(one for one in data["cost"]["items"] if one["category"] == "servers")
    saved = 0.5 * line["usd_per_year"]
    line["usd_per_year"] -= saved
    data["cost"]["usd_per_year"] -= saved
    data["objective_usd_per_year"] -= saved
    data["verification"]["rounds"][0]["objective_usd_per_year"] -= saved
    data["verification"]["survivor_bound_usd_per_year"] = None


def failures_without_a_price(data: Data) -> None:
    data["risk"] = None


TAMPERED = [
    failures_without_a_price,
    one_chiller_less,
    many_chillers,
    part_of_a_block,
    half_the_objective,
    negative_capital,
    scenario_dropped,
    scenario_dropped_everywhere,
    sums_that_are_none,
    bound_above_cost,
    cheaper_region,
]


def cheaper_failures(data: Data) -> None:
    """What only recourse shows: failures cost half of what they do, in all figures alike."""
    saved = 0.0
    for line in data["cost"]["items"]:
        if line["category"] == "recourse":
            saved += 0.5 * line["usd_per_year"]
            line["usd_per_year"] *= 0.5
    for name in data["risk"]["once_usd"]:
        data["risk"]["once_usd"][name] *= 0.5
    data["risk"]["expected_usd_per_year"] -= saved
    data["cost"]["usd_per_year"] -= saved
    data["objective_usd_per_year"] -= saved
    data["verification"]["rounds"][0]["objective_usd_per_year"] -= saved
    data["verification"]["survivor_bound_usd_per_year"] = None


def lost_requests_hidden(data: Data) -> None:
    """What only the simulation shows."""
    line_of(data, "scenarios", name="region-west")["lost_requests"] = 0.0


def test_a_plan_is_what_it_states(plan, tiny_plan):
    ran = plan("verify", tiny_plan, "-q")
    assert ran.code == 0, ran.out
    assert ran.out.count("ok    ") == 8
    assert ran.out.endswith("All that was checked is as stated.\n")
    found = plan("verify", tiny_plan, "--json", "-q").json
    assert found["holds"]
    assert all(check["done"] and not check["differs"] for check in found["checks"])


@pytest.mark.parametrize(
    "edit",
    [
        part_of_a_block,
        half_the_objective,
        cheaper_failures,
        lost_requests_hidden,
        failures_without_a_price,
    ],
)
def test_an_edited_plan_is_not_what_it_states(plan, tiny_plan, tmp_path, edit):
    folder = edited(tiny_plan, tmp_path / "out", edit)
    (folder / "SHA256SUMS").unlink()
    ran = plan("verify", folder, "-q")
    assert ran.code == 4, ran.out
    assert "FAIL  " in ran.out


@pytest.mark.parametrize("edit", TAMPERED)
def test_an_edited_plan_is_refused(plan, tiny_plan, tmp_path, edit):
    ran = plan("graph", "--plan", edited(tiny_plan, tmp_path / "out", edit))
    assert ran.code == 2
    assert "plan.json: " in ran.err
    assert not ran.out


@pytest.mark.parametrize("edit", [region_renamed, cluster_renamed])
def test_names_that_the_model_does_not_have_are_refused(plan, tiny_plan, tmp_path, edit):
    """Its model is found and unchanged, so the plan does not stand for itself."""
    folder = edited(tiny_plan, tmp_path / "out", edit)
    (folder / "SHA256SUMS").unlink()
    ran = plan("check-plan", folder, "--fail-on", "capital > 900M", "-q")
    assert (ran.code, ran.out) == (2, "")
    assert "gpus.1." in ran.err
    assert plan("verify", folder, "-q").code == 4


@pytest.mark.parametrize("edit", [half_the_objective, one_chiller_less])
@pytest.mark.parametrize(
    "command",
    [
        ("simulate", "--plan", "OUT"),
        ("compare", "OUT", "tiny"),
        ("report", "OUT", "--no-finance", "-o", "PAGE"),
        ("finance", "--plan", "OUT", "--samples", "10"),
        ("check-plan", "OUT", "--fail-on", "capital > 900M"),
        ("explain", "OUT", "--quick"),
        ("stress", "--plan", "OUT"),
    ],
    ids=lambda command: command[0],
)
def test_no_command_takes_an_edited_plan(plan, tiny_plan, tmp_path, edit, command):
    folder = edited(tiny_plan, tmp_path / "out", edit)
    places = {"OUT": folder, "PAGE": tmp_path / "page.html"}
    ran = plan(*(places.get(word, word) for word in command))
    assert "contradicts i" in ran.err or "another hash" in ran.err
    # Two sides are compared all the same, with what is wrong with one of them.
    assert ran.code == 2 or (command[0] == "compare" and "cannot be used any more" in ran.err)


def test_pytest_does_not_take_an_edited_plan(tiny_plan, tmp_path):
    from planner.errors import InputError
    from planner.pytest_support.survivability import _plans

    folder = edited(tiny_plan, tmp_path / "out", one_chiller_less)
    with pytest.raises(InputError, match="contradicts its model"):
        list(_plans(str(folder), None))


def test_a_changed_table_beside_a_plan_is_named(plan, tiny_plan, tmp_path):
    folder = shutil.copytree(tiny_plan, tmp_path / "out")
    with (folder / "cost.csv").open("a", encoding="utf-8") as table:
        table.write("more\n")
    ran = plan("verify", folder, "-q")
    assert ran.code == 4
    assert "cost.csv is not the file that was written" in " ".join(ran.out.split())
    assert "cost.csv is not the file" in plan("graph", "--plan", folder).err


def reworded(data: Data) -> None:
    """A change that contradicts nothing."""
    data["created"] = "2020-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "command", [("graph", "--plan"), ("explain", "--quick"), ("optimize", "tiny", "--from")]
)
def test_a_plan_that_is_not_the_file_written_is_refused(plan, tiny_plan, tmp_path, command):
    folder = edited(tiny_plan, tmp_path / "out", reworded)
    ran = plan(*command, folder)
    assert ran.code == 2
    assert "is not the file that was written" in " ".join(ran.err.split())
    if command[0] == "graph":
        (folder / "SHA256SUMS").unlink()
        assert plan(*command, folder).code == 0


def test_a_model_that_has_changed_is_named(plan, tiny_plan, tmp_path):
    model = tmp_path / "tiny.yaml"
    model.write_text("extends: tiny\nzones: {west-users: {demand_rps: 601}}\n", encoding="utf-8")
    ran = plan("verify", tiny_plan, model, "-q")
    assert ran.code == 4
    assert "model, catalogues and settings are the same" in ran.out


def test_what_is_no_plan_is_wrong_input(plan, tmp_path):
    file = tmp_path / "plan.json"
    file.write_text("{}", encoding="utf-8")
    assert plan("verify", file).code == 2
    assert plan("verify", tmp_path / "nowhere").code == 2


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan for a standard that asks for nothing where a region is lost."""
    from planner.commands import main

    folder = tmp_path_factory.mktemp("weak") / "out"
    weak = [f"standard.region[{rule}].least_served=0" for rule in range(3)]
    words = [word for setting in weak for word in ("--set", setting)]
    with pytest.raises(SystemExit, match="0"):
        main(["optimize", "tiny", *words, "-q", "--json", "-o", str(folder)])
    return folder


def test_a_plan_does_not_bring_the_standard_it_is_judged_by(plan, weak, tmp_path):
    rule = ("--fail-on", "survives < 1")
    ran = plan("check-plan", weak, *rule)
    assert ran.code == 4, ran.out
    told = " ".join(ran.err.split())
    assert "judged by the standard of tiny, not by that of the plan" in told
    assert "which is weaker (" in told
    page = plan("report", weak, "--no-finance", "-o", tmp_path / "page.html")
    assert "which is weaker (" in " ".join(page.err.split())
