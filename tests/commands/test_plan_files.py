"""Reading and writing ``plan.json`` and its tables."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import CHECKOUT, often

from planner import files
from planner.errors import InputError, OutputError
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.infrastructure.source import walk
from planner.plan.files import TABLES, read_plan, write_plan
from planner.plan.records import Plan

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def data(tiny_plan: Path) -> dict[str, Any]:
    return json.loads((tiny_plan / "plan.json").read_text(encoding="utf-8"))


@pytest.fixture
def problems(data: dict[str, Any], tmp_path: Path, tiny: LoadedModel) -> Callable[..., list[str]]:
    """Problems of a plan after a change, as ``where: message``."""

    def problems_of(change: Change, model: LoadedModel = tiny) -> list[str]:
        changed = deepcopy(data)
        change(changed)
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(changed))
        with pytest.raises(InputError) as caught:
            read_plan(path, model)
        assert all(problem.file == str(path) for problem in caught.value.problems)
        return [f"{problem.where}: {problem.message}" for problem in caught.value.problems]

    return problems_of


class TestWriting:
    def test_a_plan_is_written_as_json_and_tables(self, tiny_plan):
        names = {path.name for path in tiny_plan.iterdir()}
        tables = (f"{table}.csv" for table in TABLES)
        assert names == {"plan.json", "timing.json", "SHA256SUMS", *tables}

    def test_plan_json_has_the_documented_keys(self, data, tiny):
        for key in (
            "schema_version",
            "model",
            "created",
            "versions",
            "status",
            "objective_usd_per_year",
            "gap",
            "solver",
            "cooling",
            "gpus",
            "emergency",
            "measures",
            "cost",
            "scenarios",
            "verification",
        ):
            assert key in data
        assert data["schema_version"] == 1
        assert data["model"] == {
            "name": "tiny",
            "sha256": tiny.sha256,
            "path": "tiny",
            "overrides": [],
            "scenarios": None,
        }
        assert {"plant", "unit", "derated_mw_each", "firm_mw"} <= set(data["cooling"][0])
        assert {line["cluster"] for line in data["gpus"]} == set(tiny.model.clusters)
        assert {line["name"] for line in data["scenarios"]} >= {"region-west", "surge"}

    def test_tables_agree_with_the_plan(self, tiny_plan, data):
        for table in ("cooling", "gpus", "emergency", "scenarios"):
            with (tiny_plan / f"{table}.csv").open(newline="", encoding="utf-8") as stream:
                rows = list(csv.DictReader(stream))
            assert len(rows) == len(data[table])
            key = next(iter(data[table][0]))
            assert [row[key] for row in rows] == [line[key] for line in data[table]]
        with (tiny_plan / "cost.csv").open(newline="", encoding="utf-8") as stream:
            capital = sum(float(row["capital_usd"]) for row in csv.DictReader(stream))
        assert capital == pytest.approx(data["cost"]["capital_usd"])

    def test_a_plan_read_and_written_again_is_identical(self, tiny_plan, tiny, tmp_path):
        plan = read_plan(tiny_plan / "plan.json", tiny)
        write_plan(plan, tmp_path / "again")
        for name in ("plan.json", *(f"{table}.csv" for table in TABLES)):
            assert (tmp_path / "again" / name).read_bytes() == (tiny_plan / name).read_bytes()

    def test_settings_are_recorded(self, plan, tmp_path):
        setting = "finance.emergency_budget_usd=3e6"
        ran = plan("optimize", "tiny", "--set", setting, "-o", tmp_path / "out", "--json", "-q")
        assert ran.code == 0
        assert ran.json["model"]["overrides"] == [setting]
        assert ran.json["model"]["sha256"] == load_model("tiny", (setting,)).sha256
        written = json.loads((tmp_path / "out" / "plan.json").read_text())
        assert written["model"] == ran.json["model"]

    def test_fleet_is_what_exists_and_what_is_added(self, tiny_plan, tiny, data):
        fleet = read_plan(tiny_plan / "plan.json", tiny).fleet(tiny.model)
        for line in data["cooling"]:
            assert fleet.units[line["plant"]][line["unit"]] == line["total"]
        assert dict(fleet.gpus) == {line["cluster"]: line["total"] for line in data["gpus"]}
        (offer,) = data["emergency"]
        assert dict(fleet.instances) == {"cloud": offer["instances_reserved"]}

    def test_tables_hold_no_spreadsheet_formulas(self, tiny_plan, tiny, tmp_path):
        plan = read_plan(tiny_plan / "plan.json", tiny)
        for sign in "=+-@\t\r":
            line = plan.emergency[0].model_copy(update={"instance": f"{sign}1+1"})
            write_plan(plan.model_copy(update={"emergency": (line,)}), tmp_path)
            with (tmp_path / "emergency.csv").open(newline="", encoding="utf-8") as stream:
                (row,) = csv.DictReader(stream)
            assert row["instance"] == f"'{sign}1+1"

    def test_a_failure_while_writing_leaves_whole_files(
        self, tiny_plan, tiny, tmp_path, monkeypatch
    ):
        plan = read_plan(tiny_plan / "plan.json", tiny)
        write_plan(plan, tmp_path)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        other = plan.model_copy(update={"objective_usd_per_year": 1.0})
        replace = Path.replace

        def fail_for_plan(self: Path, target: Path) -> Path:
            if Path(target).name == "plan.json":
                raise OSError(28, "No space left on device")
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", fail_for_plan)
        with pytest.raises(OutputError, match="cannot be written: No space left on device"):
            write_plan(other, tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    def test_the_same_input_makes_the_same_bytes(self, plan, tmp_path, monkeypatch):
        """Also with other threads and workers, and in another place."""
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        runs = {"a": ("--threads", "1", "-j", "1"), "deep/b": ("--threads", "2", "-j", "2")}
        written = []
        for name, options in runs.items():
            assert plan("optimize", "tiny", "-q", "-o", tmp_path / name, *options).code == 0
            files = (tmp_path / name).iterdir()
            written.append({path.name: path.read_bytes() for path in files})
        first, second = written
        del first["timing.json"], second["timing.json"]
        assert first == second
        assert json.loads(first["plan.json"])["created"] == "2023-11-14T22:13:20+00:00"

    def test_the_order_of_hashes_changes_nothing(self, tmp_path):
        command = [sys.executable, str(CHECKOUT / "cli.py"), "optimize", "tiny", "-q"]
        command += ["--set", "simulation.horizon_minutes=180", "-o"]
        made = {}
        for seed in ("0", "1"):
            salted = os.environ | {"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": "1700000000"}
            out = subprocess.DEVNULL
            made[seed] = subprocess.Popen([*command, tmp_path / seed], env=salted, stdout=out)
        assert [process.wait(timeout=240) for process in made.values()] == [0, 0]
        sums = {seed: (tmp_path / seed / "SHA256SUMS").read_text("utf-8") for seed in made}
        assert "plan.json" in sums["0"]
        assert sums["0"] == sums["1"]

    @pytest.mark.parametrize("epoch", ["yesterday", "1e9", "9" * 30])
    def test_a_time_of_creation_that_is_none_is_refused_at_the_start(
        self, plan, tmp_path, monkeypatch, epoch
    ):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        for words in (("optimize", "tiny", "-o", tmp_path / "out"), ("check", "tiny")):
            ran = plan(*words)
            assert (ran.code, ran.out) == (2, "")
            assert "SOURCE_DATE_EPOCH: expected seconds since 1970" in ran.err

    def test_an_empty_time_of_creation_is_none(self, plan, monkeypatch):
        """Libraries are not shown it: some read it while they are imported, as a number."""
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
        assert plan("check", "tiny").code == 0
        assert "SOURCE_DATE_EPOCH" not in os.environ

    def test_a_plan_that_cannot_be_written_is_shown(self, plan, tmp_path, monkeypatch):
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(files, "replace_files", full)
        ran = plan("optimize", "tiny", "-q", "--json", "-o", tmp_path / "out")
        assert ran.code == 1
        assert ran.json["verification"]["survives"]
        assert "cannot be written: No space left on device" in ran.err
        ran = plan("optimize", "tiny", "-q", "-o", tmp_path / "out")
        assert ran.code == 1
        assert "Plan for tiny" in ran.out

    def test_a_folder_below_a_file_is_refused(self, tiny_plan, tiny, tmp_path):
        plan = read_plan(tiny_plan / "plan.json", tiny)
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot be written: Not a directory"):
            write_plan(plan, tmp_path / "file" / "out")


class TestReading:
    @pytest.mark.parametrize(
        ("content", "fragment"),
        [
            (b"", "is not a plan in JSON"),
            (b"{", "is not a plan in JSON"),
            (b"\xff\xfe\x00", "is not a plan in JSON"),
            (b"[" * 100_000, "is not a plan in JSON"),
            (b"[]", "expected a mapping"),
            (b"5", "expected a mapping"),
            (b"null", "expected a mapping"),
            (b"{}", "is missing"),
        ],
    )
    def test_a_file_that_is_not_a_plan_is_refused(self, tiny, tmp_path, content, fragment):
        path = tmp_path / "plan.json"
        path.write_bytes(content)
        with pytest.raises(InputError, match=fragment) as caught:
            read_plan(path, tiny)
        assert "\n" not in str(caught.value.problems[0])

    def test_a_missing_plan_file_is_reported(self, tiny, tmp_path):
        with pytest.raises(InputError, match="cannot be read: No such file"):
            read_plan(tmp_path / "plan.json", tiny)

    def test_a_model_given_as_a_plan_is_refused(self, plan, tmp_path):
        path = tmp_path / "model.yaml"
        path.write_text("extends: tiny\n")
        ran = plan("simulate", "tiny", "--plan", path)
        assert (ran.code, ran.out) == (2, "")
        assert "is not a plan in JSON" in ran.err

    @pytest.mark.parametrize("version", [0, 2, "1", None])
    def test_another_schema_version_is_refused(self, problems, version):
        (problem,) = problems(lambda p: p.update(schema_version=version))
        assert problem.startswith("schema_version: expected 1")

    def test_a_plan_of_a_version_before_0_6_is_refused_in_one_line(self, plan, data, tmp_path):
        old = data | {"versions": data["versions"] | {"planner": "0.5.1"}}
        (tmp_path / "plan.json").write_text(json.dumps(old))
        ran = plan("simulate", "--plan", tmp_path)
        assert (ran.code, ran.out) == (2, "")
        assert "was made by version 0.5.1; plans of version 0.6 and later are read" in ran.err
        assert "1 problem in the input" in ran.err

    def test_later_fields_are_ignored(self, data, tiny, tmp_path):
        path = tmp_path / "plan.json"
        path.write_text(
            json.dumps(data | {"new": 5} | {"gpus": [g | {"n": 1} for g in data["gpus"]]})
        )
        assert read_plan(path, tiny).objective_usd_per_year == data["objective_usd_per_year"]

    def test_an_empty_plan_is_refused(self, problems):
        def emptied(plan: dict[str, Any]) -> None:
            plan["cooling"], plan["gpus"], plan["emergency"] = [], [], []

        expected = "plan: is empty: it has neither cooling nor GPUs nor emergency capacity"
        assert expected in problems(emptied)

    def test_a_plan_of_another_model_is_refused(self, problems, reference):
        found = problems(lambda _: None, reference)
        message = "model.name: the plan is for model `tiny`, not `chatgpt-2023`; "
        assert f"{message}give that model, or one that extends it" in found
        assert any(
            problem.startswith("cooling.0.plant: the model has no plant `west-ch")
            for problem in found
        )
        assert any(
            problem.startswith("gpus.0.cluster: the model has no cluster") for problem in found
        )
        assert any(
            problem.startswith("emergency.0.offer: the model has no offer") for problem in found
        )

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda p: p["cooling"][0].update(plant="west-chilers"),
                "cooling.0.plant: the model has no plant `west-chilers`; did you mean "
                "`west-chillers`?",
            ),
            (
                lambda p: p["cooling"][0].update(unit="air-1"),
                "cooling.0.unit: `west-chillers` cannot have `air-1`",
            ),
            (
                lambda p: p["gpus"][0].update(cluster="west-gpu"),
                "gpus.0.cluster: the model has no cluster `west-gpu`; did you mean `west-gpus`?",
            ),
            (
                lambda p: p["emergency"][0].update(offer="clod"),
                "emergency.0.offer: the model has no offer `clod`; did you mean `cloud`?",
            ),
            (
                lambda p: p["cooling"][0].update(total=99),
                "cooling.0.total: 99 is not ",
            ),
            (
                lambda p: p["gpus"][1].update(total=401),
                "gpus.1.total: 401 is not ",
            ),
            (
                lambda p: p["gpus"][0].update(existing=900),
                "gpus.0.existing: the plan starts from 900, the model has 1000",
            ),
            (
                lambda p: p["cooling"][0].update(existing=1),
                "cooling.0.existing: the plan starts from 1, the model has 2",
            ),
            (
                lambda p: p["gpus"][0].update(added=1100, total=2100),
                "gpus.0.total: 2100 GPUs exceed max_gpus 2000",
            ),
            (
                lambda p: p["gpus"][0].update(region="east"),
                "gpus.0.region: `east` is not west, where the model has it",
            ),
            (
                lambda p: p["cooling"][0].update(region="nowhere"),
                "cooling.0.region: `nowhere` is not west, where the model has it",
            ),
            (
                lambda p: p["emergency"][0].update(gpus_reserved=1),
                "emergency.0.gpus_reserved: 1 is not ",
            ),
            (
                lambda p: p["gpus"].append(p["gpus"][0]),
                ": contradicts itself: gpus: west-gpus is listed twice",
            ),
            (
                lambda p: p["cooling"].append(p["cooling"][0]),
                ": contradicts itself: cooling: west-chillers/chiller-3 is listed twice",
            ),
            (
                lambda p: p["emergency"].append(p["emergency"][0]),
                ": contradicts itself: emergency: cloud is listed twice",
            ),
            (lambda p: p["gpus"][0].update(added=-1), "gpus.0.added: input should be greater than"),
            (
                lambda p: p["gpus"][0].update(added=True),
                "gpus.0.added: expected a whole number, not ",
            ),
            (lambda p: p["gpus"][0].update(added=1.0), "gpus.0.added: expected a whole number"),
            (lambda p: p["gpus"][0].update(added=10**30), "gpus.0.added: input should be less"),
            (lambda p: p.update(gap=float("nan")), "gap: expected a finite number, not nan"),
            (
                lambda p: p.update(objective_usd_per_year=float("inf")),
                "objective_usd_per_year: expected a finite number",
            ),
            (lambda p: p.update(status="perfect"), "status: expected 'optimal' or 'feas"),
            (lambda p: p.pop("cost"), "cost: is missing"),
        ],
    )
    def test_a_single_wrong_value_is_reported(self, problems, change, message):
        (problem,) = problems(change)
        assert problem.startswith(message)

    def test_fewer_instances_than_exist_are_refused(self, problems):
        model = load_model("tiny", ("offers.cloud.existing_instances=60",))
        found = problems(
            lambda p: p["emergency"][0].update(instances_reserved=59, gpus_reserved=472), model
        )
        assert found == [
            "emergency.0.instances_reserved: 59 are fewer than the model's 60 existing instances"
        ]

    def test_all_problems_of_a_plan_are_reported_at_once(self, problems):
        def change(plan: dict[str, Any]) -> None:
            plan["gpus"][0]["existing"] = 1
            plan["cooling"][1]["total"] = 77
            plan["model"] |= {"name": "other", "sha256": "0" * 64}

        assert [problem.split(":")[0] for problem in problems(change)] == [
            "cooling.1.total",
            "gpus.0.existing",
            "model.name",
        ]

    def test_assets_without_a_line_stay_as_they_exist(self, data, tiny, tmp_path):
        """A model that has grown since the plan was made has things that the plan does not name."""
        path = tmp_path / "plan.json"
        first = data["gpus"][0]
        lines = {"gpus": [first], "cooling": [], "emergency": []}
        path.write_text(json.dumps(data | lines))
        fleet, existing = read_plan(path, tiny).fleet(tiny.model), Fleet.existing(tiny.model)
        assert (fleet.units, fleet.instances) == (existing.units, existing.instances)
        assert fleet.gpus == existing.gpus | {first["cluster"]: first["total"]}

    def test_simulate_reports_a_wrong_plan_file(self, plan, data, tmp_path):
        path = tmp_path / "plan.json"
        changed = deepcopy(data)
        changed["gpus"][0]["existing"] = 1
        changed["model"] |= {"name": "other", "sha256": "0" * 64}
        path.write_text(json.dumps(changed))
        ran = plan("simulate", "tiny", "--plan", path)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("2 problems in the input:\n")


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["west-gpus", "\ud800", "\x1b[2J", [], {}, [[]], 10**400]),
)


@settings(
    max_examples=often(20, 500),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(draw=st.data())
def test_mutilated_plans_are_input_errors(data, tiny, tmp_path, draw):
    """A mutilated plan is read or refused with `InputError`; nothing else happens."""
    changed = deepcopy(data)
    paths = [path for path, _ in walk(changed) if path]
    for _ in range(draw.draw(st.integers(1, 2))):
        path = draw.draw(st.sampled_from(paths))
        parent: Any = changed
        try:
            for part in path[:-1]:
                parent = parent[part]
            if draw.draw(st.booleans()):
                parent[path[-1]] = draw.draw(JUNK)
            else:
                del parent[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(changed))
    try:
        plan = read_plan(file, tiny)
    except InputError as error:
        assert all("\n" not in str(problem) for problem in error.problems)
        str(error).encode()
    else:
        assert isinstance(plan, Plan)
        assert plan.fleet(tiny.model).gpus
