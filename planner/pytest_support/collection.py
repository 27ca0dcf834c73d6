"""Scenarios as tests of pytest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import pytest

from planner.pytest_support.options import ROOT

if TYPE_CHECKING:
    from planner.infrastructure.failures import Scenario
    from planner.pytest_support.survivability import Survivability


class DoesNotSurviveError(AssertionError):
    """A scenario falls short of its standard.

    Attributes
    ----------
    headline
        What falls short first, as one line.
    """

    def __init__(self, text: str, headline: str) -> None:
        super().__init__(text)
        self.headline = headline


#: Why scenarios are skipped.
SKIPPED: Mapping[str, str] = {
    "not judged": "not judged: the standard requires nothing of class {severity} here",
    "not applicable": "not applicable: it affects nothing that exists",
}
#: Why a scenario that fails is expected to.
TOO_LATE = "no order of the roadmap arrives in time"


class ScenarioTests(pytest.Collector):
    """The scenarios of a model."""

    survivability: Survivability

    @classmethod
    def of(cls, session: pytest.Session, survivability: Survivability) -> ScenarioTests:
        """Make the collector of a session."""
        name = survivability.name
        made: ScenarioTests = cls.from_parent(session, name=name, nodeid=f"{ROOT}::{name}")
        made.survivability = survivability
        return made

    def collect(self) -> Iterator[ScenarioTest]:
        """One test for each scenario, in the same order in every process."""
        for scenario in self.survivability.collected:
            yield ScenarioTest.of(self, scenario)


class ScenarioTest(pytest.Item):
    """Whether the fleet survives a scenario."""

    survivability: Survivability

    @classmethod
    def of(cls, parent: ScenarioTests, scenario: Scenario) -> ScenarioTest:
        """Make the test of a scenario."""
        made: ScenarioTest = cls.from_parent(parent, name=scenario.name)
        made.survivability = parent.survivability
        made.add_marker(scenario.severity)
        made.add_marker("plan_scenario")
        made.extra_keyword_matches.add(ROOT)
        made.user_properties += [
            ("severity", scenario.severity),
            ("frequency_per_year", scenario.frequency_per_year),
        ]
        return made

    def runtest(self) -> None:
        """Fail with the story of the scenario if it falls short, skip it if it is not judged."""
        self.user_properties += self.survivability.properties(self.name)
        verdict = self.survivability.verdict(self.name)
        if verdict.status in SKIPPED:
            pytest.skip(SKIPPED[verdict.status].format(severity=verdict.severity))
        if verdict.fails and self.name in self.survivability.bridged:
            pytest.xfail(TOO_LATE)
        if verdict.fails:
            text, line = (
                self.survivability.explain(self.name),
                self.survivability.headline(self.name),
            )
            raise DoesNotSurviveError(text, line)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Tell the story instead of showing code."""
        if not isinstance(excinfo.value, DoesNotSurviveError):
            return super().repr_failure(excinfo, style)
        told = excinfo.getrepr(style="value")
        if told.reprcrash is not None:
            # The line of the summary: short, and leading to the model instead of to our code.
            told.reprcrash.message = excinfo.value.headline
            told.reprcrash.path, told.reprcrash.lineno = str(self.survivability.file), 1
        return told

    def reportinfo(self) -> tuple[PathLike[str] | str, int | None, str]:
        """Where the test stands: in the model file."""
        return self.survivability.file, 0, f"{ROOT}::{self.survivability.name}::{self.name}"


def expected(items: Iterable[pytest.Item], survivability: Survivability) -> list[str]:
    """Names of its scenarios among the tests that were selected, in their order."""
    return [
        item.name
        for item in items
        if isinstance(item, ScenarioTest) and item.survivability is survivability
    ]
