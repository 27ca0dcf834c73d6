"""Coolant loops and the chillers behind them: through both goes what the tighter carries."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimization.drawing import MOST_COMBINATIONS, draw, model_from, purchases_of
from optimization.enumeration import World, cheapest
from optimization.test_enumeration import solved_case
from simulation.worlds import ONE, changed, lose, lose_chillers, operating, run
from support import EXACT, model_of, often

from planner.errors import InputError
from planner.infrastructure.entities import CoolingUnit, Model, Plant
from planner.infrastructure.failures import Event, LargestUnitsLoss, Sag
from planner.infrastructure.fleet import Fleet, pue_by_part
from planner.laws.heat import carried_by_plant
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.settings import SolverSettings
from planner.reliability.cooling_adequacy import cooling_adequacy
from planner.scenarios.generators import all_scenarios, family

#: `ONE` with loops of 6 MW before its chillers of 1 MW.
SERIES = """
cooling_units:
  loop: {capacity_mw: 6.0, power_mw_per_mw: 0.02}
plants:
  chillers: {cools: []}
  loops: {region: here, cools: [site], rejects_to: chillers, existing: {loop: 2}, on_ups: true}
feeds:
  grid: {region: here, capacity_mw: 50, ups_minutes: 5, generator_mw: 50,
         generator_start_minutes: 3}
