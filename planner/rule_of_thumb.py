"""The plan that an architect makes with a spreadsheet: the yardstick for the optimum.

The rule, in the order in which it is applied:

1. GPUs of every region in use are raised in proportion, in whole blocks, until the others serve
   the peak of the week without the largest region, every request within its latency. Limits are
   those of the cluster and of the region's power. Where nothing is in place, proportions are those
   of what clusters can hold.
2. Where limits stop that, candidate regions are opened, the one first that leaves least unserved
   and of such the cheapest, and filled as far as it takes; what even they cannot hold is reserved
   in the cloud, the cheapest retainer per request first. A policy on the number of regions opens
   candidates too; one on the share of GPUs left without any region adds blocks where there are
   fewest.
3. Cooling is N+k with the k of each plant: of one type, the cheapest in all for the megawatts that
   are missing beside what stands. Emergency plants the same for the share that the policies ask.
4. The plan is simulated. While a scenario fails, what the cause says is raised step by step: GPUs
   by the next block in proportion, the cloud by one hundredth of the peak, a cooling plant by a
   unit, a candidate region by a block where nothing else helps. Of steps that answer a cause, the
   one is taken that mends most for its money. Steps that do not mend a scenario are taken back.

No measures are bought, nothing is retired and nothing is trimmed afterwards. The plan is costed by
the programme with all purchases settled, so by the same functions as the optimum.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import networkx as nx
from pulp import const

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet, cooling_power_mw_per_mw, unit_mw
from planner.infrastructure.loading import LoadedModel
from planner.laws.heat import capacity_after_losses_mw, heat_at_utilisation_mw
from planner.laws.traffic import serving_rps
from planner.optimization.audit import audit
from planner.optimization.audit_purchases import check_money, check_purchases, components
from planner.optimization.case import Case
from planner.optimization.costs import cost_items, purchase_items, risk_of
from planner.optimization.decisions import bounded, counts_of, settled
from planner.optimization.programme import Programme, Row, build
from planner.optimization.recourse import cooling_matters
from planner.optimization.solving import Solution, SolverSettings, solve
from planner.plan import Plan, make_plan
from planner.simulation.verdict import Breach, Verdict, judge
from planner.verification import Outcome, Round

#: Cloud added in one step, as a share of the peak of the week.
CLOUD_STEP = 0.01
#: Units added at once to one plant where fewer mend nothing.
UNIT_STEPS = (1, 2, 4)
#: Steps of GPUs or cloud in a row that mend nothing before the rule gives up on them.
PATIENCE = 4
#: Worth of a degree less where nothing else got better.
DEGREE = 1e-6
#: Price of what a plan lacks by its own rules, USD per unit: it is reported, not bought.
PENALTY_USD = 1e6
#: Heat in MW and requests per second that are rounding.
NOTHING = 1e-6


@dataclass(frozen=True)
class Draft:
    """A plan in the making.

    Parameters
    ----------
    gpus
        GPUs in all by cluster.
    instances
        Instances in all by offer.
    extra_units
        Units beyond N+k by plant, of the type that the plant buys.
    """

    gpus: Mapping[str, int]
    instances: Mapping[str, int]
    extra_units: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ThumbPlan:
    """The plan by rule of thumb, costed and simulated.

    Parameters
    ----------
    outcome
        Its single round, in the form of the loop's result; none where limits leave so little that
        not even normal operation is possible.
    repairs
        What the simulation made the rule add, and what the plan still lacks, in words.
    lacks
        Rules on purchases that it breaks because limits left no room.
    """

    outcome: Outcome
    repairs: tuple[str, ...]
    lacks: tuple[str, ...]

    @property
    def survives(self) -> bool:
        """Whether it survives everything and breaks no rule."""
        return self.outcome.survives and not self.lacks

    def plan(self, loaded: LoadedModel, settings: SolverSettings) -> Plan:
        """The plan as a document; no proof is claimed."""
        (one,) = self.outcome.rounds
        return make_plan(
            loaded,
            one.solution,
            one.items,
            one.verdicts,
            (one.record(),),
            settings.name,
            one.solution.seconds,
            risk_of(one.programme, one.solution),
            "rule-of-thumb",
            self.repairs,
            self.outcome.stopped,
        )


def plan_by_rule_of_thumb(
    model: Model,
    scenarios: tuple[Scenario, ...],
    settings: SolverSettings,
    report: Callable[[str], None] = lambda _: None,
) -> ThumbPlan:
    """Size a platform by rule of thumb and repair it until it survives.

    Parameters
    ----------
    report
        Called with a line after every repair.
    """
    desk = Desk(model, scenarios, settings)
    draft, verdicts, repairs = _repair(desk, desk.first_draft(), report)
    fleet = desk.fleet(draft)
    programme, solution, note = _costed(desk, fleet, settings)
    if solution.status == "infeasible":
        lacks = tuple(check_purchases(desk.case, fleet)) or note
        return ThumbPlan(Outcome(()), repairs, lacks)
    items = cost_items(programme, solution)
    lacks = (*check_purchases(desk.case, fleet), *check_money(desk.case, items))
    notes = (*repairs, *note, *(f"breaks a rule: {one}" for one in lacks))
    rounds = (Round(1, {}, programme, solution, items, verdicts),)
    cut = desk.over() and any(not one.survives for one in verdicts)
    outcome = Outcome(rounds, timed_out=cut, interrupted=cut and settings.stopped)
    return ThumbPlan(outcome, notes, lacks)


class Desk:
    """A model as the spreadsheet sees it."""

    def __init__(
        self, model: Model, scenarios: tuple[Scenario, ...], settings: SolverSettings
    ) -> None:
        self._settings = settings
        self._deadline = time.monotonic() + (settings.time_limit_seconds or math.inf)
        self.model = model
        self.scenarios = scenarios
        self.case = Case(model, scenarios, {})
        self.peak_rps = sum(self.case.peak_rps.values())

    def over(self) -> bool:
        """Whether time or patience has run out."""
        return self._settings.stopped or time.monotonic() >= self._deadline

    # ------------------------------------------------------------------------------------- GPUs

    def first_draft(self) -> Draft:
        """GPUs in proportion, candidates where it takes them, the cloud for the rest."""
        model, fixed = self.model, self.model.policies.fixed
        gpus = {n: one.existing_gpus + fixed.gpus.get(n, 0) for n, one in model.clusters.items()}
        instances = {
            name: one.existing_instances + fixed.emergency.get(name, 0)
            for name, one in model.offers.items()
        }
        gpus = self._grown(gpus, self._in_use(gpus))
        closed = self.candidates()
        while closed:
            used = {model.clusters[name].region for name, count in gpus.items() if count}
            missing = self.missing_rps(gpus)
            if missing <= NOTHING and len(used) >= model.policies.least_regions:
                break
            opened = [(self._opened(gpus, region), region) for region in closed]
            gpus, region = min(opened, key=lambda one: round(self.missing_rps(one[0]), 3))
            closed.remove(region)
        gpus = self._shared(gpus)
        return self._reserved(Draft(gpus, instances), self.missing_rps(gpus))

    def _in_use(self, gpus: Mapping[str, int]) -> tuple[str, ...]:
        """Clusters that are raised in proportion: those with GPUs, or all but candidates."""
        used = tuple(name for name, count in gpus.items() if count)
        regions, clusters = self.model.regions, self.model.clusters
        return used or tuple(n for n, c in clusters.items() if not regions[c.region].candidate)

    def next_block(self, draft: Draft) -> Draft | None:
        """One block more, in the cluster that lags its proportion most; None at the limits."""
        clusters = [n for n in self._in_use(draft.gpus) if self._room(draft.gpus, n)]
        if not clusters:
            return None
        return self._with_block(draft, min(clusters, key=partial(self._proportion, draft.gpus)))

    def block_in_smallest_region(self, draft: Draft) -> Draft | None:
        """A block where there are fewest GPUs, against too large a share in one region."""
        clusters = [n for n in self._in_use(draft.gpus) if self._room(draft.gpus, n)]
        if not clusters:
            return None
        region = self.model.clusters
        held = {name: self._gpus_in(draft.gpus, region[name].region) for name in clusters}
        return self._with_block(draft, min(clusters, key=lambda name: held[name]))

    def block_in(self, draft: Draft, region: str) -> Draft | None:
        """A block in a region, where it has room."""
        for cluster in self.case.clusters_in(region):
            if self._room(draft.gpus, cluster):
                return self._with_block(draft, cluster)
        return None

    def _with_block(self, draft: Draft, cluster: str) -> Draft:
        more = draft.gpus[cluster] + self.model.clusters[cluster].block_gpus
        return replace(draft, gpus={**draft.gpus, cluster: more})

    def _proportion(self, gpus: Mapping[str, int], cluster: str) -> float:
        """Factor to which a cluster would have grown with another block.

        A cluster that was empty counts what it can hold instead of what it held.
        """
        entry = self.model.clusters[cluster]
        base = entry.existing_gpus or entry.max_gpus
        return (gpus[cluster] + entry.block_gpus) / base

    def _grown(self, gpus: Mapping[str, int], clusters: tuple[str, ...]) -> dict[str, int]:
        """GPUs with clusters raised in proportion until nothing is missing, or to their limits."""
        now = dict(gpus)
        while self.missing_rps(now) > NOTHING:
            open_ones = [name for name in clusters if self._room(now, name)]
            if not open_ones:
                break
            least = min(self._proportion(now, name) for name in open_ones)
            for name in open_ones:
                # All clusters at the same proportion get their block together.
                if self._proportion(now, name) <= least and self._room(now, name):
                    now[name] += self.model.clusters[name].block_gpus
        return now

    def _opened(self, gpus: Mapping[str, int], region: str) -> dict[str, int]:
        """With a candidate region filled as far as it takes, or a block in it."""
        clusters = self.case.clusters_in(region)
        fuller = self._grown(gpus, clusters)
        if fuller == gpus and clusters and self._room(gpus, clusters[0]):
            fuller[clusters[0]] += self.model.clusters[clusters[0]].block_gpus
        return fuller

    def candidates(self) -> list[str]:
        """Candidate regions, the one with the least fixed cost first."""

        def yearly(region: str) -> float:
            place = self.model.regions[region]
            return place.fixed_usd / place.life_years + place.fixed_usd_per_year

        names = [name for name, place in self.model.regions.items() if place.candidate]
        return sorted(names, key=yearly)

    def _shared(self, gpus: Mapping[str, int]) -> dict[str, int]:
        """Blocks where there are fewest until any region can be missed, if a policy says so."""
        now, least = dict(gpus), self.model.policies.surviving_capacity_share
        while True:
            held = {region: self._gpus_in(now, region) for region in self.model.regions}
            total, most = sum(held.values()), max(held.values())
            rest = [n for n in self._in_use(now) if held[self.model.clusters[n].region] < most]
            rest = [name for name in rest if self._room(now, name)]
            if total - most >= least * total or not rest:
                return now
            poorest = min(rest, key=lambda name: held[self.model.clusters[name].region])
            now[poorest] += self.model.clusters[poorest].block_gpus

    def _gpus_in(self, gpus: Mapping[str, int], region: str) -> int:
        return sum(gpus[name] for name in self.case.clusters_in(region))

    def _room(self, gpus: Mapping[str, int], cluster: str) -> bool:
        """Whether a cluster takes another block: room, power, and no rule against it."""
        entry, policies = self.model.clusters[cluster], self.model.policies
        if cluster in policies.forbidden.gpus or cluster in policies.fixed.gpus:
            return False
        if gpus[cluster] + entry.block_gpus > entry.max_gpus:
            return False
        more = {**gpus, cluster: gpus[cluster] + entry.block_gpus}
        place = self.model.regions[entry.region]
        heat = sum(self._heat_mw(more, name) for name in self.case.clusters_in(entry.region))
        power = (1 + cooling_power_mw_per_mw(self.model, entry.region, ("primary",))) * heat
        feeds = self.case.normal.power_mw.get(entry.region, place.power_limit_mw)
        return power <= min(place.power_limit_mw, feeds)

    def _heat_mw(self, gpus: Mapping[str, int], cluster: str) -> float:
        gpu = self.case.gpu(cluster)
        return float(heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, gpus[cluster], 1.0))

    def missing_rps(self, gpus: Mapping[str, int]) -> float:
        """Peak demand not served within its latency without the largest region, requests/s.

        Where all GPUs are in one region, no raise of it makes up for it; then it counts as there.
        """
        rooms = {name: self._serving_rps(gpus, name) for name in gpus}
        held = {
            region: sum(rooms[name] for name in self.case.clusters_in(region))
            for region in self.model.regions
        }
        if sum(1 for rps in held.values() if rps) > 1:
            largest = max(held, key=lambda region: held[region])
            rooms |= dict.fromkeys(self.case.clusters_in(largest), 0.0)
        network: Any = nx.DiGraph()
        network.add_nodes_from(("from", "to"))
        for name, rps in rooms.items():
            network.add_edge(("cluster", name), "to", capacity=rps)
        for group in self.case.groups:
            peak = sum(self.case.peak_rps[group.zone, tier] for tier in group.tiers)
            network.add_edge("from", group.label, capacity=peak)
            network.add_edges_from((group.label, ("cluster", one)) for one in group.clusters)
        return self.peak_rps - float(nx.maximum_flow_value(network, "from", "to"))

    def _serving_rps(self, gpus: Mapping[str, int], cluster: str) -> float:
        utilisation = self.model.clusters[cluster].max_utilisation
        return float(serving_rps(gpus[cluster], self.case.gpu(cluster).rps, utilisation))

    # ------------------------------------------------------------------------------------ cloud

    def _reserved(self, draft: Draft, rps: float) -> Draft:
        """With so many requests per second more in the cloud, as far as there is supply."""
        model, instances = self.model, dict(draft.instances)

        def price(offer: str) -> float:
            one = model.offers[offer]
            yearly = one.retainer_usd_per_instance_year
            return yearly / (one.gpus_per_instance * one.rps_per_gpu)

        for offer in sorted(model.offers, key=price):
            one = model.offers[offer]
            each = one.gpus_per_instance * one.rps_per_gpu
            supply = one.available_gpus // one.gpus_per_instance - instances[offer]
            policies = model.policies
            if offer in policies.forbidden.emergency or offer in policies.fixed.emergency:
                continue
            wanted = max(0, min(supply, -int(-rps // each)))
            instances[offer] += wanted
            rps -= wanted * each
        return replace(draft, instances=instances)

    def more_cloud(self, draft: Draft) -> Draft | None:
        """One step more of the cloud; None where there is no supply."""
        more = self._reserved(draft, CLOUD_STEP * self.peak_rps)
        return None if more == draft else more

    # ---------------------------------------------------------------------------------- cooling

    def fleet(self, draft: Draft) -> Fleet:
        """The fleet of a draft: cooling follows from its GPUs."""
        model = self.model
        units = {name: dict(one.existing) for name, one in model.plants.items()}
        for plant, counts in model.policies.fixed.cooling.items():
            for unit, count in counts.items():
                units[plant][unit] = units[plant].get(unit, 0) + count
        bought: dict[str, str] = {}
        for role, share in (("primary", 1.0), ("emergency", model.emergency_share)):
            for clusters, plants in components(self.case, role):
                heat = share * sum(self._heat_mw(draft.gpus, name) for name in clusters)
                bought |= self._cool(units, sorted(plants), heat)
        for plant, count in draft.extra_units.items():
            kind = bought.get(plant) or self._cheapest_unit(plant)
            if kind is not None:
                units[plant][kind] = units[plant].get(kind, 0) + count
        used = {model.clusters[name].region for name, count in draft.gpus.items() if count}
        return Fleet.after(
            model,
            {
                (plant, unit): count - model.plants[plant].existing.get(unit, 0)
                for plant, counts in units.items()
                for unit, count in counts.items()
            },
            {n: count - model.clusters[n].existing_gpus for n, count in draft.gpus.items()},
            {n: count - model.offers[n].existing_instances for n, count in draft.instances.items()},
            frozenset(region for region in used if model.regions[region].candidate),
        )

    def _cool(
        self, units: dict[str, dict[str, int]], plants: list[str], heat: float
    ) -> dict[str, str]:
        """Add units of the cheapest type until plants carry a heat; return what each plant buys."""
        chosen: dict[str, str] = {}
        while self._firm_mw(units, plants) < heat - NOTHING:
            offers = []
            for plant, unit in self._options(plants, set(chosen)):
                count = self._units_for(units, plants, plant, unit, heat)
                filled = self._with_units(units, plant, unit, count)
                missing = max(0.0, heat - NOTHING - self._firm_mw(filled, plants))
                price = self.model.cooling_units[unit].capital_usd * count
                offers.append((missing, price, plant, unit, count))
            if not offers:
                break
            _, _, plant, unit, count = min(offers)
            chosen[plant] = unit
            units[plant][unit] = units[plant].get(unit, 0) + count
        return chosen

    def _options(self, plants: list[str], done: set[str]) -> Iterator[tuple[str, str]]:
        """Types that plants may buy: for a primary plant such as run all the time, if there are."""
        policies = self.model.policies
        for plant in plants:
            entry = self.model.plants[plant]
            if plant in done or plant in policies.forbidden.cooling or not entry.max_added:
                continue
            kinds = self.model.cooling_units
            running = [unit for unit in entry.options if kinds[unit].mode == "running"]
            for unit in (entry.role == "primary" and running) or entry.options:
                settled = unit in policies.fixed.cooling.get(plant, {})
                if not settled and unit not in policies.forbidden.cooling:
                    yield plant, unit

    def _cheapest_unit(self, plant: str) -> str | None:
        """Cheapest type per megawatt at the design ambient."""

        def price(unit: str) -> float:
            return self.model.cooling_units[unit].capital_usd / unit_mw(self.model, plant, unit)

        units = [unit for _, unit in self._options([plant], set())]
        units = [unit for unit in units if unit_mw(self.model, plant, unit) > 0]
        return min(units, key=price, default=None)

    def _units_for(
        self,
        units: dict[str, dict[str, int]],
        plants: list[str],
        plant: str,
        unit: str,
        heat: float,
    ) -> int:
        """Units of a type that a plant needs for a heat, or the most it may get."""
        most = self.model.plants[plant].max_added
        for count in range(1, most + 1):
            filled = self._with_units(units, plant, unit, count)
            if self._firm_mw(filled, plants) >= heat - NOTHING:
                return count
        return most

    def _with_units(
        self, units: dict[str, dict[str, int]], plant: str, unit: str, count: int
    ) -> dict[str, dict[str, int]]:
        return {**units, plant: {**units[plant], unit: units[plant].get(unit, 0) + count}}

    def _firm_mw(self, units: Mapping[str, Mapping[str, int]], plants: list[str]) -> float:
        """Capacity of plants with the k largest units of each lost, at the design ambient."""
        return sum(
            float(
                capacity_after_losses_mw(
                    [unit_mw(self.model, plant, unit) for unit in units[plant]],
                    list(units[plant].values()),
                    self.model.plants[plant].redundancy,
                )
            )
            for plant in plants
        )

    def more_units(self, draft: Draft, plant: str, count: int) -> Draft | None:
        """More units in a plant; None where it has no room for them."""
        entry = self.model.plants[plant]
        extra = {**draft.extra_units, plant: draft.extra_units.get(plant, 0) + count}
        more = replace(draft, extra_units=extra)
        now, after = self.fleet(draft).units[plant], self.fleet(more).units[plant]
        bought = [total - entry.existing.get(unit, 0) for unit, total in after.items()]
        return None if after == now or max(bought) > entry.max_added else more

    def plants_touched(self, scenario: Scenario) -> tuple[str, ...]:
        """Plants of the clusters whose cooling or power a scenario touches."""
        clusters = {
            cluster
            for stage in self.case.stages_by_scenario.get(scenario.name, ())
            for cluster in self.model.clusters
            if cooling_matters(self.case, stage, cluster)
        }
        return tuple(n for n, one in self.model.plants.items() if clusters & set(one.cools))

    def judge(self, draft: Draft, scenarios: tuple[Scenario, ...]) -> tuple[Verdict, ...]:
        """Simulate scenarios on a draft."""
        return judge(self.model, self.fleet(draft), scenarios, stories=False)

    def yearly_usd(self, draft: Draft) -> float:
        """Yearly cost of owning a draft."""
        return sum(item.usd_per_year for item in purchase_items(self.case, self.fleet(draft)))


# ------------------------------------------------------------------------------------------ repair

Step = Callable[[Draft], Draft | None]


def _repair(
    desk: Desk, draft: Draft, report: Callable[[str], None]
) -> tuple[Draft, tuple[Verdict, ...], tuple[str, ...]]:
    """Mend one failing scenario after the other, the worst first, until none is left to mend.

    What was added for a scenario that cannot be mended is taken back.
    """
    done: list[str] = []
    hopeless: set[str] = set()
    verdicts = desk.judge(draft, desk.scenarios)
    while True:
        failing = [one for one in verdicts if not one.survives and one.name not in hopeless]
        if not failing or desk.over():
            return draft, verdicts, tuple(done)
        worst = max(failing, key=_badness)
        mended = _mend(desk, draft, worst)
        if mended is None:
            if desk.over():
                return draft, verdicts, tuple(done)
            hopeless.add(worst.name)
            report(f"nothing within the limits mends {worst.name}")
            continue
        draft, steps = mended
        told = ", ".join(f"{steps.count(text)} × {text}" for text in dict.fromkeys(steps))
        done.append(f"{worst.name} took {told}")
        verdicts = desk.judge(draft, desk.scenarios)
        report(f"{done[-1]}; {sum(not one.survives for one in verdicts)} left to mend")


def _badness(verdict: Verdict) -> float:
    """How much is wrong: share of what is required that is missing, times minutes."""
    return sum(_weight(breach) for breach in verdict.breaches)


def _weight(breach: Breach) -> float:
    if breach.kind == "budget":
        return breach.shortfall / max(breach.required, 1.0)
    if breach.kind == "capacity":
        return breach.shortfall
    minutes = breach.until_minute - breach.minute + 1
    return (1.0 if breach.kind == "shutdown" else breach.shortfall) * minutes


def _mend(desk: Desk, draft: Draft, verdict: Verdict) -> tuple[Draft, list[str]] | None:
    """Draft on which a scenario survives, and the steps to it; None if limits come first.

    A step that mends something is repeated for as long as it does. Where none does, GPUs are raised
    in proportion for a while in case several blocks together will.
    """
    scenario = next(one for one in desk.scenarios if one.name == verdict.name)
    taken: list[str] = []
    last: tuple[str, Step] | None = None
    idle = 0
    blocks_help = bool({breach.cause for breach in verdict.breaches} & {"scarcity", "late"})
    while not verdict.survives and idle < PATIENCE and not desk.over():
        better = None
        if last is not None:
            better = _best(desk, draft, verdict, scenario, [last])
        for steps in () if better else _steps(desk, scenario, verdict):
            better = better or _best(desk, draft, verdict, scenario, steps)
        idle = 0 if better else idle + 1
        last = better[0] if better else ("GPU block in proportion", desk.next_block)
        more = better[1] if better else desk.next_block(draft) if blocks_help else None
        if more is None:
            return None
        draft = more
        taken.append(last[0])
        (verdict,) = desk.judge(draft, (scenario,))
    return (draft, taken) if verdict.survives else None


def _best(
    desk: Desk,
    draft: Draft,
    verdict: Verdict,
    scenario: Scenario,
    steps: list[tuple[str, Step]],
) -> tuple[tuple[str, Step], Draft] | None:
    """The step that mends most of a scenario for its money; None if none mends anything."""
    price = desk.yearly_usd(draft)
    best, most = None, 0.0
    for step in steps:
        more = step[1](draft)
        if more is None:
            continue
        (after,) = desk.judge(more, (scenario,))
        worth = _progress(verdict, after) / max(1.0, desk.yearly_usd(more) - price)
        if worth > most:
            best, most = (step, more), worth
    return best


def _progress(before: Verdict, after: Verdict) -> float:
    """What got better: the badness or, where heat is the cause, at least the hottest cluster.

    A cluster that throttles less may be sent more work than it can do, so requests alone mislead.
    """
    better = _badness(before) - _badness(after)
    hot = any(one.kind == "shutdown" or one.cause == "heat" for one in before.breaches)
    if better > 0 or not hot:
        return better
    return DEGREE * (before.peak_temperature_c - after.peak_temperature_c)


def _steps(desk: Desk, scenario: Scenario, verdict: Verdict) -> Iterator[list[tuple[str, Step]]]:
    """Steps that answer the causes of a failure: the plain ones, then larger and further ones."""
    causes = {breach.cause or breach.kind for breach in verdict.breaches}
    plants = desk.plants_touched(scenario) if causes & {"heat", "scarcity", "shutdown"} else ()
    plain: list[tuple[str, Step]] = []
    if causes & {"scarcity", "late", "budget"}:
        plain.append(("GPU block in proportion", desk.next_block))
    if "capacity" in causes:
        plain.append(("GPU block in the smallest region", desk.block_in_smallest_region))
    if "scarcity" in causes:
        plain.append(("cloud for 1 % of the peak", desk.more_cloud))
    for count in UNIT_STEPS:
        word = "unit" if count == 1 else "units"
        yield plain + [
            (f"{count} {word} in {plant}", partial(desk.more_units, plant=plant, count=count))
            for plant in plants
        ]
        plain = []
    if causes & {"scarcity", "late", "budget", "capacity"}:
        yield [
            (f"GPU block in {region}", partial(desk.block_in, region=region))
            for region in desk.candidates()
        ]


# ------------------------------------------------------------------------------------------ costing


def _costed(
    desk: Desk, fleet: Fleet, settings: SolverSettings
) -> tuple[Programme, Solution, tuple[str, ...]]:
    """Cost of a fleet by the programme with all its purchases settled.

    A plan that fails leaves the programme without recourse, and so may one that survives: the
    programme is stricter than the simulation (no throttling before operators react). Then
    requirements and limits give way: those of scenarios next to for nothing, so that recourse stays
    the cheapest and what is lost is paid for at its worth, those of purchases and normal operation
    at a price that is not part of the cost.
    """
    settings = replace(settings, time_limit_seconds=None, stop=None)
    programme = build(desk.case)
    with bounded(programme, settled(counts_of(programme, fleet))):
        solution = solve(programme, settings)
        if solution.status != "infeasible":
            audit(programme, solution)
            return programme, _unproven(solution, solution.objective), ()
    programme = build(desk.case)
    given = _give_way(programme)
    with bounded(programme, settled(counts_of(programme, fleet))):
        solution = solve(programme, settings)
    if solution.status == "infeasible":
        return programme, solution, ("normal operation is not possible",)
    cost = sum(item.usd_per_year for item in cost_items(programme, solution))
    loose = {
        (row.family, row.scenario)
        for name, row in given.items()
        if solution.values[name] > 1e-6 * max(1.0, row.amount)
    }
    by_family: dict[str, list[str]] = {}
    for family, scenario in sorted(loose):
        by_family.setdefault(family, []).append(scenario or "purchases")
    notes = [
        f"costed without rows `{family}` that the programme has in {', '.join(where)}"
        for family, where in by_family.items()
    ]
    return programme, _unproven(solution, cost), tuple(notes)


def _give_way(programme: Programme) -> dict[str, Row]:
    """Add slacks to requirements and limits; their rows by the name of the slack."""
    rows = {}
    for name, row in programme.rows.items():
        if row.kind == "definition":
            continue
        constraint = programme.constraints[name]
        side = -1.0 if constraint.sense == const.LpConstraintLE else 1.0
        price = NOTHING if row.scenario else PENALTY_USD
        programme.problem.add_column(
            f"lacks.{name}", 0.0, obj=price, coefficients={constraint: side}
        )
        rows[f"lacks.{name}"] = row
    return rows


def _unproven(solution: Solution, cost: float) -> Solution:
    """The solution with its cost and no bound: nothing is proven of a rule of thumb."""
    return replace(solution, status="feasible", objective=cost, bound=0.0)


__all__ = ["ThumbPlan", "plan_by_rule_of_thumb"]
