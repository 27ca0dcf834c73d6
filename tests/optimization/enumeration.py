"""The cheapest plan found by listing every purchase.

Written apart from the programme: rules on purchases are checked in plain Python (N+k by taking away
every set of k units, shared plants by Hall's condition on every set of clusters), and what is done
in a scenario is a small linear programme of its own with flows by tier, no groups of tiers, no
powered GPUs, no thresholds and no scenario left out. Only laws and the stages are shared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations, product

import highspy
import numpy as np

from planner.infrastructure.entities import Cluster, Feed, GpuType, Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet, unit_mw
from planner.infrastructure.graph import independent_plants, offer_in_reach, reachable_regions
from planner.laws.money import annuity
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.relevance import power_as_usual
from planner.optimization.formulation.stages import Stage
from planner.optimization.formulation.time_slices import cut_stages
from planner.scenarios.demand import weekly_demand
from planner.scenarios.services import (
    degradation,
    limited_services,
    passing_share,
    replicas_up,
    service_rps,
)
from planner.scenarios.timeline import timeline_of

HOURS = 8760.0
#: As tight as solvers keep their rows.
TOLERANCE = 1e-6


@cache
def _solver() -> highspy.Highs:
    """One solver for all: making it takes longer than what it solves here."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("presolve", "off")
    # As recourse programmes do: HiGHS wants the same number in all solves of a thread.
    solver.setOptionValue("threads", 1)
    return solver


@dataclass
class Lp:
    """A linear programme: minimise cost over non-negative variables."""

    cost: dict[object, float] = field(default_factory=dict)
    at_most: list[tuple[dict[object, float], float]] = field(default_factory=list)
    equal: list[tuple[dict[object, float], float]] = field(default_factory=list)
    constant: float = 0.0

    def least_cost(self) -> float:
        """Least cost; infinite if nothing is feasible."""
        rows = [(row, -math.inf, right) for row, right in self.at_most]
        rows += [(row, right, right) for row, right in self.equal]
        names = [name for row in (self.cost, *(row for row, _, _ in rows)) for name in row]
        column = {name: index for index, name in enumerate(dict.fromkeys([None, *names]))}
        cost = np.array([self.cost.get(name, 0.0) for name in column])
        solver = _solver()
        solver.clearModel()
        none, nothing = np.zeros(0, dtype=np.int32), np.zeros(0)
        low, high = np.zeros(len(column)), np.full(len(column), math.inf)
        solver.addCols(len(column), cost, low, high, 0, none, none, nothing)
        starts = np.cumsum([0, *(len(row) for row, _, _ in rows)], dtype=np.int32)[:-1]
        solver.addRows(
            len(rows),
            np.array([low for _, low, _ in rows], dtype=float),
            np.array([high for _, _, high in rows], dtype=float),
            sum(len(row) for row, _, _ in rows),
            starts,
            np.array([column[name] for row, _, _ in rows for name in row], dtype=np.int32),
            np.array([value for row, _, _ in rows for value in row.values()], dtype=float),
        )
        solver.run()
        status = solver.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return math.inf
        assert status == highspy.HighsModelStatus.kOptimal, status
        return solver.getInfo().objective_function_value + self.constant


def total(*rows: Mapping[object, float], times: float = 1.0) -> dict[object, float]:
    """Sum of linear expressions."""
    result: dict[object, float] = {}
    for row in rows:
        for name, coefficient in row.items():
            result[name] = result.get(name, 0.0) + times * coefficient
    return result


def cheapest(model: Model, scenarios: tuple[Scenario, ...]) -> tuple[float, Fleet | None]:
    """Least yearly cost of all purchases and the fleet that has it; infinite if none will do."""
    world = World(model, scenarios)
    ranked = sorted(
        ((world.fixed_cost(fleet), i, fleet) for i, fleet in enumerate(fleets(model))),
        key=lambda entry: entry[:2],
    )
    best, winner = math.inf, None
    for fixed, _, fleet in ranked:
        if fixed >= best:
            break
        cost = fixed + world.running_cost(fleet) if world.allows(fleet) else math.inf
        if cost < best:
            best, winner = cost, fleet
    return best, winner


