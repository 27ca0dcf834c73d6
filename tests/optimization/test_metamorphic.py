"""What must happen to the cost when a model changes in a known way, whatever the cost is.

Harder or poorer models never cost less, names and order mean nothing, money has no unit, solves
repeat, and what the programme leaves out changes nothing: on the shipped model with chosen changes,
and as properties of random models.

Demand of the random models does not change while a scenario lasts. Where it does, a rule of the
standard that asks for nothing can still make a plan cheaper by a little: its deadline cuts a stage
in two, and each stage is charged at its own largest demand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from itertools import pairwise
from math import inf, isfinite
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from optimization import changes
from optimization.drawing import Data, draw, model_from
from support import often, solved

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import FamilyTerms, Heat, NodeLoss, Scenario, Surge, UnitLoss
from planner.infrastructure.policies import Policies
from planner.optimization.formulation import problem as problem_module
from planner.optimization.solution.audit import audit
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution

#: Costs before and after a change.
Costs = tuple[float, float]
#: Relative difference within which two optima are the same.
SAME = 1e-9
DAY = 1440.0

Change = Callable[[Model], Model]


def cost(model: Model) -> float:
    """Optimal cost; infinite where no plan will do."""
    solution = solved(model)[1]
    assert solution.status in ("optimal", "infeasible")
    return solution.objective


def redundant(model: Model) -> Model:
    """With k units lost, a unit lost in a heat wave, and demand that follows the day."""
    terms = FamilyTerms(severity="double", frequency_per_year=0.3, repair_hours=12.0)
    plants = {
        name: plant.replace(redundancy=3 if name == "east-chillers" else plant.redundancy)
        for name, plant in model.plants.items()
    }
    generators = model.generators.replace(
        units=terms, heat_wave=terms, heat_wave_unit=terms, heat_wave_rise_c=8.0
    )
    zones = {name: zone.replace(shape="day") for name, zone in model.zones.items()}
    day = tuple(1.0 + (hour % 24 > 8) + 0.5 * (hour % 24 > 18) for hour in range(24))
    return model.replace(plants=plants, generators=generators, zones=zones, shapes={"day": day})


@pytest.fixture(scope="module")
def model(tiny) -> Model:
    """The shipped two-region model."""
    return tiny.model


@pytest.fixture(scope="module")
def base(model) -> Solution:
    """Its plan."""
    return solved(model)[1]


@pytest.fixture(scope="module")
def capital(model) -> float:
    """What the plan spends at once."""
    return sum(item.capital_usd for item in audit(*solved(model)))


def floor(severity: str, tier: str, least: float, from_minute: float = 5.0) -> Change:
    """One more line of the survival standard."""

    def change(model: Model) -> Model:
        rule = {"tier": tier, "from_minute": from_minute, "least_served": least}
        rules = (*model.standard.get(severity, ()), rule)
        return model.replace(standard={**model.standard, severity: rules})

    return change


def scenario(*events: object, severity: str = "double") -> Change:
    """One more scenario."""

    def change(model: Model) -> Model:
        one = Scenario(name="more", severity=severity, frequency_per_year=0.01, events=events)
        return model.replace(scenarios={**model.scenarios, "more": one})

    return change


def without_option(plant: str, unit: str) -> Change:
    """One unit type less to choose from."""

    def change(model: Model) -> Model:
        options = tuple(option for option in model.plants[plant].options if option != unit)
        return model.replace(
            plants={**model.plants, plant: model.plants[plant].replace(options=options)}
        )

    return change


def entry(section: str, name: str, **fields: object) -> Change:
    """Some fields of an entity changed."""

    def change(model: Model) -> Model:
        table = getattr(model, section)
        return model.replace(**{section: {**table, name: table[name].replace(**fields)}})

    return change


def part(section: str, **fields: object) -> Change:
    """Some fields of a part of the model changed."""
    return lambda model: model.replace(**{section: getattr(model, section).replace(**fields)})


#: Changes that make the model harder, and whether the cost has to rise.
HARDER: dict[str, tuple[Change, bool]] = {
    "floor-business": (floor("region", "business", 1.0), False),
    "floor-all-early": (floor("region", "all", 0.9, 15.0), True),
    "floor-each-heat": (floor("common", "each", 1.0), False),
    "floor-free-early": (floor("region", "free", 0.9, 20.0), True),
    "scenario-region-at-surge": (
        scenario(
            NodeLoss(kind="region", name="west", repair_minutes=DAY),
            Surge(kind="surge", factor=1.3, repair_minutes=DAY),
            severity="region",
        ),
        True,
    ),
    "scenario-plant": (
        scenario(NodeLoss(kind="plant", name="west-chillers", repair_minutes=DAY)),
        True,
    ),
    "scenario-units": (
        scenario(
            UnitLoss(
                kind="units", plant="west-chillers", unit="chiller-3", count=2, repair_minutes=DAY
            ),
            Heat(kind="heat", region="west", rise_c=5.0, repair_minutes=DAY),
        ),
        False,
    ),
    "scenario-nothing": (
        scenario(Heat(kind="heat", region="west", rise_c=0.0, repair_minutes=DAY)),
        False,
    ),
    "no-chiller-1-east": (without_option("east-chillers", "chiller-1"), True),
    "no-chiller-3-east": (without_option("east-chillers", "chiller-3"), False),
    "no-chiller-1-west": (without_option("west-chillers", "chiller-1"), True),
    "no-air": (without_option("west-air", "air-1"), False),
    "no-offer": (lambda model: model.replace(offers={}), True),
    "fewer-on-offer": (entry("offers", "cloud", available_gpus=200), True),
    "later-offer": (entry("offers", "cloud", lead_time_minutes=180.0), True),
    "smaller-east": (entry("clusters", "east-gpus", max_gpus=600), True),
    "smaller-west": (entry("clusters", "west-gpus", max_gpus=1000), False),
    "few-units": (entry("plants", "east-chillers", max_added=2), True),
    "less-power": (entry("regions", "east", power_limit_mw=4.5), True),
    "more-redundancy": (entry("plants", "west-chillers", redundancy=3), True),
    "more-demand": (entry("zones", "east-users", demand_rps=350.0), True),
    "smaller-emergency-budget": (part("finance", emergency_budget_usd=50_000.0), True),
    "no-emergency-budget": (part("finance", emergency_budget_usd=0.0), True),
    "slower-reaction": (part("operations", detection_minutes=15.0), False),
}


class TestHarder:
    @pytest.mark.parametrize("name", HARDER)
    def test_a_harder_model_never_costs_less(self, model: Model, base: Solution, name: str) -> None:
        change, dearer = HARDER[name]

        after = cost(change(model))

        assert after >= base.objective * (1 - SAME)
        if dearer:
            assert after > base.objective * (1 + 1e-6)

    def test_harder_changes_one_after_another_never_lower_the_cost(
        self, model: Model, base: Solution
    ) -> None:
        costs = [base.objective]
        for name in ("fewer-on-offer", "more-demand", "more-redundancy", "no-offer"):
            model = HARDER[name][0](model)
            costs.append(cost(model))

        assert costs == sorted(costs)

    def test_a_lower_capital_budget_never_lowers_the_cost(self, model: Model) -> None:
        # A retainer so high that own GPUs are bought until the budget forbids them.
        dear = entry("offers", "cloud", retainer_usd_per_instance_year=200_000.0)(model)
        programme, plan = solved(dear)
        capital = sum(item.capital_usd for item in audit(programme, plan))

        costs = [
            cost(dear.replace(policies=Policies(capital_budget_usd=share * capital)))
            for share in (2.0, 1.0, 0.95, 0.85, 0.75, 0.0)
        ]

        assert costs[:2] == pytest.approx([plan.objective] * 2, rel=SAME)
        assert all(a <= b * (1 + SAME) for a, b in pairwise(costs))
        assert plan.objective < costs[2] < float("inf")
        assert costs[-1] == float("inf")


def translated(data: Any, names: Mapping[str, str], *, reverse: bool) -> Any:
    """Plain data with names translated wherever they stand, tables in reverse order."""
    if isinstance(data, Mapping):
        items = [(names.get(k, k), translated(v, names, reverse=reverse)) for k, v in data.items()]
        return dict(reversed(items) if reverse else items)
    if isinstance(data, list | tuple):
        return [translated(entry, names, reverse=reverse) for entry in data]
    return names.get(data, data) if isinstance(data, str) else data


SECTIONS = (
    "regions",
    "gpus",
    "clusters",
    "cooling_units",
    "plants",
    "tiers",
    "zones",
    "offers",
    "shapes",
)


def relabelled(model: Model) -> Model:
    """All entities under other names, which sort the other way round."""
    names = [name for section in SECTIONS for name in getattr(model, section)]
    assert len(set(names)) == len(names)
    codes = {name: f"x{99 - index}" for index, name in enumerate(names)}
    codes["cloudy"] = "a-provider"
    return Model.model_validate(translated(model.model_dump(), codes, reverse=False))


def reordered(model: Model) -> Model:
    """All tables in reverse order."""
    return Model.model_validate(translated(model.model_dump(), {}, reverse=True))


class TestNames:
    @pytest.mark.parametrize("variant", [lambda model: model, redundant], ids=["tiny", "redundant"])
    @pytest.mark.parametrize(
        "change",
        [relabelled, reordered, lambda model: reordered(relabelled(model))],
        ids=["names", "order", "both"],
    )
    def test_names_and_order_do_not_change_the_cost(
        self, model: Model, variant: Change, change: Change
    ) -> None:
        before = variant(model)
        after = change(before)
        assert list(after.clusters) != list(before.clusters)

        expected = cost(before)
        assert isfinite(expected)
        assert cost(after) == pytest.approx(expected, rel=SAME)


def scaled(data: Any, factor: float, *, money: bool = False) -> Any:
    """Plain data with everything that is money multiplied."""
    if isinstance(data, Mapping):
        return {
            key: scaled(value, factor, money=money or "usd" in key.split("_"))
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [scaled(entry, factor, money=money) for entry in data]
    return data * factor if money and isinstance(data, float) else data


class TestMoney:
    @pytest.mark.parametrize("factor", [2.0, 0.5])
    def test_cost_scales_with_all_money(self, model: Model, capital: float, factor: float) -> None:
        zones = {
            name: zone.replace(transport_usd_per_million_requests={"east": 3.0, "west": 5.0})
            for name, zone in model.zones.items()
        }
        budget = Policies(capital_budget_usd=1.1 * capital)
        priced = redundant(model).replace(zones=zones, policies=budget)
        rich = Model.model_validate(scaled(priced.model_dump(), factor))
        assert rich.finance.emergency_budget_usd == factor * priced.finance.emergency_budget_usd
        assert rich.policies.capital_budget_usd == factor * 1.1 * capital
        assert rich.finance.discount_rate == priced.finance.discount_rate

        expected = cost(priced)
        assert isfinite(expected)
        assert cost(rich) == pytest.approx(factor * expected, rel=SAME)

    def test_a_model_without_prices_costs_nothing(self, model: Model) -> None:
        free = Model.model_validate(scaled(model.model_dump(), 0.0))
        offers = {"cloud": free.offers["cloud"].replace(surge_multiplier=1.0)}

        assert cost(free.replace(offers=offers)) == pytest.approx(0.0, abs=1e-6)


class TestRepetition:
    @pytest.mark.parametrize("variant", [lambda model: model, redundant], ids=["tiny", "redundant"])
    def test_two_solves_give_the_same_plan(self, model: Model, variant: Change) -> None:
        first, second = solved(variant(model))[1], solved(variant(model))[1]

        assert first.objective == second.objective
        assert first.bound == second.bound
        assert first.fleet == second.fleet
        assert first.values == second.values


class TestLeftOut:
    @pytest.mark.parametrize("variant", [lambda model: model, redundant], ids=["tiny", "redundant"])
    def test_scenarios_that_cannot_bind_change_nothing(
        self, model: Model, variant: Change, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = variant(model)
        programme, short = solved(one)

        monkeypatch.setattr(problem_module, "cannot_bind", lambda *_: False)
        full_programme, full = solved(one)

        assert len(full_programme.data.stages) > len(programme.data.stages)
        assert full.rows > short.rows
        assert full.objective == pytest.approx(short.objective, rel=SAME)
        audit(full_programme, full)

    def test_unit_losses_beyond_the_redundancy_stay_in_the_programme(self, model: Model) -> None:
        weaker = {n: plant.replace(redundancy=0) for n, plant in model.plants.items()}

        stages = solved(model.replace(plants=weaker))[0].data.stages_by_scenario

        assert "unit-west-chillers" in stages
        assert "unit-east-chillers" in stages


#: What the tolerances of a solver on rows make in the cost of a random model, relative and in USD.
RELATIVE, ABSOLUTE = 1e-6, 0.1
#: CBC prints its bound with this relative accuracy.
PRINTED = 1e-5
# Examples are whole numbers; that a busy machine draws them slowly is no fault of a property.
PROPERTY = settings(
    max_examples=often(6, 200),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
SEEDS = st.integers(0, 399)
#: Seeds of the models that changes are tried on, and models for each change.
CHANGED, EACH = range(400), often(3, 7)


@cache
def drawn(seed: int) -> Data:
    """Data of a random model; not to be changed."""
    data = draw(seed)
    if "sag" in data["scenarios"]:
        # Its name is that of a kind of event.
        data["scenarios"]["dip"] = data["scenarios"].pop("sag")
    return data


@cache
def drawn_cost(seed: int) -> float:
    """Optimal cost of a random model; infinite where no plan will do."""
    return cost(model_from(drawn(seed)))


def at_most(less: float, more: float) -> bool:
    """Whether a cost is no larger than another, infinity included."""
    return more == inf or less <= more * (1 + RELATIVE) + ABSOLUTE


def same(one: float, other: float) -> bool:
    """Whether two costs are the same, or both infinite."""
    return at_most(one, other) and at_most(other, one)


def changed(name: str, change: changes.Change, usable: Callable[[int], bool]) -> list[Costs]:
    """Costs of some usable random models in which a change changes something: before and after."""
    found: list[Costs] = []
    for seed in Random(name).sample(CHANGED, len(CHANGED)):
        data = deepcopy(drawn(seed))
        if change(Random(f"change {seed}"), data) and usable(seed):
            found.append((drawn_cost(seed), cost(model_from(data))))
        if len(found) == EACH:
            return found
    raise AssertionError(f"{name}: changes {len(found)} models only")


def mostly_with_a_plan(seed: int) -> bool:
    """Whether a random model has a plan, or is one of a few of the others: they stay without."""
    return isfinite(drawn_cost(seed)) or seed % 10 == 0


class TestRandomModels:
    """Most changes have to leave most costs as they are; some have to move one."""

    def test_harder_random_models_never_cost_less(self) -> None:
        seen = Counter[str]()
        for name, change in changes.HARDER.items():
            for before, after in changed(name, change, mostly_with_a_plan):
                assert at_most(before, after), name
                seen["without a plan"] += before == after == inf
                seen["no longer possible"] += isfinite(before) and after == inf
                seen["dearer"] += isfinite(after) and not at_most(after, before)

        assert min(
            seen[one] for one in ("without a plan", "no longer possible", "dearer")
        ) >= often(2, 5)

    def test_easier_random_models_never_cost_more(self) -> None:
        seen = Counter[str]()
        for name, change in changes.EASIER.items():
            for before, after in changed(name, change, lambda _: True):
                assert at_most(after, before), name
                seen["possible now"] += before == inf and isfinite(after)
                seen["cheaper"] += isfinite(before) and not at_most(before, after)

        assert seen["possible now"] >= often(1, 3)
        assert seen["cheaper"] >= often(4, 10)

    def test_free_existing_assets_never_raise_the_cost(self) -> None:
        seen = Counter[str]()

        @settings(PROPERTY, max_examples=often(25, 200))
        @given(SEEDS)
        def check(seed: int) -> None:
            free = deepcopy(drawn(seed))
            changes.without_upkeep(free)
            richer = deepcopy(free)
            assume(changes.more_in_place(Random(f"more {seed}"), richer))
            before, after = cost(model_from(free)), cost(model_from(richer))

            assert at_most(after, before)
            seen["possible now"] += before == inf and isfinite(after)
            seen["cheaper"] += isfinite(before) and not at_most(before, after)

        check()
        assert min(seen["possible now"], seen["cheaper"]) >= often(1, 3)

    @PROPERTY
    @given(SEEDS)
    def test_names_do_not_change_the_cost(self, seed: int) -> None:
        data = drawn(seed)
        names = [name for section in NAMED for name in data.get(section, {})]
        assert len(set(names)) == len(names)
        codes = {name: f"x{999 - index}" for index, name in enumerate(names)}
        codes["cloudy"] = "a-provider"

        assert same(cost(model_from(translated(data, codes, reverse=False))), drawn_cost(seed))

    @PROPERTY
    @given(SEEDS)
    def test_order_does_not_change_the_cost(self, seed: int) -> None:
        shuffled = in_any_order(Random(f"order {seed}"), drawn(seed))

        assert same(cost(model_from(shuffled)), drawn_cost(seed))

    @PROPERTY
    @given(SEEDS, st.sampled_from([2.0, 0.25]))
    def test_cost_scales_with_the_currency(self, seed: int, factor: float) -> None:
        rich = model_from(scaled(drawn(seed), factor))

        assert same(cost(rich) / factor, drawn_cost(seed))

    @PROPERTY
    @given(SEEDS, st.sampled_from([4.0, 0.5]))
    def test_cost_does_not_depend_on_the_unit_of_requests(self, seed: int, factor: float) -> None:
        data = deepcopy(drawn(seed))
        changes.in_other_requests(data, factor)

        assert same(cost(model_from(data)), drawn_cost(seed))

    @PROPERTY
    @given(SEEDS, st.sampled_from([4.0, 0.5]))
    def test_cost_does_not_depend_on_the_unit_of_power(self, seed: int, factor: float) -> None:
        data = deepcopy(drawn(seed))
        changes.in_other_watts(data, factor)

        assert same(cost(model_from(data)), drawn_cost(seed))

    @PROPERTY
    @given(SEEDS, st.sampled_from([0.0, 0.01, 0.1]))
    def test_solvers_agree_within_the_gap(self, seed: int, gap: float) -> None:
        model = model_from(drawn(seed))
        found = [solved(model, SolverSettings(name, gap=gap))[1] for name in ("highs", "cbc")]

        assert same(found[0].objective, found[1].objective) or gap
        for solution in found:
            assert isfinite(solution.objective) == isfinite(drawn_cost(seed))
            assert at_most(drawn_cost(seed), solution.objective)
            assert at_most(solution.bound, drawn_cost(seed))
            assert at_most(solution.objective * (1 - gap - PRINTED), solution.bound)

    @PROPERTY
    @given(SEEDS)
    def test_a_coarse_gap_costs_no_more_than_the_gap(self, seed: int) -> None:
        coarse = solved(model_from(drawn(seed)), SolverSettings(gap=0.2))[1].objective

        assert at_most(drawn_cost(seed), coarse)
        assert at_most(coarse * 0.8, drawn_cost(seed))


#: Sections of a model file whose entries other entries name.
NAMED = (*SECTIONS, "feeds", "services", "scenarios")


def in_any_order(rng: Random, data: Any) -> Any:
    """Plain data with tables and lists of entries or names shuffled; hours stay in theirs."""
    if isinstance(data, Mapping):
        items = [(key, in_any_order(rng, value)) for key, value in data.items()]
        rng.shuffle(items)
        return dict(items)
    if isinstance(data, list):
        entries = [in_any_order(rng, entry) for entry in data]
        if not any(isinstance(entry, float) for entry in entries):
            rng.shuffle(entries)
        return entries
    return data
