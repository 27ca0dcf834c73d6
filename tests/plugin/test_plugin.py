"""The pytest plugin: what is collected, what failures say, what strangers' repositories bear."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from support import CHECKOUT

from planner.commands import main
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.pytest_support import verdicts as judging
from planner.scenarios.generators import all_scenarios
from planner.simulation.verdict import Verdict, judge

pytest_plugins = ["pytester"]

MODEL = "extends: tiny\nsimulation: {horizon_minutes: 150}\n"
#: Plugins that take long and that no inner run needs.
UNUSED = ("-p", "no:hypothesispytest", "-p", "no:unraisableexception")
FAILING = (
    "unit-west-chillers",
    "2-units-west-chillers",
    "2-units-east-chillers",
    "region-west",
    "region-east",
)


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of somebody's own and its plan."""
    folder = tmp_path_factory.mktemp("infra")
    (folder / "prod.yaml").write_text(MODEL, encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main(["optimize", str(folder / "prod.yaml"), "--quiet", "--json", "-o", str(folder)])
    assert caught.value.code == 0
    return folder


@pytest.fixture(scope="module")
def loaded(prod: Path) -> LoadedModel:
    return load_model(prod / "prod.yaml")


@pytest.fixture(scope="module")
def verdicts(loaded: LoadedModel) -> dict[str, Verdict]:
    """What the simulator says of what exists."""
    model = loaded.model
    found = judge(model, Fleet.existing(model), all_scenarios(model))
    return {verdict.name: verdict for verdict in found}


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, prod: Path):
    """Run pytest with the plugin in a stranger's folder, in this process."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("BUILD_NUMBER", raising=False)
    for file in ("prod.yaml", "plan.json"):
        (pytester.path / file).write_text((prod / file).read_text("utf-8"), "utf-8")

    def run(*arguments: str) -> pytest.RunResult:
        plugins = ("-p", "planner.pytest_plugin", *UNUSED)
        # Where the plugin is installed, this process has imported it before.
        known = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
        result = pytester.runpytest_inprocess(*plugins, *arguments, *known)
        shown = str(result.stdout) + str(result.stderr)
        assert "INTERNALERROR" not in shown and "Traceback" not in shown
        return result

    return run


def _ids(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("plan::")]


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Names of the scenarios of each simulation."""
    batches: list[list[str]] = []
    simulate = judging.simulate

    def counted(model, fleet, scenarios):
        batches.append([scenario.name for scenario in scenarios])
        return simulate(model, fleet, scenarios)

    monkeypatch.setattr(judging, "simulate", counted)
    return batches


# -------------------------------------------------------------------------------------- collection


def test_every_scenario_is_a_test_and_collecting_simulates_none(run, verdicts, simulated) -> None:
    result = run("--plan-model", "prod.yaml", "--collect-only", "-q", "--strict-markers")

    assert result.ret == 0
    assert _ids(result) == [f"plan::prod::{name}" for name in verdicts]
    assert not simulated


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["-m", "region"], ["region-west", "region-east"]),
        (["-k", "heat and not west"], ["heat-wave-east"]),
        (["-k", "plan and surge"], ["surge"]),
        (["plan::prod::surge", "plan::prod::region-west"], ["region-west", "surge"]),
        (["-m", "plan_scenario and double"], ["2-units-west-chillers", "2-units-east-chillers"]),
        (["--deselect", "plan::prod::unit", "-m", "single"], ["provider-cloudy"]),
        (
            ["--plan-scenarios", "regions,provider"],
            ["region-west", "region-east", "provider-cloudy"],
        ),
    ],
)
def test_scenarios_are_selected(run, options: list[str], names: list[str]) -> None:
    result = run("--plan-model", "prod.yaml", "--collect-only", "-q", *options)

    assert _ids(result) == [f"plan::prod::{name}" for name in names]


