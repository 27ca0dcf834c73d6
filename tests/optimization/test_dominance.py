"""Scenarios that cannot bind: claims checked on every fleet, and plans with and without them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from random import Random
from threading import Event

import pytest
from optimization.drawing import drawn_model
from optimization.enumeration import World, fleets
from support import EXACT, often

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.loading import load_model
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.stages import Margin
from planner.optimization.solution import reduction
from planner.optimization.solution.audit import audit
from planner.optimization.solution.dominance import NORMAL, dominated, dominates
from planner.optimization.solution.reduction import counted, solve_reduced
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.scenarios.generators import all_scenarios
from planner.selection import Wanted, select

AT_ONCE = 12
#: Fleets on which every claim about a model is checked.
FLEETS = 6
RELATIVE = 1e-6


def fits(model: Model, scenario: Scenario) -> bool:
    """Whether no more units are lost by name than a plant has."""
    lost = Counter[tuple[str, str]]()
    for event in scenario.events:
        if event.kind == "units":
            lost[event.plant, event.unit] += event.count
    return all(model.plants[p].existing.get(u, 0) >= n for (p, u), n in lost.items())


def drawn_case(seed: int, most: int, *, answerable: bool = False) -> ProblemData:
    """A random model with its scenarios, milder, longer and joint ones, pairs and common causes.

    Answerable means that nothing is required of what comes on top.
    """
    model, rng = drawn_model(seed), Random(f"dominance {seed}")
    own = list(all_scenarios(model))
    more = []
    for index, one in enumerate(own):
        times = rng.choice([0.5, 1.0, 2.0])
        events = [e.replace(repair_minutes=times * e.repair_minutes) for e in one.events]
        severity = rng.choice([one.severity, one.severity, "extreme", "region"])
        more.append(one.replace(name=f"like-{index}", events=events, severity=severity))
        events = (*one.events, *rng.choice(own).events)
        more.append(one.replace(name=f"joint-{index}", events=events))
    found = select(model, Wanted(("n-1", "n-2", "common", "heat"), hours="peak")).scenarios
    names = {one.name for one in own}
    more += rng.sample([one for one in found if one.name not in names], min(most, len(found) // 2))
    if answerable:
        more = [one.replace(severity="extreme", frequency_per_year=2.0) for one in more]
    kept = [one for one in (*own, *more) if fits(model, one)]
    return ProblemData(model, tuple(kept), {})


@pytest.mark.parametrize("first", often([AT_ONCE], list(range(0, 3 * AT_ONCE, AT_ONCE))))
def test_a_fleet_that_survives_what_dominates_survives_what_is_dominated(first: int) -> None:
    """By linear programmes of their own that know nothing of dominance, on fleets at random."""
    seen = Counter[str]()
    for seed in range(first, first + AT_ONCE):
        data = drawn_case(seed, 10)
        claims, world = dominated(data), World(data.model, data.scenarios, {})
        assert not set(claims) & set(claims.values())
        allowed = [fleet for fleet in fleets(data.model) if world.allows(fleet)]
        for fleet in Random(seed).sample(allowed, min(FLEETS, len(allowed))):
            survives = {
                name: math.isfinite(world._scenario(fleet, world.stages[name]).least_cost())
                for name in {*claims, *claims.values()} - {NORMAL}
            }
            survives[NORMAL] = math.isfinite(world._normal(fleet).least_cost())
            for easier, harder in claims.items():
                assert survives[easier] or not survives[harder], (seed, easier, harder, fleet)
                told = survives[harder] or not survives[easier]
                seen["tells nothing" if not told else "both" if survives[harder] else "none"] += 1
                seen["normal"] += harder == NORMAL
    assert seen["both"] > 100
    assert min(seen["none"], seen["tells nothing"], seen["normal"]) > 0


@pytest.mark.parametrize("gap", [0.0, 0.01])
@pytest.mark.parametrize("first", often([AT_ONCE], list(range(0, 3 * AT_ONCE, AT_ONCE))))
def test_the_plan_costs_the_same_with_and_without(first: int, gap: float) -> None:
    seen = Counter[str]()
    for seed in range(first, first + AT_ONCE):
        data = drawn_case(seed, 5, answerable=bool(seed % 3))
        settings = SolverSettings(gap=gap)
        whole, found = solve(build(data), settings), solve_reduced(build(data), settings)
        solution = found.solution
        assert solution.status == whole.status, f"seed {seed}"
        seen[solution.status] += 1
        seen["left out"] += len(found.dominated)
        seen["taken back"] += len(found.taken_back)
        if solution.status == "infeasible":
            continue
        audit(found.programme, solution)
        distance = solution.objective - solution.bound
        assert distance <= (gap + RELATIVE) * abs(solution.objective), f"seed {seed}"
        slack = RELATIVE * abs(whole.objective) + 0.1
        assert solution.bound <= whole.objective + slack, f"seed {seed}"
        assert whole.bound <= solution.objective + slack, f"seed {seed}"
        assert {line.scenario for line in found.programme.data.stages} == set(
            data.stages_by_scenario
        )
    assert min(seen["optimal"], seen["infeasible"]) >= 2
    assert seen["left out"] > 20


def tiny_case(
    *sets: str, margins: dict[str, Margin] | None = None, **filters: object
) -> ProblemData:
    model = load_model("tiny", ()).model
    return ProblemData(
        model, select(model, Wanted(sets, hours="peak", **filters)).scenarios, margins or {}
    )


class TestTiny:
    def test_single_failures_are_dominated_by_pairs(self) -> None:
        found = dominated(tiny_case("n-1", "n-2"))
        data = tiny_case("n-1")
        assert set(data.stages_by_scenario) <= set(found)
        assert all("-and-" in name or name == NORMAL for name in found.values())

    def test_single_failures_do_not_dominate_each_other(self) -> None:
        data = tiny_case("n-1")
        assert dominated(data) == {"plant-west-air": NORMAL}

    def test_of_two_equal_scenarios_one_is_kept(self) -> None:
        data = tiny_case("regions")
        twins = tuple(
            one.replace(name=f"{one.name}{suffix}")
            for one in data.scenarios
            for suffix in ("", "-again")
        )
        found = dominated(replace(data, scenarios=twins))
        assert len(found) == 2
        assert {*found, *found.values()} == {one.name for one in twins}

    @pytest.mark.parametrize(
        ("change", "left"),
        [
            ({"severity": "single"}, False),
            ({"severity": "extreme"}, True),
            ({"start_hour": 3.0}, False),
            ({"operations": {"response_minutes": 60.0}}, False),
            ({"operations": {"approval_minutes": 60.0}}, False),
            ({"frequency_per_year": 0.01}, True),
            ({"frequency_per_year": 9.0}, False),
            ({"emergency_budget_usd": 1000.0}, False),
        ],
        ids=str,
    )
    def test_differences_that_prevent_dominance_of_the_same_loss(self, change, left) -> None:
        data = tiny_case("regions")
        first = data.scenarios[0].model_dump()
        other = Scenario.model_validate(first | {"name": "other"} | change)
        found = dominated(replace(data, scenarios=(*data.scenarios, other)))
        assert ("other" in found) is left

    def test_a_shorter_loss_is_dominated_and_a_longer_one_within_budget(self) -> None:
        data = tiny_case("regions")
        west = data.scenarios[0]
        times = {
            name: west.replace(
                name=name, events=tuple(e.replace(repair_minutes=m) for e in west.events)
            )
            for name, m in {"short": 600.0, "long": 3000.0, "too-long": 14_400.0}.items()
        }
        both = replace(data, scenarios=(west, times["short"]))
        assert dominated(both) == {"short": "region-west"}
        assert dominated(replace(data, scenarios=(times["too-long"], west))) == {
            "region-west": "too-long"
        }
        poor = data.model.replace(
            finance=data.model.finance.replace(emergency_budget_usd=100_000.0)
        )
        assert "long" not in dominated(ProblemData(poor, (west, times["long"]), {}))

    def test_margins_keep_scenarios_apart(self) -> None:
        data = tiny_case("regions", "n-2", only=("region-west*", "*-and-region-west"))
        assert "region-west" in dominated(data)
        margins = {"region-west": Margin(demand=0.1)}
        assert "region-west" not in dominated(replace(data, margins=margins))

    def test_a_cluster_that_is_off_stores_no_heat(self) -> None:
        """A region that is lost does not show that its cluster survives the loss of its plant."""
        data = tiny_case("n-1", only=("region-west", "plant-west-chillers"))
        stages = {name: tuple(some) for name, some in data.stages_by_scenario.items()}
        assert not dominates(data, stages["region-west"], stages["plant-west-chillers"])
        assert not dominates(data, stages["plant-west-chillers"], stages["region-west"])


SITE = (
    "feeds.w={region: west, capacity_mw: 9, generator_mw: 4, generator_start_minutes: 0,"
    " ups_minutes: 600}",
    "services.login={plane: service, replicas: {west: 1}}",
    "tiers.free.entry=login",
)


def losses(*events: dict[str, object], severity: str = "common", **fields: object) -> Scenario:
    """Events that begin at minute 0 and last ten hours unless they say otherwise."""
    usual = {"repair_minutes": 600.0}
    data = {"severity": severity, "frequency_per_year": 1.0, "events": [usual | e for e in events]}
    return Scenario.model_validate(data | fields)


def lost(kind: str, name: str, **more: object) -> dict[str, object]:
    return {"kind": kind, "name": name} | more


def largest(count: int) -> dict[str, object]:
    return {"kind": "largest-units", "plant": "west-chillers", "count": count}


def chillers(count: int) -> dict[str, object]:
    return {"kind": "units", "plant": "west-chillers", "unit": "chiller-3", "count": count}


HOT = {"kind": "heat", "region": "west", "rise_c": 5.0}
PLANT = lost("plant", "west-chillers")
ALL_COOLING = (PLANT, lost("plant", "west-air"))
DARK = lost("feed", "w", generators_start=False)
QUICK = {"detection_minutes": 1.0, "response_minutes": 1.0}
BRIEF = {"repair_minutes": 10.0}
#: What has recourse, what else, and whether it then has recourse too.
PAIRS: dict[str, tuple[Scenario, Scenario, bool]] = {
    "the same": (losses(PLANT), losses(PLANT), True),
    "more units": (losses(HOT, largest(2)), losses(HOT, largest(1)), True),
    "fewer units": (losses(HOT, largest(1)), losses(HOT, largest(2)), False),
    "more named": (losses(HOT, chillers(2)), losses(HOT, chillers(1)), True),
    "fewer named": (losses(HOT, chillers(1)), losses(HOT, chillers(2)), False),
    "the whole plant": (losses(HOT, PLANT), losses(HOT, chillers(2)), True),
    "cooler": (losses(largest(3)), losses(largest(3), HOT), False),
    "a region off stores no heat": (losses(lost("region", "west")), losses(PLANT), False),
    "a cluster that is up": (losses(*ALL_COOLING), losses(lost("cluster", "west-gpus")), False),
    "a tier that is up": (
        losses(*ALL_COOLING, severity="extreme"),
        losses(lost("service", "login"), severity="extreme"),
        False,
    ),
    "less demand": (losses(PLANT), losses({"kind": "surge", "factor": 1.2}), False),
    "more demand": (losses(PLANT, {"kind": "surge", "factor": 1.2}), losses(PLANT), True),
    "more power": (losses(*ALL_COOLING), losses(lost("feed", "w")), False),
    "no offer": (losses(PLANT, lost("provider", "cloudy")), losses(PLANT), True),
    "an offer": (losses(PLANT), losses(PLANT, lost("provider", "cloudy")), False),
    "over before anybody acts": (
        losses(PLANT | BRIEF),
        losses(PLANT | BRIEF, operations=QUICK),
        False,
    ),
    "standby that started before": (
        losses(HOT, PLANT),
        losses(HOT, PLANT | {"at_minute": 30.0}),
        False,
    ),
    "heat stored for less time": (
        losses(HOT, PLANT | {"at_minute": 10.0}),
        losses(HOT, PLANT),
        False,
    ),
    "a tank that is left": (losses(DARK), losses(PLANT), False),
    "a lower floor": (losses(PLANT, severity="region"), losses(PLANT), False),
    "a higher floor": (
        losses(PLANT, severity="double"),
        losses(PLANT, severity="region"),
        True,
    ),
    "longer": (losses(PLANT), losses(PLANT | {"repair_minutes": 900.0}), True),
    "a larger budget": (
        losses(PLANT, emergency_budget_usd=2e6),
        losses(PLANT, emergency_budget_usd=1e3),
        False,
    ),
    "a smaller budget": (
        losses(PLANT, emergency_budget_usd=1e3),
        losses(PLANT, emergency_budget_usd=1e4),
        True,
    ),
    "longer on a budget": (
        losses(PLANT, emergency_budget_usd=1e4),
        losses(PLANT | {"repair_minutes": 900.0}, emergency_budget_usd=1e4),
        False,
    ),
}


def compared(settings: tuple[str, ...], worse: Scenario, other: Scenario) -> bool:
    model = load_model("tiny", (*SITE, *settings)).model
    data = ProblemData(model, (worse.replace(name="worse"), other.replace(name="other")), {})
    return dominates(data, *(tuple(data.stages_by_scenario[n]) for n in ("worse", "other")))


@pytest.mark.parametrize("name", PAIRS)
def test_each_respect_decides_on_dominance(name: str) -> None:
    worse, other, expected = PAIRS[name]
    assert compared((), worse, other) is expected


@pytest.mark.parametrize(
    ("floors", "expected"),
    [
        (("all", 0.8, "each", 0.8), False),
        (("all", 1.0, "each", 1.0), True),
        (("each", 0.8, "all", 0.8), True),
        (("each", 0.8, "all", 0.81), False),
        (("business", 0.8, "all", 0.8), False),
        (("all", 0.9, "all", 0.8), True),
    ],
)
def test_floors_that_follow_from_floors(floors, expected) -> None:
    """All together from each, and each from all together where that is everything."""
    given, share, wanted, least = floors
    standard = [
        f"standard.{severity}=[{{tier: {tier}, from_minute: 5, least_served: {value}}}]"
        for severity, tier, value in (("common", given, share), ("double", wanted, least))
    ]
    found = compared(tuple(standard), losses(PLANT), losses(PLANT, severity="double"))
    assert found is expected


def test_few_pairs_of_scenarios_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rarest loss leaves far fewer pairs to compare than there are."""
    from planner.optimization.solution import dominance

    compared = []

    def counted(*arguments: object) -> bool:
        compared.append(arguments)
        return dominates(*arguments)

    monkeypatch.setattr(dominance, "dominates", counted)
    model = load_model("chatgpt-2023", ()).model
    data = ProblemData(model, select(model, Wanted(("n-1", "n-2"), hours="peak")).scenarios, {})
    found = dominance.dominated(data)
    count = len(data.stages_by_scenario)
    assert count > 300
    assert len(found) > count // 3
    assert len(compared) < count * count // 20


