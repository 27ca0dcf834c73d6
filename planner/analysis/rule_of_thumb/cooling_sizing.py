"""Cooling: N+k of one type at every plant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from planner.analysis.rule_of_thumb.gpu_sizing import full_heat_mw
from planner.analysis.rule_of_thumb.sizing import NOTHING, Sizing
from planner.infrastructure.fleet import Fleet, unit_mw
from planner.laws.heat import capacity_after_losses_mw
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.audit_purchases import components


class CoolingSizing:
    """Decides which cooling units plants buy."""

    def __init__(self, data: ProblemData) -> None:
        self.data = data
        self.model = data.model

    def fleet(self, sizing: Sizing) -> Fleet:
        """The fleet of a sizing: cooling follows from its GPUs."""
        model, units = self.model, self._units(sizing)
        used = {model.clusters[name].region for name, count in sizing.gpus.items() if count}
        return Fleet.after(
            model,
            {
                (plant, unit): count - model.plants[plant].existing.get(unit, 0)
                for plant, counts in units.items()
                for unit, count in counts.items()
            },
            {n: count - model.clusters[n].existing_gpus for n, count in sizing.gpus.items()},
            {
                n: count - model.offers[n].existing_instances
                for n, count in sizing.instances.items()
            },
            frozenset(region for region in used if model.regions[region].candidate),
            sizing.measures,
        )

    def _units(self, sizing: Sizing) -> dict[str, dict[str, int]]:
        """Units in all by plant and type: N+k, and what was added beyond it."""
        model = self.model
        units = {name: dict(plant.existing) for name, plant in model.plants.items()}
        for plant, counts in model.policies.fixed.cooling.items():
            for unit, count in counts.items():
                units[plant][unit] = units[plant].get(unit, 0) + count
        bought: dict[str, str] = {}
        for role in ("primary", "emergency"):
            loops, chillers = (components(self.data, role, chillers=c) for c in (False, True))
            for clusters, plants in (*loops, *chillers):
                heat = model.cooled_share(role) * sum(
                    full_heat_mw(self.data, sizing.gpus, name) for name in clusters
                )
                bought |= self._cool(units, sorted(plants), heat)
        for plant, count in sizing.extra_units.items():
            kind = bought.get(plant) or self._cheapest_unit(plant)
            if kind is not None:
                units[plant][kind] = units[plant].get(kind, 0) + count
        for (plant, unit), count in sizing.other_units.items():
            units[plant][unit] = units[plant].get(unit, 0) + count
        return units

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
        """Unit types that plants may buy: of a primary plant the running ones, if there are any."""
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

    def more_units(self, sizing: Sizing, plant: str, count: int) -> Sizing | None:
        """More units in a plant; None where it has no room for them."""
        extra = {**sizing.extra_units, plant: sizing.extra_units.get(plant, 0) + count}
        return self._if_room(sizing, replace(sizing, extra_units=extra), plant)

    def more_of(self, sizing: Sizing, plant: str, unit: str, count: int) -> Sizing | None:
        """More units of a type in a plant; None where it has no room for them."""
        others = {
            **sizing.other_units,
            (plant, unit): sizing.other_units.get((plant, unit), 0) + count,
        }
        return self._if_room(sizing, replace(sizing, other_units=others), plant)

    def types(self, plant: str) -> list[str]:
        """Types that a plant may buy."""
        return [unit for _, unit in self._options([plant], set())]

    def _if_room(self, sizing: Sizing, more: Sizing, plant: str) -> Sizing | None:
        entry = self.model.plants[plant]
        now, after = self.fleet(sizing).units[plant], self.fleet(more).units[plant]
        bought = [total - entry.existing.get(unit, 0) for unit, total in after.items()]
        return None if after == now or max(bought) > entry.max_added else more
