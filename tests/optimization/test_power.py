"""Feeds in the programme: who hangs on which, and what cooling that runs takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import EXACT, model_of

from planner.infrastructure.measures import with_measures
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.infeasibility.diagnosis import diagnose
from planner.optimization.solution.audit import audit
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.scenarios.generators import all_scenarios

#: Two halls of GPUs of 1 kW and 1 request/s each; cooling takes a tenth of the heat it carries.
HALLS = """
regions: {here: {power_limit_mw: 50.0, electricity_usd_per_mwh: 50.0}}
gpus: {g: {power_mw: 0.001, static_share: 0.0, rps: 1.0, capital_usd: 10000.0}}
clusters:
  a: {region: here, gpu: g, block_gpus: 10, max_gpus: 3000, max_utilisation: 1.0}
  b: {region: here, gpu: g, block_gpus: 10, max_gpus: 3000, max_utilisation: 1.0}
cooling_units: {u: {capacity_mw: 1.0, power_mw_per_mw: 0.1, capital_usd: 100000.0}}
plants: {p: {region: here, cools: [a, b], options: [u], max_added: 20}}
tiers: {all-users: {priority: 1, share: 1.0}}
zones: {near: {demand_rps: 1000.0, latency_ms: {here: 10.0}}}
standard: {common: [{tier: each, from_minute: 5, least_served: 0.5}]}
"""


@pytest.fixture
def solved(tmp_path: Path):
    """The audited plan of the halls with something added."""

    def found(added: str, text: str = HALLS) -> tuple[Programme, Solution]:
        model = model_of(tmp_path, text + added)
        programme = build(ProblemData(model, all_scenarios(model), {}))
        solution = solve(programme, EXACT)
        if solution.status != "infeasible":
            audit(programme, solution)
        return programme, solution

    return found


def gpus(solution: Solution) -> dict[str, int]:
    return dict(solution.fleet.gpus)


def test_a_hall_has_no_more_than_its_own_feed_carries(solved) -> None:
    """Though both feeds together carry everything several times."""
    _, solution = solved("""
feeds:
  thin: {region: here, capacity_mw: 0.305, powers: [a]}
  fat: {region: here, capacity_mw: 40.0, powers: [b, p]}
""")
    assert solution.status == "optimal"
    assert gpus(solution)["a"] <= 300
    assert sum(gpus(solution).values()) == 1000


def test_cooling_draws_on_the_feeds_of_its_plant(solved) -> None:
    """1,000 GPUs need 0.1 MW of cooling; a feed of 0.09 MW lets 900 be cooled."""
    text = """
feeds:
  halls: {{region: here, capacity_mw: 40.0, powers: [a, b]}}
  cooling: {{region: here, capacity_mw: {mw}, powers: [p]}}
"""
    assert solved(text.format(mw=0.1))[1].status == "optimal"
    assert solved(text.format(mw=0.09))[1].status == "infeasible"


def test_what_hangs_on_two_feeds_shares_them(solved) -> None:
    """Hall a has 0.2 MW of its own, hall b 0.3; what both share carries the rest of 1.1 MW."""
    text = """
feeds:
  own-a: {{region: here, capacity_mw: 0.2, powers: [a]}}
  own-b: {{region: here, capacity_mw: 0.3, powers: [b]}}
  both: {{region: here, capacity_mw: {mw}, powers: [a, b, p]}}
"""
    assert solved(text.format(mw=0.6))[1].status == "optimal"
    assert solved(text.format(mw=0.58))[1].status == "infeasible"


@pytest.mark.parametrize("mw", [0.7, 1.1, 1.5])
def test_two_equal_halves_are_one_feed(solved, mw: float) -> None:
    one = f"feeds: {{whole: {{region: here, capacity_mw: {mw}}}}}\n"
    two = f"""
feeds:
  left: {{region: here, capacity_mw: {mw / 2}}}
  right: {{region: here, capacity_mw: {mw / 2}, powers: [p, b, a]}}
"""
    (_, whole), (_, halves) = solved(one), solved(two)
    assert whole.status == halves.status
    assert whole.objective == pytest.approx(halves.objective, rel=1e-9) or mw < 1.1


def test_more_of_a_feed_is_never_worse(solved) -> None:
    """Hall a is cheap to fill but on a thin feed; GPUs of hall b cost a tenth more."""
    dearer = "gpus: {h: {power_mw: 0.001, static_share: 0.0, rps: 1.0, capital_usd: 11000.0}, "
    halls = HALLS.replace("gpus: {", dearer)
    halls = halls.replace("b: {region: here, gpu: g", "b: {region: here, gpu: h")
    feeds = """
feeds:
  thin: {{region: here, capacity_mw: {mw}, powers: [a]}}
  fat: {{region: here, capacity_mw: 40.0, powers: [b, p]}}
"""
    costs = [solved(feeds.format(mw=mw), halls)[1].objective for mw in (0.0, 0.2, 0.21, 0.9, 2.0)]
    assert costs[0] > costs[1] > costs[2] > costs[3] > costs[4]


def test_a_conflict_names_the_feed_and_what_to_raise(solved) -> None:
    programme, solution = solved("""
