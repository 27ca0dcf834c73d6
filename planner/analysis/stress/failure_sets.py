"""Sets of elementary failures at the same time, and the class that each is judged by.

A set is what N-1 and N-2 are made of (`planner.scenarios.combinations`): every component at once,
units of one plant as often as it may have them, and none whose failure changes nothing once another
of the set has failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import combinations

import numpy as np

from planner.errors import InputError, Problem, refuse
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario, Severity
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.source import nearest
from planner.laws.traffic import serving_rps
from planner.scenarios.combinations import most_units
from planner.scenarios.components import (
    SEVERITY_ORDER,
    Component,
    Reach,
    components,
    joint_severity,
    node_components,
    together,
)
from planner.scenarios.demand import peak_hour, weekly_demand
from planner.scenarios.standard import ALL, floors
from planner.simulation.build import Layout
from planner.simulation.system_states import Floats

#: Most sets of all sizes together.
MOST_SETS = 2_000_000
Members = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FailureSets:
    """Elementary failures of a model, its `components`, of which sets are made."""

    model: Model
    components: tuple[Component, ...]

    @classmethod
    def of(
        cls,
        model: Model,
        services: bool = False,
        only: Sequence[str] = (),
        excluded: Sequence[str] = (),
    ) -> FailureSets:
        """Failures of every component (N-1), and of every service where these count too.

        Parameters
        ----------
        only, excluded
            Patterns of names of failures to keep, and to leave out.

        Raises
        ------
        InputError
            If a pattern matches nothing, or nothing is left.
        """
        found = list(components(model))
        found += node_components(model, "service") if services else []
        names = [component.name for component in found]
        problems = [
            Problem(option, 0, 0, "", f"`{pattern}` matches none of {len(names):,} failures{hint}")
            for option, patterns in (("--only", only), ("--except", excluded))
            for pattern in patterns
            if not any(fnmatchcase(name, pattern) for name in names)
            for hint in [nearest(pattern, names)]
        ]
        refuse(problems)
        kept = tuple(
            component
            for component in found
            if (not only or any(fnmatchcase(component.name, pattern) for pattern in only))
            and not any(fnmatchcase(component.name, pattern) for pattern in excluded)
        )
        if not kept:
            raise InputError.single(model.name or "model", "no failure is left to combine")
        return cls(model, kept)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the elementary failures."""
        return tuple(component.name for component in self.components)

    @cached_property
    def _apart(self) -> list[list[bool]]:
        """Whether two failures may be in one set: neither contains the other."""
        reach, count = Reach.of(self.model), len(self.components)
        apart = [[True] * count for _ in range(count)]
        for i, j in combinations(range(count), 2):
            one, other = self.components[i], self.components[j]
            apart[i][j] = not (reach.contains(one, other) or reach.contains(other, one))
        return apart

    @cached_property
    def _copies(self) -> list[int]:
        """How often a failure may be in one set."""
        index = Reach.of(self.model).index
        return [
            max(1, most_units(self.model.plants[index.places[component.node][1]]))
            if component.family == "unit"
            else 1
            for component in self.components
        ]

    def of_size(self, size: int) -> list[Members]:
        """All sets of a size, as places of failures in order.

        Raises
        ------
        InputError
            If there are more than can be worked through.
        """
        found: list[Members] = []
        for members in self._extended((), size):
            found.append(members)
            if len(found) > MOST_SETS:
                message = f"more than {MOST_SETS:,} sets of {size}: fewer failures with --only"
                raise InputError.single("-k", message)
        return found

    def _extended(self, members: Members, size: int) -> Iterator[Members]:
        if len(members) == size:
            yield members
            return
        first = members[-1] if members else 0
        for new in range(first, len(self.components)):
            again = members.count(new)
            if again >= self._copies[new]:
                continue
            if all(old == new or self._apart[old][new] for old in members):
                yield from self._extended((*members, new), size)

    def scenario(self, members: Members) -> Scenario:
        """The failures of a set at the same time, of the class that it is judged by."""
        failures = [self.components[member].scenario for member in members]
        joint = together(failures, failures[0].frequency_per_year if len(members) == 1 else 0.0)
        return joint.replace(severity=self.severity(members), hours="peak")

    def severity(self, members: Members) -> Severity:
        """Class that a set is judged by."""
        return judged_as(self.model, [self.components[i].scenario.severity for i in members])

    def missing_rps(self, fleet: Fleet, sets: Sequence[Members]) -> Floats:
        """Bound on what the recourse programme of each set misses for want of capacity, rps.

        All places together have to serve what the standard asks for in the end, at the hour of peak
        demand; they serve at most what is left of them when each failure has taken its course. Of
        use for the order of the search alone: heat, power, reach and time are left out.

        Returns
        -------
        numpy.ndarray
            Requests per second, negative where there is enough, shape (sets,).
        """
        model = self.model
        world = Layout.of(model, fleet.measures).world(
            fleet, [component.scenario for component in self.components]
        )
        last = [min(world.minutes, int(timeline.end_minute)) - 1 for timeline in world.timelines]
        rows = world.interval[last, np.arange(len(last))]
        up = np.hstack(
            [world.system_states.cluster_up[rows], world.system_states.offer_share[rows]]
        )
        clusters = world.clusters
        own = serving_rps(clusters.gpus, clusters.rps, clusters.utilisation)
        each_rps = np.concatenate([own, world.offers.rps])
        demand = float(weekly_demand(model)[:, peak_hour(model)].sum())
        need = {name: demand * _asked(model, name) for name in SEVERITY_ORDER}
        missing = np.empty(len(sets))
        for place, members in enumerate(sets):
            left = each_rps @ up[list(members)].min(axis=0)
            missing[place] = need[self.severity(members)] - left
        return missing


def judged_as(model: Model, severities: Sequence[Severity]) -> Severity:
    """Class that failures at the same time are judged by.

    One alone by its own; two as N-2 has it (`planner.scenarios.components.joint_severity`); three
    and more as `extreme`. Where the standard asks nothing of several failures of that class, the
    most lenient class counts of which it does.
    """
    if len(severities) == 1:
        return severities[0]
    joint: Severity = "extreme" if len(severities) > 2 else joint_severity(severities)
    stated = [name for name in SEVERITY_ORDER if _asked(model, name)]
    return joint if joint in stated or not stated else stated[-1]


def _asked(model: Model, severity: Severity) -> float:
    """Share of all demand that the standard asks for in the end, of a class."""
    rules = [rule for rule in floors(model, severity) if rule.zone is None]
    together_share = max((rule.least_served for rule in rules if rule.tier == ALL), default=0.0)
    by_tier = {
        tier: max((rule.least_served for rule in rules if rule.tier == tier), default=0.0)
        for tier in model.tiers
    }
    tiers = sum(least * model.tiers[tier].share for tier, least in by_tier.items())
    return max(together_share, tiers)
