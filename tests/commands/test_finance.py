"""`plan finance` from end to end: what it prints and writes, and what it refuses."""

from __future__ import annotations

import csv
import json
import math
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from planner.commands import main
from planner.errors import InputError
from planner.finance import replanning, workbook
from planner.reliability.monte_carlo import Cascade
from tests.commands.conftest import Runs

#: Nothing is sampled where nothing comes up: for what does not depend on samples.
NEVER = ("--only", "surge", "--set", "generators.surge.frequency_per_year=0")
FEW = ("--samples", "10")
TINY = Path(__file__).parents[2] / "models" / "tiny.yaml"
SHORT_REPAIRS_HOURS = 0.5
DEFAULTS = replanning.replan.__defaults__ or ()
FLOWS = {1: 1e6, 3: -2.5e5}


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that is quick to sample, its plan, and other cash flows."""
    folder = tmp_path_factory.mktemp("finance")
    lines = []
    for line in TINY.read_text(encoding="utf-8").splitlines():
        head, found, tail = line.partition("repair_hours: ")
        rest = tail.lstrip("0123456789.")
        lines.append(f"{head}{found}{SHORT_REPAIRS_HOURS}{rest}" if found else line)
    lines += ["simulation: {horizon_minutes: 150.0}"]
    (folder / "quick.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = "".join(f"{year},{usd},a note\n" for year, usd in FLOWS.items())
    (folder / "flows.csv").write_text(f"year,usd,note\n{rows}", encoding="utf-8")
    assert _run("optimize", folder / "quick.yaml", "-q", "-o", folder / "plan")[0] == 0
    return folder


@pytest.fixture(scope="session")
def study(place: Path) -> dict[str, Any]:
    """What `--json` says of a plan and of what exists, both with other flows."""
    files = ("--csv", place / "tables", "-o", place / "book.xlsx")
    named = ("--plan", f"best={place / 'plan'}", "--plan", f"kept={place / 'quick.yaml'}")
    code, out = _run(
        *("finance", place / "quick.yaml", *named, "--cash-flows", place / "flows.csv"),
        *(*FEW, *files, "--json", "-q"),
    )
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


def _run(*arguments: str | Path) -> tuple[int, str]:
    with redirect_stdout(StringIO()) as out, pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code, out.getvalue()


def test_todays_build_is_valued_in_the_world_of_the_plan(place: Path, tmp_path: Path) -> None:
    """The plan was made with dear electricity, other interest and one scenario: so is the base."""
    set_ = ("--set", "regions.west.electricity_usd_per_mwh=400", "--set", "finance.tax_rate=0.1")
    only = ("--only", "region-west")
    made = _run("optimize", place / "quick.yaml", *set_, *only, "-q", "-o", tmp_path / "dear")
    assert made[0] == 0

    _, out = _run("finance", "--plan", tmp_path / "dear", *FEW, "--json", "-q")
    found = json.loads(out)
    _, out = _run(
        "finance", place / "quick.yaml", "--plan", tmp_path / "dear", *FEW, "--json", "-q"
    )

    assert json.loads(out)["plans"] == found["plans"]
    assert found["assumptions"]["tax_rate"] == 0.1
    base, plan = found["plans"]
    energy = {
        one["name"]: {
            line["asset"]: line["usd_per_year"]
            for line in one["running"]
            if line["category"] == "energy"
        }
        for one in (base, plan)
    }
    # Static power alone, which no routing moves: half of 5 MW at 400 USD/MWh.
    assert energy["as it was"]["west-gpus"] >= 0.5 * 5.0 * 400 * 8760
    assert {line["source"] for line in base["losses"]} <= {"region-west"}
    assert {scenario["scenario"] for scenario in found["scenarios"]} == {"region-west"}


def _plan(study: dict[str, Any], name: str) -> dict[str, Any]:
    return next(build for build in study["plans"] if build["name"] == name)


# ---------------------------------------------------------------------------------------- contract


def test_json_has_the_documented_keys(study: dict[str, Any]) -> None:
    assert [build["name"] for build in study["plans"]] == ["as it was", "best", "kept"]
    numbers = ("capital_usd", "usd_per_year", "npv_usd", "expected_annual_loss_usd", "cvar95_usd")
    returns = ("irr", "payback_years", "benefit_cost_ratio", "roi")
    for build in study["plans"]:
        assert all(math.isfinite(build[name]) for name in numbers)
        assert all(build[name] is None or math.isfinite(build[name]) for name in returns)
        assert set(build["availability"]) == {"business", "free"}
        for share in build["availability"].values():
            assert 0 <= share["low"] <= share["estimate"] <= share["high"] <= 1
    assert study["ledger"] == []
    for line in study["sensitivity"]:
        assert {"input", "low", "high", "npv_low_usd", "npv_high_usd"} <= line.keys()
    assert {line["plan"] for line in study["sensitivity"]} == {"best", "kept"}
    assert study["sampling"]["samples"] == 10
    assert set(study["sampling"]) == {"samples", "seed", "alpha"}
    # A few of each kind are drawn whatever is asked for.
    assert all(build["samples"] >= build["simulated"] > 10 for build in study["plans"])


def test_costs_are_those_of_the_plan_file(study: dict[str, Any], place: Path) -> None:
    plan = json.loads((place / "plan" / "plan.json").read_text(encoding="utf-8"))
    best = _plan(study, "best")
    assert best["capital_usd"] == pytest.approx(plan["cost"]["capital_usd"], abs=0.01)
    assert best["usd_per_year"] == pytest.approx(plan["cost"]["usd_per_year"], abs=0.02)
    assert sum(line["usd"] for line in best["capital"]) == pytest.approx(best["capital_usd"])
    assert best["survives"]
    assert not _plan(study, "as it was")["survives"]


def test_losses_add_up_by_cause(study: dict[str, Any]) -> None:
    for build in study["plans"]:
        by_cause = sum(line["usd_per_year"] for line in build["losses"])
        assert by_cause == pytest.approx(build["expected_annual_loss_usd"], abs=0.1)
        total = build["owning_usd_per_year"] + build["expected_annual_loss_usd"]
        assert build["total_usd_per_year"] == pytest.approx(total, abs=0.02)
        for share in build["availability"].values():
            minutes = 525_600 * (1 - share["estimate"])
            assert share["downtime_minutes_per_year"] == pytest.approx(minutes, abs=1e-3)
    base, best = _plan(study, "as it was"), _plan(study, "best")
    avoided = base["expected_annual_loss_usd"] - best["expected_annual_loss_usd"]
    assert best["avoided_usd_per_year"]["estimate"] == pytest.approx(avoided, abs=0.02)


def test_returns_follow_from_the_printed_cash_flow(study: dict[str, Any]) -> None:
    terms = study["assumptions"]
    rate, years, tax = (terms[key] for key in ("discount_rate", "horizon_years", "tax_rate"))
    assert len(_plan(study, "best")["cash_flow"]) == years + 1
    for name in ("best", "kept"):
        plan = _plan(study, name)
        net = [year["net_usd"] for year in plan["cash_flow"]]
        npv = math.fsum(usd / (1 + rate) ** t for t, usd in enumerate(net))
        assert plan["npv_usd"] == pytest.approx(npv, abs=0.1)
        if plan["irr"] is not None:
            at_irr = math.fsum(usd / (1 + plan["irr"]) ** t for t, usd in enumerate(net))
            assert at_irr == pytest.approx(0, abs=1.0)
        taxed = sum(year["tax_usd"] for year in plan["cash_flow"])
        # Whatever the depreciation, tax is a share of all that comes in in the end.
        assert taxed == pytest.approx(-tax * (sum(net) - taxed), abs=0.5)


def test_other_flows_count_for_every_plan(study: dict[str, Any]) -> None:
    kept = _plan(study, "kept")
    assert {
        year["year"]: year["other_usd"] for year in kept["cash_flow"] if year["other_usd"]
    } == FLOWS
    # What exists against itself has no flows but those.
    rate, tax = study["assumptions"]["discount_rate"], study["assumptions"]["tax_rate"]
    npv = (1 - tax) * sum(usd / (1 + rate) ** year for year, usd in FLOWS.items())
    assert kept["npv_usd"] == pytest.approx(npv, abs=0.01)
    assert kept["capital"] == []
    for key in ("expected_annual_loss_usd", "cvar95_usd", "availability", "running"):
        assert kept[key] == _plan(study, "as it was")[key]


def test_tables_say_the_same_as_json(study: dict[str, Any], place: Path) -> None:
    tables = {
        path.stem: list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        for path in (place / "tables").glob("*.csv")
    }
    assert {"assumptions", "returns", "capital", "running", "cash_flow", "losses"} <= tables.keys()
    returns = {row["plan"]: row for row in tables["returns"]}
    for build in study["plans"]:
        row = returns[build["name"]]
        for key in ("capital_usd", "npv_usd", "expected_annual_loss_usd", "usd_per_year"):
            assert float(row[key]) == build[key]
        assert row["irr"] == ("" if build["irr"] is None else str(build["irr"]))
        assert float(row["cvar_usd"]) == build["cvar95_usd"]
    flows = [float(row["net_usd"]) for row in tables["cash_flow"] if row["plan"] == "best"]
    assert flows == [year["net_usd"] for year in _plan(study, "best")["cash_flow"]]
    assumed = {row["input"]: row["value"] for row in tables["assumptions"]}
    assert float(assumed["discount_rate"]) == study["assumptions"]["discount_rate"]
    assert assumed["seed"] == "0"
    assert (place / "book.xlsx").read_bytes()[:2] == b"PK"


# ---------------------------------------------------------------------------------------- terminal


def test_optimizing_first_with_the_same_seed_gives_the_same_values(
    plan: Runs, study: dict[str, Any], place: Path
) -> None:
    ran = plan("finance", place / "quick.yaml", *FEW)
    assert ran.code == 0
    assert "optimised first" in ran.err
    assert "sampling failures" in ran.err
    best = _plan(study, "best")
    for usd in (best["capital_usd"], best["owning_usd_per_year"]):
        assert any(f"{usd / 1e6:,.{places}f}" in ran.out for places in (1, 2))
    assert best["availability"]["business"]["shown_percent"] in ran.out
    left_out = " and ".join(best["availability_leaves_out"])
    assert left_out and f"not of {left_out}" in " ".join(ran.out.split())
    loss = best["expected_annual_loss_usd"] / 1e6
    assert any(f"{loss:.{places}f}" in ran.out for places in (2, 3))
    sampled = " / ".join(str(build["samples"]) for build in study["plans"][:2])
    assert sampled in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "…" not in ran.out


def test_another_seed_gives_other_samples(plan: Runs, study: dict[str, Any], place: Path) -> None:
    narrow = ("--only", "region-west", "--json", "-q", *FEW)
    command = ("finance", place / "quick.yaml", "--plan", place / "plan", *narrow)
    first, again, other = (plan(*command, "--seed", seed).json for seed in ("1", "1", "2"))
    for found in (first, again, other):
        del found["created"]
    assert first == again
    assert first["plans"][0]["name"] == "as it was"
    assert first["plans"][1]["name"] == "plan"
    assert first["plans"][0]["losses"] != other["plans"][0]["losses"]
    # Fewer sources of failure, less to lose.
    whole = _plan(study, "as it was")["expected_annual_loss_usd"]
    assert first["plans"][0]["expected_annual_loss_usd"] < whole


def test_replan_says_which_inputs_change_the_plan(
    plan: Runs, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replanning.replan, "__defaults__", ((replanning.DEMAND,), *DEFAULTS[1:]))
    (tmp_path / "grant.csv").write_text("year,usd\n1,40e6\n", encoding="utf-8")
    ran = plan(
        *("finance", place / "quick.yaml", "--plan", place / "plan", *NEVER[:2], *FEW),
        *("--cash-flows", tmp_path / "grant.csv", "--replan", "--json", "-q"),
    )
    assert ran.code == 0
    less, more = ran.json["replanned"]
    assert (less["input"], less["value"], more["value"]) == ("demand", 0.9, 1.1)
    assert less["capital_usd"] < ran.json["plans"][1]["capital_usd"] < more["capital_usd"]
    assert all(any("east-gpus" in text for text in change["changed"]) for change in (less, more))
    # What was bought for more demand does for less; it only costs more.
    assert less["regret_usd_per_year"] > 0


# --------------------------------------------------------------------------------- nothing to value


def test_no_cash_flow_is_bad_input(plan: Runs, place: Path) -> None:
    model = place / "quick.yaml"
    ran = plan("finance", model, "--plan", f"same={model}", *NEVER, *FEW, "-q")
    assert ran.code == 2
    assert "same: cash flow: changes nothing" in ran.err


def test_spending_without_income_is_bad_input_and_shown(plan: Runs, place: Path) -> None:
    files = ("--csv", place / "spent")
    ran = plan("finance", place / "quick.yaml", "--plan", place / "plan", *NEVER, *FEW, *files)
    assert ran.code == 2
    assert "plan: cash flow: every cash flow is negative" in ran.err
    assert "failures cost nothing" in ran.err
    assert "Cash flow after tax" in ran.out
    assert (place / "spent" / "cash_flow.csv").exists()


def test_without_a_plan_what_exists_is_valued(plan: Runs, place: Path) -> None:
    little = ("--set", "regions.east.power_limit_mw=1", "--json")
    ran = plan("finance", place / "quick.yaml", *NEVER[:2], *FEW, *little)
    assert ran.code == 3
    assert [build["name"] for build in ran.json["plans"]] == ["as it was"]
    assert "no plan" in ran.err


# --------------------------------------------------------------------------------------- bad input


@pytest.fixture
def unsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input is found before anything is simulated."""

    def never(*_: object) -> None:
        pytest.fail("simulated for bad input")

    monkeypatch.setattr(Cascade, "__init__", never)