def test_ini_options_are_relative_to_their_file_and_single_tests_run_alone(
    run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nplan_model = prod.yaml\nplan_scenarios = regions, surge\n")
    pytester.makepyfile(test_own="def test_own(): pass\ndef test_model(infrastructure): pass\n")
    below = pytester.mkdir("below")

    assert len(_ids(run("--collect-only", "-q"))) == 3
    run("test_own.py").assert_outcomes(passed=2)
    run("test_own.py::test_own").assert_outcomes(passed=1)
    run("-m", "region", "plan::prod::region-west").assert_outcomes(failed=1)
    monkeypatch.chdir(below)
    run("..", "--collect-only").stdout.fnmatch_lines(["*5 tests collected*"])
    run("../plan::prod::surge").assert_outcomes(passed=1)


# ----------------------------------------------------------------------------------------- verdicts


def test_tests_fail_as_the_simulator_judges_and_tell_the_story(run, verdicts, simulated) -> None:
    result = run("--plan-model", "prod.yaml", "-W", "error")

    assert tuple(name for name, one in verdicts.items() if one.fails) == FAILING
    # Nothing is reserved of the provider that is lost.
    assert verdicts["provider-cloudy"].status == "not applicable"
    passed = len(verdicts) - len(FAILING) - 1
    result.assert_outcomes(passed=passed, failed=len(FAILING), skipped=1)
    assert [name for batch in simulated for name in batch] == list(verdicts)
    result.stdout.fnmatch_lines(
        [
            "plan: prod as it is: 10 scenarios: 3 single, 2 double, 3 common, 2 region",
            "*_ plan::prod::region-west _*",
            "region west is lost: business served 0.63 at minute 5, needs 0.95",
            "  region-west (region, 0.05 per year), prod as it is",
            "  business * ▃▅▅▅* 0 to 1",
            "* ^^^^*",
            "* 0 * 149 min  ^ falls short",
            "  What falls short",
            "    all tiers together served 0.38 at minute 15, needs 0.7, until minute 149;",
            "      too little capacity is left",
            "  What happened",
            "    00:00     +0 min  region west is lost",
            "FAILED plan::prod::region-west - region west is lost: business served 0.63 at*",
        ]
    )
    first = next(i for i, line in enumerate(result.outlines) if "= FAILURES =" in line)
    assert max(len(line) for line in result.outlines[first:]) <= 80


def test_junit_xml_names_scenarios_and_gives_figures(run) -> None:
    run("--plan-model", "prod.yaml", "--junitxml", "out.xml", "-k", "region-west or surge")

    cases = {case.get("name"): case for case in ET.parse("out.xml").iter("testcase")}
    assert {case.get("classname") for case in cases.values()} == {"plan.prod"}
    lost, surge = cases["region-west"], cases["surge"]
    figures = {one.get("name"): one.get("value") for one in lost.iter("property")}
    assert figures["severity"] == "region"
    assert float(figures["frequency_per_year"]) == 0.05
    assert figures["recovery_minutes"] == "never"
    assert float(figures["served_business"]) == pytest.approx(0.633333)
    failure = lost.find("failure")
    assert (
        failure.get("message")
        == "region west is lost: business served 0.63 at minute 5, needs 0.95"
    )
    assert "region west is lost" in failure.text
    assert surge.find("failure") is None


def test_a_plan_survives_and_only_selected_scenarios_are_simulated(run, simulated) -> None:
    options = ("--plan-model", "prod.yaml", "--plan", "plan.json")
    run(*options, "-k", "region").assert_outcomes(passed=2)

    assert simulated == [["region-west", "region-east"]]


def test_a_plan_of_an_earlier_model_is_tested_with_a_note(run, pytester: pytest.Pytester) -> None:
    model = MODEL + "description: Changed since.\n"
    (pytester.path / "prod.yaml").write_text(model, "utf-8")
    result = run("--plan-model", "prod.yaml", "--plan", "plan.json", "--collect-only")

    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["plan: prod with plan.json: 10 scenarios:*", "*prod has changed since the plan was made"]
    )


