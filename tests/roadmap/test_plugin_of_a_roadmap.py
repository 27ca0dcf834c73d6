"""The pytest plugin on a roadmap: a test for each scenario of each period."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.roadmap.records import Roadmap

pytest_plugins = ["pytester"]
#: Plugins that take long and that no inner run needs.
UNUSED = ("-p", "no:hypothesispytest", "-p", "no:unraisableexception", "-p", "no:cacheprovider")


@pytest.fixture
def run(pytester: pytest.Pytester, folder: Path):
    """Run pytest on the roadmap in a stranger's folder, in this process."""

    def run(*arguments: str) -> pytest.RunResult:
        known = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
        plan = ("--plan", str(folder / "roadmap.json"))
        found = pytester.runpytest_inprocess(
            "-p", "planner.pytest_plugin", *UNUSED, *plan, *arguments, *known
        )
        assert "INTERNALERROR" not in str(found.stdout) + str(found.stderr)
        return found

    return run


def test_every_scenario_of_every_period_is_a_test(run, roadmap: Roadmap) -> None:
    found = run("--collect-only", "-q")
    ids = [line for line in found.outlines if line.startswith("plan::")]
    assert ids == [
        f"plan::tiny-roadmap@{node.name}::{line.name}"
        for node in roadmap.nodes
        for line in roadmap.plans[node.name].scenarios
    ]


def test_what_no_order_reaches_in_time_is_expected_to_fail(run, roadmap: Roadmap) -> None:
    first, high = roadmap.nodes[0], roadmap.nodes[-1]
    assert first.bridged
    assert not high.bridged
    found = run("-k", f"{first.name} or {high.name}", "-rx")
    found.assert_outcomes(
        passed=first.survived + high.survived,
        xfailed=len(first.failed),
        skipped=sum(
            not line.judged for n in (first, high) for line in roadmap.plans[n.name].scenarios
        ),
        deselected=sum(len(roadmap.plans[node.name].scenarios) for node in roadmap.nodes[1:-1]),
    )
    found.stdout.fnmatch_lines(["*no order of the roadmap arrives in time*"])


def test_a_node_id_names_the_scenario_of_a_period(run) -> None:
    run("plan::tiny-roadmap@p4-high::surge").assert_outcomes(passed=1)
    wrong = run("plan::tiny-roadmap@p9::surge")
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    assert "no scenario has this node id; did you mean" in str(wrong.stderr)


def test_fixtures_of_own_tests(run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_own="""
        def test_periods(periods):
            assert list(periods)[0] == "p1" and len(periods) == 6
            assert periods["p4-high"].served("business", "surge") > 0.9

        def test_one(survivability): ...
        """
    )
    found = run("-m", "not plan_scenario")
    found.assert_outcomes(passed=1, errors=1, deselected=found.parseoutcomes()["deselected"])
    found.stdout.fnmatch_lines(["*take the fixture `periods`*"])