@pytest.mark.usefixtures("unsampled")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            [
                *("--set", "finance.discount_rate=-1", "--set", "finance.horizon_years=0"),
                *("--set", "finance.tax_rate=nan", "--set", "finance.inflation_per_year=x"),
            ],
            ["4 problems", "discount_rate", "horizon_years", "tax_rate", "inflation_per_year"],
        ),
        (["--set", "finance.depreciation=magic"], ["straight-line", "macrs"]),
        (["--set", "finance.incident=nope"], ["`nope` is not among incidents"]),
        (["--plan", "=x", "--plan", ""], ["expected PLAN or NAME=PLAN"]),
        (["--plan", "a=PLAN", "--plan", "a=PLAN"], ["`a` is listed twice"]),
        (["--plan", "as it was=PLAN"], ["`as it was` is listed twice"]),
        (["--plan", "one", "--plan", "two", "--cash-flows", "no.csv"], ["one: no such", "two: no"]),
        (["--plan", "PLAN", "--cash-flows", "no.csv"], ["no.csv: cannot be read"]),
        (["--plan", "PLAN", "--set", "gpus.accelerator.rps=1.1", "--replan"], ["--replan: needs"]),
        (["-o", "book.txt"], ["ends in .xlsx"]),
        (["-o", "nowhere/book.xlsx"], ["not a writable folder"]),
        (["--csv", "MODEL"], ["is a file"]),
        (["--samples", "9"], ["--samples"]),
        (["--alpha", "1"], ["--alpha"]),
        (["--alpha", "nan"], ["--alpha"]),
        (["--only", "nothing"], ["matches none"]),
        (["--set", "generators=null"], ["no scenarios: nothing can fail"]),
    ],
)
def test_bad_input_is_named(
    plan: Runs,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    told: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"PLAN": str(place / "plan"), "MODEL": str(place / "quick.yaml")}
    for word, path in names.items():
        arguments = [
            argument.replace(word, path) if argument.endswith(word) else argument
            for argument in arguments
        ]
    ran = plan("finance", place / "quick.yaml", *arguments)
    assert ran.code == 2
    assert ran.out == ""
    # Usage errors are broken into lines.
    said = " ".join(ran.err.split())
    assert [text for text in told if text not in said] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("unsampled")