feeds:
  thin: {region: here, capacity_mw: 0.1, powers: [a, b]}
  fat: {region: here, capacity_mw: 40.0, powers: [p]}
""")
    assert solution.status == "infeasible"
    found = diagnose(programme.data, SolverSettings())
    assert ("feed_limit", "thin") in {(one.family, one.subject) for one in found.conflict}
    assert any("feed thin" in one.text for one in found.conflict)
    limits = {one.path: one.value for one in found.limits}
    assert limits == {"feeds.thin.capacity_mw": pytest.approx(1.0)}


def test_a_feed_to_buy_carries_once_it_is_bought(solved) -> None:
    """What hangs on nothing else has no power without it."""
    text = """
feeds:
  there: {{region: here, capacity_mw: {mw}, powers: [a, p]}}
  more: {{region: here, capacity_mw: 40.0, powers: [b]}}
measures: {{line: {{capital_usd: 1000000.0, feeds: [more]}}}}
"""
    _, enough = solved(text.format(mw=2.0))
    assert enough.fleet.measures == frozenset()
    assert gpus(enough) == {"a": 1000, "b": 0}
    _, short = solved(text.format(mw=0.6))
    assert short.fleet.measures == {"line"}
    assert gpus(short)["b"] >= 500


#: One hall with emergency cooling that takes twice the heat it carries.
EMERGENCY = """
regions: {{here: {{power_limit_mw: {mw}}}, there: {{power_limit_mw: 9.0}}}}
gpus: {{g: {{power_mw: 0.001, static_share: 0.0, rps: 1.0, capital_usd: 10000.0}}}}
clusters:
  a: {{region: here, gpu: g, existing_gpus: 1000, block_gpus: 10, max_gpus: 1000,
       max_utilisation: 1.0}}
  b: {{region: there, gpu: g, block_gpus: 10, max_gpus: 3000, max_utilisation: 1.0}}
cooling_units:
  u: {{capacity_mw: 1.0, power_mw_per_mw: 0.1, capital_usd: 100000.0}}
  e: {{capacity_mw: 1.0, mode: standby, power_mw_per_mw: 2.0, capital_usd: 100000.0}}
plants:
  p: {{region: here, cools: [a], options: [u], max_added: 20, buffer_mwh: 5.0}}
  q: {{region: there, cools: [b], options: [u], max_added: 20}}
  x: {{region: here, cools: [a], role: emergency, options: [e], max_added: 20, buffer_mwh: 5.0}}
tiers: {{all-users: {{priority: 1, share: 1.0}}}}
zones: {{near: {{demand_rps: 1000.0, latency_ms: {{here: 10.0, there: 20.0}}}}}}
standard: {{common: [{{tier: each, from_minute: 60, least_served: 1.0}}]}}
scenarios:
  warm: {{severity: common, frequency_per_year: 0.1,
          events: [{{kind: plant, name: p, repair_minutes: 600.0}}]}}
"""


@pytest.mark.parametrize(("mw", "bought"), [(3.0, 0), (2.4, 200), (1.2, 600)])
def test_emergency_cooling_that_runs_takes_power_of_the_region(
    solved, mw: float, bought: int
) -> None:
    """With feeds or limits as usual: of 1,000 GPUs those run that three times their heat allows."""
    _, solution = solved("", EMERGENCY.format(mw=mw))
    assert solution.status == "optimal"
    assert gpus(solution)["b"] == bought


def test_dark_feeds_stay_where_nothing_else_carries(tmp_path: Path) -> None:
    text = (
        HALLS
        + """
feeds:
  there: {region: here, capacity_mw: 3.0, powers: [a, p]}
  more: {region: here, capacity_mw: 40.0, powers: [b, a]}
measures: {line: {capital_usd: 1000000.0, feeds: [more]}}
"""
    )
    model = model_of(tmp_path, text)
    without = with_measures(model, frozenset())
    assert without.feeds["more"].capacity_mw == 0
    assert without.feeds["more"].powers == ("b",)
    assert with_measures(model, frozenset({"line"})).feeds == model.feeds


def test_a_feed_on_offer_that_nobody_buys_costs_nothing(solved) -> None:
    """A lost feed switches GPUs off by itself, whether or not another one could have helped."""
    feeds = """
feeds:
  left: {region: here, capacity_mw: 0.6}
  right: {region: here, capacity_mw: 0.6}
"""
    lost = """
scenarios:
  lost: {severity: common, frequency_per_year: 0.1,
         events: [{kind: feed, name: left, repair_minutes: 600.0}]}
"""
    offer = """  more: {region: here, capacity_mw: 0.6}
measures: {line: {capital_usd: 1.0e12, feeds: [more]}}
"""
    halls = HALLS.replace("power_limit_mw: 50.0", "power_limit_mw: 1.2")
    _, without = solved(feeds + lost, halls)
    _, offered = solved(feeds + offer + lost, halls)

    assert without.status == "optimal"
    assert offered.objective == pytest.approx(without.objective, rel=1e-9)