def test_last_failed_runs_failures_alone(run, simulated) -> None:
    run("--plan-model", "prod.yaml", "-k", "region-west or surge").assert_outcomes(1, failed=1)
    simulated.clear()
    run("--plan-model", "prod.yaml", "--lf").assert_outcomes(failed=1)

    assert simulated == [["region-west"]]


def test_processes_share_blocks_and_each_simulates_a_scenario_once(loaded, simulated) -> None:
    names = [scenario.name for scenario in all_scenarios(loaded.model)]
    fleet = Fleet.existing(loaded.model)
    shared = judging.Judge(loaded.model, fleet, all_scenarios(loaded.model), workers=2)
    shared.expect(names)
    size = judging.FEWEST_IN_BATCH
    judging.FEWEST_IN_BATCH = 4
    try:
        for name in (names[5], names[6], names[9]):
            shared.outcome(name)
    finally:
        judging.FEWEST_IN_BATCH = size

    assert [sorted(batch) for batch in simulated] == [sorted(names[4:8]), sorted(names[8:12])]
    assert list(shared.outcomes()) == names
    assert sorted(name for batch in simulated for name in batch) == sorted(names)


# ----------------------------------------------------------------------------------------- fixtures


def test_fixtures_judge_and_their_assertions_help(run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_values(survivability, infrastructure, verdicts=None):
            assert infrastructure.name == "prod"
            assert not survivability.survives and survivability.plan is None
            assert survivability.verdicts["region-west"].severity == "region"
            assert survivability.failing[-1] == "region-east"
            assert survivability.served("free", "surge") == 1.0
            assert survivability.served("business", "region-west", at_minute=12) < 0.64
            assert survivability.served("all", "region-west") <= 0.38
            assert len(survivability.timeline("free", "surge")) == 150
            survivability.assert_survives("heat-*", "surge")
            survivability.assert_recovers("surge", within_minutes=0)

        def test_served(survivability):
            survivability.assert_served("business", "region-west", 0.99, from_minute=12)

        def test_all(survivability):
            survivability.assert_survives()

        def test_one(survivability):
            survivability.assert_survives("region-west")

        def test_recovery(survivability):
            survivability.assert_recovers("region-west", within_minutes=60)

        def test_misspelt(survivability):
            survivability.served("busines", "region-west")

        def test_unknown(survivability):
            survivability.verdict("region-wst")

        def test_no_key(survivability):
            survivability.verdicts["region-est"]

        def test_plan(plan):
            pass
        """
    )
    result = run(
        "--plan-model",
        "prod.yaml",
        pytester.path / "test_fixtures_judge_and_their_assertions_help.py::test_values",
    )
    result.assert_outcomes(passed=1)
    result = run("--plan-model", "prod.yaml", "-k", "not plan_scenario and test_")

    result.assert_outcomes(passed=1, failed=7, errors=1)
    result.stdout.fnmatch_lines_random(
        [
            "E  *region west is lost: business served 0.63 at minute 12, needs 0.99",
            "E  *5 of 10 scenarios are not survived:",
            "E  *region-west: region west is lost: business served 0.63 at minute 5, needs 0.95",
            "E  *00:00     +0 min  region west is lost",
            "E  *region west is lost: all demand is never served again, needed by minute 60",
            "E  *no tier is `busines`; did you mean `business`?*",
            "E  *no scenario is `region-wst`, of 10; did you mean `region-west`?",
            "E  *KeyError: *no scenario is `region-est`, of 10; did you mean `region-west`?*",
            "The fixture `plan` needs a plan: run pytest with --plan FILE*",
        ]
    )


def test_fixtures_say_what_they_need(run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_it(survivability): pass
        def test_model(infrastructure): pass
        def test_plan(plan): pass
        """
    )
    result = run()

    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["The fixture `survivability` needs a model: *--plan-model MODEL*"])


