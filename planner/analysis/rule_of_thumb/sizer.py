"""The rule of thumb applied to a model: its first sizing, and what every sizing leads to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from planner.analysis.rule_of_thumb.cooling_sizing import CoolingSizing
from planner.analysis.rule_of_thumb.gpu_sizing import GpuSizing
from planner.analysis.rule_of_thumb.sizing import NOTHING, Sizing, reserved
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet, with_chillers
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.relevance import cooling_matters
from planner.optimization.solution.costs import purchase_items
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.settings import SolverSettings
from planner.simulation.verdict import Verdict, judge


class Sizer:
    """Makes the first sizing of a model, and works out fleet, cost and verdicts of any."""

    def __init__(
        self,
        model: Model,
        scenarios: tuple[Scenario, ...],
        settings: SolverSettings,
        hold_largest: bool = False,
    ) -> None:
        self._deadline = Deadline(settings)
        self.model = model
        self.scenarios = scenarios
        self.data = ProblemData(model, scenarios)
        self.gpus = GpuSizing(self.data, hold_largest)
        self.cooling = CoolingSizing(self.data)

    def over(self) -> bool:
        """Whether the time limit has passed, or somebody has asked to stop."""
        return self._deadline.over

    def first_sizing(self) -> Sizing:
        """GPUs in proportion, candidates where it takes them, the cloud for the rest."""
        model, fixed = self.model, self.model.policies.fixed
        gpus = {
            n: cluster.existing_gpus + fixed.gpus.get(n, 0) for n, cluster in model.clusters.items()
        }
        instances = {
            name: offer.existing_instances + fixed.emergency.get(name, 0)
            for name, offer in model.offers.items()
        }
        rule = self.gpus
        gpus = rule.grown(gpus, rule.in_use(gpus))
        closed = rule.candidates()
        while closed:
            used = {model.clusters[name].region for name, count in gpus.items() if count}
            missing = rule.missing_rps(gpus)
            if missing <= NOTHING and len(used) >= model.policies.least_regions:
                break
            opened = [(rule.opened(gpus, region), region) for region in closed]
            gpus, region = min(opened, key=lambda option: round(rule.missing_rps(option[0]), 3))
            closed.remove(region)
        gpus = rule.shared(gpus)
        settled = frozenset(name for name, bought in fixed.measures.items() if bought)
        sizing = Sizing(gpus, instances, measures=settled)
        return reserved(self.data, sizing, rule.missing_rps(gpus))

    def fleet(self, sizing: Sizing) -> Fleet:
        """Fleet that a sizing leads to."""
        return self.cooling.fleet(sizing)

    def measures_for_services(self) -> Iterator[str]:
        """Measures on offer that let services take more: replicas or connections."""
        policies = self.model.policies
        for name, measure in self.model.measures.items():
            settled = name in policies.fixed.measures or name in policies.forbidden.measures
            if (measure.replicas or measure.connections) and not settled:
                yield name

    def with_measure(self, sizing: Sizing, name: str) -> Sizing | None:
        """With a measure; None where it is bought already."""
        if name in sizing.measures:
            return None
        return replace(sizing, measures=sizing.measures | {name})

    def plants_touched(self, scenario: Scenario) -> tuple[str, ...]:
        """Plants of the clusters whose cooling or power a scenario touches."""
        clusters = {
            cluster
            for stage in self.data.stages_by_scenario.get(scenario.name, ())
            for cluster in self.model.clusters
            if cooling_matters(self.data, stage, cluster)
        }
        plants = self.model.plants.items()
        cooling = [name for name, plant in plants if clusters & set(plant.cools)]
        return with_chillers(self.model, cooling)

    def judge(self, sizing: Sizing, scenarios: tuple[Scenario, ...]) -> tuple[Verdict, ...]:
        """Simulate scenarios on a sizing."""
        return judge(self.model, self.fleet(sizing), scenarios, stories=False)

    def yearly_usd(self, sizing: Sizing) -> float:
        """Yearly cost of owning a sizing."""
        return sum(item.usd_per_year for item in purchase_items(self.data, self.fleet(sizing)))