def test_every_missing_price_is_named(plan: Runs, place: Path, tmp_path: Path) -> None:
    text = (place / "quick.yaml").read_text(encoding="utf-8")
    for price in ("electricity_usd_per_mwh: 80.0, ", "capital_usd: 20000.0, "):
        assert text.count(price) == 1
        text = text.replace(price, "")
    text = text.replace("0.15, capital_usd: 1650000.0", "0.15")
    (tmp_path / "quick.yaml").write_text(text, encoding="utf-8")
    missing = (
        "regions.west.electricity_usd_per_mwh: has no price",
        "gpus.accelerator.capital_usd: has no price",
        "cooling_units.chiller-3.capital_usd: has no price",
    )
    for named in ((), ("--plan", place / "plan")):
        ran = plan("finance", tmp_path / "quick.yaml", *named)
        assert ran.code == 2
        assert [text for text in missing if text not in ran.err] == []
        assert "chiller-1" not in ran.err


@pytest.mark.usefixtures("unsampled")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("year,usd\n", ["contains no cash flow"]),
        ("", ["lacks the column year and usd"]),
        ("year;usd\n1;5\n", ["lacks the column"]),
        ("year,year,usd\n1,2,5\n", ["column year more than once"]),
        (
            "year,usd\n11,5\n-1,5\n1.5,5\n2,nan\n2,inf\n4,\n5\n6,1_000\n7,$5\n"
            + "9" * 5000
            + ",1\n",
            [f"flows.csv:{line}:" for line in range(2, 12)],
        ),
        ("year,usd,note\n1,5," + "a" * 140_000, ["is not a CSV file"]),
    ],
    ids=["empty", "nothing", "semicolons", "doubled", "lines", "long"],
)
def test_bad_cash_flows_are_named(
    plan: Runs, place: Path, tmp_path: Path, text: str, told: list[str]
) -> None:
    (tmp_path / "flows.csv").write_text(text, encoding="utf-8")
    named = ("--plan", place / "plan", "--cash-flows", tmp_path / "flows.csv")
    ran = plan("finance", place / "quick.yaml", *named)
    assert ran.code == 2
    assert [text for text in told if text not in ran.err] == []


