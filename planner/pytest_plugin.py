"""Pytest plugin: a test for every scenario of a model or plan, and fixtures for your own tests.

Without ``--plan-model``, ``--plan`` or their ini options it registers options and fixtures and does
nothing else. Everything heavy is imported once one of them is given.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from planner.infrastructure.entities import Model
    from planner.plan.records import Plan
    from planner.pytest_support.options import TestOptions
    from planner.pytest_support.survivability import Survivability

#: Key under which the options are sent to processes of pytest-xdist.
WORKER_KEY = "resilience_planner"
MARKERS = {
    "single": "scenarios of one failure (N-1)",
    "double": "scenarios of two failures at once (N-2)",
    "common": "scenarios of a common cause, such as a heat wave or a demand surge",
    "region": "scenarios in which a region is lost",
    "extreme": "scenarios beyond the design basis",
    "plan_scenario": "tests collected with --plan-model, one for each scenario",
}
NOT_GIVEN = (
    "The fixture `{fixture}` needs {what}: run pytest with {option}, "
    "or set {ini} in the ini file of pytest."
)
ONE_PERIOD = (
    "The fixture `{fixture}` is of one plan, and --plan is a roadmap: take the fixture `periods`, "
    "or run pytest with the plan of one period, such as --plan DIR/p1."
)

_options_key: pytest.StashKey[TestOptions | None] = pytest.StashKey()
_survivability_key: pytest.StashKey[tuple[Survivability, ...]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options."""
    group = parser.getgroup("resilience-planner", "survivability of an infrastructure (plan)")
    group.addoption(
        "--plan-model",
        dest="planner_model",
        metavar="MODEL",
        help="Model file, or name of a shipped model, whose scenarios become tests.",
    )
    group.addoption(
        "--plan",
        dest="planner_plan",
        metavar="FILE",
        help="Test the fleet of this plan (its plan.json or folder) instead of what exists, or "
        "those of all periods of a roadmap.json.",
    )
    group.addoption(
        "--plan-scenarios",
        dest="planner_scenarios",
        action="append",
        metavar="SETS",
        help="Scenario sets, separated by commas, as in `plan simulate --scenarios`: n-1,n-2 "
        "(repeatable). Default: those of the plan, or of the model.",
    )
    group.addoption(
        "--plan-extends-outside",
        dest="planner_extends_outside",
        action="store_true",
        help="Read what a model extends also where it is not below the folder of the model.",
    )
    parser.addini("plan_model", "As --plan-model; a path is relative to the ini file.", default="")
    parser.addini("plan_file", "As --plan; a path is relative to the ini file.", default="")
    parser.addini("plan_scenarios", "As --plan-scenarios.", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Read the options; register the markers if a model or plan is given."""
    config.stash[_options_key] = None
    if config.getoption("planner_extends_outside", False):
        from planner.infrastructure.loading import extending_outside

        stack = ExitStack()
        stack.enter_context(extending_outside())
        config.add_cleanup(stack.close)
    workerinput: dict[str, Any] | None = getattr(config, "workerinput", None)
    if workerinput is not None:
        record = workerinput.get(WORKER_KEY)
        if record is not None:
            from planner.pytest_support.options import TestOptions

            config.stash[_options_key] = TestOptions.from_record(record, workerinput["workercount"])
    elif any(_given(config)):
        from planner.pytest_support.options import options_of

        config.stash[_options_key] = options_of(config)
    if config.stash[_options_key] is not None:
        for name, meaning in MARKERS.items():
            config.addinivalue_line("markers", f"{name}: {meaning}")


def _given(config: pytest.Config) -> tuple[bool, ...]:
    """Which options of ours are given; an empty one is, to be refused."""
    names = ("planner_model", "planner_plan", "planner_scenarios")
    options = (config.getoption(name, None) is not None for name in names)
    inis = (bool(config.getini(n)) for n in ("plan_model", "plan_file", "plan_scenarios"))
    return (*options, *inis)


def _tested(config: pytest.Config) -> tuple[Survivability, ...]:
    """What is tested, loaded once; several of a roadmap, none where nothing is asked for."""
    asked = config.stash.get(_options_key, None)
    if asked is None:
        return ()
    if _survivability_key not in config.stash:
        from planner.errors import InputError
        from planner.pytest_support.options import refusal
        from planner.pytest_support.survivability import survivability_of

        try:
            config.stash[_survivability_key] = survivability_of(asked)
        except InputError as error:
            raise pytest.UsageError(refusal(error)) from error
    return config.stash[_survivability_key]


def _is_eager(config: pytest.Config) -> bool:
    asked = config.stash.get(_options_key, None)
    return asked is not None and asked.eager


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse bad options before anything runs, in the process that people look at."""
    if _is_eager(session.config):
        _tested(session.config)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is tested."""
    tested = _tested(config) if _is_eager(config) else ()
    return [line for survivability in tested for line in survivability.header()]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist what is asked for."""
    asked = node.config.stash.get(_options_key, None)
    if asked is not None:
        node.workerinput[WORKER_KEY] = asked.record()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Take node ids of scenarios out of the arguments, which pytest looks for as files."""
    asked = session.config.stash.get(_options_key, None)
    if asked is not None and asked.named:
        from planner.pytest_support.options import is_node_id

        session.config.args = [arg for arg in session.config.args if not is_node_id(arg)]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Put the scenarios beside the files of a session."""
    report = yield
    asked = collector.config.stash.get(_options_key, None)
    if asked is not None and asked.collects and isinstance(collector, pytest.Session):
        tested = _tested(collector.config)
        if tested and report.passed:
            from planner.pytest_support.collection import ScenarioTests

            made = (ScenarioTests.of(collector, one) for one in tested if one.collected)
            report.result = [*(report.result or []), *made]
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell the simulator in what order verdicts will be wanted."""
    for survivability in session.config.stash.get(_survivability_key, ()):
        from planner.pytest_support.collection import expected

        survivability.expect(expected(session.items, survivability))


def _needed(request: pytest.FixtureRequest, fixture: str) -> Survivability:
    survivability, *more = _all_needed(request, fixture)
    if more:
        pytest.fail(ONE_PERIOD.format(fixture=fixture), pytrace=False)
    return survivability


def _all_needed(request: pytest.FixtureRequest, fixture: str) -> tuple[Survivability, ...]:
    try:
        tested = _tested(request.config)
    except pytest.UsageError as error:
        pytest.fail(str(error), pytrace=False)
    if not tested:
        what, option, ini = "a model", "--plan-model MODEL", "`plan_model`"
        message = NOT_GIVEN.format(fixture=fixture, what=what, option=option, ini=ini)
        pytest.fail(message, pytrace=False)
    return tested


@pytest.fixture(scope="session")
def survivability(request: pytest.FixtureRequest) -> Survivability:
    """Verdicts of the scenarios of --plan-model, simulated when asked for, and assertions."""
    return _needed(request, "survivability")


@pytest.fixture(scope="session")
def periods(request: pytest.FixtureRequest) -> dict[str, Survivability]:
    """Verdicts of every period of a roadmap given with --plan, by its name (``p3-high``)."""
    return {tested.name.rpartition("@")[2]: tested for tested in _all_needed(request, "periods")}


@pytest.fixture(scope="session")
def infrastructure(request: pytest.FixtureRequest) -> Model:
    """The infrastructure of --plan-model."""
    return _needed(request, "infrastructure").model


@pytest.fixture(scope="session")
def plan(request: pytest.FixtureRequest) -> Plan:
    """The plan of --plan; an error where none is given (`survivability.plan` is None then)."""
    found = _needed(request, "plan").plan
    if found is None:
        what, option, ini = "a plan", "--plan FILE", "`plan_file`"
        message = NOT_GIVEN.format(fixture="plan", what=what, option=option, ini=ini)
        pytest.fail(message, pytrace=False)
    return found