def test_plan_fixture_is_the_plan_and_may_be_overridden(run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_theirs="def test_it(plan, survivability):\n"
        "    assert plan is survivability.plan and plan.model.name == 'prod'\n",
        test_own="import pytest\n@pytest.fixture\ndef plan(): return 'mine'\n"
        "def test_it(plan, survivability): assert plan == 'mine' and survivability.plan\n",
    )
    result = run("--plan-model", "prod.yaml", "--plan", ".", "-m", "not plan_scenario")

    result.assert_outcomes(passed=2, deselected=10)


# -------------------------------------------------------------------------------------- bad options


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        (
            ["--plan-model", "prd.yaml", "--plan", "nix.json", "--plan-scenarios", "n-3,heet"],
            [
                "prd.yaml: no such file or shipped model",
                "nix.json: cannot be read",
                "`n-3`",
                "heet",
            ],
        ),
        (["--plan-model", "tiny", "--plan", "plan.json"], ["is for model `prod`, not `tiny`"]),
        (["--plan", "old.json"], ["which is not a shipped model; name its file: --plan-model"]),
        (["--plan", "lost.json"], ["prod.yaml no longer exists; name its file: --plan-model"]),
        (["--plan-model", ""], ["--plan-model is empty"]),
        (["--plan", " "], ["--plan is empty"]),
        (["--plan-scenarios", "n-1"], ["--plan-scenarios: needs --plan-model or --plan"]),
        (
            ["--plan-model", "bad.yaml"],
            ["bad.yaml:2:18: regions.west", "bad.yaml:3:16: tiers.free"],
        ),
        (
            ["--plan-model", "prod.yaml", "plan::prod::region-wst", "plan::prd::surge"],
            ["did you mean `plan::prod::region-west`?", "plan::prd::surge: no scenario"],
        ),
    ],
)
def test_bad_options_are_refused_with_all_problems(
    run, pytester: pytest.Pytester, options: list[str], problems: list[str]
) -> None:
    bad = "extends: tiny\nregions: {west: {design_ambient_c: hot}}\ntiers: {free: {share: 7}}\n"
    (pytester.path / "bad.yaml").write_text(bad, "utf-8")
    (pytester.path / "prod").mkdir()
    plan = (pytester.path / "plan.json").read_text("utf-8")
    for name, place in (("old", "null"), ("lost", '"prod/prod.yaml"')):
        text = plan.replace('"path": "prod.yaml"', f'"path": {place}')
        (pytester.path / f"{name}.json").write_text(text, "utf-8")
    result = run(*options)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    for problem in problems:
        assert problem in str(result.stderr)


def test_bad_options_end_a_run_in_several_processes_before_these_start(run) -> None:
    result = run("-n", "2", "--plan-model", "prd.yaml")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "prd.yaml: no such file or shipped model" in str(result.stderr)
    assert not result.outlines


# ------------------------------------------------------------------------------------- strangers

CONFTEST = """
import sys
import cli, datasets, models
import pytest

HEAVY = {"numpy", "pandas", "pulp", "pydantic", "networkx", "click", "rich", "planner.errors"}

@pytest.fixture
def plan():
    return "mine"

@pytest.fixture(autouse=True)
def always():
    yield

def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.nodeid)

def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"loaded: {sorted(HEAVY & set(sys.modules))}")
"""
OWN = """
import cli, datasets, models

def test_own(plan):
    assert plan == "mine"
    assert {one.WHOSE for one in (cli, datasets, models)} == {"a stranger's"}
"""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, prod: Path) -> Path:
    """A repository with packages of its own beside an environment in which the plugin is."""
    root = tmp_path_factory.mktemp("stranger")
    installed = root / "site" / "resilience_planner-0.1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: resilience-planner\nVersion: 0.1.0\n"
    )
    entry = "[pytest11]\nplanner.pytest_plugin = planner.pytest_plugin\n"
    (installed / "entry_points.txt").write_text(entry)
    repo = root / "repo"
    for name in ("models", "datasets", "cli"):
        (repo / name).mkdir(parents=True)
        (repo / name / "__init__.py").write_text('WHOSE = "a stranger\'s"\n')
    (repo / "conftest.py").write_text(CONFTEST)
    (repo / "tests").mkdir()
    (repo / "tests" / "test_own.py").write_text(OWN)
    ini = "[pytest]\nfilterwarnings = error\naddopts = --strict-markers --strict-config\n"
    (repo / "pytest.ini").write_text(ini)
    (repo / "infra").mkdir()
    (repo / "infra" / "prod.yaml").write_text((prod / "prod.yaml").read_text())
    return repo


