"""Verdicts when they are wanted: scenarios are simulated in batches, each once in a process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.scenarios.standard import floors, required
from planner.simulation.cascade import simulate
from planner.simulation.history import History
from planner.simulation.served import served_fractions
from planner.simulation.verdict import Verdict, batch_size, judge_one
from planner.simulation.world import World

Floats = npt.NDArray[np.float64]
#: Scenarios of a batch, and batches for each process, so that little is simulated in two of them.
FEWEST_IN_BATCH, MOST_IN_BATCH, BATCHES_OF_WORKER = 16, 128, 4
#: Digits of served fractions: fewer than rounding leaves wrong, more than anybody asks for.
DIGITS = 9


@dataclass(frozen=True)
class ScenarioResult:
    """What came of a scenario.

    Parameters
    ----------
    verdict
        Survived or not, and the story.
    served
        Served fraction of demand by tier, and of `all` together, each of shape (T,); by zone too
        where the standard speaks of zones (``all in europe``).
    required
        Least fraction that the standard asks for of the same.
    temperature_c
        Temperature of clusters that switched themselves off, each of shape (T,).
    """

    verdict: Verdict
    served: dict[str, Floats]
    required: dict[str, Floats]
    temperature_c: dict[str, Floats]


class Judge:
    """Simulates scenarios on a fleet when their outcomes are wanted.

    Parameters
    ----------
    workers
        Processes that share the scenarios.
    """

    def __init__(
        self, model: Model, fleet: Fleet, scenarios: Iterable[Scenario], workers: int
    ) -> None:
        self._model, self._fleet, self._workers = model, fleet, workers
        self._scenarios = {scenario.name: scenario for scenario in scenarios}
        self._order: list[str] = []
        self._outcomes: dict[str, ScenarioResult] = {}

    def expect(self, names: Iterable[str]) -> None:
        """Say which outcomes will be wanted, in which order."""
        self._order = list(names)

    def outcome(self, name: str) -> ScenarioResult:
        """What comes of a scenario; those expected next are simulated along with it."""
        if name not in self._outcomes:
            self._simulate(self._companions(name))
        return self._outcomes[name]

    def outcomes(self, names: Iterable[str] | None = None) -> dict[str, ScenarioResult]:
        """What comes of some scenarios, or of all."""
        wanted = tuple(self._scenarios if names is None else names)
        self._simulate([name for name in wanted if name not in self._outcomes])
        return {name: self._outcomes[name] for name in wanted}

    def _companions(self, name: str) -> list[str]:
        """One with others worth simulating at once: a batch costs little more than its first."""
        if name not in self._order:
            return [name]
        index = self._order.index(name)
        # Blocks that begin in the same places in every process.
        parts = self._workers * BATCHES_OF_WORKER
        size = min(max(len(self._order) // parts, FEWEST_IN_BATCH), MOST_IN_BATCH)
        block = self._order[index - index % size :][:size]
        return [scenario for scenario in block if scenario not in self._outcomes]

    def _simulate(self, names: list[str]) -> None:
        if not names:
            return
        size = batch_size(self._model, len(names), 1, stories=True)
        for first in range(0, len(names), size):
            batch = names[first : first + size]
            scenarios = tuple(self._scenarios[name] for name in batch)
            world, history = simulate(self._model, self._fleet, scenarios)
            for index, name in enumerate(batch):
                verdict = judge_one(world, history, self._fleet, index)
                self._outcomes[name] = _outcome(world, history, index, verdict)


def _outcome(world: World, history: History, index: int, verdict: Verdict) -> ScenarioResult:
    timeline = world.timelines[index]
    served = served_fractions(world, history, index)
    rules = floors(world.model, timeline.scenario.severity)
    since = timeline.clock.minutes(world.minutes)
    hot = {
        name: history.temperature_c[:, index, c].copy()
        for c, name in enumerate(world.clusters.names)
        if name in verdict.shutdowns
    }
    return ScenarioResult(
        verdict,
        {name: series.round(DIGITS) for name, series in served.items()},
        {name: required(rules, since, name) for name in served},
        hot,
    )