def test_an_unwritable_file_does_not_lose_the_result(
    plan: Runs, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object, path: Path) -> None:
        raise InputError.single(str(path), "cannot be written: No space left on device")

    monkeypatch.setattr(workbook, "write_workbook", full)
    (tmp_path / "grant.csv").write_text("year,usd\n1,40e6\n", encoding="utf-8")
    ran = plan(
        *("finance", place / "quick.yaml", "--plan", place / "plan", *NEVER, *FEW),
        *("--cash-flows", tmp_path / "grant.csv", "--csv", tmp_path / "tables"),
        *("-o", tmp_path / "book.xlsx"),
    )
    assert ran.code == 2
    assert "No space left" in ran.err
    assert "Side by side" in ran.out
    assert (tmp_path / "tables" / "returns.csv").exists()


def test_losses_of_nothing_stand_above_their_intervals(plan: Runs, place: Path) -> None:
    """A loss of zero is a figure: without its row nobody knows what the interval is of."""
    free = [
        word
        for field in ("value_usd_per_1000_requests", "sla_credit_usd_per_1000_requests")
        for word in ("--set", f"tiers.*.{field}=0")
    ]
    ran = plan("finance", place / "quick.yaml", "--plan", place / "plan", *NEVER, *FEW, *free)
    lines = [line.split("  ")[0] for line in ran.out.splitlines()]
    for label in ("expected annual loss", "VaR 95 % of a year's losses"):
        assert label in lines