"""
capacities = st.lists(st.floats(0.0, 9.0), min_size=3, max_size=3)


@pytest.fixture
def series(tmp_path) -> Model:
    """10 MW of heat through two loops to ten chillers."""
    (tmp_path / "one.yaml").write_text(ONE, encoding="utf-8")
    return model_of(tmp_path, f"extends: one.yaml\n{SERIES}")


def _lost(plant: str, count: int) -> Event:
    return LargestUnitsLoss(
        kind="largest-units", plant=plant, count=count, at_minute=10, repair_minutes=1000
    )


def _cooling(model: Model, *events: Event) -> np.ndarray:
    return run(model, *events).cluster("cooling_mw", "site")


class TestLaw:
    @given(st.lists(st.floats(0.0, 9.0), min_size=2, max_size=2), capacities)
    def test_loops_share_their_chillers(self, heat: list[float], mw: list[float]) -> None:
        """Two loops of a cluster each: no more than each carries, no more than the chillers."""
        serves = np.array([[True, False], [False, True], [False, False]])
        behind = np.array([2, 2, -1])
        carried = carried_by_plant(np.array([heat]), np.array([mw]), serves, behind)[0]
        each = np.minimum(heat, mw[:2])
        assert carried.sum() == pytest.approx(min(each.sum(), mw[2]), abs=1e-9)
        assert (np.diag(carried) <= each + 1e-9).all()
        if each.sum() > 0:
            shares = np.divide(np.diag(carried), each, out=np.ones(2), where=each > 1e-9)
            expected = min(1.0, mw[2] / each.sum())
            assert shares[each > 1e-9] == pytest.approx(expected, abs=1e-6)

    @given(st.floats(0.0, 9.0), capacities, st.integers(0, 2), st.floats(0.0, 3.0))
    def test_more_of_either_never_carries_less(
        self, heat: float, mw: list[float], which: int, more: float
    ) -> None:
        serves, behind = np.array([[True], [False], [True]]), np.array([1, -1, -1])
        larger = [one + more * (place == which) for place, one in enumerate(mw)]
        before, after = (
            carried_by_plant(np.array([[heat]]), np.array([one]), serves, behind).sum()
            for one in (mw, larger)
        )
        assert after >= before - 1e-9


class TestSimulator:
    def test_chillers_cannot_replace_a_loop(self, series: Model) -> None:
        """One loop of two is lost: 6 MW of 10, however many chillers there are."""
        more = changed(series, "plants", "chillers", existing={"chiller": 40})
        for model in (series, more):
            cooled = _cooling(model, _lost("loops", 1))
            assert cooled[5] == pytest.approx(10.0)
            assert cooled[12] == pytest.approx(6.0)

    def test_loops_cannot_replace_chillers(self, series: Model) -> None:
        assert _cooling(series, _lost("chillers", 3))[12] == pytest.approx(7.0)
        assert _cooling(series, lose("plant", "chillers"))[12] == 0

    def test_pumps_on_batteries_ride_through_a_sag_and_chillers_do_not(self, series: Model) -> None:
        """The chillers trip; loops alone reject no heat, so batteries of pumps do not help them."""
        sag = Sag(kind="sag", feed="grid", at_minute=10, repair_minutes=10)
        ran = run(series, sag)
        assert ran.plant("loops")[10:20] == pytest.approx(12.0)
        assert ran.plant("chillers")[10:20] == pytest.approx(0.0)
        assert ran.cluster("cooling_mw", "site")[15] == 0

    def test_batteries_carry_the_pumps_of_a_plant_that_stands_alone(self, series: Model) -> None:
        alone = series.replace(plants={"loops": series.plants["loops"].replace(rejects_to=None)})
        cooled = _cooling(alone, lose("feed", "grid"))
        assert cooled[10:] == pytest.approx(10.0)
        mains = changed(alone, "plants", "loops", on_ups=False)
        assert _cooling(mains, lose("feed", "grid"))[11] == 0

    def test_a_liquid_loop_leaves_seconds(self, series: Model) -> None:
        """1 MJ/K per MW, 10 MW uncooled: a degree a second; shutdown within the first minute."""
        hot = changed(series, "clusters", "site", capacitance_mj_per_k_per_mw=1.0)
        off = run(hot, lose("plant", "loops")).cluster("off", "site")
        assert (off[9], off[10]) == (False, True)
        assert not run(series, lose("plant", "loops")).cluster("off", "site")[12]

    def test_standby_chillers_start_when_chillers_are_short(self, series: Model) -> None:
        spare = changed(
            series, "plants", "chillers", existing={"chiller": 10, "fan": 3}, automatic=True
        )
        cooled = _cooling(spare, _lost("chillers", 3))
        assert cooled[12] == pytest.approx(7.0)
        assert cooled[20] == pytest.approx(10.0)

    @pytest.mark.parametrize("name", ["restart", "hot", "power", "standby", "tank"])
    def test_ample_loops_change_nothing(self, tmp_path: Path, name: str) -> None:
        """Chillers behind them start, wait, draw power and let clusters restart as without."""
        model = operating(model_of(tmp_path, ONE), cooldown_share=0.2, restart_check_minutes=5)
        changes: dict[str, Any] = {
            "restart": {"restart_units": 10, "start_interval_minutes": 3},
            "tank": {"buffer_mwh": 0.3},
            "standby": {"existing": {"chiller": 10, "fan": 3}},
        }
        model = changed(model, "plants", "chillers", **changes.get(name, {}))
        below = 80.0 if name == "hot" else None
        model = changed(model, "cooling_units", "chiller", start_below_c=below, power_mw_per_mw=0.2)
        model = changed(model, "clusters", "site", envelope_mw_per_k=0.01)
        if name == "power":
            model = changed(model, "regions", "here", power_limit_mw=11.5)
        series = changed(model, "plants", "chillers", cools=())
        loops = {"region": "here", "cools": ("site",), "rejects_to": "chillers"}
        loop = Plant(name="loops", existing={"loop": 2}, **loops)
        series = series.replace(
            plants={"loops": loop, **series.plants},
            cooling_units={**series.cooling_units, "loop": CoolingUnit(name="loop", capacity_mw=9)},
        )
        lost = lose_chillers(6, minutes=40)
        alone, behind = run(model, lost), run(series, lost)
        for record in ("temperature_c", "off", "powered_gpus", "cooling_mw"):
            expected = alone.cluster(record, "site")
            assert behind.cluster(record, "site") == pytest.approx(expected, abs=1e-9), record
        assert alone.cluster("temperature_c", "site").max() > 80

    def test_both_draw_power(self, series: Model) -> None:
        chillers = changed(series, "cooling_units", "chiller", power_mw_per_mw=0.2)
        assert pue_by_part(chillers, "here")["machines"] == pytest.approx(0.22)


class TestProgramme:
    @pytest.mark.parametrize("seed", range(often(6, 60)))
    def test_cost_is_that_of_enumeration(self, seed: int) -> None:
        model = looped(seed)
        data = ProblemData(model, all_scenarios(model), {})
        cost, fleet = cheapest(model, data.scenarios)
        solution = solved_case(data, EXACT)
        assert (solution.status == "optimal") == math.isfinite(cost)
        if fleet is not None:
            assert solution.objective == pytest.approx(cost, rel=1e-6, abs=0.1)
            assert World(model, data.scenarios).allows(solution.fleet)

    def test_parts_find_the_same(self) -> None:
        data = [ProblemData(m, all_scenarios(m), {}) for m in map(looped, (1, 2, 5))]
        settings = SolverSettings(gap=1e-6, method="decomposed")
        for one in data:
            whole, parts = solved_case(one, EXACT), solved_case(one, settings)
            assert parts.status == whole.status
            if whole.status == "optimal":
                assert parts.objective == pytest.approx(whole.objective, rel=1e-5)


def looped(seed: int) -> Model:
    """A random model in which the plant of the first region is a loop before chillers."""
    rng, data = Random(f"series {seed}"), draw(seed)
    region = next(iter(data["regions"]))
    loop = data["plants"][f"p-{region}"]
    data["plants"][f"h-{region}"] = loop | {"cools": []}
    small = data["cooling_units"]["small"]["capacity_mw"]
    data["cooling_units"]["pump"] = {
        "capacity_mw": small,
        "power_mw_per_mw": 0.05,
        "capital_usd": 1e5,
    }
    there = 0 if data["regions"][region].get("candidate") else rng.choice([2, 3, 4])
    loop |= {"rejects_to": f"h-{region}", "existing": {"pump": there}, "options": ["pump"]}
    loop |= {"max_added": 1, "redundancy": rng.choice([0, 1]), "on_ups": rng.random() < 0.5}
    loop.pop("buffer_mwh", None)
    for one in (loop, data["plants"][f"h-{region}"]):
        one.pop("may_retire", None)
    data["plants"][f"p-{region}"] = loop
    if purchases_of(data) > 4 * MOST_COMBINATIONS:
        data["plants"][f"h-{region}"]["max_added"] = 1
    return model_from(data)


class TestAvailability:
    def test_a_shortage_of_either_is_one(self, series: Model) -> None:
        """Both loops, and all ten chillers, are needed for 10 MW."""
        tenth = {"failures_per_year": 8760 / 9 / 10, "repair_hours": 10.0}
        model = changed(series, "cooling_units", "loop", **tenth)
        model = changed(model, "cooling_units", "chiller", **tenth)
        (found,) = cooling_adequacy(model, Fleet.existing(model))
        assert found.hours_per_year == pytest.approx(8760 * (1 - 0.9**2 * 0.9**10))
        assert (found.largest_outage_covered, found.bound) == (0, "")

    def test_each_fails_by_itself(self, series: Model) -> None:
        names = [scenario.name for scenario in family(series, "unit")]
        assert names == ["unit-chillers", "unit-loops"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("plants.loops.rejects_to=null", "no plant `rejects_to` this one"),
        ("plants.chillers.cools=[site]", "cools clusters or rejects"),
        ("plants.chillers.role=emergency", "expected primary in here"),
        ("plants.loops.buffer_mwh=1", "a loop has no tank"),
        ("plants.loops.rejects_to=chiller", "chiller"),
    ],
)
def test_wrong_series_are_refused(tmp_path, setting: str, message: str) -> None:
    (tmp_path / "one.yaml").write_text(ONE, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        model_of(tmp_path, f"extends: one.yaml\n{SERIES}", setting)
