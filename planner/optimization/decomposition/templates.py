"""Templates: recourse built once for all stages that differ only in what is asked for.

Stages in the same state of the infrastructure have the same rows. What differs is demand, the least
shares to be served, which offers have arrived, and length. So each state is built once, by the same
functions as the whole programme, at the largest demand, with every floor and every offer; a stage
is then a few numbers: bounds of served requests and of offers in use, right-hand sides of floors,
and a factor of cost. Stages before operators react share what rooms store: they are built together.

A scenario whose rows follow from more than its states (`alike`) is a template of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np

from planner.optimization.decomposition.alike import (
    Keys,
    Place,
    are_alike,
    floor_names,
    keeps_demand,
    offers_of,
    together,
)
from planner.optimization.decomposition.blocks import (
    Block,
    Component,
    Floats,
    Library,
    Piece,
    Whole,
)
from planner.optimization.formulation.algebra import Constraint
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.stages import Stage
from planner.optimization.solution.solving import Cases, Solution
from planner.scenarios.demand import weekly_demand
from planner.scenarios.standard import counts_for

#: Lower and upper bounds on the variables of the master as it is now, by id: building recourse may
#: add to it.
Bounds = Callable[[], tuple[Floats, Floats]]
NOTHING: Whole = np.zeros(0, dtype=np.int64)
#: Templates whose programmes are kept for the audit, some hundred KiB each; others are built again.
MOST_KEPT = 400


@dataclass(frozen=True, eq=False)
class _Part:
    """A block of a template, and where its numbers stand among those of its stages."""

    component: Component
    needs: Whole
    limits: Whole


@dataclass(frozen=True, eq=False)
class Template:
    """Stages built together.

    Parameters
    ----------
    parts
        Its blocks.
    alone
        Its rows on purchases alone.
    hours
        Length of its stage, where it is of a single one and costs are in proportion to length.
    constant_usd
        Cost of one occurrence with no recourse at all, beyond ``lost_usd``.
    lost_usd
        Cost of each request per second not served, by stage, zone and tier.
    made
        What it was made from, where that is kept.
    """

    parts: tuple[_Part, ...]
    alone: tuple[Constraint, ...]
    hours: float | None
    constant_usd: float
    lost_usd: Floats
    made: _Largest | None = None


@dataclass(eq=False)
class Gathered:
    """Stages of many scenarios with the same template.

    Attributes
    ----------
    after
        The data there with the measures that are bought.
    groups, later
        Stages of each case: of those that ask for the same, the first; as they are in the
        programme, and with the measures that are bought.
    numbers
        Number of each case by its blocks.
    uses
        Scenarios with the cases that are part of them, and the length of these by that of the
        template.
    """

    template: Template
    place: Place
    after: ProblemData
    groups: list[Sequence[Stage]] = field(default_factory=list)
    later: list[Sequence[Stage]] = field(default_factory=list)
    numbers: dict[tuple[Block, ...], int] = field(default_factory=dict)
    uses: list[tuple[str, int, float]] = field(default_factory=list)

    def cases(
        self, solution: Solution, columns: Callable[[Sequence[Block]], list[tuple[Floats, Floats]]]
    ) -> Cases:
        """Its programme with the recourse of all cases.

        Parameters
        ----------
        solution
            Purchases and normal operation.
        columns
            Values of the columns of blocks of one form and duals of their rows, scaled.
        """
        made = self.template.made or _largest_of(self.place, self.groups[0])
        problem = made.programme.problem
        values = dict(solution.values)
        values |= {variable.name: 0.0 for variable in problem.variables}
        for index, part in enumerate(self.template.parts):
            sizes = part.component.form.structure.column_size
            mine = [blocks[index] for blocks in self.numbers]
            once = list(dict.fromkeys(mine))
            solved = dict(zip(once, columns(once), strict=True))
            found = np.ldexp(np.array([solved[block][0] for block in mine]), sizes)
            for place, amounts in zip(part.component.columns.tolist(), found.T, strict=True):
                values[problem.variables[place].name] = amounts
        stages = [
            _of_many(stage, [group[i] for group in self.groups])
            for i, stage in enumerate(made.stages)
        ]
        asked = (
            least * sum(rps for key, rps in _asked(stage).items() if counts_for(name, *key))
            for stage, first in zip(stages, self.groups[0], strict=True)
            if not keeps_demand(self.place.data, first)
            for name, least in stage.floors.items()
        )
        limits: Iterator[Any] = chain.from_iterable(
            (*stage.demand_rps.values(), *self._arrived(i)) for i, stage in enumerate(stages)
        )
        later = [
            replace(
                _of_many(stage, [group[i] for group in self.later]),
                start_minute=made.stages[i].start_minute,
                end_minute=made.stages[i].end_minute,
            )
            for i, stage in enumerate(self.later[0])
        ]
        here = made.programme.by_stage
        by_stage = {
            stage.label: here[one.label] for stage, one in zip(later, made.stages, strict=True)
        }
        data = self.after.part((self.place.scenario,)).with_stages(tuple(later))
        return Cases(
            replace(made.programme, data=data, by_stage=by_stage),
            replace(solution, values=values, recourse=None, by_state=None, once_usd=None),
            {i: needs for i, needs in zip(made.asked.tolist(), asked, strict=True) if i >= 0},
            dict(zip(made.limited.tolist(), limits, strict=True)),
            tuple(self.uses),
        )

    def _arrived(self, i: int) -> Iterator[Floats]:
        """Upper bounds of offers in use in a stage: 0 where they have not arrived."""
        for offer in offers_of(self.place.data, self.groups[0][i]):
            there = [offer in group[i].offers_at_best for group in self.groups]
            yield np.where(there, np.inf, 0.0)


@dataclass
class Templates:
    """All templates met so far."""

    library: Library
    _found: dict[Hashable, Template] = field(default_factory=dict)
    _vectors: dict[tuple[int, int], tuple[object, Floats, Floats]] = field(default_factory=dict)
    _counted: dict[tuple[str, tuple[str, ...]], Floats] = field(default_factory=dict)

    def recourse(
        self, place: Place, bounds: Bounds
    ) -> tuple[tuple[Piece, ...], tuple[Constraint, ...], float]:
        """Blocks of a scenario, its rows on purchases alone, and its cost with no recourse, USD."""
        if not are_alike(place):
            template = self._template(place.programme(), bounds, NOTHING, NOTHING)
            own = tuple(self._pieces(template, np.zeros(0), np.zeros(0), 1.0))
            return own, template.alone, template.constant_usd
        pieces, alone, constant = list[Piece](), list[Constraint](), 0.0
        for template, group, factor in self._groups(place, bounds):
            needs, limits, lost = self._numbers(place, group)
            pieces += self._pieces(template, needs, limits, factor)
            alone += template.alone
            constant += factor * float(template.lost_usd @ lost)
        return tuple(pieces), tuple(alone), constant

    def _groups(
        self, place: Place, bounds: Bounds
    ) -> Iterator[tuple[Template, Sequence[Stage], float]]:
        """Stages that are built together, their template, and their length by that of it."""
        keys = Keys(place)
        for group in together(place.stages):
            key = keys.of(group)
            if key not in self._found:
                self._found[key] = self._of(place, group, bounds)
            template = self._found[key]
            yield template, group, group[0].hours / template.hours if template.hours else 1.0

    def gathered(
        self, places: Iterable[Place], bounds: Bounds, bought: frozenset[str]
    ) -> tuple[list[Gathered], list[Place]]:
        """Stages of scenarios by template; scenarios that are templates of their own.

        Parameters
        ----------
        bought
            Measures in place.
        """
        found: dict[Hashable, Gathered] = {}
        others = []
        for place in places:
            if not are_alike(place):
                others.append(place)
                continue
            after = replace(place, data=place.data.with_bought(bought))
            keys = Keys(after)
            for template, group, factor in self._groups(place, bounds):
                later = [after.stages[stage.index] for stage in group]
                key = template, keys.of(later) if bought else None
                needs, limits, _ = self._numbers(place, group)
                blocks = tuple(one.block for one in self._pieces(template, needs, limits, factor))
                mine = found.setdefault(key, Gathered(template, place, after.data))
                case = mine.numbers.setdefault(blocks, len(mine.numbers))
                if case == len(mine.groups):
                    mine.groups.append(group)
                    mine.later.append(later)
                mine.uses.append((place.scenario, case, factor))
        return list(found.values()), others

    def _pieces(
        self, template: Template, needs: Floats, limits: Floats, factor: float
    ) -> Iterator[Piece]:
        for part in template.parts:
            form = part.component.form
            row_size = form.structure.row_size[form.asked]
            column_size = form.structure.column_size[form.limited]
            block = self.library.block(
                form,
                np.ldexp(needs[part.needs], -row_size),
                np.minimum(np.ldexp(limits[part.limits], -column_size), form.high[form.limited]),
            )
            yield Piece(block, factor * part.component.factor)

    def _numbers(self, place: Place, group: Sequence[Stage]) -> tuple[Floats, Floats, Floats]:
        """Numbers of some stages: what floors ask for, upper bounds, demand not served at first."""
        data, needs, limits, lost = place.data, [], [], []
        for stage in group:
            demand, asked = self._asked(stage)
            limits.append(demand)
            arrived = [offer in stage.offers_at_best for offer in offers_of(data, stage)]
            limits.append(np.where(arrived, np.inf, 0.0))
            if stage.floors and not keeps_demand(data, stage):
                names = floor_names(data, stage)
                least = np.array([stage.floors.get(name, 0.0) for name in names])
                needs.append(least * (self._counts(place, stage, names) @ asked))
            lost.append(asked)
        return np.concatenate([*needs, np.zeros(0)]), np.concatenate(limits), np.concatenate(lost)

    def _asked(self, stage: Stage) -> tuple[Floats, Floats]:
        """Demand by zone and tier, and with that of tiers that are down; stages share theirs."""
        given = stage.demand_rps, stage.down_rps
        numbers = id(given[0]), id(given[1])
        if numbers not in self._vectors:
            demand = np.fromiter(given[0].values(), float, len(given[0]))
            asked = np.array([rps + given[1].get(key, 0.0) for key, rps in given[0].items()])
            self._vectors[numbers] = given, demand, asked
        return self._vectors[numbers][1:]

    def _counts(self, place: Place, stage: Stage, names: tuple[str, ...]) -> Floats:
        """Whether the demand of a zone and tier counts for a floor, shape (floors, zones·tiers)."""
        key = place.where, names
        if key not in self._counted:
            rows = [[counts_for(name, *whose) for whose in stage.demand_rps] for name in names]
            self._counted[key] = np.array(rows, dtype=float)
        return self._counted[key]

    def _of(self, place: Place, group: Sequence[Stage], bounds: Bounds) -> Template:
        """The template of some stages."""
        made = _largest_of(place, group)
        costs = made.programme.problem.objective.terms
        lost = [
            -costs.get(served, 0.0)
            for stage in made.stages
            for served in made.programme.by_stage[stage.label].served.values()
        ]
        template = self._template(made.programme, bounds, made.asked, made.limited)
        hours = group[0].hours if group[0].when_reacted.certain else None
        kept = made if len(self._found) < MOST_KEPT else None
        return replace(template, hours=hours, constant_usd=0.0, lost_usd=np.array(lost), made=kept)

    def _template(
        self, programme: Programme, bounds: Bounds, asked: Whole, limited: Whole
    ) -> Template:
        problem = programme.problem
        found, alone = self.library.components(problem, bounds(), asked, limited)
        parts = []
        for one in found:
            needs = _places(asked, one.rows[one.form.asked])
            parts.append(_Part(one, needs, _places(limited, one.columns[one.form.limited])))
        constant = problem.objective.constant
        return Template(tuple(parts), tuple(alone), None, constant, np.zeros(0))


@dataclass(frozen=True)
class _Largest:
    """Recourse of stages that ask for as much as ever, with all offers.

    Parameters
    ----------
    asked, limited
        Positions of the rows of floors, -1 where there is none, and of columns with bounds of
        their own, in the order of `Templates._numbers`.
    """

    programme: Programme
    stages: Sequence[Stage]
    asked: Whole
    limited: Whole


def _largest_of(place: Place, group: Sequence[Stage]) -> _Largest:
    data = place.data
    peaks = dict(zip(data.model.zones, weekly_demand(data.model).max(axis=1), strict=True))
    stages = [_largest(data, stage, peaks) for stage in group]
    programme = place.programme(stages)
    at = {row.name: i for i, row in enumerate(programme.problem.constraints)}
    floor_rows = {
        (row.from_minute, row.subject): at[name]
        for name, row in programme.rows.items()
        if row.family == Family.SERVED_FLOOR
    }
    first, asked, limited = programme.problem.first_id, list[int](), list[int]()
    for stage, as_it_is in zip(stages, group, strict=True):
        here = programme.by_stage[stage.label]
        columns = [*here.served.values(), *here.used.values()]
        limited += [variable.id - first for variable in columns]
        if keeps_demand(data, as_it_is):
            continue
        asked += [floor_rows.get((stage.start_minute, name), -1) for name in stage.floors]
    places = np.array(asked, dtype=np.int64), np.array(limited, dtype=np.int64)
    return _Largest(programme, stages, *places)


def _of_many(stage: Stage, cases: Sequence[Stage]) -> Stage:
    """A stage whose numbers are those of several, as arrays."""
    demand: Any = {key: np.array([c.demand_rps[key] for c in cases]) for key in stage.demand_rps}
    down: Any = {
        key: np.array([case.down_rps.get(key, 0.0) for case in cases])
        for key in dict.fromkeys(key for case in cases for key in case.down_rps)
    }
    names = dict.fromkeys((*stage.floors, *(name for case in cases for name in case.floors)))
    floors_of: Any = {
        name: np.array([case.floors.get(name, 0.0) for case in cases]) for name in names
    }
    return replace(stage, demand_rps=demand, down_rps=down, floors=floors_of)


def _asked(stage: Stage) -> dict[tuple[str, str], Any]:
    return {key: rps + stage.down_rps.get(key, 0.0) for key, rps in stage.demand_rps.items()}


def _places(all_of_them: Whole, some: Whole) -> Whole:
    """Where some numbers stand among all."""
    order = np.argsort(all_of_them, kind="stable")
    found: Whole = order[np.searchsorted(all_of_them[order], some)]
    return found


def _largest(data: ProblemData, stage: Stage, peaks: dict[str, float]) -> Stage:
    """A stage that asks for as much as any of its kind."""
    if keeps_demand(data, stage):
        return stage
    names = floor_names(data, stage) if stage.floors else ()
    floors_of = dict.fromkeys(names, 1.0)
    demand = {
        (zone, tier): peaks[zone]
        * stage.state.demand_factor.get(zone, 1.0)
        * data.model.tiers[tier].share
        for zone, tier in stage.demand_rps
    }
    return replace(
        stage,
        demand_rps=demand,
        down_rps={},
        offers=stage.offers if stage.variants else offers_of(data, stage),
        floors=floors_of,
        variants=tuple((n, replace(one, floors=floors_of)) for n, one in stage.variants),
    )