def _in_process(repo: Path, *arguments: str, **environment: str):
    path = os.pathsep.join([str(repo.parent / "site"), str(CHECKOUT)])
    variables = os.environ | {"PYTHONPATH": path, "COLUMNS": "80"} | environment
    for name in ("CI", "BUILD_NUMBER", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        variables.pop(name, None)
    return subprocess.run(
        [sys.executable, "-m", "pytest", *UNUSED[:2], *arguments],
        cwd=repo,
        env=variables,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def test_nothing_is_loaded_or_changed_without_options(stranger: Path) -> None:
    done = _in_process(stranger, "-v")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "loaded: []" in done.stdout
    assert "plan:" not in done.stdout


def test_a_stranger_runs_scenarios_in_several_processes(stranger: Path) -> None:
    modes = ("--import-mode=importlib", "-p", "no:cacheprovider", "--rootdir", "..")
    options = ("-n", "2", "--plan-model", "infra/prod.yaml", "--junitxml=out.xml", *modes)
    done = _in_process(stranger, *options)

    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{len(FAILING)} failed, 5 passed, 1 skipped" in done.stdout
    assert "region west is lost: business served 0.63 at minute 5, needs 0.95" in done.stdout
    assert "▃▅▅▅▅" in done.stdout
    summary = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert sum("plan::prod::" in line and " - " in line for line in summary) == len(FAILING)
    found = [case.get("name") for case in ET.parse(stranger / "out.xml").iter("testcase")]
    assert sorted(set(found)) == sorted(found)
    assert len(found) == 11


def test_a_parent_outside_is_read_where_that_is_allowed(run, pytester: pytest.Pytester) -> None:
    pytester.mkdir("inside").joinpath("model.yaml").write_text("extends: ../prod.yaml\n", "utf-8")
    asked = ("--plan-model", "inside/model.yaml", "--collect-only", "-q")
    assert "is outside of the folder" in str(run(*asked).stderr)
    assert run(*asked, "--plan-extends-outside").ret == 0
    assert run(*asked).ret != 0


@pytest.mark.parametrize("example", ["github-actions.yml", "gitlab-ci.yml"])
def test_the_commands_of_the_examples_run(
    run, pytester: pytest.Pytester, prod: Path, example: str
) -> None:
    text = (CHECKOUT / "docs" / "examples" / example).read_text("utf-8")
    folder = pytester.mkdir("infrastructure")
    (folder / "model.yaml").write_text(MODEL, "utf-8")
    plan = (prod / "plan.json").read_text("utf-8").replace('"name": "prod"', '"name": "model"')
    (folder / "plan.json").write_text(plan, "utf-8")
    scripts = [one for one in _texts(YAML(typ="safe").load(text)) if one.startswith("p")]
    (check,) = (shlex.split(one) for one in scripts if one.startswith("plan "))
    (test,) = (shlex.split(one) for one in scripts if one.startswith("pytest "))

    with pytest.raises(SystemExit) as caught:
        main(check[1:])
    assert caught.value.code == 0
    assert "auto" in test
    result = run(*(one for one in test[1:] if one not in ("-n", "auto")), "--collect-only", "-q")
    assert result.ret == 0
    assert len(_ids(result)) > 10


def _texts(data: object) -> list[str]:
    """All texts of nested lists and mappings."""
    if isinstance(data, str):
        return [data]
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return [text for part in parts for text in _texts(part)]