def fleets(model: Model) -> Iterator[Fleet]:
    """Every fleet that the bounds on purchases and retirements allow."""
    fixed, barred = model.policies.fixed, model.policies.forbidden
    keys: list[tuple[str, ...]] = []
    choices: list[range] = []

    def add(key: tuple[str, ...], settled: int | None, most: int, fewer: int = 0) -> None:
        keys.append(key)
        choices.append(range(-fewer, most + 1) if settled is None else range(settled, settled + 1))

    for name, plant in model.plants.items():
        for unit in model.cooling_units:
            settled, fewer = fixed.cooling.get(name, {}).get(unit), spare_units(model, name, unit)
            if unit in plant.options and not {name, unit} & set(barred.cooling):
                add(("unit", name, unit), settled, plant.max_added, fewer)
            elif unit in (*plant.options, *plant.existing):
                add(("unit", name, unit), settled, 0, fewer)
    for name, one in model.clusters.items():
        most = 0 if name in barred.gpus else (one.max_gpus - one.existing_gpus) // one.block_gpus
        settled = fixed.gpus.get(name)
        fewer = one.existing_gpus // one.block_gpus if one.may_retire else 0
        add(("block", name), None if settled is None else settled // one.block_gpus, most, fewer)
    for name, offer in model.offers.items():
        most = offer.available_gpus // offer.gpus_per_instance - offer.existing_instances
        settled = fixed.emergency.get(name)
        add(("instance", name), settled, 0 if name in barred.emergency else max(0, most))
    for numbers in product(*choices):
        bought = dict(zip(keys, numbers, strict=True))
        yield _fleet(model, bought)


def spare_units(model: Model, plant: str, unit: str) -> int:
    """Existing units that may go: not those that a scenario loses by type."""
    entry = model.plants[plant]
    spare = entry.existing.get(unit, 0) if entry.may_retire else 0
    for scenario in model.scenarios.values():
        lost = [
            e.count
            for e in scenario.events
            if e.kind == "units" and e.plant == plant and e.unit == unit
        ]
        spare = min(spare, max(0, entry.existing.get(unit, 0) - sum(lost)))
    return spare


def _fleet(model: Model, bought: Mapping[tuple[str, ...], int]) -> Fleet:
    gpus = {name: bought["block", name] * one.block_gpus for name, one in model.clusters.items()}
    opened = {
        model.clusters[name].region
        for name, added in gpus.items()
        if added and model.regions[model.clusters[name].region].candidate
    }
    return Fleet.after(
        model,
        {(key[1], key[2]): n for key, n in bought.items() if key[0] == "unit"},
        gpus,
        {key[1]: n for key, n in bought.items() if key[0] == "instance"},
        frozenset(opened),
    )


@cache
def left_after_loss(units: tuple[float, ...], lost: int) -> float:
    """Least capacity left over all ways of losing so many units, by trying every one."""
    gone = min(lost, len(units))
    whole = math.fsum(units)
    return min(whole - math.fsum(taken) for taken in combinations(units, gone))


def _left_of(feed: Feed, failed: frozenset[str]) -> tuple[float, bool]:
    """Power that is left of a feed, and whether plants may draw on it too."""
    if f"region:{feed.region}" in failed:
        return 0.0, True
    if f"feed:{feed.name}" not in failed:
        return feed.capacity_mw, True
    if feed.generator_mw and f"generator:{feed.name}" not in failed:
        return feed.generator_mw, True
    return feed.capacity_mw * (feed.ups_minutes > 0 and f"ups:{feed.name}" not in failed), False


class World:
    """A model with its scenarios, and what a fleet costs in it."""

    def __init__(self, model: Model, scenarios: tuple[Scenario, ...]) -> None:
        self.model = model
        self.data = ProblemData(model, scenarios)
        self.transport = any(
            zone.transport_usd_per_million_requests for zone in model.zones.values()
        )
        self.crowds = list(self._crowds())
        self.stages = {
            scenario.name: cut_stages(
                model,
                timeline_of(model, self.data.graph, scenario),
            )
            for scenario in scenarios
        }

    def _crowds(self) -> Iterator[tuple[float, set[str]]]:
        """Peak of every set of zones and tiers, and all clusters that one of them reaches."""
        flows, weekly = self._flows(frozenset(), "normal"), self._weekly()
        for size in range(1, len(flows) + 1):
            for some in combinations(flows, size):
                demand = max(
                    sum(weekly[zone][hour] * self.model.tiers[tier].share for zone, tier in some)
                    for hour in range(168)
                )
                yield demand, {variable[3] for key in some for variable in flows[key]}

    def _weekly(self) -> dict[str, list[float]]:
        """Demand of each zone by hour."""
        return dict(zip(self.model.zones, weekly_demand(self.model).tolist(), strict=True))

    # what is bought

    def allows(self, fleet: Fleet) -> bool:
        """Whether a fleet keeps every rule on purchases."""
        return (
            self._regions_open(fleet)
            and self._covered(fleet, "primary", 1.0 + self.model.policies.cooling_margin)
            and self._covered(fleet, "emergency", self.model.emergency_share)
            and self._powered(fleet)
            and self._policies_kept(fleet)
            and self._peak_passes()
            and self._enough(fleet)
        )

    def _peak_passes(self) -> bool:
        """Whether services with limits let the peak of the week through."""
        for name in limited_services(self.model):
            room = service_rps(self.model, name)
            room *= replicas_up(self.model, name, self.data.normal)
            busiest = max(map(sum, zip(*self._weekly().values(), strict=True)))
            peak = busiest * sum(
                one.share * passing_share(self.model, tier).get(name, 0.0)
                for tier, one in self.model.tiers.items()
            )
            if peak > room + TOLERANCE:
                return False
        return True

    def _enough(self, fleet: Fleet) -> bool:
        """Whether every set of customers reaches GPUs for its peak; saves hopeless programmes."""
        room = {cluster: self._room(fleet, cluster) for cluster in self.model.clusters}
        return all(
            demand <= sum(room[cluster] for cluster in reach) + TOLERANCE
            for demand, reach in self.crowds
        )

    def _added(self, fleet: Fleet, plant: str, unit: str) -> int:
        return fleet.units[plant][unit] - self.model.plants[plant].existing.get(unit, 0)

    def _regions_open(self, fleet: Fleet) -> bool:
        return not any(
            self.model.regions[self.model.plants[plant].region].candidate
            and self.model.plants[plant].region not in fleet.opened
            and any(units.values())
            for plant, units in fleet.units.items()
        )

    def _gpu(self, cluster: str) -> GpuType:
        return self.model.gpus[self.model.clusters[cluster].gpu]

    def _full_heat(self, fleet: Fleet, cluster: str) -> float:
        return self._gpu(cluster).power_mw * fleet.gpus[cluster]

    def _covered(self, fleet: Fleet, role: str, share: float) -> bool:
        """Every set of clusters has plants enough for its heat (Hall's condition)."""
        plants = {name: one for name, one in self.model.plants.items() if one.role == role}
        firm = {
            name: left_after_loss(self._units(fleet, name, list(fleet.units[name])), one.redundancy)
            for name, one in plants.items()
        }
        for size in range(1, len(self.model.clusters) + 1):
            for some in combinations(self.model.clusters, size):
                heat = share * sum(self._full_heat(fleet, cluster) for cluster in some)
                front = {p for p in plants if self._counts(p, some)}
                behind = {plants[p].rejects_to or p for p in front}
                if heat > min(sum(firm[p] for p in of) for of in (front, behind)) + TOLERANCE:
                    return False
        return True

    def _heat_of(self, plant: str) -> list[tuple[str, str]]:
        """Clusters whose heat comes to a plant, each with the plant that takes it from there."""
        return [
            (cluster, name)
            for name, one in self.model.plants.items()
            for cluster in one.cools
            if plant in (name, one.rejects_to)
        ]

    def _counts(self, plant: str, clusters: tuple[str, ...]) -> bool:
        """Whether a plant covers one of some clusters, by itself if policy says so."""
        entry = self.model.plants[plant]
        strict = self.model.policies.independent_emergency_cooling and entry.role == "emergency"
        if not strict:
            return bool(set(entry.cools) & set(clusters))
        graph = self.data.graph
        return any(
            cluster in entry.cools and plant in independent_plants(self.model, graph, cluster)
            for cluster in clusters
        )

    def _units(
        self, fleet: Fleet, plant: str, kinds: list[str], rise: float = 0.0
    ) -> tuple[float, ...]:
        """Size of every single unit of a plant."""
        return tuple(
            sorted(
                size
                for kind in kinds
                for size in [unit_mw(self.model, plant, kind, rise)] * fleet.units[plant][kind]
            )
        )

    def _powered(self, fleet: Fleet) -> bool:
        """Whether full load and its cooling, plants within N+k, find their way over the feeds."""
        lp, model = Lp(), self.model
        drawn: dict[str, tuple[dict[object, float], float]] = {}
        for cluster in model.clusters:
            full = self._full_heat(fleet, cluster)
            parts = {("part", cluster, p): 1.0 for p in self.data.plants_of(cluster, "primary")}
            if full:
                lp.equal.append((parts, full))
            drawn["cluster:" + cluster] = ({}, self._beside(cluster) * full)
        for plant, entry in model.plants.items():
            if entry.role != "primary":
                continue
            units = self._units(fleet, plant, list(fleet.units[plant]))
            carried = {("part", c, p): 1.0 for c, p in self._heat_of(plant)}
            lp.at_most.append((carried, left_after_loss(units, entry.redundancy)))
            drawn["plant:" + plant] = (total(carried, times=self._hunger(plant)), 0.0)
        self._supply(lp, "normal", frozenset(), drawn)
        return lp.least_cost() < math.inf

    def _hunger(self, plant: str) -> float:
        """Power per heat of the hungriest unit type that a plant has or may get."""
        entry = self.model.plants[plant]
        kinds = {*entry.existing, *entry.options}
        units = [self.model.cooling_units[u] for u in kinds]
        return max((u.power_mw_per_mw + u.auxiliary_mw_per_mw for u in units), default=0.0)

    def _beside(self, cluster: str) -> float:
        """Power of a megawatt of GPUs with losses and fans."""
        place = self.model.regions[self.model.clusters[cluster].region]
        return 1 + place.power_loss_share + place.hall_mw_per_mw

    def _supply(
        self,
        lp: Lp,
        where: str,
        failed: frozenset[str],
        drawn: Mapping[str, tuple[dict[object, float], float]],
    ) -> None:
        """Let what loads draw flow over the feeds that are left, within the limit of the region."""
        sections = (("cluster", self.model.clusters), ("plant", self.model.plants))
        for region, place in self.model.regions.items():
            loads = {
                f"{kind}:{name}": name
                for kind, entries in sections
                for name, entry in entries.items()
                if entry.region == region and f"{kind}:{name}" in drawn
            }
            row = total(*(drawn[load][0] for load in loads))
            base = sum(drawn[load][1] for load in loads)
            lp.at_most.append((row, place.power_limit_mw - base))
            feeds = {n: one for n, one in self.model.feeds.items() if one.region == region}
            for load, name in loads.items():
                on = [n for n, one in feeds.items() if not one.powers or name in one.powers]
                flows = {(where, "power", load, feed): -1.0 for feed in on}
                if on:
                    row, base = drawn[load]
                    lp.equal.append((total(row, flows), -base))
            for name, feed in feeds.items():
                mw, everything = _left_of(feed, failed)
                for kinds, most in (("cp", mw), ("p", mw if everything else 0.0)):
                    through = {
                        (where, "power", load, name): 1.0
                        for load, own in loads.items()
                        if load[0] in kinds and (not feed.powers or own in feed.powers)
                    }
                    lp.at_most.append((through, most))

    def _policies_kept(self, fleet: Fleet) -> bool:
        policies = self.model.policies
        everything = sum(fleet.gpus.values())
        used = set()
        for region in self.model.regions:
            here = sum(fleet.gpus[c] for c in self.data.clusters_in(region))
            used |= {region} if here else set()
            if everything - here < policies.surviving_capacity_share * everything - TOLERANCE:
                return False
        budget = policies.capital_budget_usd
        if budget is not None and self._capital(fleet) > budget * (1 + TOLERANCE):
            return False
        return len(used) >= policies.least_regions

    # what it costs before anything runs

    def _capital(self, fleet: Fleet) -> float:
        return sum(capital for capital, _ in self._prices(fleet))

    def fixed_cost(self, fleet: Fleet) -> float:
        """Yearly cost of owning a fleet."""
        return sum(yearly for _, yearly in self._prices(fleet))

    def _prices(self, fleet: Fleet) -> Iterator[tuple[float, float]]:
        """Capital and yearly cost of everything in a fleet."""
        model, rate = self.model, self.model.finance.discount_rate
        for plant, units in fleet.units.items():
            for unit, count in units.items():
                kind = model.cooling_units[unit]
                added = self._added(fleet, plant, unit)
                capital = kind.capital_usd * max(0, added) - kind.salvage_usd * max(0, -added)
                kept, age = count - max(0, added), model.plants[plant].existing_age_years
                own, price = kind.existing_capital_usd, kind.capital_usd
                worth = kept * (price if own is None else own) + (count - kept) * price
                upkeep = worth * kind.maintenance_share_per_year
                upkeep += kind.repair_usd * kind.failures_per_year * count
                upkeep += kept * self._again(price - kind.salvage_usd, kind.life_years, age)
                yield capital, capital * annuity(rate, kind.life_years) + upkeep
        for cluster, count in fleet.gpus.items():
            gpu, entry = self._gpu(cluster), model.clusters[cluster]
            added = count - entry.existing_gpus
            kept = count - max(0, added)
            machines = max(0, added) * gpu.capital_usd - max(0, -added) * gpu.salvage_usd
            building = max(0, added) * gpu.facility_usd
            yearly = machines * annuity(rate, gpu.life_years)
            yearly += building * annuity(rate, gpu.facility_life_years)
            price = gpu.capital_usd + gpu.facility_usd
            paid = gpu.capital_usd if gpu.existing_capital_usd is None else gpu.existing_capital_usd
            built = gpu.facility_usd
            built = built if gpu.existing_facility_usd is None else gpu.existing_facility_usd
            worth = kept * (paid + built) + (count - kept) * price
            yearly += worth * gpu.maintenance_share_per_year
            again, ages = gpu.capital_usd - gpu.salvage_usd, entry.existing_age_years
            yearly += kept * self._again(again, gpu.life_years, ages)
            ages = entry.existing_facility_age_years
            yearly += kept * self._again(gpu.facility_usd, gpu.facility_life_years, ages)
            yield machines + building, yearly
        for region in fleet.opened:
            place = model.regions[region]
            yearly = place.fixed_usd * annuity(rate, place.life_years) + place.fixed_usd_per_year
            yield place.fixed_usd, yearly
        for offer, count in fleet.instances.items():
            yield 0.0, model.offers[offer].retainer_usd_per_instance_year * count

    def _again(self, usd: float, life: float, age: float | None) -> float:
        """Equal payments for what takes the place of a piece, from the end of its life on."""
        rate = self.model.finance.discount_rate
        later = 0.0 if age is None else (1 + rate) ** -max(0.0, life - age)
        return usd * annuity(rate, life) * later

    # what it costs to run and to fail

    def running_cost(self, fleet: Fleet) -> float:
        """Yearly cost of normal operation and of all scenarios; infinite if one is not survived."""
        cost = self._normal(fleet).least_cost()
        failures: list[tuple[float, float]] = []
        for name, stages in self.stages.items():
            if math.isinf(cost):
                break
            once = self._scenario(fleet, stages).least_cost()
            # Transport in a scenario that binds nothing is that of normal operation.
            ignored = self.transport and name not in self.data.stages_by_scenario
            frequency = stages[0].timeline.scenario.frequency_per_year
            cost += (0.0 if ignored else frequency) * once if math.isfinite(once) else math.inf
            failures.append((frequency, 0.0 if ignored else once))
        return cost + self._premium(failures) if math.isfinite(cost) else cost

    def _premium(self, failures: list[tuple[float, float]]) -> float:
        """What a risk policy adds, from the frequency and the cost of one of every failure.

        With CVaR by trying every quantile that can be the best one; a year without any is one.
        """
        policy = self.model.policies.risk
        if policy.kind == "expected":
            return 0.0
        chances = [1 - math.exp(-frequency) for frequency, _ in failures]
        yearly = [
            cost * frequency / chance if frequency else cost
            for (frequency, cost), chance in zip(failures, chances, strict=True)
        ]
        measure = max(yearly, default=0.0)
        if policy.kind == "cvar":
            measure = min(
                level
                + sum(p * max(0.0, cost - level) for p, cost in zip(chances, yearly, strict=True))
                / (1 - policy.alpha)
                for level in (0.0, *yearly)
            )
        return policy.beta * (measure - sum(f * cost for f, cost in failures))

    def _transport_price(self, zone: str, region: str | None) -> float:
        prices = self.model.zones[zone].transport_usd_per_million_requests
        return prices.get(region or "", 0.0) * 3600 / 1e6

    def _room(self, fleet: Fleet, cluster: str) -> float:
        utilisation = self.model.clusters[cluster].max_utilisation
        return self._gpu(cluster).rps * utilisation * fleet.gpus[cluster]

    def _flows(self, down: frozenset[str], stage: str) -> dict[tuple[str, str], list[tuple]]:
        """Flow variables by zone and tier to the clusters within its latency."""
        return {
            (zone, tier): [
                (stage, zone, tier, cluster)
                for cluster, entry in self.model.clusters.items()
                if entry.region in reachable_regions(self.model, zone, tier) and cluster not in down
            ]
            for zone in self.model.zones
            for tier in self.model.tiers
        }

    def _normal(self, fleet: Fleet) -> Lp:
        """Flows at every hour of the day, one mean of which is paid for."""
        lp, weekly = Lp(), self._weekly()
        mean = self._flows(frozenset(), "normal")
        for (zone, tier), variables in mean.items():
            rps = np.mean(weekly[zone]) * self.model.tiers[tier].share
            lp.equal.append((dict.fromkeys(variables, 1.0), rps))
            for variable in variables:
                region = self.model.clusters[variable[3]].region
                lp.cost[variable] = HOURS * self._transport_price(zone, region)
        everything = [variable for variables in mean.values() for variable in variables]
        for cluster in self.model.clusters:
            load = {v: 1.0 for v in everything if v[3] == cluster}
            lp.at_most.append((load, self._room(fleet, cluster)))
            self._mean_heat(lp, fleet, cluster, load)
        for number, hour in enumerate(sorted(set(zip(*weekly.values(), strict=True)))):
            self._hour(lp, fleet, dict(zip(weekly, hour, strict=True)), f"hour {number}")
        for plant, one in self.model.plants.items():
            if one.role == "primary":
                self._mean_cooling(lp, fleet, plant)
        return lp

    def _hour(self, lp: Lp, fleet: Fleet, demand: Mapping[str, float], hour: str) -> None:
        """Room for all demand of an hour, with a spare block where policy asks for it."""
        flows = self._flows(frozenset(), hour)
        for (zone, tier), variables in flows.items():
            rps = demand[zone] * self.model.tiers[tier].share
            lp.equal.append((dict.fromkeys(variables, 1.0), rps))
        everything = [variable for variables in flows.values() for variable in variables]
        for cluster in self.model.clusters:
            load = {v: 1.0 for v in everything if v[3] == cluster}
            lp.at_most.append((load, self._room(fleet, cluster)))
        self._spare_blocks(lp, fleet, everything)

    def _mean_heat(self, lp: Lp, fleet: Fleet, cluster: str, load: Mapping[object, float]) -> None:
        gpu, entry = self._gpu(cluster), self.model.clusters[cluster]
        static = gpu.power_mw * gpu.static_share * fleet.gpus[cluster]
        dynamic = total(load, times=gpu.power_mw * (1 - gpu.static_share) / gpu.rps)
        price = HOURS * self.model.regions[entry.region].electricity_usd_per_mwh
        price *= self._beside(cluster)
        lp.constant += price * static
        lp.cost = total(lp.cost, total(dynamic, times=price))
        carried = {("mean", cluster, p): -1.0 for p in self.data.plants_of(cluster, "primary")}
        lp.equal.append((total(dynamic, carried), -static))

    def _mean_cooling(self, lp: Lp, fleet: Fleet, plant: str) -> None:
        one = self.model.plants[plant]
        price = HOURS * self.model.regions[one.region].electricity_usd_per_mwh
        work: dict[object, float] = {}
        for unit, count in fleet.units[plant].items():
            kind = self.model.cooling_units[unit]
            if kind.mode == "running":
                variable = ("work", plant, unit)
                lp.cost[variable] = price * (kind.power_mw_per_mw + kind.auxiliary_mw_per_mw)
                lp.at_most.append(({variable: 1.0}, unit_mw(self.model, plant, unit) * count))
                work[variable] = -1.0
        lp.equal.append((total({("mean", c, p): 1.0 for c, p in self._heat_of(plant)}, work), 0.0))

    def _spare_blocks(self, lp: Lp, fleet: Fleet, everything: list[tuple]) -> None:
        if not self.model.policies.spare_block_per_region:
            return
        for region in self.model.regions:
            clusters = self.data.clusters_in(region)
            if not any(fleet.gpus[cluster] for cluster in clusters):
                continue
            spare = max(
                self._gpu(c).rps
                * self.model.clusters[c].max_utilisation
                * self.model.clusters[c].block_gpus
                for c in clusters
            )
            room = sum(self._room(fleet, cluster) for cluster in clusters)
            load = {v: 1.0 for v in everything if v[3] in clusters}
            lp.at_most.append((load, room - spare))

    def _scenario(self, fleet: Fleet, stages: tuple[Stage, ...]) -> Lp:
        """Everything that happens in a scenario, once."""
        lp = Lp()
        spend: dict[object, float] = {}
        # What rooms take up until people react, anew for every failure that they react to.
        kept: list[dict[str, dict[object, float]]] = []
        answered = True
        for stage in stages:
            if answered and not stage.reacted:
                kept.append({})
            answered, stored = stage.reacted, kept[-1] if kept else {}
            flows = self._stage_flows(stage)
            spend = total(spend, self._serve(lp, fleet, stage, flows))
            self._cool(lp, fleet, stage, flows, stored)
        scenario, finance = stages[0].timeline.scenario, self.model.finance
        general = finance.emergency_budget_usd
        budget = finance.emergency_budget_by_class_usd.get(scenario.severity, general)
        if scenario.emergency_budget_usd is not None:
            budget = scenario.emergency_budget_usd
        lp.at_most.append((spend, budget))
        lp.cost = total(lp.cost, spend)
        for cluster, heat in [item for stored in kept for item in stored.items()]:
            entry, gpu = self.model.clusters[cluster], self._gpu(cluster)
            capacitance = entry.capacitance_mj_per_k_per_mw * gpu.power_mw * fleet.gpus[cluster]
            allowed = (entry.throttle_c - entry.setpoint_c) * capacitance
            lp.at_most.append((heat, allowed + self._tanks(stages, cluster)))
        return lp

    def _tanks(self, stages: tuple[Stage, ...], cluster: str) -> float:
        """What the tanks of plants that stand until people react take up for a cluster, MJ."""
        early = [stage.state for stage in stages if not stage.reacted]
        largest = {
            name: self._gpu(name).power_mw * one.max_gpus
            for name, one in self.model.clusters.items()
        }
        if not largest[cluster]:
            return 0.0
        plants, found = self.model.plants, 0.0
        for plant, one in plants.items():
            loop = next((n for n, p in plants.items() if p.rejects_to == plant), plant)
            cooled = plants[loop].cools
            if (
                cluster not in cooled
                or one.rejects_to
                or any(plant in s.plants_lost for s in early)
            ):
                continue
            if loop == plant or not any(state.reduces(loop) for state in early):
                heat = sum(largest[name] for name in cooled)
                found += one.buffer_mwh * 3600 * largest[cluster] / heat
        return found

    def _stage_flows(self, stage: Stage) -> dict[tuple[str, str], list[tuple]]:
        flows = self._flows(stage.state.clusters_down, stage.label)
        for (zone, tier), variables in flows.items():
            variables += [
                (stage.label, zone, tier, offer)
                for offer in stage.offers
                if offer_in_reach(self.model, zone, offer, self.model.tiers[tier])
            ]
        return flows

    def _interrupt(self, lp: Lp, stage: Stage, flows: dict[tuple[str, str], list[tuple]]) -> None:
        """Work that ran and does not run in a stage is lost for half an interval, once."""
        for tier, entry in self.model.tiers.items():
            if entry.checkpoint_minutes is None:
                continue
            work: object = ("interrupted", tier)
            row, ran = {work: -1.0}, 0.0
            lp.cost[work] = entry.value_usd_per_1000_requests * 0.06 * entry.checkpoint_minutes / 2
            for zone in self.model.zones:
                wanted = stage.demand_rps[zone, tier]
                wanted += stage.down_rps.get((zone, tier), 0.0)
                ran += wanted / max(1.0, stage.state.demand_factor.get(zone, 1.0))
                row |= dict.fromkeys(flows.get((zone, tier), ()), -1.0)
            lp.at_most.append((row, -ran))

    def _services(
        self, stage: Stage, flows: dict[tuple[str, str], list[tuple]]
    ) -> Iterator[tuple[dict[object, float], float]]:
        """What passes each service with a limit, and the limit."""
        model, state = self.model, stage.state
        for name in limited_services(model):
            room = service_rps(model, name) * replicas_up(model, name, state)
            room *= degradation(model, name, state)
            passing: dict[object, float] = {}
            for (_, tier), variables in flows.items():
                share = passing_share(model, tier, state.services_down).get(name, 0.0)
                passing |= dict.fromkeys(variables, share)
            if not math.isinf(room):
                yield passing, room

    def _serve(
        self, lp: Lp, fleet: Fleet, stage: Stage, flows: dict[tuple[str, str], list[tuple]]
    ) -> dict[object, float]:
        """Add demand, floors, losses and clouds of a stage; return its emergency spend."""
        model = self.model
        for (zone, tier), variables in flows.items():
            entry, demand = model.tiers[tier], stage.demand_rps[zone, tier]
            lp.at_most.append((dict.fromkeys(variables, 1.0), demand))
            worth = entry.value_usd_per_1000_requests + entry.sla_credit_usd_per_1000_requests
            worth *= stage.hours * 3.6
            lp.constant += worth * stage.down_rps.get((zone, tier), 0.0)
            lp.constant += worth * demand
            for variable in variables:
                place = model.clusters.get(variable[3]) or model.offers[variable[3]]
                price = self._transport_price(zone, place.region)
                lp.cost[variable] = stage.hours * price - worth
        self._interrupt(lp, stage, flows)
        for passing, room in self._services(stage, flows):
            lp.at_most.append((passing, room))
        for name, least in stage.floors.items():
            keys = [key for key in flows if name in ("all", key[1])]
            demand = sum(stage.demand_rps[key] + stage.down_rps.get(key, 0.0) for key in keys)
            served = {variable: -1.0 for key in keys for variable in flows[key]}
            lp.at_most.append((served, -least * demand))
        spend: dict[object, float] = {}
        for offer in stage.offers:
            terms = model.offers[offer]
            load = {v: 1.0 for some in flows.values() for v in some if v[3] == offer}
            gpus = fleet.instances[offer] * terms.gpus_per_instance
            gpus *= stage.delivered.get(offer, 1.0)
            lp.at_most.append((load, terms.rps_per_gpu * gpus))
            price = terms.usd_per_instance_hour * terms.surge_multiplier / terms.gpus_per_instance
            spend = total(spend, total(load, times=stage.hours * price / terms.rps_per_gpu))
        return spend

    def _cool(
        self,
        lp: Lp,
        fleet: Fleet,
        stage: Stage,
        flows: dict[tuple[str, str], list[tuple]],
        stored: dict[str, dict[object, float]],
    ) -> None:
        """Add capacity, heat and power of a stage, for every cluster that is up."""
        up = [c for c in self.model.clusters if c not in stage.state.clusters_down]
        heats: dict[str, tuple[dict[object, float], float]] = {}
        for cluster in up:
            load = {v: 1.0 for some in flows.values() for v in some if v[3] == cluster}
            lp.at_most.append((load, self._room(fleet, cluster)))
            heats[cluster] = self._heat(fleet, stage, cluster, load)
            self._carry(lp, fleet, stage, cluster, heats[cluster], stored)
        for plant in self.model.plants:
            heat = [(c, p) for c, p in self._heat_of(plant) if c in up]
            carried = {(stage.label, "carried", c, p): 1.0 for c, p in heat}
            lp.at_most.append((carried, self._capacity(fleet, stage, plant)))
        drawn = {"cluster:" + c: self._drawn(fleet, stage, c, heats[c]) for c in up}
        for plant in self.model.plants:
            heat = [(c, p) for c, p in self._heat_of(plant) if c in up]
            carried = {(stage.label, "carried", c, p): 1.0 for c, p in heat}
            drawn["plant:" + plant] = (total(carried, times=self._hunger(plant)), 0.0)
        self._supply(lp, stage.label, stage.outage.failed, drawn)

    def _drawn(
        self,
        fleet: Fleet,
        stage: Stage,
        cluster: str,
        heat: tuple[dict[object, float], float],
    ) -> tuple[dict[object, float], float]:
        """Power of a cluster: before anybody acts that of all GPUs at their utilisation limit."""
        beside = self._beside(cluster)
        if stage.reacted or self._short(stage, cluster):
            return total(heat[0], times=beside), beside * heat[1]
        gpu, entry = self._gpu(cluster), self.model.clusters[cluster]
        return {}, beside * self._limit_heat(fleet, gpu, entry, cluster)

    def _heat(
        self, fleet: Fleet, stage: Stage, cluster: str, load: Mapping[object, float]
    ) -> tuple[dict[object, float], float]:
        """Heat by request and without any.

        Idle GPUs are off after the reaction, and at once where there is not power for all.
        """
        gpu, entry = self._gpu(cluster), self.model.clusters[cluster]
        dynamic = gpu.power_mw * (1 - gpu.static_share) / gpu.rps
        static = gpu.power_mw * gpu.static_share
        if not stage.reacted and not self._short(stage, cluster):
            return total(load, times=dynamic), static * fleet.gpus[cluster]
        return total(load, times=dynamic + static / (gpu.rps * entry.max_utilisation)), 0.0

    def _carry(
        self,
        lp: Lp,
        fleet: Fleet,
        stage: Stage,
        cluster: str,
        heat: tuple[dict[object, float], float],
        stored: dict[str, dict[object, float]],
    ) -> None:
        """Carry the heat of a cluster away, or store it until operators react."""
        carried = {
            (stage.label, "carried", cluster, plant): -1.0 for plant in self.data.plants_of(cluster)
        }
        row, base = heat
        if stage.reacted:
            lp.at_most.append((total(row, carried), -base))
            return
        gpu, entry = self._gpu(cluster), self.model.clusters[cluster]
        full = self._limit_heat(fleet, gpu, entry, cluster)
        short = (stage.label, "short", cluster)
        if self._short(stage, cluster):
            each = gpu.static_share + (1 - gpu.static_share) * entry.max_utilisation
            each *= gpu.power_mw / (gpu.rps * entry.max_utilisation)
            busy = total(dict.fromkeys(row, 1.0), times=each)
            lp.at_most.append((total(busy, carried, {short: -1.0}), 0.0))
        else:
            lp.at_most.append((total(carried, {short: -1.0}), -full))
        more = {short: stage.hours * 3600}
        stored[cluster] = total(stored.get(cluster, {}), more)

    def _short(self, stage: Stage, cluster: str) -> bool:
        """Whether a cluster has less power than usual."""
        return not power_as_usual(self.data, stage, cluster)

    @staticmethod
    def _limit_heat(fleet: Fleet, gpu: GpuType, entry: Cluster, cluster: str) -> float:
        share = gpu.static_share + (1 - gpu.static_share) * entry.max_utilisation
        return gpu.power_mw * share * fleet.gpus[cluster]

    def _capacity(self, fleet: Fleet, stage: Stage, plant: str) -> float:
        """Capacity of a plant: named units go first, then the largest of those left."""
        state = stage.state
        if plant in state.plants_down:
            return 0.0
        rise = state.ambient_rise_c.get(self.model.plants[plant].region, 0.0)
        kinds = [unit for unit in fleet.units[plant] if unit in stage.started[plant]]
        units = list(self._units(fleet, plant, kinds, rise))
        for (hit, unit), lost in state.lost_units.items():
            if hit == plant and unit in kinds:
                for _ in range(lost):
                    units.remove(unit_mw(self.model, plant, unit, rise))
        return left_after_loss(tuple(units), state.lost_largest.get(plant, 0))