class TestSolving:
    def often(self) -> ProblemData:
        """A region that is lost often, and with it pairs that dominate it but are rare."""
        data = tiny_case(
            "n-1", "n-2", only=("region-*", "unit-*-and-region-*"), excluded=("region-*-and-*",)
        )
        scenarios = tuple(
            one.replace(frequency_per_year=20.0) if one.name == "region-west" else one
            for one in data.scenarios
        )
        return replace(data, scenarios=scenarios)

    def test_scenarios_with_costly_recourse_are_added_again(self) -> None:
        data = self.often()
        assert {"region-west", "region-east"} <= set(dominated(data))
        found = solve_reduced(build(data), EXACT)
        assert "region-west" in found.taken_back
        assert found.solution.objective == pytest.approx(
            solve(build(data), EXACT).objective, rel=RELATIVE
        )

    def test_recourse_left_out_shows_in_the_gap(self) -> None:
        """The bound is proven without it, the cost is with it."""
        data = self.often()
        settings = SolverSettings(gap=0.5)
        found = solve_reduced(build(data), settings)
        assert "region-west" in found.dominated
        assert 0.001 < found.solution.gap <= 0.5
        assert found.solution.bound <= solve(build(data), EXACT).objective
        audit(found.programme, found.solution)

    def test_scenarios_left_out_are_counted(self) -> None:
        """Six cannot bind at all, two lose idle plants besides; each region hides under a pair."""
        data = tiny_case("n-1", "n-2", only=("unit-*", "region-*", "provider-*"))
        assert counted(data, dominated(data)) == (
            "14 of 23 scenarios cannot bind: 8 implied by normal operation and N+k, "
            "6 dominated by another"
        )

    def test_the_programme_is_smaller(self) -> None:
        data = tiny_case("n-1", "regions", excluded=("plant-east-*", "plant-west-c*"))
        found = solve_reduced(build(data), EXACT)
        assert dict(found.dominated) == {"plant-west-air": NORMAL}
        assert found.rows < found.solution.rows
        assert counted(data, found.dominated).startswith("4 of 8 scenarios cannot bind: 4 implied")

    def test_a_scenario_left_out_wrongly_is_added_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever claims too much is found out when the purchases are settled."""
        data = tiny_case("regions", "heat")
        monkeypatch.setattr(reduction, "dominated", lambda _: {"region-west": "heat-wave-west"})
        found = solve_reduced(build(data), EXACT)
        assert not found.dominated
        assert found.solution.objective == pytest.approx(
            solve(build(data), EXACT).objective, rel=RELATIVE
        )

    def test_stopping_returns_the_best_plan_so_far(self) -> None:
        data = self.often()
        stop = Event()
        settings = SolverSettings(gap=0.0, stop=stop)

        def stopping(programme, settings, start=None):
            solution = solve(programme, settings, start)
            stop.set()
            return solution

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reduction, "solve", stopping)
            found = solve_reduced(build(data), settings)
        assert found.solution.status == "feasible"
        assert 0 < found.solution.gap < 1
        audit(found.programme, found.solution)


def test_names_of_witnesses_are_kept_scenarios() -> None:
    """Chains end in a scenario that stays: nobody vouches for another and leaves."""
    data = tiny_case("n-1", "n-2", "common", "mc:200:1")
    found = dominated(data)
    kept = {one.name for one in data.scenarios} - set(found)
    assert set(found.values()) <= kept | {NORMAL}
