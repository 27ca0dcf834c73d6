"""Screening: states of failure that certainly cost nothing, known without simulating them."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario, Surge
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import Graph
from planner.infrastructure.measures import scenario_with
from planner.laws.calendar import HOTTEST, HOURS_PER_WEEK, on_day
from planner.laws.heat import derated_share, heat_at_utilisation_mw, share_cooling
from planner.reliability.failure_sources import Source
from planner.reliability.periods import scenario_of
from planner.reliability.sampling import Down, Failure, Period
from planner.scenarios.climate import ambient_at
from planner.scenarios.system_state import SystemState
from planner.scenarios.timeline import timeline_of
from planner.simulation.build import prepare
from planner.simulation.system_states import Floats, SystemStates
from planner.simulation.world import World

#: Events during which the system state changes.
IN_STEPS = frozenset({"feed", "sag"})
#: Hours of the week, at which climate and demand have their corners.
WEEK_HOURS = np.arange(HOURS_PER_WEEK, dtype=float) * 60


def calm_scenario(hour: float | None = None, minutes: float = 60.0) -> Scenario:
    """A scenario in which nothing happens."""
    event = Surge(kind="surge", factor=1.0, repair_minutes=minutes)
    return Scenario(
        name="calm", severity="single", frequency_per_year=0.0, start_hour=hour, events=(event,)
    )


class Screen:
    """Tells states of failure that may cost something from those that certainly do not.

    A state of failure is harmless where it leaves every cluster with GPUs, every tier, the power
    and the services as they are in normal operation, does not change demand, and where running
    units carry the full heat of all clusters even in the hottest hour. Then the cascade runs like
    normal operation, minute by minute, and that must lose nothing.

    Parameters
    ----------
    model
        Model with the fleet's measures in place.
    whole
        Whether normal operation serves everything; if not, nothing counts as harmless.
    original, bought
        The model before its measures, and those.
    """

    def __init__(
        self,
        model: Model,
        graph: Graph,
        fleet: Fleet,
        sources: tuple[Source, ...],
        whole: bool,
        original: Model,
    ) -> None:
        self.model, self.graph, self.fleet, self.sources = model, graph, fleet, sources
        self._original = original
        self._known: dict[Down, bool] = {}
        self._whole = whole

    def may_lose(self, down: Down) -> bool:
        """Whether anything may be lost while some copies of some sources are down."""
        if not self._whole:
            return True
        if down not in self._known:
            self._known[down] = self._work_out(down)
        return self._known[down]

    def _work_out(self, down: Down) -> bool:
        failures = tuple(
            Failure(source, 0.0, self.sources[source].rate.mean_minutes)
            for source, count in down
            for _ in range(count)
        )
        period = Period("", 0, 0.0, 0.0, failures, 1.0, 0.0)
        scenario = scenario_of(period, self.sources)
        scenario = scenario_with(self._original, scenario, self.fleet.measures)
        if len(failures) > 1 and any(event.kind in IN_STEPS for event in scenario.events):
            return True
        timeline = timeline_of(self.model, self.graph, scenario)
        return not all(self._harmless(interval.state) for interval in timeline.intervals)

    @cached_property
    def _world(self) -> World:
        short = self.model.simulation.replace(horizon_minutes=1.0)
        return prepare(self.model.replace(simulation=short), self.fleet, (calm_scenario(),))

    @cached_property
    def _hottest_c(self) -> Floats:
        """Highest usual ambient of each region."""
        start = on_day(0.0, HOTTEST)
        week = [ambient_at(self.model, region, start, WEEK_HOURS) for region in self.model.regions]
        return np.array(week).max(axis=1)

    def _harmless(self, state: SystemState) -> bool:
        if state.demand_factor:
            return False
        then, normal = self._world.stacker.stack([state]), self._world.system_states
        return self._as_usual(then, normal) and self._cools(then)

    def _as_usual(self, then: SystemStates, normal: SystemStates) -> bool:
        """Whether nothing but cooling units and offers differs; offers are not in use."""
        installed = self._world.clusters.gpus > 0
        pairs = [(then.tier_up[0], normal.tier_up[0])]
        pairs.append((then.cluster_up[0][installed], normal.cluster_up[0][installed]))
        pairs += [
            (getattr(then, name)[0], getattr(normal, name)[0])
            for name in ("service_rps", "connections", "weights")
        ]
        power = int(then.power[0])
        powered = power == normal.power[0] or self._world.stacker.supplies[power].ample
        return powered and all(np.array_equal(state, usual) for state, usual in pairs)

    def _cools(self, then: SystemStates) -> bool:
        """Whether running units carry all heat in the hottest hour."""
        units, clusters = self._world.units, self._world.clusters
        ambient = self._hottest_c + then.rise_c[0]
        share = derated_share(
            ambient[units.region], units.reference_c, units.derating_per_c, units.cutout_c
        )
        each_mw = then.units[0] * units.capacity_mw * share * ~units.standby
        heat = heat_at_utilisation_mw(
            clusters.power_mw, clusters.static_share, clusters.gpus, clusters.utilisation
        )
        capacity = np.bincount(units.plant, each_mw, len(self._world.plants.names))[None, :]
        cooled = share_cooling(
            heat[None, :], capacity, self._world.plants.serves, self._world.plants.rejects_to
        )[0]
        return bool((cooled >= heat * (1 - 1e-12)).all())
