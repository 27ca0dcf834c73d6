"""A model as the spreadsheet sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from planner.analysis.rule_of_thumb.cloud import reserved
from planner.analysis.rule_of_thumb.cooling import Cooling
from planner.analysis.rule_of_thumb.draft import NOTHING, SizingDraft
from planner.analysis.rule_of_thumb.growth import Growth
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.relevance import cooling_matters
from planner.optimization.solution.costs import purchase_items
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.settings import SolverSettings
from planner.simulation.verdict import Verdict, judge


class Desk:
    """First drafts, and what is asked of every draft: its fleet, cost and fate in simulation."""

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
        self.data = ProblemData(model, scenarios, {})
        self.growth = Growth(self.data, hold_largest)
        self.cooling = Cooling(self.data)

    def over(self) -> bool:
        """Whether time or patience has run out."""
        return self._deadline.over

    def first_draft(self) -> SizingDraft:
        """GPUs in proportion, candidates where it takes them, the cloud for the rest."""
        model, fixed = self.model, self.model.policies.fixed
        gpus = {n: one.existing_gpus + fixed.gpus.get(n, 0) for n, one in model.clusters.items()}
        instances = {
            name: one.existing_instances + fixed.emergency.get(name, 0)
            for name, one in model.offers.items()
        }
        growth = self.growth
        gpus = growth.grown(gpus, growth.in_use(gpus))
        closed = growth.candidates()
        while closed:
            used = {model.clusters[name].region for name, count in gpus.items() if count}
            missing = growth.missing_rps(gpus)
            if missing <= NOTHING and len(used) >= model.policies.least_regions:
                break
            opened = [(growth.opened(gpus, region), region) for region in closed]
            gpus, region = min(opened, key=lambda one: round(growth.missing_rps(one[0]), 3))
            closed.remove(region)
        gpus = growth.shared(gpus)
        settled = frozenset(name for name, bought in fixed.measures.items() if bought)
        draft = SizingDraft(gpus, instances, measures=settled)
        return reserved(self.data, draft, growth.missing_rps(gpus))

    def fleet(self, draft: SizingDraft) -> Fleet:
        """What a draft leads to."""
        return self.cooling.fleet(draft)

    def measures_for_services(self) -> Iterator[str]:
        """Measures on offer that let services take more: replicas or connections."""
        policies = self.model.policies
        for name, one in self.model.measures.items():
            settled = name in policies.fixed.measures or name in policies.forbidden.measures
            if (one.replicas or one.connections) and not settled:
                yield name

    def with_measure(self, draft: SizingDraft, name: str) -> SizingDraft | None:
        """With a measure; None where it is bought already."""
        if name in draft.measures:
            return None
        return replace(draft, measures=draft.measures | {name})

    def plants_touched(self, scenario: Scenario) -> tuple[str, ...]:
        """Plants of the clusters whose cooling or power a scenario touches."""
        clusters = {
            cluster
            for stage in self.data.stages_by_scenario.get(scenario.name, ())
            for cluster in self.model.clusters
            if cooling_matters(self.data, stage, cluster)
        }
        return tuple(n for n, one in self.model.plants.items() if clusters & set(one.cools))

    def judge(self, draft: SizingDraft, scenarios: tuple[Scenario, ...]) -> tuple[Verdict, ...]:
        """Simulate scenarios on a draft."""
        return judge(self.model, self.fleet(draft), scenarios, stories=False)

    def yearly_usd(self, draft: SizingDraft) -> float:
        """Yearly cost of owning a draft."""
        return sum(item.usd_per_year for item in purchase_items(self.data, self.fleet(draft)))
